/**
 * An activation trace: which experts and neurons a text used, as `neuronlab record` writes it (docs/activation-trace.md; the writer is
 * engine/crates/trace). The bytes stay as they are; decoding checks them all and notes where each token begins in each layer.
 */
import { E, type Either } from "../base/fp.js";
import { badInput, type AppError } from "../base/errors.js";
import { crc32 } from "../base/checksum.js";

export interface ActivationTrace {
  /** Of the model. */
  readonly name: string;
  readonly layers: number;
  readonly experts: number;
  /** Experts that a token uses. */
  readonly active: number;
  /** Neurons of an expert. */
  readonly ffn: number;
  /** Of a model whose neurons are all active, only experts are recorded. */
  readonly neuronsRecorded: boolean;
  readonly tokens: number;
  /** Of these, tokens that were given and not generated: the first. */
  readonly prompt: number;
  /** Fills the experts of a token in ascending order; `out` has room for `active`. */
  readonly expertsInto: (token: number, layer: number, out: Int32Array) => void;
  /** Fills the active neurons, ascending, numbered expert by expert; returns how many. `out` has room for active x ffn. */
  readonly neuronsInto: (token: number, layer: number, out: Int32Array) => number;
}

const MAGIC = "NLABTRCE";
const VERSION = 1;
const MOST_NAME = 4096;
const MOST_TOGETHER = 4096;
const MOST_BODY = 2 ** 30;

/** Only thrown and caught in this file: a chain of Eithers in a loop over every neuron would be the slow part. */
class Damage extends Error {}

const damaged = (what: string): never => {
  throw new Damage(what);
};

/** Reads numbers from a range of bytes and never beyond it. */
const reader = (bytes: Uint8Array, from: number, to: number) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = from;
  const need = (count: number, what: string): number => {
    if (count > to - at) damaged(`${what} needs ${count} bytes; ${to - at} are left`);
    at += count;
    return at - count;
  };
  return {
    at: (): number => at,
    skip: need,
    word: (what: string): number => view.getUint32(need(4, what), true),
    long: (what: string): number => {
      const start = need(8, what);
      return view.getUint32(start, true) + 2 ** 32 * view.getUint32(start + 4, true);
    },
    /** LEB128, at most five bytes. */
    number: (): number => {
      let value = 0;
      for (let scale = 1; scale <= 2 ** 28; scale *= 128) {
        const byte = bytes[need(1, "a number")]!;
        value += (byte & 0x7f) * scale;
        if (byte < 0x80) return value;
      }
      return damaged("a number of more than five bytes");
    },
  };
};

type Reader = ReturnType<typeof reader>;

interface Shape { readonly name: string; readonly layers: number; readonly experts: number; readonly active: number; readonly ffn: number; readonly neuronsRecorded: boolean }

const within = (what: string, found: number, low: number, high: number): number => (found >= low && found <= high ? found : damaged(`${what}: ${found}; should be from ${low} to ${high}`));

const headerOf = (bytes: Uint8Array, file: Reader): Shape => {
  const magic = file.skip(8, "the header");
  if (String.fromCharCode(...bytes.subarray(magic, magic + 8)) !== MAGIC) damaged(`it does not begin with ${MAGIC}`);
  const version = file.word("the header");
  if (version !== VERSION) damaged(`version ${version}; this program reads ${VERSION}`);
  const [layers, experts, active, ffn, flags, length] = Array.from({ length: 6 }, () => file.word("the header")) as [number, number, number, number, number, number];
  within("bytes of the name", length, 0, MOST_NAME);
  within("flags", flags, 0, 1);
  const start = file.skip(length, "the header");
  const name = new TextDecoder().decode(bytes.subarray(start, start + length));
  if (crc32(bytes, 0, file.at()) !== file.word("the header")) damaged("the checksum of its header is wrong");
  // Whoever reads a token of a layer makes room for all neurons of the experts in use, a gigabyte at this bound.
  if (flags === 1) within("neurons of the experts in use", active * ffn, 1, 2 ** 28);
  return { name, layers: within("layers", layers, 1, 4096), experts: within("experts", experts, 1, 4096), active: within("experts used", active, 1, experts), ffn: within("neurons", ffn, 1, 2 ** 24), neuronsRecorded: flags === 1 };
};

