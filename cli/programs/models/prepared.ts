/** Models that are compared here, predicted beside measured: packed and recorded once, into a folder that may be deleted at any time. */
import { basename, join } from "node:path";
import { E, TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import { decode, parseJson } from "../../../sim/base/decode.js";
import { fault, unsupported, type AppError } from "../../../sim/base/errors.js";
import type { DeviceProfile } from "../../../sim/domain/device.js";
import { modelCodec, type ModelSpec } from "../../../sim/domain/model.js";
import type { Plan } from "../../../sim/domain/plan.js";
import type { SystemSpec } from "../../../sim/domain/system.js";
import { decodeTrace } from "../../../sim/neurons/trace.js";
import type { RecordRequest, SynthRequest, SynthStep } from "../../../engine/index.js";
import type { ModelShape } from "../../../experiments/validate/cells.js";
import type { Capabilities, RunInputs } from "../../program.js";
import { encodePackedModel, packedModel, weightsOf } from "./packed-model.js";

/** Of a file that was made up by synth, weights have this format. */
const WEIGHTS = "q4_0";

export interface Prepared {
  readonly name: string;
  /** The packed file. */
  readonly file: string;
  readonly model: ModelSpec;
  readonly activations: Uint8Array;
}

/** The text that every run reads and continues, how far it is recorded, and how tokens are drawn (0: the likeliest), with seed 1. */
export interface Reading { readonly prompt: string; readonly tokens: number; readonly temperature?: number }

/** Where, what is read, and who watches. `fresh`: what lies there is made again. */
export interface Preparation {
  readonly folder: string;
  readonly reading: Reading;
  readonly fresh?: boolean;
  readonly hooks?: { readonly onStep: (step: SynthStep, of: "writing" | "packing" | "recording") => void; readonly signal?: AbortSignal };
}

/** null only after an interruption, which the caller asked for. */
const whole = <A>(task: TaskEither<AppError, A | null>): TaskEither<AppError, A> => pipe(task, TE.chain((found) => (found === null ? TE.left(fault("interrupted")) : TE.right(found))));

const hooksOf = ({ hooks }: Preparation, of: "writing" | "packing" | "recording") => ({ onStep: (step: SynthStep): void => hooks?.onStep(step, of), ...(hooks?.signal === undefined ? {} : { signal: hooks.signal }) });

const synthRequest = (shape: ModelShape, out: string): SynthRequest => ({
  out, name: shape.name, architecture: shape.architecture, activation: shape.activation, weights: WEIGHTS, hidden: shape.hidden, neurons: shape.neurons, layers: shape.layers,
  heads: shape.heads, kvHeads: shape.kvHeads, headDim: shape.hidden / shape.heads, experts: shape.experts, expertsUsed: shape.expertsUsed, vocabulary: 4096, context: 1024,
  share: shape.share, skew: "bamboo", overlap: 0.3, repeat: shape.repeat, upShare: 0.8, gateRank: null, seed: 1, threads: null,
});

/** What a folder holds, written last: without it all is made again. */
interface Stamp { readonly request: string; readonly model: unknown }

const stampOf = (text: string | null, request: string): ModelSpec | null => {
  if (text === null) return null;
  const raw = parseJson("stamp", text);
  if (E.isLeft(raw) || (raw.right as Stamp).request !== request) return null;
  const model = decode(modelCodec, "stamp")((raw.right as Stamp).model);
  return E.isRight(model) ? model.right : null;
};

/** `made`: false where all of it lay there already. */
export interface Ready extends Prepared { readonly made: boolean }

const prepare = (capabilities: Capabilities, preparation: Preparation, name: string, request: string, gguf: string, make: TaskEither<AppError, unknown>): TaskEither<AppError, Ready> => {
  const { folder, reading: { prompt, tokens, temperature = 0 }, fresh } = preparation;
  const at = (ending: string): string => join(folder, `${name}.${ending}`);
  const [flash, trace, stamp] = [at("flash"), at("trace"), at("json")];
  const { engine } = capabilities;
  const recording: RecordRequest = { model: gguf, out: trace, prompt, tokens, stopAtEnd: false, temperature, seed: 1, threads: null, window: null };
  const done = (model: ModelSpec, isMade: boolean): TaskEither<AppError, Ready> => pipe(capabilities.readBytes(trace), TE.map((activations) => ({ name, file: flash, model, activations, made: isMade })));
  const made = pipe(
    // The first file that is written makes the folder.
    capabilities.write([{ path: stamp, text: "{}\n" }]),
    TE.chain(() => make),
    TE.bindTo("made"),
    TE.bind("packed", () => whole(engine.pack({ model: gguf, out: flash, down: "auto", group: null, arrangement: "bundles", threads: null }, hooksOf(preparation, "packing")))),
    TE.bind("recorded", () => whole(engine.record(recording, hooksOf(preparation, "recording")))),
    TE.bind("bytes", () => capabilities.readBytes(trace)),
    TE.bind("decoded", ({ bytes }) => TE.fromEither(decodeTrace(trace)(bytes))),
    TE.bind("weights", ({ packed, recorded }) => TE.fromEither(pipe(weightsOf(recorded, packed), E.fromNullable(unsupported(gguf, "gate and up have another format than F32, F16, Q8_0 or Q4_0, or two of them: the simulator cannot tell their rows"))))),
    TE.map(({ packed, recorded, decoded, weights }) => ({ ...packedModel(recorded, decoded, basename(gguf), packed, weights), name })),
    TE.chainFirst((model) => capabilities.write([{ path: stamp, text: `${JSON.stringify({ request, model: encodePackedModel(model) } satisfies Stamp)}\n` }])),
    TE.chain((model) => done(model, true)),
  );
  return pipe(
    fresh === true ? TE.right(null) : capabilities.readStored(stamp),
    TE.chain((text) => {
      const model = stampOf(text, request);
      return model === null ? made : pipe(done(model, false), TE.orElse(() => made));
    }),
  );
};

/** Synthesised where they are not there yet; as much as is read of each is recorded. */
export const preparedShape = (capabilities: Capabilities, preparation: Preparation, shape: ModelShape): TaskEither<AppError, Ready> => {
  const gguf = join(preparation.folder, `${shape.name}.gguf`);
  const request = JSON.stringify({ version: capabilities.version, ...preparation.reading, shape: synthRequest(shape, "") });
  return prepare(capabilities, preparation, shape.name, request, gguf, whole(capabilities.engine.synth(synthRequest(shape, gguf), hooksOf(preparation, "writing"))));
};

/** A GGUF file that is there; when it changes, it is packed and recorded again. */
export const preparedFile = (capabilities: Capabilities, preparation: Preparation, file: string): TaskEither<AppError, Ready> =>
  pipe(
    capabilities.fileFacts(file),
    TE.chain((facts) => prepare(capabilities, preparation, basename(file).replace(/\.gguf$/, ""), JSON.stringify({ version: capabilities.version, ...preparation.reading, file, ...facts }), file, TE.right(null))),
  );

/** A plan of such a model, predicted: the text that was recorded, at fidelity `neuron`. `activations` names it in the record. */
export const predictionOf = ({ device, system, prepared: { model, activations }, plan, tokens, seed, name }: { readonly device: DeviceProfile; readonly system: SystemSpec; readonly prepared: Prepared; readonly plan: Plan; readonly tokens: number; readonly seed: number; readonly name: string }): RunInputs => ({
  device, system, model, activations,
  request: { device: plan.device, model: plan.model, system: plan.system, memory: { _tag: "Bytes", bytes: plan.memory }, phase: "decode", prompt: 1, tokens, batch: 1, seed, fidelity: "neuron", plan, activations: name },
});
