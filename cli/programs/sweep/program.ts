/** A declared sweep: decode, plan, run what is not known yet, describe. */
import { join, resolve } from "node:path";
import { E, RTE, TE, pipe } from "../../../sim/base/fp.js";
import { custom, type Codec } from "../../../sim/base/decode.js";
import { badInput } from "../../../sim/base/errors.js";
import type { Place } from "../../../sim/sweep/schedule.js";
import { absent, decodeWords, inputFile, outputFile, outputFolder, shared, switchedOn, wholeNumber, workers } from "../../args.js";
import type { Command, Words } from "../../command.js";
import { inFormat, type Answer, type OutputFile, type Program } from "../../program.js";
import { withoutSecrets } from "../redis-words.js";
import { DEFAULT_STORE, storeWords } from "../default-store.js";
import { typedCommand } from "../simulate.js";
import { conclusionsFile, csvFile, describeSweep, type Described } from "./describe.js";
import { dryRun } from "./dry-run.js";
import { loadDeclared, raised, type Declared } from "./load.js";
import { judged, tellJudged, type Judged } from "./engine/claims.js";
import { engineWay } from "./engine/way.js";
import { makeLive } from "./live.js";
import { make, simulated, type Made, type Way, type Wishes } from "./make.js";
import { moreOfReasons } from "./reasons.js";
import { whereFields, whereMistakes, whereOf } from "./where.js";

/** Draws what a declaration asks for; handed in, because pictures need fonts and a document. */
export type Picture = (declared: Declared, described: Described) => ReadonlyArray<OutputFile>;

/** Without a number, any port that is free. */
const livePort: Codec<number> = custom("port", (raw) => (raw === "" ? E.right(0) : E.isLeft(wholeNumber(1, 65535).decode(raw)) ? E.left(`should be a port between 1 and 65535, or nothing for any that is free, got ${String(raw)}`) : E.right(Number(raw))));

const DRAWS = 200;
const draws: Codec<number> = custom("draws", (raw) => (raw === "" ? E.right(DRAWS) : E.isLeft(wholeNumber(2, 1e5).decode(raw)) ? E.left(`should be how many draws, between 2 and 100000, or nothing for ${DRAWS}, got ${String(raw)}`) : E.right(Number(raw))));

const fields = {
  ...shared, file: inputFile, store: absent(outputFile), workers, out: absent(outputFolder),
  ...whereFields,
  "dry-run": switchedOn, "retry-failed": switchedOn, "fail-fast": switchedOn, "keep-going": switchedOn, live: absent(livePort), uncertain: absent(draws),
};

const exitOf = (made: Made): Exclude<Answer["exit"], undefined> => {
  const worst = Math.max(0, ...made.settled.filter(({ run }) => run.state === "failed").map(({ run }) => run.exit));
  return worst as Exclude<Answer["exit"], undefined>;
};

/** What is said of all runs of the engine together stands under the table, and in the document. */
const withJudged = (declared: Declared, described: Described, found: Judged | null): Described => {
  if (found === null) return described;
  const told = tellJudged(declared.declaration, found);
  const { compared, differences, rounds } = found;
  return { ...described, text: told === "" ? described.text : `${described.text}\n${told}`, json: { ...(described.json as object), texts: { compared, differences }, rounds } };
};

/** The same sweep again, without what was said of failures: what goes on, and what makes failed ones again. */
const again = (command: Command, given: Words): string =>
  typedCommand(command, withoutSecrets({ ...given, named: Object.fromEntries(Object.entries(given.named).filter(([name]) => !["retry-failed", "fail-fast", "keep-going"].includes(name))) }));

interface Args { readonly out: string | null; readonly format: "table" | "json"; readonly store: string | null; /** See `again`. */ readonly again: string; readonly workers: number | null; readonly "dry-run": boolean; readonly live: number | null }

