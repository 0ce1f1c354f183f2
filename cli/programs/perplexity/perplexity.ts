/** A model and a text to how well it predicts it: decode the words, read text and plan, score, let llama.cpp score, describe. */
import { E, RTE, TE, pipe, type Either } from "../../../sim/base/fp.js";
import type { Exact } from "../../../sim/base/decode.js";
import { badInput, type Mistake } from "../../../sim/base/errors.js";
import { showBytes } from "../../../sim/base/units.js";
import { KV_FORMATS, type FlashShape, type PerplexityReport, type PerplexityRequest } from "../../../engine/index.js";
import { absent, argument, choice, inputFile, readWords, shared, size, switchedOn, wholeNumber, type Sound } from "../../args.js";
import type { Command, Words } from "../../command.js";
import { gather, inFormat, type Answer, type Program } from "../../program.js";
import { asTyped } from "../as-typed.js";
import type { Mapped } from "../generate/engine-plan.js";
import { planAt, settingFields, predictorMistakes, settingMistakes, settingOf, shapeFor } from "../generate/engine-setting.js";
import { locate, otherModel, run as runRival, type Program as RivalProgram, type RivalPerplexity } from "./rival.js";
import { withShippedModel } from "../models/shipped-model.js";

/** What happens without a word about it. Written in --help too. */
const DEFAULTS = { window: 512 } as const;

const fields = {
  ...shared,
  model: inputFile,
  text: inputFile,
  window: absent(wholeNumber(4, 1 << 24)),
  windows: absent(wholeNumber(1, 1 << 30)),
  memory: absent(size('"900MB" or "2GiB"')),
  threads: absent(wholeNumber(1, 1024)),
  ...settingFields,
  predictor: absent(inputFile),
  audit: switchedOn,
  kv: absent(choice(...KV_FORMATS)),
  vs: absent(choice("llama.cpp")),
  "llama-perplexity": absent(inputFile),
  "llama-model": absent(inputFile),
};

type Args = Exact<typeof fields>;

const isGiven = (arg: unknown): boolean => arg !== null && arg !== undefined;

const contradictions = (args: Sound<typeof fields>): ReadonlyArray<Mistake> => [
  ...settingMistakes(args, args.memory === null && args.plan === null, typeof args.threads === "number" ? [args.threads] : []),
  ...predictorMistakes(args),
  ...(args.vs === null ? (["llama-perplexity", "llama-model"] as const).filter((name) => isGiven(args[name])).map((name) => ({ path: `--${name}`, message: "is for the comparison; give --vs llama.cpp too, or leave it out" })) : []),
];

const textIn = (path: string): Program<string> => (capabilities) =>
  pipe(
    capabilities.readStored(path),
    TE.chain((text) => (text === null || text.trim() === "" ? TE.left(badInput(path, [{ path: "(whole)", message: text === null ? "there is no such file" : "has no text" }])) : TE.right(text))),
  );

const requestOf = (args: Args, text: string, plan: Mapped["request"], shape: FlashShape | null): PerplexityRequest => ({
  model: args.model,
  text,
  window: args.window ?? DEFAULTS.window,
  windows: args.windows,
  memory: args.memory === null ? (plan.memory ?? null) : Math.floor(args.memory),
  threads: args.threads ?? args.pin?.length ?? plan.threads ?? null,
  ...settingOf(args, plan, shape),
  predictor: args.predictor,
  audit: args.audit,
  ...(args.kv === null ? {} : { kv: args.kv }),
});

const score = (where: string, request: PerplexityRequest): Program<PerplexityReport | null> => (capabilities) => {
  let gauge: ReturnType<typeof capabilities.gauge> | null = null;
  const onStep = ({ done, of }: { readonly done: number; readonly of: number }): void => {
    if (of === 0) return;
    gauge ??= capabilities.gauge(of, "windows");
    gauge.at(done);
  };
  return pipe(
    capabilities.interruptible((signal) => capabilities.engine.perplexity(request, { onStep, signal })),
    TE.mapLeft(asTyped(fields, where)),
    (task) => async () => {
      const ended = await task();
      gauge?.end();
      return ended;
    },
  );
};

/** What llama.cpp said, or why there is nothing of it; null where it was not asked. */
type Beside = Either<string, RivalPerplexity> | null;

