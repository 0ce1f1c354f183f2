/** The table of claims: stored results in, one page out; or, with --check, whether the page is still what they say. */
import { join } from "node:path";
import { RTE, TE, pipe } from "../../sim/base/fp.js";
import { badInput, type AppError } from "../../sim/base/errors.js";
import { parseJson } from "../../sim/base/decode.js";
import { table } from "../../sim/report/table.js";
import type { Documents, Row } from "../../experiments/claims-table/row.js";
import { decodeWords, shared, switchedOn } from "../args.js";
import type { Command, Words } from "../command.js";
import { inFormat, type Answer, type Capabilities, type Program } from "../program.js";

/** Where claims come from, and what is made of them. */
export interface Claims {
  readonly sources: ReadonlyArray<string>;
  readonly rows: (documents: Documents) => ReadonlyArray<Row>;
  readonly page: (rows: ReadonlyArray<Row>) => string;
}

const PAGE = "docs/claims.md";

const documentAt = (path: string) => (capabilities: Capabilities): TE.TaskEither<AppError, readonly [string, unknown]> =>
  pipe(
    capabilities.readStored(join(capabilities.home, path)),
    TE.chain((text) => (text === null ? TE.left(badInput("results", [{ path, message: "is not stored here; the table of claims is made in a checkout that has its results" }])) : TE.fromEither(parseJson(path, text)))),
    TE.map((raw) => [path, raw] as const),
  );

const missedTable = (rows: ReadonlyArray<Row>): string => {
  const missed = rows.filter(({ holds }) => holds === false);
  const judged = rows.filter(({ holds }) => holds !== null).length;
  const count = `${rows.length} rows, ${judged} of them held to something, ${missed.length} missed`;
  return missed.length === 0 ? count : [count, "", table([{ title: "missed", wrap: 50 }, { title: "tolerance", wrap: 24 }, { title: "found", wrap: 50 }], missed.map(({ claim, tolerance, found }) => [claim.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1"), tolerance, found]))].join("\n");
};

export const claimsProgram = (claims: Claims) => (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    RTE.fromEither(decodeWords(command, { ...shared, check: switchedOn })(given)),
    RTE.chain((args): Program<Answer> => (capabilities) =>
      pipe(
        claims.sources,
        TE.traverseSeqArray((path) => documentAt(path)(capabilities)),
        TE.map((pairs) => claims.rows(Object.fromEntries(pairs))),
        TE.bindTo("rows"),
        TE.bind("stored", () => capabilities.readStored(join(capabilities.home, PAGE))),
        TE.map(({ rows, stored }): Answer => {
          const page = claims.page(rows);
          const same = stored === page;
          const text = missedTable(rows);
          if (!args.check) return { stdout: inFormat(args.format, { text, json: { rows } }), files: [{ path: join(capabilities.home, PAGE), text: page }], notes: [`wrote ${PAGE}`] };
          const verdict = same ? `${PAGE} is what the stored results say` : `${PAGE} is not what the stored results say; run neuronlab claims`;
          return { stdout: inFormat(args.format, { text: `${text}\n\n${verdict}`, json: { rows, check: { same } } }), notes: args.format === "json" && !same ? [verdict] : [], exit: same ? 0 : 70 };
        }),
      ),
    ),
  );
