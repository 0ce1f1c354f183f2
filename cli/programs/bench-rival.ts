/** Our bench and llama.cpp's in turn, each time in processes of their own; under a limit, both in a memory group of the system. */
import { E, pipe, TE, type Either } from "../../sim/base/fp.js";
import { parseJson } from "../../sim/base/decode.js";
import { badInput, fault, unsupported, type AppError } from "../../sim/base/errors.js";
import { inFormat, type Answer, type Capabilities, type Ended, type Program, type Rival } from "../program.js";
import { pooled, ratioOf, testOf, type Compared, type Ratio, type Row } from "./bench-rows.js";
import { DEFAULTS, wordsOf, type BenchArgs, type Configuration } from "./bench-words.js";
import { describeRatios, describeRows } from "./describe-bench.js";

/** What one turn of one program gave: rows, or why there are none. */
type Turn = Either<string, ReadonlyArray<Row>>;

interface Side {
  readonly program: Compared["program"];
  readonly run: (configuration: Configuration) => TE.TaskEither<AppError, Ended>;
  /** Errors of this exit code are the user's and not a gap. */
  readonly wrong: number | null;
}

/** A packed file is ours alone. */
const perhapsPacked = (side: Side, { request, rivalModel }: Configuration): string => (side.program === "llama.cpp" && rivalModel === request.model ? "; if that is a packed file, name its GGUF file with --llama-model" : "");

const turnOf = (side: Side, configuration: Configuration, ended: Ended): Either<AppError, Turn> => {
  if ((ended.limited?.killed ?? 0) > 0) return E.right(E.left("killed by the operating system for want of memory"));
  if (ended.exit === side.wrong) return E.left(badInput(side.program, [{ path: "(its words)", message: ended.stderr.trim() }]));
  if (ended.exit !== 0) return E.right(E.left(`ended with ${ended.exit === null ? (ended.signal ?? "no code") : `exit code ${ended.exit}`}: ${ended.stderr.trim().split("\n").slice(-3).join(" ")}${perhapsPacked(side, configuration)}`));
  const read = parseJson(side.program, ended.stdout);
  // What the system counted is evidence that the limit held.
  return E.isRight(read) && Array.isArray(read.right) ? E.right(E.right((read.right as ReadonlyArray<Row>).map((row) => ({ ...row, limited: ended.limited })))) : E.left(fault(`${side.program} printed no list of rows: ${ended.stdout.slice(0, 200)}`));
};

const oursOf = (capabilities: Capabilities, args: BenchArgs): Side => ({
  program: "neuronlab",
  run: (configuration) => capabilities.interruptible((signal) => capabilities.runProgram({ command: [...capabilities.self, ...wordsOf(args, configuration)], memory: configuration.request.memory, cold: configuration.request.memory === null ? [] : [configuration.request.model], signal })),
  wrong: 2,
});

/** Without a limit llama.cpp at its strongest; under one the build that can page, its file mapped and cold. */
const theirsOf = (capabilities: Capabilities, args: BenchArgs, rival: Rival): Side => ({
  program: "llama.cpp",
  run: ({ request, threads, rivalModel }) => {
    const list = (all: ReadonlyArray<number>): string => (all.length === 0 ? "0" : all.join(","));
    const program = args["llama-bench"] ?? (request.memory === null ? rival.default : rival.noRepack);
    const words = ["-m", rivalModel, "-p", list(request.prompts), "-n", list(request.generations), "-r", String(request.repetitions), "-t", String(threads), "-o", "json", ...(request.memory === null ? [] : ["-lm", "mmap"]), ...(request.warmUp ? [] : ["--no-warmup"])];
    return capabilities.interruptible((signal) => capabilities.runProgram({ command: [program, ...words], memory: request.memory, cold: request.memory === null ? [] : [rivalModel], signal }));
  },
  wrong: null,
});

interface Gap { readonly program: Compared["program"]; readonly model: string; readonly memory: number | null; readonly threads: number; readonly round: number; readonly reason: string }

interface Found { readonly compared: ReadonlyArray<Compared>; readonly gaps: ReadonlyArray<Gap> }

const isRow = (row: Row, like: Row): boolean => row.n_prompt === like.n_prompt && row.n_gen === like.n_gen;

