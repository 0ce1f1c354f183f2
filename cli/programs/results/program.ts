/** What a store has: list, show, diff, export, query. Partial results of a sweep that is still running are shown as they are. */
import { extname } from "node:path";
import { RTE, TE, pipe } from "../../../sim/base/fp.js";
import type { Mistake } from "../../../sim/base/errors.js";
import { nearest } from "../../../sim/base/nearest.js";
import { table } from "../../../sim/report/table.js";
import { absent, decodeWords, optional, outputFile, shared, switchedOn, words } from "../../args.js";
import type { Command, Words } from "../../command.js";
import { inFormat, type Answer, type Program } from "../../program.js";
import { EXPORTS, type ExportFormat, type Rows, type Store } from "../../store.js";
import { DEFAULT_STORE } from "../default-store.js";
import { diff } from "./diff.js";
import { axesOf, flatRows } from "./questions.js";
import { listSweeps, show, showCell, type Says } from "./show.js";
import { which } from "./which.js";

/** How many words follow each. */
const ACTIONS: Readonly<Record<string, { readonly takes: number; readonly shown: string }>> = {
  list: { takes: 0, shown: "list" }, show: { takes: 1, shown: "show SWEEP|RUN" }, diff: { takes: 2, shown: "diff A B" }, export: { takes: 1, shown: "export SWEEP --out FILE" }, query: { takes: 1, shown: 'query "SQL"' },
};

const formatOf = (file: string): ExportFormat | null => EXPORTS.find((one) => extname(file) === `.${one}`) ?? null;

const fields = { ...shared, words: optional(words("say what, such as list"), ["list"] as ReadonlyArray<string>), store: absent(outputFile), out: absent(outputFile), provenance: switchedOn };

const wrongWords = (given: ReadonlyArray<string>, out: string | null): ReadonlyArray<Mistake> => {
  const [action, ...rest] = given;
  const known = Object.keys(ACTIONS);
  const found = ACTIONS[action!];
  if (found === undefined) {
    const near = nearest(action!, known);
    return [{ path: "WHAT", message: `unknown: ${action};${near === null ? "" : ` did you mean ${near}?`} known: ${Object.values(ACTIONS).map(({ shown }) => shown).join(", ")}` }];
  }
  return [
    ...(rest.length === found.takes ? [] : [{ path: "WHAT", message: `${action} takes ${found.takes === 0 ? "nothing" : `${found.takes} ${found.takes === 1 ? "word" : "words"}`} more, got ${rest.length}: neuronlab results ${found.shown}` }]),
    ...(action === "export" && out === null ? [{ path: "--out", message: `is missing; name a file that ends in ${EXPORTS.map((one) => `.${one}`).join(", ")}` }] : []),
    ...(action !== "export" && out !== null ? [{ path: "--out", message: "is for export" }] : []),
    ...(out !== null && formatOf(out) === null ? [{ path: "--out", message: `should end in ${EXPORTS.map((one) => `.${one}`).join(", ")}, got ${out}` }] : []),
  ];
};

const rowsSay = ({ columns, rows }: Rows): Says => ({
  text: table(columns.map((title, i) => ({ title, ...(rows.every((row) => typeof row[i] === "number" || row[i] === null) ? { align: "right" as const } : {}) })), rows.map((row) => row.map(showCell))),
  json: rows.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i]]))),
});

const saying = (format: "table" | "json") => (says: Says): Answer => ({ stdout: inFormat(format, says) });

const exportTo = (store: Store, name: string, out: string, provenance: boolean, format: "table" | "json"): Program<Answer> => () =>
  pipe(
    which(store, "WHAT")(name),
    TE.chain((found) => {
      const sql = found._tag === "Run" ? TE.right(`SELECT * FROM results WHERE run = '${found.key}' ORDER BY sweepKey, point, repetition`) : pipe(axesOf(store, found.batch), TE.map((axes) => flatRows(found.batch, axes, provenance)));
      return pipe(sql, TE.chain((question) => store.exported(question, [], formatOf(out)!, out)));
    }),
    TE.map((): Answer => ({ stdout: inFormat(format, { text: "", json: { file: out } }), notes: [`wrote ${out}`] })),
  );

export const resultsProgram = (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    RTE.fromEither(decodeWords(command, fields, (args) => (args.words === undefined ? [] : wrongWords(args.words, args.out ?? null)))(given)),
    RTE.chain((args): Program<Answer> => (capabilities) => {
      const store = capabilities.store(args.store ?? DEFAULT_STORE);
      const [action, first, second] = args.words;
      const say = TE.map(saying(args.format));
      switch (action) {
        case "show":
          return pipe(which(store, "WHAT")(first!), TE.chain((found) => show(store, found)(capabilities)), say);
        case "diff":
          return pipe(TE.Do, TE.bind("a", () => which(store, "WHAT")(first!)), TE.bind("b", () => which(store, "WHAT")(second!)), TE.chain(({ a, b }) => diff(store, a, b)), say);
        case "export":
          return exportTo(store, first!, args.out!, args.provenance, args.format)(capabilities);
        case "query":
          return pipe(store.ask(first!), TE.map(rowsSay), say);
        default:
          return pipe(listSweeps(store)(capabilities), say);
      }
    }),
  );
