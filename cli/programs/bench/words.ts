/** Words to what is measured: the configurations, and the tests of each. Pure. */
import { E } from "../../../sim/base/fp.js";
import { custom, type Exact } from "../../../sim/base/decode.js";
import type { Mistake } from "../../../sim/base/errors.js";
import type { BenchRequest, FlashShape } from "../../../engine/index.js";
import type { FileFacts } from "../../program.js";
import { absent, choice, inputFile, outputFolder, several, shared, switchedOn, wholeNumber, words, type Sound } from "../../args.js";
import { bytesOf, memoryAsked, type MemoryAsked } from "./memory.js";
import type { Mapped } from "../generate/engine-plan.js";
import { predictorMistakes, preloadField, settingFields, settingMistakes, settingOf } from "../generate/engine-setting.js";
import { BENCH_FORMATS } from "../llama-bench/formats.js";
import { splitWords } from "../split-words.js";

/** Words for llama-bench as a shell would read them. What both programs must have alike is not a setting of one of them. */
const OURS_TO_SAY: ReadonlySet<string> = new Set(["-m", "--model", "-hf", "-hfr", "--hf-repo", "-hff", "--hf-file", "-p", "--n-prompt", "-n", "--n-gen", "-pg", "-d", "--n-depth", "-t", "--threads", "-r", "--repetitions", "-o", "--output", "--no-warmup"]);

const baselineWords = custom<ReadonlyArray<ReadonlyArray<string>>>("words for llama-bench", (raw) => {
  const all: ReadonlyArray<unknown> = Array.isArray(raw) ? raw : [raw];
  const read: Array<ReadonlyArray<string>> = [];
  for (const typed of all) {
    const split = typeof typed === "string" ? splitWords(typed) : E.left('has no value; write it like --baseline-args="-fa off -ub 256"');
    if (E.isLeft(split)) return split;
    const fixed = split.right.find((word) => OURS_TO_SAY.has(word.split("=")[0]!));
    if (fixed !== undefined) return E.left(`${fixed} is the same for both programs; say it with neuronlab's own flag`);
    read.push(split.right);
  }
  return E.right(read);
});

export const fields = {
  ...shared,
  model: words("name a file"),
  "n-prompt": absent(several(wholeNumber(0, 1 << 20))),
  "n-gen": absent(several(wholeNumber(0, 1 << 20))),
  repetitions: absent(wholeNumber(1, 1 << 16)),
  threads: absent(several(wholeNumber(1, 1024))),
  memory: absent(several(memoryAsked)),
  "no-warmup": switchedOn,
  predictor: absent(words("name a file")),
  ...settingFields,
  ...preloadField,
  vs: absent(choice("llama.cpp")),
  rounds: absent(wholeNumber(1, 1000)),
  "llama-bench": absent(inputFile),
  "llama-model": absent(words("name a file")),
  pair: absent(words("name a file")),
  "page-cache": absent(choice("cold", "warm", "both")),
  "baseline-args": absent(baselineWords),
  output: absent(choice(...BENCH_FORMATS)),
  out: absent(outputFolder),
  fresh: switchedOn,
};

export type BenchArgs = Exact<typeof fields>;

export const DEFAULTS = { prompts: [512], generations: [128], repetitions: 5, rounds: 3, seed: 1 } as const;

const isGiven = (arg: unknown): boolean => arg !== null && arg !== undefined;

/** Tests of no tokens are none. */
const tests = (asked: ReadonlyArray<number> | null | undefined, otherwise: ReadonlyArray<number>): ReadonlyArray<number> => (asked ?? otherwise).filter((tokens) => tokens > 0);

