/** A model and a prompt to a text: decode the words, read the plan, generate while it is printed, describe. */
import { RTE, TE, pipe } from "../../sim/base/fp.js";
import type { Exact } from "../../sim/base/decode.js";
import { badInput, type AppError, type Mistake } from "../../sim/base/errors.js";
import type { Plan } from "../../sim/domain/plan.js";
import { FFNS, GRANULARITIES, OVERLAPS, POLICIES, type GenerateReport, type GenerateRequest, type GenerateStep } from "../../engine/index.js";
import { absent, argument, choice, decimal, inputFile, optional, readWords, shared, size, switchedOn, wholeNumber, word, type Sound } from "../args.js";
import type { Command, Words } from "../command.js";
import { gather, inFormat, type Answer, type HostFacts, type Program } from "../program.js";
import { describeGeneration, summaryOfGeneration } from "./describe-generation.js";
import { mapPlan, type Mapped } from "./engine-plan.js";
import { loadPlan } from "./load.js";

/** What happens without a word about it. Written in --help too. */
export const DEFAULTS = { tokens: 128, lanes: 4, depth: 4, cluster: 256, policy: "lru", granularity: "neuron", overlap: "cluster", temperature: 0, topK: 0, topP: 1, seed: 1 } as const;

const fields = {
  ...shared,
  model: inputFile,
  prompt: word("give the text that is to be continued"),
  tokens: absent(wholeNumber(1, 1 << 20)),
  memory: absent(size('"900MB" or "2GiB"')),
  plan: absent(inputFile),
  threads: absent(wholeNumber(1, 1024)),
  lanes: absent(wholeNumber(1, 1024)),
  "io-uring": absent(wholeNumber(1, 1024)),
  depth: absent(wholeNumber(1, 4096)),
  cluster: absent(wholeNumber(1, 1 << 20)),
  policy: absent(choice(...POLICIES)),
  granularity: absent(choice(...GRANULARITIES)),
  overlap: absent(choice(...OVERLAPS)),
  ffn: optional(choice(...FFNS), "auto" as const),
  predictor: absent(inputFile),
  audit: switchedOn,
  temperature: absent(decimal(0, 100)),
  "top-k": absent(wholeNumber(0, 1 << 20)),
  "top-p": absent(decimal(0, 1)),
  "ignore-end": switchedOn,
};

type Args = Exact<typeof fields>;

const isGiven = (arg: unknown): boolean => arg !== null && arg !== undefined;

/** What only matters while weights are read; without a budget it would be without effect. */
const FOR_FLASH = ["lanes", "io-uring", "depth", "cluster", "policy", "granularity", "overlap"] as const;

const contradictions = (args: Sound<typeof fields>): ReadonlyArray<Mistake> => [
  ...(isGiven(args.lanes) && isGiven(args["io-uring"]) ? [{ path: "--io-uring", message: "says how to read, and so does --lanes; give one of them" }] : []),
  ...(args.memory === null && args.plan === null ? FOR_FLASH.filter((name) => isGiven(args[name])).map((name) => ({ path: `--${name}`, message: "is for reads from flash, and without --memory everything is in memory; give --memory too, or leave it out" })) : []),
  ...(args.audit === true && args.predictor === null ? [{ path: "--audit", message: "counts what a predictor misses, and without one every gate decides; give --predictor too, or leave it out" }] : []),
  ...(args.ffn === "dense" && isGiven(args.predictor) ? [{ path: "--predictor", message: "says which neurons to compute, and --ffn dense computes all; give one of them" }] : []),
  ...(args.temperature === undefined || (args.temperature ?? DEFAULTS.temperature) > 0
    ? []
    : (["top-k", "top-p"] as const).filter((name) => isGiven(args[name])).map((name) => ({ path: `--${name}`, message: "is for sampling, and at temperature 0 the likeliest token is taken; give --temperature above 0, or leave it out" }))),
];

