/** A recorded text against the simulator's picture of it: statistics fitted and held out, caches replayed and predicted, what that means for a speed. */
import { join, relative } from "node:path";
import { E, RTE, TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import { decode, type Exact } from "../../../sim/base/decode.js";
import { badInput, type AppError, type Mistake } from "../../../sim/base/errors.js";
import { modelCodec, type ModelSpec } from "../../../sim/domain/model.js";
import { decodeTrace, type ActivationTrace } from "../../../sim/neurons/trace.js";
import { analyse, ofSecondHalf } from "../../../experiments/validate/trace/analyse.js";
import { DISTANCES } from "../../../experiments/validate/trace/overlap.js";
import { askedOfModel, askedOfPublished, speedRows, type Asked, type SpeedRow } from "../../../experiments/validate/trace/speeds.js";
import type { Studied } from "../../../experiments/validate/trace/stored.js";
import type { ValidationReport } from "../../../experiments/validate/words.js";
import { absent, argument, inputFile, nameOrFile, optional, outputFolder, readWords, shared, switchedOn, workers } from "../../args.js";
import type { Command, Words } from "../../command.js";
import { gather, inFormat, type Answer, type Capabilities, type OutputFile, type Program } from "../../program.js";
import { shippedTrace, TRACE_ENDING } from "../models/shipped-trace.js";
import { knownNames, loadDevice, loadModel, loadSystem, type Names } from "../load.js";

/** Whose curve is laid beside, and whose predictions are tried with other statistics. */
const PUBLISHED = { curve: "bamboo-7b", large: "turbosparse-mixtral-47b" } as const;
const DEFAULTS = { seed: 1, device: "oneplus-12", prompt: 32 } as const;
/** Of other validations. */
const OTHERS = ["quick", "models", "repetitions"] as const;

const fieldsWith = (names: Names) => ({
  ...shared,
  trace: absent(inputFile),
  device: optional(nameOrFile("device", names.device), DEFAULTS.device as string),
  out: absent(outputFolder),
  check: switchedOn,
  workers,
});

type Args = Exact<ReturnType<typeof fieldsWith>>;

/** A trace and, of the same name beside it, the model that `record --spec` wrote. */
interface Recording { readonly trace: ActivationTrace; readonly bytes: Uint8Array; readonly model: ModelSpec }

/** The one that comes along where none is named. */
const traceFile = (named: string | null): Program<string> =>
  named !== null
    ? RTE.fromEither(named.endsWith(TRACE_ENDING) ? E.right(named) : E.left(badInput("neuronlab validate trace", [{ path: "FILE", message: `should be an activation trace (${TRACE_ENDING}), got ${named}` }])))
    : shippedTrace("neuronlab validate trace");

const SHAPE = ["layers", "ffn"] as const;

const shapeMistakes = (model: ModelSpec, trace: ActivationTrace): ReadonlyArray<Mistake> => [
  ...SHAPE.filter((field) => model[field] !== trace[field]).map((field) => ({ path: field, message: `is ${model[field]}; the trace has ${trace[field]}` })),
  ...(model.experts.count === trace.experts && model.experts.active === trace.active ? [] : [{ path: "experts", message: `${model.experts.active} of ${model.experts.count}; the trace has ${trace.active} of ${trace.experts}` }]),
  ...(trace.neuronsRecorded ? [] : [{ path: "(whole)", message: "its trace has no neurons: all of a SiLU model's are active, and nothing is left to say of them" }]),
  ...(trace.tokens >= LEAST_TOKENS ? [] : [{ path: "(whole)", message: `its trace has ${trace.tokens} tokens; halves of at least ${LEAST_TOKENS / 2} are needed` }]),
];
const LEAST_TOKENS = 128;

const recordingIn = (file: string): Program<Recording> => (capabilities) => {
  const spec = file.replace(/\.trace$/, ".json");
  return pipe(
    TE.Do,
    TE.bind("bytes", () => capabilities.readBytes(file)),
    TE.bind("trace", ({ bytes }) => TE.fromEither(decodeTrace(file)(bytes))),
    TE.bind("model", () => pipe(capabilities.readJson(spec), TE.chainEitherK(({ where, raw }) => decode(modelCodec, where)(raw)))),
    TE.chainEitherK((found): E.Either<AppError, Recording> => {
      const mistakes = shapeMistakes(found.model, found.trace);
      return mistakes.length > 0 ? E.left(badInput(spec, mistakes)) : E.right(found);
    }),
  );
};

const ran = (capabilities: Capabilities, { workers: count }: Args, asked: ReadonlyArray<Asked>): TaskEither<AppError, ReadonlyArray<SpeedRow>> =>
  pipe(
    capabilities.runMany(asked.map(({ inputs }) => inputs), { workers: count }),
    TE.chainEitherK((outcomes) => E.sequenceArray(outcomes)),
    TE.map((runs) => speedRows(asked, runs)),
  );

interface Places { readonly folder: string; readonly shown: string }

const placesOf = ({ out }: Args, { home }: Capabilities): Places => {
  const folder = out ?? join(home, "results", "model");
  return { folder, shown: out ?? relative(process.cwd(), folder) };
};

/** Texts alone: how a picture is turned into dots may differ between versions of a library. */
const differing = (files: ReadonlyArray<OutputFile>, { folder, shown }: Places): Program<ReadonlyArray<string>> => (capabilities) =>
  pipe(
    files.flatMap((file) => ("text" in file ? [file] : [])),
    TE.traverseSeqArray((file) => pipe(capabilities.readStored(join(folder, file.path)), TE.map((stored) => (stored === file.text ? [] : [`${join(shown, file.path)}: ${stored === null ? "not stored yet" : "differs from what comes out now"}`])))),
    TE.map((found) => found.flat()),
  );

const finished = (args: Args, { text, json, files }: ValidationReport): Program<Answer> => (capabilities) => {
  const places = placesOf(args, capabilities);
  if (!args.check) {
    const placed = files.map((file) => ({ ...file, path: join(places.folder, file.path) }));
    return TE.right({ stdout: inFormat(args.format, { text, json }), files: placed, notes: [`wrote ${placed.length} files under ${places.shown}`] });
  }
  return pipe(
    differing(files, places)(capabilities),
    TE.map((found): Answer => {
      const verdict = found.length === 0 ? `what is stored under ${places.shown} is what comes out now` : [`${found.length} ${found.length === 1 ? "difference" : "differences"} from what is stored:`, ...found.map((line) => `  ${line}`)].join("\n");
      return { stdout: inFormat(args.format, { text: `${text}\n\n${verdict}`, json: { check: { same: found.length === 0, differing: found }, statistics: json } }), notes: args.format === "json" && found.length > 0 ? [verdict] : [], exit: found.length === 0 ? 0 : 70 };
    }),
  );
};

export const validateTraceProgram = (report: (studied: Studied) => ValidationReport) => (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    knownNames,
    RTE.chain((names) => {
      const misplaced = OTHERS.filter((flag) => flag in given.named).map((flag): Mistake => ({ path: `--${flag}`, message: "is for validate host: a recorded text is as it was recorded" }));
      const named = Object.fromEntries(Object.entries(given.named).filter(([flag]) => !(OTHERS as ReadonlyArray<string>).includes(flag)));
      const reading = readWords(command, fieldsWith(names), ({ seed, out }) => [...misplaced, ...(typeof seed === "number" && out === null ? [{ path: "--seed", message: "changes what is kept; add --out DIR to write it elsewhere" }] : [])])({ ...given, named });
      return gather({
        args: RTE.fromEither(reading.args), device: pipe(RTE.fromEither(argument(reading, "device")), RTE.chain(loadDevice)),
        recording: pipe(RTE.fromEither(argument(reading, "trace")), RTE.chain(traceFile), RTE.chain(recordingIn)),
        curve: loadModel(PUBLISHED.curve), large: loadModel(PUBLISHED.large), own: loadSystem("neuronlab"), flash: loadSystem("llm-in-a-flash"), paper: loadSystem("powerinfer-2"),
      });
    }),
    RTE.chain(({ args, device, recording: { trace, bytes, model }, curve, large, own, flash, paper }): Program<Answer> => (capabilities) => {
      const seed = args.seed ?? DEFAULTS.seed;
      return pipe(
        TE.Do,
        TE.bind("speeds", () => ran(capabilities, args, askedOfModel(device, [own, flash], ofSecondHalf(model, trace), bytes, DEFAULTS.prompt, seed))),
        TE.bind("published47b", () => ran(capabilities, args, askedOfPublished(device, paper, large, model, seed))),
        TE.map((found): Studied => ({ ...found, recorded: model, published: [curve, large], analysis: analyse(model, trace, curve, DISTANCES, seed), device: device.title, seed })),
        TE.chain((studied) => finished(args, report(studied))(capabilities)),
      );
    }),
  );