export const contradictions = (args: Sound<typeof fields>): ReadonlyArray<Mistake> => {
  const asks = "n-prompt" in args && "n-gen" in args;
  const untested = asks && tests(args["n-prompt"], DEFAULTS.prompts).length + tests(args["n-gen"], DEFAULTS.generations).length === 0;
  const inMemory = args.plan === null && (args.memory === null || (args.memory?.flat().every((asked) => asked._tag === "All") ?? false));
  const models = args.model?.length ?? 0;
  const perModel = (["llama-model", "pair", "predictor"] as const).filter((name) => (args[name]?.length ?? 0) > 0 && models > 0 && args[name]!.length !== models);
  return [
    ...settingMistakes(args, inMemory, args.threads ?? []),
    ...predictorMistakes(args),
    ...(untested ? [{ path: "--n-gen", message: "is 0, and so is --n-prompt: nothing is left to measure; give one of them" }] : []),
    ...(args.vs === null ? (["rounds", "llama-bench", "llama-model", "pair", "page-cache", "baseline-args", "out"] as const).filter((name) => isGiven(args[name])).map((name) => ({ path: `--${name}`, message: "is for the comparison; give --vs llama.cpp too, or leave it out" })) : []),
    ...perModel.map((name) => ({ path: `--${name}`, message: `is given ${args[name]!.length} times and --model ${models} times; give one for each` })),
    ...(isGiven(args.output) && args.format === "json" ? [{ path: "--output", message: "says how the rows are printed, and so does --format; give one of them" }] : []),
    ...(args.fresh === true && !isGiven(args.out) ? [{ path: "--fresh", message: "is about what an earlier call left in --out; give it too, or leave it out" }] : []),
  ];
};

/** One model, one number of threads, one budget: what a process measures. */
export interface Configuration {
  readonly request: BenchRequest;
  readonly threads: number;
  /** The budget as a share of the model's file, where it was asked for so. */
  readonly share: number | null;
  /** What llama.cpp runs: the same file unless another is named. */
  readonly rivalModel: string;
  /** A dense model of the same size, on which llama.cpp is at its best. */
  readonly pair: string | null;
}

const asBytes = (bytes: number | null | undefined): ReadonlyArray<MemoryAsked> => [typeof bytes === "number" ? { _tag: "Bytes", bytes } : { _tag: "All" }];

/** Whether sizes of files must be known. */
export const asksShares = (memory: BenchArgs["memory"]): boolean => memory?.flat().some((asked) => asked._tag === "Share") ?? false;

/** The file that a share is of: the one that both programs could run. */
export const sharedFile = (args: BenchArgs, place: number): string => args["llama-model"]?.[place] ?? args.model[place]!;

/** `sizes`: of the files that shares are of; only looked at where a share was asked for. */
export const configurationsOf = (args: BenchArgs, plan: Mapped["request"], shape: FlashShape | null, cores: number, sizes: ReadonlyMap<string, FileFacts>): ReadonlyArray<Configuration> => {
  const setting = settingOf(args, plan, shape);
  return args.model.flatMap((model, place) =>
    (args.threads ?? [args.pin?.length ?? plan.threads ?? cores]).flatMap((threads) =>
      (args.memory?.flat() ?? asBytes(plan.memory)).map((asked) => ({
        request: {
          ...setting,
          model,
          memory: bytesOf(asked, sizes.get(sharedFile(args, place))?.bytes ?? 0),
          threads,
          prompts: tests(args["n-prompt"], DEFAULTS.prompts),
          generations: tests(args["n-gen"], DEFAULTS.generations),
          repetitions: args.repetitions ?? DEFAULTS.repetitions,
          warmUp: !args["no-warmup"],
          seed: args.seed ?? DEFAULTS.seed,
          predictor: args.predictor?.[place] ?? null,
        },
        threads,
        share: asked._tag === "Share" ? asked.share : null,
        rivalModel: sharedFile(args, place),
        pair: args.pair?.[place] ?? null,
      }))));
};

/** The words that make another process of this program measure one configuration. */
export const wordsOf = (args: BenchArgs, { request, threads }: Pick<Configuration, "request" | "threads">): ReadonlyArray<string> => {
  const passed = (["plan", "lanes", "io-uring", "pin", "pin-io", "shape-flash", "depth", "cluster", "policy", "granularity", "overlap", "gates", "ffn"] as const).flatMap((name) => (args[name] === null ? [] : [`--${name}`, String(args[name])]));
  const list = (all: ReadonlyArray<number>): string => (all.length === 0 ? "0" : all.join(","));
  return [
    "bench", "--format", "json", "--model", request.model, "--n-prompt", list(request.prompts), "--n-gen", list(request.generations), "--repetitions", String(request.repetitions),
    "--threads", String(threads), "--memory", request.memory === null ? "all" : `${request.memory}B`, "--seed", String(request.seed), ...(request.warmUp ? [] : ["--no-warmup"]), ...(request.predictor === null ? [] : ["--predictor", request.predictor]), ...(request.preload ? ["--preload"] : []), ...passed,
  ];
};