const requestOf = (args: Args, plan: Mapped["request"]): GenerateRequest => ({
  model: args.model,
  prompt: args.prompt,
  tokens: args.tokens ?? DEFAULTS.tokens,
  memory: args.memory === null ? (plan.memory ?? null) : Math.floor(args.memory),
  segments: plan.segments ?? null,
  threads: args.threads ?? plan.threads ?? null,
  io: args["io-uring"] !== null ? { backend: "io_uring", reads: args["io-uring"] } : args.lanes !== null ? { backend: "lanes", reads: args.lanes } : (plan.io ?? { backend: "lanes", reads: DEFAULTS.lanes }),
  depth: args.depth ?? plan.depth ?? DEFAULTS.depth,
  cluster: args.cluster ?? plan.cluster ?? DEFAULTS.cluster,
  policy: args.policy ?? plan.policy ?? DEFAULTS.policy,
  granularity: args.granularity ?? plan.granularity ?? DEFAULTS.granularity,
  overlap: args.overlap ?? plan.overlap ?? DEFAULTS.overlap,
  ffn: args.ffn,
  predictor: args.predictor,
  audit: args.audit,
  temperature: args.temperature ?? DEFAULTS.temperature,
  topK: args["top-k"] ?? DEFAULTS.topK,
  topP: args["top-p"] ?? DEFAULTS.topP,
  seed: args.seed ?? DEFAULTS.seed,
  stopAtEnd: !args["ignore-end"],
});

const NO_PLAN: Mapped = { request: {}, unmapped: [] };

const mapped = (predicts: boolean) => (plan: Plan): Program<Mapped> => pipe(((capabilities) => capabilities.host) as Program<HostFacts>, RTE.map((host) => mapPlan(plan, host.cores, predicts)));

/** The engine names arguments; people typed flags. */
const asTyped = (where: string) => (error: AppError): AppError => {
  const isFlag = (mistake: Mistake): boolean => Object.hasOwn(fields, mistake.path);
  return error._tag === "BadInput" && error.mistakes.some(isFlag) ? badInput(where, error.mistakes.map((mistake) => (isFlag(mistake) ? { ...mistake, path: `--${mistake.path}` } : mistake))) : error;
};

/** Bars are for prompts that take a while. */
const LONG_PROMPT = 512;

const run = (where: string, args: Args, request: GenerateRequest): Program<GenerateReport | null> => (capabilities) => {
  let gauge: ReturnType<typeof capabilities.gauge> | null = null;
  const onStep = (step: GenerateStep): void => {
    if (step.what === "prompt" && step.of > LONG_PROMPT) {
      gauge ??= capabilities.gauge(step.of, "tokens of the prompt");
      gauge.at(step.done);
    }
    if (step.what === "text") {
      gauge?.end();
      gauge = null;
      if (args.format === "table") capabilities.print(step.text)();
    }
  };
  return pipe(
    capabilities.interruptible((signal) => capabilities.engine.generate(request, { onStep, signal })),
    TE.mapLeft(asTyped(where)),
    (task) => async () => {
      const ended = await task();
      gauge?.end();
      return ended;
    },
  );
};

const describe = (args: Args, request: GenerateRequest, unmapped: ReadonlyArray<string>, report: GenerateReport): Answer => ({
  // The text is on stdout already, as it came; here is the end of its last line.
  stdout: inFormat(args.format, { text: "", json: summaryOfGeneration(request, report, unmapped) }),
  notes: args.format === "json" ? [] : [`\n${describeGeneration(report)}`, ...(unmapped.length === 0 ? [] : ["", "not mapped from the plan:", ...unmapped.map((line) => `  ${line}`)])],
});

const endLine = (args: Args): Program<void> => (capabilities) => TE.fromIO(args.format === "table" ? capabilities.print("\n") : () => undefined);

export const generateProgram = (command: Command) => (given: Words): Program<Answer> => {
  const reading = readWords(command, fields, contradictions)(given);
  const planOf: Program<Mapped> = pipe(
    RTE.fromEither(argument(reading, "plan")),
    RTE.chain((path) => (path === null ? RTE.right(NO_PLAN) : pipe(loadPlan(path), RTE.chain(mapped(isGiven(reading.sound.predictor)))))),
  );
  return pipe(
    gather({ args: RTE.fromEither(reading.args), plan: planOf }),
    RTE.chain(({ args, plan }) => {
      const request = requestOf(args, plan.request);
      return pipe(
        run(`neuronlab ${command.name}`, args, request),
        RTE.chainFirst(() => endLine(args)),
        RTE.map((report): Answer => (report === null ? { stdout: "", notes: ["interrupted"] } : describe(args, request, plan.unmapped, report))),
      );
    }),
  );
};