/** Reads one set of neurons to `out` (from `found` on, numbers raised by `first`); returns the new end. */
const setInto = (bytes: Uint8Array, file: Reader, ffn: number, first: number, out: Int32Array, found: number): number => {
  const head = file.number();
  const count = Math.floor(head / 2);
  if (count > ffn) damaged(`${count} active neurons of ${ffn}`);
  let end = found;
  if (head % 2 === 1) {
    const width = Math.ceil(ffn / 8);
    const start = file.skip(width, "a set of neurons");
    for (let i = 0; i < width; i++)
      for (let bits = bytes[start + i]!, neuron = 8 * i; bits !== 0; bits >>>= 1, neuron++)
        if ((bits & 1) === 1) {
          if (neuron >= ffn || end - found === count) damaged("a set of neurons that does not add up");
          out[end++] = first + neuron;
        }
    if (end - found !== count) damaged("a set of neurons that does not add up");
    return end;
  }
  for (let i = 0, next = 0; i < count; i++) {
    const neuron = next + file.number();
    if (neuron >= ffn) damaged("a set of neurons that does not add up");
    out[end++] = first + neuron;
    next = neuron + 1;
  }
  return end;
};

/** One token in one layer: experts to `experts` (where that is wanted) and neurons to `out`; returns how many neurons. */
const tokenInto = (bytes: Uint8Array, file: Reader, shape: Shape, experts: Int32Array, out: Int32Array): number => {
  let found = 0;
  for (let e = 0, before = -1; e < shape.active; e++) {
    const expert = file.number();
    if (expert >= shape.experts || expert <= before) damaged(`expert ${expert}, out of range or order`);
    experts[e] = before = expert;
    if (shape.neuronsRecorded) found = setInto(bytes, file, shape.ffn, expert * shape.ffn, out, found);
  }
  return found;
};

const decoded = (bytes: Uint8Array): ActivationTrace => {
  const file = reader(bytes, 0, bytes.length);
  const shape = headerOf(bytes, file);
  const { layers } = shape;
  const [experts, neurons] = [new Int32Array(shape.active), new Int32Array(shape.neuronsRecorded ? shape.active * shape.ffn : 0)];
  /** Where a token begins in a layer, tokens by layers. */
  const starts: Array<Float64Array> = [];
  for (let count = file.word("a chunk"); count !== 0; count = file.word("a chunk")) {
    const length = within("bytes of a chunk", file.word("a chunk"), 4 * within("tokens of a chunk", count, 1, MOST_TOGETHER), MOST_BODY);
    const sum = file.word("a chunk");
    const from = file.skip(length, "a chunk");
    if (crc32(bytes, from, from + length) !== sum) damaged(`the checksum of the chunk at token ${starts.length} is wrong`);
    const body = reader(bytes, from + 4 * count, from + length);
    const rows = Array.from({ length: count }, () => new Float64Array(layers));
    for (let layer = 0; layer < layers; layer++)
      for (const row of rows) {
        row[layer] = body.at();
        tokenInto(bytes, body, shape, experts, neurons);
      }
    if (body.at() !== from + length) damaged("a chunk longer than its tokens");
    starts.push(...rows);
  }
  const end = file.at();
  const [tokens, prompt] = [file.long("the end"), file.word("the end")];
  if (crc32(bytes, end, file.at()) !== file.word("the end") || file.at() !== bytes.length) damaged("the checksum of its end is wrong, or something follows it");
  if (tokens !== starts.length || prompt > tokens) damaged(`its end says ${tokens} tokens, ${prompt} of them given; there are ${starts.length}`);
  if (tokens === 0) damaged("it has no tokens");
  const read = (token: number, layer: number, into: Int32Array, out: Int32Array): number => tokenInto(bytes, reader(bytes, starts[token]![layer]!, bytes.length), shape, into, out);
  return { ...shape, tokens, prompt, expertsInto: (token, layer, out) => void read(token, layer, out, neurons), neuronsInto: (token, layer, out) => read(token, layer, experts, out) };
};

export const decodeTrace = (where: string) => (bytes: Uint8Array): Either<AppError, ActivationTrace> => {
  try {
    return E.right(decoded(bytes));
  } catch (fault) {
    if (!(fault instanceof Damage)) throw fault;
    return E.left(badInput(where, [{ path: "(whole)", message: `is no sound activation trace: ${fault.message}; neuronlab record writes them` }]));
  }
};
