/** A model and a prompt to a text: decode the words, read the plan, generate while it is printed, describe. */
import { RTE, TE, pipe, type Either } from "../../../sim/base/fp.js";
import type { Exact } from "../../../sim/base/decode.js";
import type { AppError, Mistake } from "../../../sim/base/errors.js";
import { encodeRecord, titleOf } from "../../../sim/domain/run.js";
import { timeline, timelineText } from "../../../sim/report/timeline.js";
import { KV_FORMATS, type FlashShape, type GenerateReport, type GenerateRequest, type GenerateStep } from "../../../engine/index.js";
import { absent, argument, choice, decimal, inputFile, isSamePath, outputFile, readWords, shared, size, slowStorage, switchedOn, verbatim, wholeNumber, type Sound } from "../../args.js";
import type { Command, Words } from "../../command.js";
import { gather, inFormat, type Answer, type OutputFile, type Program } from "../../program.js";
import { adaptFor, adaptMistakes, neverSlowed } from "./adapting.js";
import { asTyped } from "../as-typed.js";
import { describeGeneration, summaryOfGeneration } from "./describe.js";
import type { Mapped } from "./engine-plan.js";
import { planAt, preloadField, settingFields, predictorMistakes, settingMistakes, settingOf, shapeFor } from "./engine-setting.js";
import { measuredRun, measuredSpans, type Ran } from "./measured-run.js";
import { withShippedModel } from "../models/shipped-model.js";

/** What happens without a word about it. Written in --help too. */
const DEFAULTS = { tokens: 128, temperature: 0, topK: 0, topP: 1, seed: 1 } as const;

const fields = {
  ...shared,
  model: inputFile,
  prompt: verbatim("give the text that is to be continued"),
  tokens: absent(wholeNumber(1, 1 << 20)),
  memory: absent(size('"900MB" or "2GiB"')),
  threads: absent(wholeNumber(1, 1024)),
  ...settingFields,
  ...preloadField,
  "slow-storage": absent(slowStorage),
  adapt: switchedOn,
  predictor: absent(inputFile),
  audit: switchedOn,
  kv: absent(choice(...KV_FORMATS)),
  temperature: absent(decimal(0, 100)),
  "top-k": absent(wholeNumber(0, 1 << 20)),
  "top-p": absent(decimal(0, 1)),
  "ignore-end": switchedOn,
  trace: absent(outputFile),
  save: absent(outputFile),
};

type Args = Exact<typeof fields>;

const isGiven = (arg: unknown): boolean => arg !== null && arg !== undefined;

const contradictions = (args: Sound<typeof fields>): ReadonlyArray<Mistake> => [
  ...settingMistakes(args, args.memory === null && args.plan === null, typeof args.threads === "number" ? [args.threads] : []),
  ...predictorMistakes(args),
  ...adaptMistakes(args, args.memory === null && args.plan === null, args["slow-storage"], args.tokens === undefined ? undefined : (args.tokens ?? DEFAULTS.tokens)),
  ...(args.preload === true && args.save !== null && args.save !== undefined ? [{ path: "--preload", message: "fills the cache before the first token, and a saved run is predicted from an empty one; leave one of them out" }] : []),
  ...(args.kv === "f32" && isGiven(args.save) ? [{ path: "--kv", message: "f32 is for comparing texts; a saved run is predicted with keys and values in f16. Leave one of the two out" }] : []),
  ...(isSamePath(args.trace, args.save) ? [{ path: "--save", message: `names the same file as --trace: ${args.save}` }] : []),
  ...(["trace", "save"] as const).flatMap((output) => (["model", "plan"] as const).filter((input) => isSamePath(args[input], args[output])).map((input) => ({ path: `--${output}`, message: `names the file that --${input} reads: ${args[output]}` }))),
  ...(args.temperature === undefined || (args.temperature ?? DEFAULTS.temperature) > 0
    ? []
    : (["top-k", "top-p"] as const).filter((name) => isGiven(args[name])).map((name) => ({ path: `--${name}`, message: "is for sampling, and at temperature 0 the likeliest token is taken; give --temperature above 0, or leave it out" }))),
];