const answerOf = (declared: Declared, wishes: Wishes, made: Made, picture: Picture, args: Args, seconds: number, found: Judged | null): Answer => {
  const described = withJudged(declared, describeSweep(declared, made), found);
  const files = args.out === null ? [] : [csvFile(declared, made), ...conclusionsFile(described), ...picture(declared, described)].map((file) => ({ ...file, path: join(args.out!, file.path) }));
  const failed = made.settled.filter(({ run }) => run.state === "failed").length;
  return {
    stdout: inFormat(args.format, described),
    files,
    notes: [
      `${made.fresh} runs made in ${seconds.toFixed(1)} s, ${made.reused} were known; kept in ${made.pending === null ? wishes.store.path : `a journal beside ${wishes.store.path} until it is free (${made.pending})`}`,
      ...(raised(declared) === null ? [] : [raised(declared)!]),
      ...made.notes,
      ...(failed > 0 ? [`${failed} failed; once that is mended: ${args.again} --retry-failed`] : []),
      ...(made.left > 0 && made.notes.length === 0 ? [`${made.left} not made yet: ${args.again}`] : []),
      ...moreOfReasons(described.rows, storeWords(args.store ?? DEFAULT_STORE)),
      ...(found?.differences.length ? [tellJudged(declared.declaration, { ...found, rounds: [] })] : []),
      ...files.map((file) => `wrote ${file.path}`),
    ],
    exit: found !== null && found.differences.length > 0 ? 70 : exitOf(made),
  };
};

export const sweepProgram = (picture: Picture) => (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    RTE.fromEither(decodeWords(command, fields, (args) => [
      ...(args["fail-fast"] === true && args["keep-going"] === true ? [{ path: "--keep-going", message: "and --fail-fast contradict each other; give one of them" }] : []),
      ...whereMistakes(args),
      ...(args["dry-run"] === true && typeof args.out === "string" ? [{ path: "--out", message: "has nothing to write in a dry run; leave one of them out" }] : []),
      ...(args["dry-run"] === true && typeof args.live === "number" ? [{ path: "--live", message: "has nothing to show in a dry run; leave one of them out" }] : []),
      ...(args.seed !== null && args.seed !== undefined ? [{ path: "--seed", message: "is part of what a sweep declares; write \"seed\" into the file" }] : []),
    ])(given)),
    RTE.bindTo("args"),
    RTE.bind("where", ({ args }) => whereOf(args, resolve(args.store ?? DEFAULT_STORE))),
    RTE.bind("declared", ({ args }) => loadDeclared(args.file, args.uncertain)),
    RTE.chain(({ args, where, declared }): Program<Answer> => (capabilities) => {
      const wishes: Wishes = { workers: args.workers, where, failFast: args["fail-fast"], retryFailed: args["retry-failed"], command: typedCommand(command, withoutSecrets(given)), store: capabilities.store(args.store ?? DEFAULT_STORE) };
      const nothing = (): null => null;
      if (declared.declaration.engine === null) return swept(declared, wishes, { ...args, again: again(command, given) }, simulated(declared)(capabilities), picture, nothing)(capabilities);
      if (args.executor !== "pool") return TE.left(badInput("neuronlab sweep", [{ path: "--executor", message: `is ${args.executor}, and runs of the engine measure this machine; leave it out` }]));
      if (args.workers !== null && args.workers > 1) capabilities.log(`runs of the engine are made one at a time, so that they do not disturb each other; --workers ${args.workers} changes nothing`)();
      return capabilities.measuring.alone(pipe(
        engineWay(declared)(capabilities),
        TE.chain((way) => swept(declared, wishes, { ...args, again: again(command, given) }, way, picture, ({ settled }) => judged(declared.declaration, settled, way.words))(capabilities)),
      ));
    }),
  );

const swept = <W extends { readonly of: Place }, F>(declared: Declared, wishes: Wishes, args: Args, way: Way<W, F>, picture: Picture, judge: (made: Made) => Judged | null): Program<Answer> => (capabilities) => {
  if (args["dry-run"]) return pipe(dryRun(declared, wishes, way)(capabilities), TE.map((outlook) => ({ stdout: inFormat(args.format, outlook) })));
  const began = capabilities.now();
  return pipe((args.live === null ? make(declared, wishes, way) : makeLive(declared, wishes, way, args.live))(capabilities), TE.map((made) => answerOf(declared, wishes, made, picture, args, (capabilities.now() - began) / 1e3, judge(made))));
};
