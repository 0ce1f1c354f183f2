/** The models of `validate host`: made up, packed and recorded once, into a folder that may be deleted at any time. */
import { basename, join } from "node:path";
import { E, TE, pipe, type TaskEither } from "../../sim/base/fp.js";
import { decode, parseJson } from "../../sim/base/decode.js";
import { badInput, fault, type AppError } from "../../sim/base/errors.js";
import { modelCodec, type ModelSpec } from "../../sim/domain/model.js";
import { decodeTrace } from "../../sim/neurons/trace.js";
import type { RecordRequest, SynthRequest } from "../../engine/index.js";
import type { ModelShape } from "../../experiments/validate/cells.js";
import type { Capabilities } from "../program.js";
import { encodePackedModel, packedModel } from "./packed-model.js";

/** The text that every run reads and continues, and how far it is recorded. */
export const PROMPT = "the other one is that of the time and of those who were there when it was over and the others had gone";
/** Of a file that was made up by synth, weights have this format. */
const WEIGHTS = "q4_0";

export interface Prepared {
  readonly name: string;
  /** The packed file. */
  readonly file: string;
  readonly model: ModelSpec;
  readonly activations: Uint8Array;
}

const quiet = { onStep: () => undefined };

/** null only after an interruption, which the caller asked for. */
const whole = <A>(task: TaskEither<AppError, A | null>): TaskEither<AppError, A> => pipe(task, TE.chain((found) => (found === null ? TE.left(fault("interrupted")) : TE.right(found))));

const synthRequest = (shape: ModelShape, out: string): SynthRequest => ({
  out, name: shape.name, architecture: shape.architecture, activation: shape.activation, weights: WEIGHTS, hidden: shape.hidden, neurons: shape.neurons, layers: shape.layers,
  heads: shape.heads, kvHeads: shape.kvHeads, headDim: shape.hidden / shape.heads, experts: shape.experts, expertsUsed: shape.expertsUsed, vocabulary: 4096, context: 1024,
  share: shape.share, skew: "bamboo", overlap: 0.3, repeat: shape.repeat, upShare: 0.8, seed: 1, threads: null,
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

const prepare = (capabilities: Capabilities, folder: string, name: string, request: string, tokens: number, gguf: string, make: TaskEither<AppError, unknown>): TaskEither<AppError, Prepared> => {
  const at = (ending: string): string => join(folder, `${name}.${ending}`);
  const [flash, trace, stamp] = [at("flash"), at("trace"), at("json")];
  const { engine } = capabilities;
  const recording: RecordRequest = { model: gguf, out: trace, prompt: PROMPT, tokens, stopAtEnd: false, temperature: 0, seed: 1, threads: null, window: null };
  const done = (model: ModelSpec): TaskEither<AppError, Prepared> => pipe(capabilities.readBytes(trace), TE.map((activations) => ({ name, file: flash, model, activations })));
  const made = pipe(
    // The first file that is written makes the folder.
    capabilities.write([{ path: stamp, text: "{}\n" }]),
    TE.chain(() => make),
    TE.bindTo("made"),
    TE.bind("packed", () => whole(engine.pack({ model: gguf, out: flash, down: "auto", group: null, arrangement: "bundles", threads: null }, quiet))),
    TE.bind("recorded", () => whole(engine.record(recording, quiet))),
    TE.bind("bytes", () => capabilities.readBytes(trace)),
    TE.bind("decoded", ({ bytes }) => TE.fromEither(decodeTrace(trace)(bytes))),
    TE.map(({ packed, recorded, decoded }) => ({ ...packedModel(recorded, decoded, basename(gguf), packed, WEIGHTS), name })),
    TE.chainFirst((model) => capabilities.write([{ path: stamp, text: `${JSON.stringify({ request, model: encodePackedModel(model) } satisfies Stamp)}\n` }])),
    TE.chain(done),
  );
  return pipe(
    capabilities.readStored(stamp),
    TE.chain((text) => {
      const model = stampOf(text, request);
      return model === null ? made : pipe(done(model), TE.orElse(() => made));
    }),
  );
};

/** Synthesised where they are not there yet; `tokens` of each are recorded. */
export const preparedShape = (capabilities: Capabilities, folder: string, shape: ModelShape, tokens: number): TaskEither<AppError, Prepared> => {
  const gguf = join(folder, `${shape.name}.gguf`);
  const request = JSON.stringify({ version: capabilities.version, prompt: PROMPT, tokens, shape: synthRequest(shape, "") });
  return prepare(capabilities, folder, shape.name, request, tokens, gguf, whole(capabilities.engine.synth(synthRequest(shape, gguf), quiet)));
};

/** A GGUF file of the user's own, whose matrices are Q4_0. */
export const preparedFile = (capabilities: Capabilities, folder: string, file: string, tokens: number): TaskEither<AppError, Prepared> => {
  const name = basename(file).replace(/\.gguf$/, "");
  if (name === basename(file)) return TE.left(badInput("neuronlab validate host", [{ path: "--models", message: `should be GGUF files (.gguf) with Q4_0 matrices, got ${file}` }]));
  return prepare(capabilities, join(folder, "given"), name, JSON.stringify({ version: capabilities.version, prompt: PROMPT, tokens, file }), tokens, file, TE.right(null));
};
