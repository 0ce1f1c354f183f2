/** Hit rates by budget and policy that somebody replayed from a routing trace. Read strictly. Pure. */
import { E, type Either } from "../../../sim/base/fp.js";
import { badInput, type AppError } from "../../../sim/base/errors.js";
import { linesOf, Mistakes } from "./read-lines.js";
import type { CurveFile, CurveRow, RecordedFile } from "./recorded.js";

const COLUMNS = ["budget_mib", "policy", "hit_pct_cum", "hit_pct_decode", "read_mib"];
const POLICIES = ["belady", "lru", "lfu", "random", "layer", "layerlfu"];

export const readCurve = ({ path, text }: RecordedFile): Either<AppError, CurveFile> => {
  const mistakes = new Mistakes();
  const [columns, ...lines] = linesOf(text);
  if (columns!.text !== COLUMNS.join()) mistakes.add("line 1", `should be the columns ${COLUMNS.join()}, got ${columns!.text}`);
  const rows = lines.flatMap(({ place, text: line }): ReadonlyArray<CurveRow> => {
    const cells = line.split(",");
    if (cells.length !== COLUMNS.length) {
      mistakes.add(place, `has ${cells.length} of ${COLUMNS.length} columns`);
      return [];
    }
    const at = (column: string, high = Infinity): number => mistakes.number(`${place}.${column}`, cells[COLUMNS.indexOf(column)], 0, high);
    const policy = cells[1]!;
    if (!POLICIES.includes(policy)) mistakes.add(`${place}.policy`, `should be one of ${POLICIES.join(", ")}, got ${policy}`);
    return [{ budgetMib: at("budget_mib"), policy, hitPercent: at("hit_pct_cum", 100), decodeHitPercent: at("hit_pct_decode", 100), readMib: at("read_mib") }];
  });
  for (const budget of new Set(rows.map(({ budgetMib }) => budgetMib)))
    for (const policy of POLICIES) {
      const count = rows.filter((row) => row.budgetMib === budget && row.policy === policy).length;
      if (count !== 1) mistakes.add(`budget ${budget}`, `should have one row for ${policy}, has ${count}`);
    }
  if (rows.length === 0) mistakes.add("(whole)", "has no rows");
  return mistakes.all.length > 0 ? E.left(badInput(path, mistakes.all)) : E.right({ path, rows });
};
