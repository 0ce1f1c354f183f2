/** A declared sweep: decode, plan, run what is not known yet, describe. */
import { join, resolve } from "node:path";
import { RTE, TE, pipe } from "../../../sim/base/fp.js";
import { absent, decodeWords, inputFile, outputFile, outputFolder, shared, switchedOn, workers } from "../../args.js";
import type { Command, Words } from "../../command.js";
import { inFormat, type Answer, type OutputFile, type Program } from "../../program.js";
import { withoutSecrets } from "../redis-words.js";
import { typedCommand } from "../simulate.js";
import { csvFile, describeSweep, type Described } from "./describe.js";
import { dryRun } from "./dry-run.js";
import { loadDeclared, type Declared } from "./load.js";
import { make, type Made, type Wishes } from "./make.js";
import { whereFields, whereMistakes, whereOf } from "./where.js";

/** Where results are kept unless somebody says otherwise: under the folder in which the command is typed. */
export const DEFAULT_STORE = join("results", "neuronlab.duckdb");

/** Draws what a declaration asks for; handed in, because pictures need fonts and a document. */
export type Picture = (declared: Declared, described: Described) => ReadonlyArray<OutputFile>;

const fields = {
  ...shared, file: inputFile, store: absent(outputFile), workers, out: absent(outputFolder),
  ...whereFields,
  "dry-run": switchedOn, "retry-failed": switchedOn, "fail-fast": switchedOn, "keep-going": switchedOn,
};

const exitOf = (made: Made): Exclude<Answer["exit"], undefined> => {
  const worst = Math.max(0, ...made.settled.filter(({ run }) => run.state === "failed").map(({ run }) => run.exit));
  return worst as Exclude<Answer["exit"], undefined>;
};

const answerOf = (declared: Declared, wishes: Wishes, made: Made, picture: Picture, args: { readonly out: string | null; readonly format: "table" | "json" }, seconds: number): Answer => {
  const described = describeSweep(declared, made);
  const files = args.out === null ? [] : [csvFile(declared, made), ...picture(declared, described)].map((file) => ({ ...file, path: join(args.out!, file.path) }));
  const failed = made.settled.filter(({ run }) => run.state === "failed").length;
  return {
    stdout: inFormat(args.format, described),
    files,
    notes: [
      `${made.fresh} runs made in ${seconds.toFixed(1)} s, ${made.reused} were known; kept in ${made.pending === null ? wishes.store.path : `a journal beside ${wishes.store.path} until it is free (${made.pending})`}`,
      ...made.notes,
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
      ...whereMistakes(args),
      ...(args["dry-run"] === true && typeof args.out === "string" ? [{ path: "--out", message: "has nothing to write in a dry run; leave one of them out" }] : []),
      ...(args.seed !== null && args.seed !== undefined ? [{ path: "--seed", message: "is part of what a sweep declares; write \"seed\" into the file" }] : []),
    ])(given)),
    RTE.bindTo("args"),
    RTE.bind("where", ({ args }) => whereOf(args, resolve(args.store ?? DEFAULT_STORE))),
    RTE.bind("declared", ({ args }) => loadDeclared(args.file)),
    RTE.chain(({ args, where, declared }): Program<Answer> => (capabilities) => {
      const wishes: Wishes = { workers: args.workers, where, failFast: args["fail-fast"], retryFailed: args["retry-failed"], command: typedCommand(command, withoutSecrets(given)), store: capabilities.store(args.store ?? DEFAULT_STORE) };
      if (args["dry-run"]) return pipe(dryRun(declared, wishes)(capabilities), TE.map((outlook) => ({ stdout: inFormat(args.format, outlook) })));
      const began = capabilities.now();
      return pipe(make(declared, wishes)(capabilities), TE.map((made) => answerOf(declared, wishes, made, picture, args, (capabilities.now() - began) / 1e3)));
    }),
  );