const beside = (args: Args, rival: RivalProgram | null, report: PerplexityReport): Program<Beside> => (capabilities) => {
  if (rival === null) return TE.right(null);
  const other = otherModel(report);
  if (other !== null) return TE.right(E.left(other));
  if (report.file === "packed" && args["llama-model"] === null) return TE.right(E.left("llama.cpp does not read packed files; name the GGUF file with --llama-model"));
  const asked = { model: args["llama-model"] ?? args.model, text: args.text, window: args.window ?? DEFAULTS.window, windows: args.windows, threads: report.threads, kv: args.kv };
  return runRival(rival, asked, capabilities);
};

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;
const signed = (change: number): string => `${change < 0 ? "" : "+"}${(100 * change).toFixed(3)}%`;
const estimate = (of: { readonly perplexity: number; readonly standardError: number | null }): string => `${of.perplexity.toFixed(4)}${of.standardError === null ? "" : ` +/- ${of.standardError.toFixed(5)}`}`;

const textOf = (args: Args, report: PerplexityReport, rival: Beside): string => {
  const seconds = report.spent.ns / 1e9;
  const predicted = report.predicted === undefined ? [] : [`predicted: ${percent(report.predicted)} of the neurons${report.recall === undefined ? "" : `, with ${percent(report.recall)} of those that would have fired`}`];
  const compared = rival === null ? [] : E.isLeft(rival) ? [`llama.cpp: no result: ${rival.left}`] : [`llama.cpp ${rival.right.version}: ${estimate(rival.right)}, over ${rival.right.windows} windows; ours is ${signed(report.perplexity / rival.right.perplexity - 1)} off`];
  return [
    `perplexity: ${estimate(report)}`,
    ...compared,
    `${report.scored} of ${report.tokens} tokens scored, in ${report.windows} windows of ${args.window ?? DEFAULTS.window}; ${(report.spent.ns > 0 ? (report.windows * (args.window ?? DEFAULTS.window)) / seconds : 0).toFixed(1)} tokens/s`,
    `${report.architecture}, ${report.activation}, mostly ${report.weights}; FFNs ${report.ffn}, ${report.labels.join(", ")}; ${report.kernels}, ${report.threads} threads`,
    ...predicted,
    ...(report.memory === undefined ? [] : [`memory: ${showBytes(report.memory)} allowed${report.peakResident === undefined ? "" : `, ${showBytes(report.peakResident)} held at most`}; ${showBytes(report.spent.diskBytes)} read`]),
  ].join("\n");
};

const describe = (args: Args, { text, ...request }: PerplexityRequest, report: PerplexityReport, rival: Beside, unmapped: ReadonlyArray<string>): Answer => {
  const compared = rival === null ? {} : E.isLeft(rival) ? { llamaCpp: null, gap: rival.left } : { llamaCpp: rival.right, difference: report.perplexity / rival.right.perplexity - 1, gap: null };
  const json = { origin: "measured", ...report, predicted: report.predicted ?? null, recall: report.recall ?? null, ...compared, inputs: { ...request, text: args.text, characters: text.length, unmapped } };
  return { stdout: inFormat(args.format, { text: textOf(args, report, rival), json }), notes: args.format === "json" || unmapped.length === 0 ? [] : ["not mapped from the plan:", ...unmapped.map((line) => `  ${line}`)] };
};

const INTERRUPTED: Answer = { stdout: "", notes: ["interrupted"] };

export const perplexityProgram = (command: Command) => (given: Words): Program<Answer> => pipe(withShippedModel(given), RTE.chain(perplexityOf(command)));

const perplexityOf = (command: Command) => (given: Words): Program<Answer> => {
  const reading = readWords(command, fields, contradictions)(given);
  const text = pipe(RTE.fromEither(argument(reading, "text")), RTE.chain(textIn));
  return pipe(
    gather({ args: RTE.fromEither(reading.args), text, plan: planAt(argument(reading, "plan"), isGiven(reading.sound.predictor)) }),
    RTE.bind("shape", ({ args, plan }) => shapeFor(args["shape-flash"], plan)),
    // That there is nothing to compare with is said before the work and not after it.
    RTE.bind("rival", ({ args }): Program<RivalProgram | null> => (args.vs === null ? RTE.right(null) : (capabilities) => locate(args["llama-perplexity"], capabilities))),
    RTE.chain(({ args, text: read, plan, shape, rival }) => {
      const request = requestOf(args, read, plan.request, shape);
      return pipe(
        score(`neuronlab ${command.name}`, request),
        RTE.chain((report): Program<Answer> => (report === null ? RTE.right(INTERRUPTED) : pipe(beside(args, rival, report), RTE.map((of) => describe(args, request, report, of, plan.unmapped))))),
      );
    }),
  );
};
