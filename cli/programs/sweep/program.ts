/** A declared sweep: decode, plan, run what is not known yet, describe. */
import { join } from "node:path";
import { E, RTE, TE, pipe } from "../../../sim/base/fp.js";
import { custom, type Codec } from "../../../sim/base/decode.js";
import { absent, decodeWords, inputFile, outputFile, outputFolder, shared, switchedOn, wholeNumber, workers } from "../../args.js";
import type { Command, Words } from "../../command.js";
import { inFormat, type Answer, type OutputFile, type Program } from "../../program.js";
import { typedCommand } from "../simulate.js";
import { conclusionsFile, csvFile, describeSweep, type Described } from "./describe.js";
import { dryRun } from "./dry-run.js";
import { loadDeclared, type Declared } from "./load.js";
import { makeLive } from "./live.js";
import { make, type Made, type Wishes } from "./make.js";

/** Where results are kept unless somebody says otherwise: under the folder in which the command is typed. */
export const DEFAULT_STORE = join("results", "neuronlab.duckdb");

/** Draws what a declaration asks for; handed in, because pictures need fonts and a document. */
export type Picture = (declared: Declared, described: Described) => ReadonlyArray<OutputFile>;

/** Without a number, any port that is free. */
const livePort: Codec<number> = custom("port", (raw) => (raw === "" ? E.right(0) : E.isLeft(wholeNumber(1, 65535).decode(raw)) ? E.left(`should be a port between 1 and 65535, or nothing for any that is free, got ${String(raw)}`) : E.right(Number(raw))));

const DRAWS = 200;
const draws: Codec<number> = custom("draws", (raw) => (raw === "" ? E.right(DRAWS) : E.isLeft(wholeNumber(2, 1e5).decode(raw)) ? E.left(`should be how many draws, between 2 and 100000, or nothing for ${DRAWS}, got ${String(raw)}`) : E.right(Number(raw))));

const fields = {
  ...shared, file: inputFile, store: absent(outputFile), workers, out: absent(outputFolder),
  "dry-run": switchedOn, "retry-failed": switchedOn, "fail-fast": switchedOn, "keep-going": switchedOn, live: absent(livePort), uncertain: absent(draws),
};

const exitOf = (made: Made): Exclude<Answer["exit"], undefined> => {
  const worst = Math.max(0, ...made.settled.filter(({ run }) => run.state === "failed").map(({ run }) => run.exit));
  return worst as Exclude<Answer["exit"], undefined>;
};

const answerOf = (declared: Declared, wishes: Wishes, made: Made, picture: Picture, args: { readonly out: string | null; readonly format: "table" | "json" }, seconds: number): Answer => {
  const described = describeSweep(declared, made);
  const files = args.out === null ? [] : [csvFile(declared, made), ...conclusionsFile(described), ...picture(declared, described)].map((file) => ({ ...file, path: join(args.out!, file.path) }));
  const failed = made.settled.filter(({ run }) => run.state === "failed").length;
  return {
    stdout: inFormat(args.format, described),
    files,
    notes: [
      `${made.fresh} runs made in ${seconds.toFixed(1)} s, ${made.reused} were known; kept in ${made.pending === null ? wishes.store.path : `a journal beside ${wishes.store.path} until it is free (${made.pending})`}`,
      ...(failed > 0 ? [`${failed} failed; once that is mended: ${wishes.command} --retry-failed`] : []),
      ...files.map((file) => `wrote ${file.path}`),
    ],
    exit: exitOf(made),
  };
};

export const sweepProgram = (picture: Picture) => (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    RTE.fromEither(decodeWords(command, fields, (args) => [
      ...(args["fail-fast"] === true && args["keep-going"] === true ? [{ path: "--keep-going", message: "and --fail-fast contradict each other; give one of them" }] : []),
      ...(args["dry-run"] === true && typeof args.out === "string" ? [{ path: "--out", message: "has nothing to write in a dry run; leave one of them out" }] : []),
      ...(args["dry-run"] === true && typeof args.live === "number" ? [{ path: "--live", message: "has nothing to show in a dry run; leave one of them out" }] : []),
      ...(args.seed !== null && args.seed !== undefined ? [{ path: "--seed", message: "is part of what a sweep declares; write \"seed\" into the file" }] : []),
    ])(given)),
    RTE.bindTo("args"),
    RTE.bind("declared", ({ args }) => loadDeclared(args.file, args.uncertain)),
    RTE.chain(({ args, declared }): Program<Answer> => (capabilities) => {
      const wishes: Wishes = { workers: args.workers, failFast: args["fail-fast"], retryFailed: args["retry-failed"], command: typedCommand(command, given), store: capabilities.store(args.store ?? DEFAULT_STORE) };
      if (args["dry-run"]) return pipe(dryRun(declared, wishes)(capabilities), TE.map((outlook) => ({ stdout: inFormat(args.format, outlook) })));
      const began = capabilities.now();
      return pipe((args.live === null ? make(declared, wishes) : makeLive(declared, wishes, args.live))(capabilities), TE.map((made) => answerOf(declared, wishes, made, picture, args, (capabilities.now() - began) / 1e3)));
    }),
  );
