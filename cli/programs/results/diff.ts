/** Two sweeps point by point, or two runs fact by fact. */
import { TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import { badInput, type AppError } from "../../../sim/base/errors.js";
import { canonical } from "../../../sim/base/canonical.js";
import { showNumber, showSignedShare, table } from "../../../sim/report/table.js";
import type { Cell, Store } from "../../store.js";
import { axesOf, pointMeans } from "./questions.js";
import { metricsOf, runFacts, showCell, type RunFacts, type Says } from "./show.js";
import type { Batch, Which } from "./which.js";

/** A share of the first; null where that says nothing. */
const changeOf = (a: Cell | undefined, b: Cell | undefined): number | null => (typeof a === "number" && typeof b === "number" && a !== 0 ? b / a - 1 : null);

type Means = ReadonlyMap<string, { readonly shown: string; readonly values: ReadonlyArray<Cell> }>;

/** Means of a batch by coordinates; what both have can be compared, however the sweeps were declared. */
const meansOf = (store: Store, batch: Batch, metrics: ReadonlyArray<string>): TaskEither<AppError, Means> =>
  pipe(
    axesOf(store, batch),
    TE.chain((axes) => pipe(
      store.ask(pointMeans(batch, axes, metrics)),
      TE.map(({ rows }): Means => new Map(rows.map((row) => {
        const at = Object.fromEntries(axes.map(({ name }, i) => [name, row[i]!]));
        return [canonical(at), { shown: Object.entries(at).map(([name, value]) => `${name} ${value}`).join(", "), values: row.slice(axes.length + 4) }];
      }))),
    )),
  );

const diffSweeps = (store: Store, a: Batch, b: Batch): TaskEither<AppError, Says> =>
  pipe(
    TE.Do,
    TE.bind("metrics", () => metricsOf(store, a)),
    TE.bind("before", ({ metrics }) => meansOf(store, a, metrics)),
    TE.bind("after", ({ metrics }) => meansOf(store, b, metrics)),
    TE.map(({ metrics, before, after }): Says => {
      const shared = [...before].flatMap(([key, one]) => {
        const other = after.get(key);
        return other === undefined ? [] : [{ at: one.shown, changes: metrics.map((metric, i) => ({ metric, a: one.values[i] ?? null, b: other.values[i] ?? null, change: changeOf(one.values[i], other.values[i]) })) }];
      });
      const only = { a: [...before].filter(([key]) => !after.has(key)).length, b: [...after].filter(([key]) => !before.has(key)).length };
      const moved = shared.filter(({ changes }) => changes.some(({ a: x, b: y }) => x !== y));
      const name = (one: Batch): string => `${one.id}@${one.code.slice(0, 8)} (declared ${one.key.slice(0, 8)})`;
      return {
        text: [
          `${name(a)} → ${name(b)}: ${shared.length} points in both, ${moved.length} of them differ; ${only.a} only in the first, ${only.b} only in the second`,
          ...(moved.length === 0 ? [] : ["", table([{ title: "at" }, { title: "metric" }, { title: "first", align: "right" }, { title: "second", align: "right" }, { title: "change", align: "right" }],
            moved.flatMap(({ at, changes }) => changes.filter(({ a: x, b: y }) => x !== y).map(({ metric, a: x, b: y, change }) => [at, metric, showCell(x), showCell(y), change === null ? "-" : showSignedShare(change)])))]),
        ].join("\n"),
        json: { a: { ...a }, b: { ...b }, shared: shared.length, onlyIn: only, points: moved },
      };
    }),
  );

/** Every leaf of a document by its path. */
const leaves = (node: unknown, path = ""): ReadonlyArray<readonly [string, string]> =>
  typeof node !== "object" || node === null ? [[path, JSON.stringify(node) ?? "nothing"]] : Object.entries(node).flatMap(([key, inner]) => leaves(inner, path === "" ? key : `${path}.${key}`));

const differing = (one: unknown, other: unknown, prefix: string): ReadonlyArray<readonly [string, string, string]> => {
  const [a, b] = [new Map(leaves(one)), new Map(leaves(other))];
  return [...new Set([...a.keys(), ...b.keys()])].flatMap((path) => (a.get(path) === b.get(path) ? [] : [[`${prefix}${path}`, a.get(path) ?? "-", b.get(path) ?? "-"] as const]));
};

const documentsOf = (store: Store, { documents }: RunFacts): TaskEither<AppError, Readonly<Record<string, unknown>>> =>
  pipe(
    Object.entries(documents),
    TE.traverseSeqArray(([kind, { hash }]) => pipe(store.ask("SELECT content FROM documents WHERE hash = ?", [hash ?? ""]), TE.map(({ rows }) => [kind, rows[0] === undefined ? null : (JSON.parse(String(rows[0][0])) as unknown)] as const))),
    TE.map((read) => Object.fromEntries(read)),
  );

const diffRuns = (store: Store, a: string, b: string): TaskEither<AppError, Says> =>
  pipe(
    TE.Do,
    TE.bind("one", () => runFacts(store, a)),
    TE.bind("other", () => runFacts(store, b)),
    TE.bind("first", ({ one }) => documentsOf(store, one)),
    TE.bind("second", ({ other }) => documentsOf(store, other)),
    TE.map(({ one, other, first, second }): Says => {
      const inputs = [...differing(one.request, other.request, "request."), ...differing(first, second, ""), ...differing({ code: one.manifest.code }, { code: other.manifest.code }, "")];
      const outputs = Object.keys({ ...one.metrics, ...other.metrics }).map((name) => ({ metric: name, a: one.metrics[name] ?? null, b: other.metrics[name] ?? null })).filter(({ a: x, b: y }) => x !== y);
      return {
        text: [
          table([{ title: "asked" }, { title: "first", wrap: 40 }, { title: "second", wrap: 40 }], inputs),
          "",
          table([{ title: "found" }, { title: "first", align: "right" }, { title: "second", align: "right" }, { title: "change", align: "right" }], outputs.map(({ metric, a: x, b: y }) => [metric, x === null ? "-" : showNumber(x), y === null ? "-" : showNumber(y), changeOf(x, y) === null ? "-" : showSignedShare(changeOf(x, y)!)])),
        ].join("\n"),
        json: { inputs: inputs.map(([path, x, y]) => ({ path, a: x, b: y })), metrics: outputs },
      };
    }),
  );

export const diff = (store: Store, a: Which, b: Which): TaskEither<AppError, Says> => {
  if (a._tag === "Sweep" && b._tag === "Sweep") return diffSweeps(store, a.batch, b.batch);
  if (a._tag === "Run" && b._tag === "Run") return diffRuns(store, a.key, b.key);
  return TE.left(badInput("neuronlab results diff", [{ path: "WHAT", message: "one is a sweep and the other a run; name two of a kind" }]));
};
