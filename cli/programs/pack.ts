/** A GGUF file to a packed one: decode the words, pack, describe. */
import { RTE, TE, pipe } from "../../sim/base/fp.js";
import type { Exact } from "../../sim/base/decode.js";
import { badInput, type AppError, type Mistake } from "../../sim/base/errors.js";
import { showBytes } from "../../sim/base/units.js";
import { ARRANGEMENTS, DOWN_FORMS, type PackReport } from "../../engine/index.js";
import { absent, choice, decodeWords, inputFile, isSamePath, optional, outputFile, shared, wholeNumber } from "../args.js";
import type { Command, Words } from "../command.js";
import { inFormat, type Answer, type Program } from "../program.js";

const fields = {
  ...shared,
  model: inputFile,
  out: outputFile,
  down: optional(choice(...DOWN_FORMS), "auto" as const),
  group: absent(wholeNumber(1, 1 << 20)),
  arrangement: optional(choice(...ARRANGEMENTS), "bundles" as const),
  threads: absent(wholeNumber(1, 1024)),
};

type Args = Exact<typeof fields>;

const MEGABYTE = 1e6;

const pack = (args: Args): Program<PackReport | null> => (capabilities) =>
  capabilities.interruptible((signal) => {
    const { model, out, down, group, arrangement, threads } = args;
    let gauge: ReturnType<typeof capabilities.gauge> | null = null;
    const onStep = ({ done, total }: { readonly done: number; readonly total: number }): void => {
      gauge ??= capabilities.gauge(Math.ceil(total / MEGABYTE), "MB");
      gauge.at(Math.floor(done / MEGABYTE));
    };
    return pipe(
      capabilities.engine.pack({ model, out, down, group, arrangement, threads }, { onStep, signal }),
      TE.mapLeft(asTyped),
      (task) => async () => {
        const ended = await task();
        gauge?.end();
        return ended;
      },
    );
  });

/** The engine names arguments; people typed flags. */
const asTyped = (error: AppError): AppError =>
  error._tag === "BadInput" ? badInput(error.where, error.mistakes.map((mistake) => (Object.hasOwn(fields, mistake.path) ? { ...mistake, path: `--${mistake.path}` } : mistake))) : error;

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;

const describe = (args: Args, report: PackReport): Answer => {
  const lines = [
    `${args.out}: ${showBytes(report.bytes)} in ${report.seconds.toFixed(1)} s`,
    `outside the FFNs ${showBytes(report.denseBytes)}; FFNs ${showBytes(report.ffnBytes)}, ${percent(report.padding)} of it padding to whole pages`,
    `${report.layers} layers, groups of ${report.group} ${report.group === 1 ? "neuron" : "neurons"}, down in ${report.downForm} of ${report.down}`,
    report.requantisation === undefined
      ? "lossless: the weights are the source's"
      : `requantised: down changed by ${percent(report.requantisation)} (root mean square), so the model is numerically another one; results say so`,
    ...(report.downForm === "tiles" ? ["down in tiles cannot be read neuron by neuron, so generate does not run this file; pack without --down exact for that"] : []),
    `fingerprint ${report.fingerprint}`,
  ];
  return { stdout: inFormat(args.format, { text: lines.join("\n"), json: { out: args.out, ...report, requantisation: report.requantisation ?? null } }) };
};

const sameFile = (args: { readonly model?: string; readonly out?: string }): ReadonlyArray<Mistake> =>
  args.model !== undefined && isSamePath(args.out, args.model) ? [{ path: "--out", message: `names the file that is read: ${args.model}` }] : [];

export const packProgram = (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    RTE.fromEither(decodeWords(command, fields, sameFile)(given)),
    RTE.chain((args) => pipe(pack(args), RTE.map((report): Answer => (report === null ? { stdout: "", notes: ["interrupted: nothing was written"] } : describe(args, report))))),
  );