const requestOf = (args: Args, plan: Mapped["request"], shape: FlashShape | null, adapt: GenerateRequest["adapt"]): GenerateRequest => ({
  model: args.model,
  prompt: args.prompt,
  tokens: args.tokens ?? DEFAULTS.tokens,
  memory: args.memory === null ? (plan.memory ?? null) : Math.floor(args.memory),
  threads: args.threads ?? args.pin?.length ?? plan.threads ?? null,
  ...settingOf(args, plan, shape),
  slow: args["slow-storage"],
  adapt,
  predictor: args.predictor,
  audit: args.audit,
  ...(args.kv === null ? {} : { kv: args.kv }),
  temperature: args.temperature ?? DEFAULTS.temperature,
  topK: args["top-k"] ?? DEFAULTS.topK,
  topP: args["top-p"] ?? DEFAULTS.topP,
  seed: args.seed ?? DEFAULTS.seed,
  stopAtEnd: !args["ignore-end"],
  trace: args.trace !== null || args.save !== null,
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

/** The files that were asked for. A record has the spans of its phase; a timeline has the prompt's too. */
const filesOf = (args: Args, ran: Ran): ReadonlyArray<OutputFile> => {
  const record = measuredRun(ran);
  if (record === null) return [];
  return [
    ...(args.trace === null ? [] : [{ path: args.trace, text: timelineText(timeline({ title: titleOf(record), lanes: record.lanes, spans: measuredSpans(ran.report) })) }]),
    ...(args.save === null ? [] : [{ path: args.save, text: `${JSON.stringify(encodeRecord(record))}\n` }]),
  ];
};

/** What a timeline does not show. */
const gapsOf = ({ timeline: of }: GenerateReport): ReadonlyArray<string> =>
  of === undefined
    ? []
    : [
        ...(of.forgotten > 0 ? [`the timeline has no room for the first ${of.forgotten} of ${of.prompt.passes + of.decode.passes} passes; all sums cover them`] : []),
        ...(of.lost > 0 ? [`${of.lost} spans were not recorded, in passes of more than there was room for: the sums of these passes are too small`] : []),
      ];

const describe = (args: Args, { request, report, ...rest }: Ran, unmapped: ReadonlyArray<string>): Answer => {
  const files = filesOf(args, { request, report, ...rest });
  return {
    // The text is on stdout already, as it came; here is the end of its last line.
    stdout: inFormat(args.format, { text: "", json: summaryOfGeneration(request, report, unmapped, rest.shapedTo) }),
    files,
    notes: [...(args.format === "json" ? [] : [`\n${describeGeneration(report, rest.shapedTo)}`, ...(unmapped.length === 0 ? [] : ["", "not mapped from the plan:", ...unmapped.map((line) => `  ${line}`)])]), ...files.map((file) => `wrote ${file.path}`), ...gapsOf(report), ...(report.stop !== "length" ? neverSlowed(args["slow-storage"], report.tokens.length) : [])],
  };
};

const endLine = (args: Args): Program<void> => (capabilities) => TE.fromIO(args.format === "table" ? capabilities.print("\n") : () => undefined);

/** What words asked for and what came of it; null where it was interrupted before there was a report. */
export interface Generated { readonly args: Args; readonly ran: Ran | null; readonly unmapped: ReadonlyArray<string> }

/** The words of one call as it would decode them, or all that is wrong with them; no file is looked at. */
export const generationArgs = (given: Words): Either<AppError, Args> => readWords({ name: "generate", flags: [] }, fields, contradictions)(given).args;

/** The text goes to stdout as it comes, where a table is asked for. */
export const generation = (command: Command) => (given: Words): Program<Generated> => {
  const reading = readWords(command, fields, contradictions)(given);
  return pipe(
    gather({ args: RTE.fromEither(reading.args), plan: planAt(argument(reading, "plan"), isGiven(reading.sound.predictor)) }),
    RTE.chain(({ args, plan }) => pipe(gather({ shape: shapeFor(args["shape-flash"], plan), adapt: adaptFor(args.adapt, args["shape-flash"]) }), RTE.map((known) => ({ args, plan, ...known })))),
    RTE.chain(({ args, plan, shape, adapt }) => {
      const request = requestOf(args, plan.request, shape, adapt);
      return pipe(
        run(`neuronlab ${command.name}`, args, request),
        RTE.chainFirst(() => endLine(args)),
        RTE.map((report): Generated => ({ args, ran: report === null ? null : { request, report, given: plan.given, shapedTo: args["shape-flash"] }, unmapped: plan.unmapped })),
      );
    }),
  );
};

export const generateProgram = (command: Command) => (given: Words): Program<Answer> =>
  pipe(withShippedModel(given), RTE.chain(generation(command)), RTE.map(({ args, ran, unmapped }): Answer => (ran === null ? { stdout: "", notes: ["interrupted"] } : describe(args, ran, unmapped))));
