/** Words to what is measured: the configurations, and the tests of each. Pure. */
import { E } from "../../sim/base/fp.js";
import { custom, type Exact } from "../../sim/base/decode.js";
import type { Mistake } from "../../sim/base/errors.js";
import type { BenchRequest, FlashShape } from "../../engine/index.js";
import { absent, choice, inputFile, several, shared, size, switchedOn, wholeNumber, words, type Sound } from "../args.js";
import type { Mapped } from "./engine-plan.js";
import { settingFields, settingMistakes, settingOf } from "./engine-setting.js";

const budget = size('"900MB", "2GiB" or all');

/** null: everything in memory. */
const sizeOrAll = custom<number | null>("size or all", (raw) => {
  if (raw === "all") return E.right(null);
  const read = budget.decode(raw);
  return E.isRight(read) ? E.right(Math.floor(read.right)) : E.left(read.left[0]?.message ?? "is no size");
});

export const fields = {
  ...shared,
  model: words("name a file"),
  "n-prompt": absent(several(wholeNumber(0, 1 << 20))),
  "n-gen": absent(several(wholeNumber(0, 1 << 20))),
  repetitions: absent(wholeNumber(1, 1 << 16)),
  threads: absent(several(wholeNumber(1, 1024))),
  memory: absent(several(sizeOrAll)),
  "no-warmup": switchedOn,
  ...settingFields,
  vs: absent(choice("llama.cpp")),
  rounds: absent(wholeNumber(1, 1000)),
  "llama-bench": absent(inputFile),
  "llama-model": absent(words("name a file")),
};

export type BenchArgs = Exact<typeof fields>;

export const DEFAULTS = { prompts: [512], generations: [128], repetitions: 5, rounds: 3, seed: 1 } as const;

const isGiven = (arg: unknown): boolean => arg !== null && arg !== undefined;

/** Tests of no tokens are none. */
const tests = (asked: ReadonlyArray<number> | null | undefined, otherwise: ReadonlyArray<number>): ReadonlyArray<number> => (asked ?? otherwise).filter((tokens) => tokens > 0);

export const contradictions = (args: Sound<typeof fields>): ReadonlyArray<Mistake> => {
  const asks = "n-prompt" in args && "n-gen" in args;
  const untested = asks && tests(args["n-prompt"], DEFAULTS.prompts).length + tests(args["n-gen"], DEFAULTS.generations).length === 0;
  const inMemory = args.plan === null && (args.memory === null || (args.memory?.every((bytes) => bytes === null) ?? false));
  const [models, theirs] = [args.model?.length ?? 0, args["llama-model"]?.length ?? 0];
  return [
    ...settingMistakes(args, inMemory, args.threads ?? []),
    ...(untested ? [{ path: "--n-gen", message: "is 0, and so is --n-prompt: nothing is left to measure; give one of them" }] : []),
    ...(args.vs === null ? (["rounds", "llama-bench", "llama-model"] as const).filter((name) => isGiven(args[name])).map((name) => ({ path: `--${name}`, message: "is for the comparison; give --vs llama.cpp too, or leave it out" })) : []),
    ...(theirs > 0 && models > 0 && theirs !== models ? [{ path: "--llama-model", message: `is given ${theirs} times and --model ${models} times; give one for each` }] : []),
  ];
};

/** One model, one number of threads, one budget: what a process measures. */
export interface Configuration {
  readonly request: BenchRequest;
  readonly threads: number;
  /** What llama.cpp runs: the same file unless another is named. */
  readonly rivalModel: string;
}

export const configurationsOf = (args: BenchArgs, plan: Mapped["request"], shape: FlashShape | null, cores: number): ReadonlyArray<Configuration> => {
  const setting = settingOf(args, plan, shape);
  return args.model.flatMap((model, place) =>
    (args.threads ?? [args.pin?.length ?? plan.threads ?? cores]).flatMap((threads) =>
      (args.memory ?? [plan.memory ?? null]).map((memory) => ({
        request: {
          ...setting,
          model,
          memory,
          threads,
          prompts: tests(args["n-prompt"], DEFAULTS.prompts),
          generations: tests(args["n-gen"], DEFAULTS.generations),
          repetitions: args.repetitions ?? DEFAULTS.repetitions,
          warmUp: !args["no-warmup"],
          seed: args.seed ?? DEFAULTS.seed,
        },
        threads,
        rivalModel: args["llama-model"]?.[place] ?? model,
      }))));
};

/** The words that make another process of this program measure one configuration. */
export const wordsOf = (args: BenchArgs, { request, threads }: Configuration): ReadonlyArray<string> => {
  const passed = (["plan", "lanes", "io-uring", "pin", "pin-io", "shape-flash", "depth", "cluster", "policy", "granularity", "overlap", "ffn"] as const).flatMap((name) => (args[name] === null ? [] : [`--${name}`, String(args[name])]));
  const list = (all: ReadonlyArray<number>): string => (all.length === 0 ? "0" : all.join(","));
  return [
    "bench", "--format", "json", "--model", request.model, "--n-prompt", list(request.prompts), "--n-gen", list(request.generations), "--repetitions", String(request.repetitions),
    "--threads", String(threads), "--memory", request.memory === null ? "all" : `${request.memory}B`, "--seed", String(request.seed), ...(request.warmUp ? [] : ["--no-warmup"]), ...passed,
  ];
};
