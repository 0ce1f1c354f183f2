/** Activation traces written the obvious way, and read back as plain lists. */
import { crc32 } from "../../sim/base/checksum.js";
import type { ActivationTrace } from "../../sim/neurons/trace.js";

/** Tokens by layers: each expert in use (ascending) with its active neurons (ascending). */
export type Text = ReadonlyArray<ReadonlyArray<ReadonlyArray<readonly [number, ReadonlyArray<number>]>>>;
export interface Shape { readonly layers: number; readonly experts: number; readonly active: number; readonly ffn: number; readonly neuronsRecorded?: boolean }

const number = (value: number): ReadonlyArray<number> => (value < 128 ? [value] : [(value % 128) + 128, ...number(Math.floor(value / 128))]);
const word = (value: number): ReadonlyArray<number> => [...new Uint8Array(Uint32Array.of(value).buffer)];

/** The obvious writer: neurons as distances, all tokens in one chunk, fired neurons recorded unless the shape says otherwise. The engine's own is held to the same vectors. */
export const writeSlow = ({ layers, experts, active, ffn, neuronsRecorded = true }: Shape, text: Text, prompt = 0): Uint8Array => {
  const header = [...new TextEncoder().encode("NLABTRCE"), ...[1, layers, experts, active, ffn, neuronsRecorded ? 1 : 0, 0].flatMap(word)];
  const set = (neurons: ReadonlyArray<number>): ReadonlyArray<number> => [...number(2 * neurons.length), ...neurons.flatMap((neuron, i) => number(i === 0 ? neuron : neuron - neurons[i - 1]! - 1))];
  const body = [...text.flatMap((_, token) => word(token)), ...Array.from({ length: layers }, (_, layer) => text.flatMap((token) => (token[layer] ?? []).flatMap(([expert, neurons]) => [...number(expert), ...(neuronsRecorded ? set(neurons) : [])]))).flat()];
  const end = [...word(text.length), ...word(0), ...word(prompt)];
  const sum = (bytes: ReadonlyArray<number>): ReadonlyArray<number> => word(crc32(Uint8Array.from(bytes)));
  const chunk = text.length === 0 ? [] : [...word(text.length), ...word(body.length), ...sum(body), ...body];
  return Uint8Array.from([...header, ...sum(header), ...chunk, ...word(0), ...end, ...sum(end)]);
};

/** Everything a trace says, token by token. */
export const told = (trace: ActivationTrace): Text =>
  Array.from({ length: trace.tokens }, (_, token) =>
    Array.from({ length: trace.layers }, (__, layer) => {
      const [experts, neurons] = [new Int32Array(trace.active), new Int32Array(trace.active * trace.ffn)];
      trace.expertsInto(token, layer, experts);
      const found = trace.neuronsInto(token, layer, neurons);
      return [...experts].map((expert) => [expert, [...neurons.subarray(0, found)].filter((neuron) => Math.floor(neuron / trace.ffn) === expert).map((neuron) => neuron % trace.ffn)] as const);
    }));