/** All rounds of one configuration: every other one begins with the rival, so that neither always has the warmer machine. */
const inTurn = async (configuration: Configuration, sides: readonly [Side, Side], rounds: number, onTurn: () => void): Promise<Either<AppError, Found>> => {
  const { model, memory } = configuration.request;
  const about = { model, memory, threads: configuration.threads };
  const turns = new Map<Side, Array<ReadonlyArray<Row>>>(sides.map((side) => [side, []]));
  const gaps: Array<Gap> = [];
  for (let round = 0; round < rounds && gaps.length === 0; round++) {
    for (const side of round % 2 === 0 ? sides : [sides[1], sides[0]]) {
      const ended = await side.run(configuration)();
      if (E.isLeft(ended)) return ended;
      const turn = turnOf(side, configuration, ended.right);
      if (E.isLeft(turn)) return turn;
      if (E.isLeft(turn.right)) gaps.push({ program: side.program, ...about, round, reason: turn.right.left });
      else turns.get(side)!.push(turn.right.right);
      onTurn();
    }
  }
  const compared = sides.flatMap((side) => {
    const all = turns.get(side)!;
    return (all[0] ?? []).map((like): Compared => ({ program: side.program, ...about, rounds: all.flatMap((rows) => rows.filter((row) => isRow(row, like))) }));
  });
  return E.right({ compared, gaps });
};

/** Only tests that both have. */
const ratiosOf = (compared: ReadonlyArray<Compared>): ReadonlyArray<Ratio> =>
  compared.filter((one) => one.program === "neuronlab").flatMap((ours) => {
    const theirs = compared.find((one) => one.program === "llama.cpp" && one.model === ours.model && one.memory === ours.memory && one.threads === ours.threads && testOf(one.rounds[0]!) === testOf(ours.rounds[0]!));
    return theirs === undefined ? [] : [ratioOf(ours, theirs)];
  });

const describe = (args: BenchArgs, { compared, gaps }: Found): Answer => {
  const [rows, ratios] = [compared.map(pooled), ratiosOf(compared)];
  const missing = gaps.map((gap) => `no ratio: ${gap.program} on ${gap.model}${gap.memory === null ? "" : ` in ${gap.memory} bytes`}, round ${gap.round + 1}: ${gap.reason}`);
  const text = [...(rows.length === 0 ? [] : [describeRows(rows), ""]), ...(ratios.length === 0 ? [] : [describeRatios(ratios), "", "ratio: median over pairs of repetitions of the same round, with the least and the greatest"])];
  return { stdout: inFormat(args.format, { text: text.join("\n"), json: { rows, ratios, gaps } }), notes: missing };
};

const locate = (args: BenchArgs, capabilities: Capabilities): TE.TaskEither<AppError, Rival> =>
  args["llama-bench"] === null ? capabilities.rival : TE.right({ version: "yours", default: args["llama-bench"], noRepack: args["llama-bench"] });

/** A limit that only we keep would compare nothing. */
const limits = (configurations: ReadonlyArray<Configuration>, capabilities: Capabilities): TE.TaskEither<AppError, void> =>
  configurations.every(({ request }) => request.memory === null)
    ? TE.right(undefined)
    : pipe(
        capabilities.memoryLimits,
        TE.chain((place) => (place.kind === "none" ? TE.left(unsupported("no memory limit can be set for llama.cpp here", `${place.reason}; leave out --memory, or run where memory control groups can be made`)) : TE.right(undefined))),
      );

export const compare = (where: string, args: BenchArgs, configurations: ReadonlyArray<Configuration>): Program<Answer> => (capabilities) =>
  pipe(
    limits(configurations, capabilities),
    TE.chain(() => locate(args, capabilities)),
    TE.chain((rival) => async () => {
      const sides = [oursOf(capabilities, args), theirsOf(capabilities, args, rival)] as const;
      const rounds = args.rounds ?? DEFAULTS.rounds;
      const gauge = capabilities.gauge(configurations.length * rounds * sides.length, "turns");
      let done = 0;
      const all: Array<Found> = [];
      for (const configuration of configurations) {
        const found = await inTurn(configuration, sides, rounds, () => gauge.at(++done));
        if (E.isLeft(found)) {
          gauge.end();
          return found;
        }
        all.push(found.right);
      }
      gauge.end();
      const found = { compared: all.flatMap((one) => one.compared), gaps: all.flatMap((one) => one.gaps) };
      const first = found.gaps[0];
      return ratiosOf(found.compared).length === 0 && first !== undefined ? E.left(unsupported(`${where}: no ratio could be measured`, `${first.program}: ${first.reason}`)) : E.right(describe(args, found));
    }),
  );
