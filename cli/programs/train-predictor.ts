/** A model to its predictor: decode the words, fit, describe, the worst layer first. */
import { RTE, TE, pipe } from "../../sim/base/fp.js";
import type { Exact } from "../../sim/base/decode.js";
import { badInput, type AppError, type Mistake } from "../../sim/base/errors.js";
import { showBytes } from "../../sim/base/units.js";
import { table } from "../../sim/report/table.js";
import { HIDDENS, PREDICTOR_WEIGHTS, type PredictorShares, type TrainReport, type TrainRequest, type TrainStep } from "../../engine/index.js";
import { absent, choice, decodeWords, inputFile, isSamePath, optional, outputFile, share, shared, wholeNumber, type Sound } from "../args.js";
import type { Command, Words } from "../command.js";
import { inFormat, type Answer, type Program } from "../program.js";

/** What happens without a word about it. Written in --help too. */
export const DEFAULTS = { tokens: 4096, recall: 0.95, passes: 10, seed: 1 } as const;

const fields = {
  ...shared,
  model: inputFile,
  out: outputFile,
  text: absent(inputFile),
  tokens: absent(wholeNumber(256, 1 << 24)),
  rank: absent(wholeNumber(1, 1 << 20)),
  recall: absent(share),
  hidden: optional(choice(...HIDDENS), "identity" as const),
  weights: optional(choice(...PREDICTOR_WEIGHTS), "auto" as const),
  passes: absent(wholeNumber(1, 1 << 16)),
  threads: absent(wholeNumber(1, 1024)),
};

type Args = Exact<typeof fields>;

const mistakes = (args: Sound<typeof fields>): ReadonlyArray<Mistake> => [
  ...(["model", "text"] as const).filter((name) => isSamePath(args.out, args[name])).map((name) => ({ path: "--out", message: `names the file that is read: ${args[name]}` })),
  ...(args.recall === 0 ? [{ path: "--recall", message: "should be above 0%: a predictor that may miss everything predicts nothing" }] : []),
];

const requestOf = ({ model, out, text, tokens, rank, recall, hidden, weights, passes, seed, threads }: Args): TrainRequest => ({
  model, out, text, rank, hidden, weights, threads,
  tokens: tokens ?? DEFAULTS.tokens,
  recall: recall ?? DEFAULTS.recall,
  passes: passes ?? DEFAULTS.passes,
  seed: seed ?? DEFAULTS.seed,
});

const UNITS = { speak: "tokens said", record: "tokens recorded", fit: "hundredths of a predictor", judge: "tokens judged" } as const;

/** The engine names arguments; people typed flags. */
const asTyped = (where: string) => (error: AppError): AppError => {
  const isFlag = (mistake: Mistake): boolean => Object.hasOwn(fields, mistake.path);
  return error._tag === "BadInput" && error.mistakes.some(isFlag) ? badInput(where, error.mistakes.map((mistake) => (isFlag(mistake) ? { ...mistake, path: `--${mistake.path}` } : mistake))) : error;
};

const train = (where: string, request: TrainRequest): Program<TrainReport | null> => (capabilities) => {
  let gauge: { readonly stage: TrainStep["stage"]; readonly bar: ReturnType<typeof capabilities.gauge> } | null = null;
  const onStep = ({ stage, done, total }: TrainStep): void => {
    if (gauge?.stage !== stage) {
      gauge?.bar.end();
      gauge = { stage, bar: capabilities.gauge(total, UNITS[stage]) };
    }
    gauge.bar.at(done);
  };
  return pipe(
    capabilities.interruptible((signal) => capabilities.engine.trainPredictor(request, { onStep, signal })),
    TE.mapLeft(asTyped(where)),
    (task) => async () => {
      const ended = await task();
      gauge?.bar.end();
      return ended;
    },
  );
};

const percent = (part: number | undefined): string => (part === undefined ? "--" : `${(100 * part).toFixed(1)}%`);

const worstFirst = (report: TrainReport) => report.layers.toSorted((one, other) => (one.shares.recall ?? 1) - (other.shares.recall ?? 1) || one.layer - other.layer);

const text = (request: TrainRequest, report: TrainReport): string => {
  const right = (title: string) => ({ title, align: "right" as const });
  const row = (name: string, shares: PredictorShares): ReadonlyArray<string> => [name, percent(shares.recall), percent(shares.falsePositives), percent(shares.predicted), percent(shares.fired)];
  const blind = report.layers.reduce((sum, layer) => sum + layer.blindExperts, 0);
  return [
    `${request.out}: ${showBytes(report.bytes)}; rank ${report.rank}, ${report.weights}, for model ${report.model}`,
    `${report.learnt} tokens learnt from, thresholds set by ${report.calibrated}; run and recorded in ${report.recordingSeconds.toFixed(1)} s, fitted in ${report.fittingSeconds.toFixed(1)} s`,
    "",
    `on ${report.heldOut} tokens held out, the worst layer first:`,
    table([{ title: "layer" }, right("recall"), right("false positives"), right("predicted"), right("fired")], [...worstFirst(report).map((layer) => row(String(layer.layer), layer.shares)), row("all", report.overall)]),
    "",
    `perplexity of ${report.scored} of them: ${report.losslessPerplexity.toFixed(4)} lossless, ${report.predictedPerplexity.toFixed(4)} predicted (${signed(report.predictedPerplexity / report.losslessPerplexity - 1)}); recall meanwhile ${percent(report.runningRecall)}`,
    ...(blind === 0 ? [] : [`${blind} ${blind === 1 ? "expert was" : "experts were"} met too seldom to fit anything: all their neurons are predicted; more --tokens help`]),
  ].join("\n");
};

const signed = (change: number): string => `${change < 0 ? "" : "+"}${(100 * change).toFixed(2)}%`;

const describe = (args: Args, request: TrainRequest, report: TrainReport): Answer => {
  const json = { origin: "measured", out: request.out, ...report, layers: worstFirst(report), runningRecall: report.runningRecall ?? null, perplexityChange: report.predictedPerplexity / report.losslessPerplexity - 1, inputs: request };
  return { stdout: inFormat(args.format, { text: text(request, report), json }) };
};

export const trainPredictorProgram = (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    RTE.fromEither(decodeWords(command, fields, mistakes)(given)),
    RTE.chain((args) => {
      const request = requestOf(args);
      return pipe(
        train(`neuronlab ${command.name}`, request),
        RTE.map((report): Answer => (report === null ? { stdout: "", notes: ["interrupted: nothing was written"] } : describe(args, request, report))),
      );
    }),
  );
