/** A model and a prompt to a text: decode the words, read the plan, generate while it is printed, describe. */
import { RTE, TE, pipe } from "../../sim/base/fp.js";
import type { Exact } from "../../sim/base/decode.js";
import type { Mistake } from "../../sim/base/errors.js";
import type { GenerateReport, GenerateRequest, GenerateStep } from "../../engine/index.js";
import { absent, argument, decimal, inputFile, readWords, shared, size, switchedOn, wholeNumber, word, type Sound } from "../args.js";
import type { Command, Words } from "../command.js";
import { gather, inFormat, type Answer, type Program } from "../program.js";
import { asTyped } from "./as-typed.js";
import { describeGeneration, summaryOfGeneration } from "./describe-generation.js";
import type { Mapped } from "./engine-plan.js";
import { planAt, settingFields, settingMistakes, settingOf } from "./engine-setting.js";

/** What happens without a word about it. Written in --help too. */
const DEFAULTS = { tokens: 128, temperature: 0, topK: 0, topP: 1, seed: 1 } as const;

const fields = {
  ...shared,
  model: inputFile,
  prompt: word("give the text that is to be continued"),
  tokens: absent(wholeNumber(1, 1 << 20)),
  memory: absent(size('"900MB" or "2GiB"')),
  threads: absent(wholeNumber(1, 1024)),
  ...settingFields,
  predictor: absent(inputFile),
  audit: switchedOn,
  temperature: absent(decimal(0, 100)),
  "top-k": absent(wholeNumber(0, 1 << 20)),
  "top-p": absent(decimal(0, 1)),
  "ignore-end": switchedOn,
};

type Args = Exact<typeof fields>;

const isGiven = (arg: unknown): boolean => arg !== null && arg !== undefined;

const contradictions = (args: Sound<typeof fields>): ReadonlyArray<Mistake> => [
  ...settingMistakes(args, args.memory === null && args.plan === null),
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
  threads: args.threads ?? plan.threads ?? null,
  ...settingOf(args, plan),
  predictor: args.predictor,
  audit: args.audit,
  temperature: args.temperature ?? DEFAULTS.temperature,
  topK: args["top-k"] ?? DEFAULTS.topK,
  topP: args["top-p"] ?? DEFAULTS.topP,
  seed: args.seed ?? DEFAULTS.seed,
  stopAtEnd: !args["ignore-end"],
});

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
    TE.mapLeft(asTyped(fields, where)),
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
  return pipe(
    gather({ args: RTE.fromEither(reading.args), plan: planAt(argument(reading, "plan"), isGiven(reading.sound.predictor)) }),
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
