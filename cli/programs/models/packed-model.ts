/** A recorded model as the simulator knows one that was packed for the engine: shapes and statistics from the recording, rows and groups from the file. Pure. */
import { basename } from "node:path";
import type { Fact } from "../../../sim/domain/fact.js";
import type { ModelSpec } from "../../../sim/domain/model.js";
import type { ActivationTrace } from "../../../sim/neurons/trace.js";
import type { PackReport, RecordReport, SynthRequest } from "../../../engine/index.js";
import { recordedModel } from "../record/recorded-model.js";

/** Bits of a weight and of its scale, by the format's name. */
const BITS: Readonly<Record<SynthRequest["weights"], { readonly weight: number; readonly scale: number }>> = { f32: { weight: 32, scale: 0 }, f16: { weight: 16, scale: 0 }, q8_0: { weight: 8, scale: 0.5 }, q4_0: { weight: 4, scale: 0.5 } };

const isFormat = (name: string): name is SynthRequest["weights"] => Object.hasOwn(BITS, name);

const rowOf = (format: SynthRequest["weights"], hidden: number): number => (hidden * (BITS[format].weight + BITS[format].scale)) / 8;

/** The format that gate and up have in common, told by the bytes of a neuron; null where they have none of these. */
export const weightsOf = ({ layers, experts, neurons, hidden }: RecordReport, { payloadBytes, down }: PackReport): SynthRequest["weights"] | null => {
  const name = down.toLowerCase();
  if (!isFormat(name)) return null;
  const gateAndUp = payloadBytes / (layers * experts * neurons) - rowOf(name, hidden);
  return (Object.keys(BITS) as ReadonlyArray<SynthRequest["weights"]>).find((format) => 2 * rowOf(format, hidden) === gateAndUp) ?? null;
};

/** `weights` is the format of all matrices but down, which the report names. */
export const packedModel = (record: RecordReport, trace: ActivationTrace, file: string, { group, down }: PackReport, weights: SynthRequest["weights"]): ModelSpec => {
  const derived = (value: number): Fact => ({ value, kind: "derived", source: `the packed file of ${basename(file)}`, note: "" });
  const row = (format: SynthRequest["weights"]): number => rowOf(format, record.hidden);
  const name = down.toLowerCase();
  const model = recordedModel(record, trace, file);
  return {
    ...model,
    quantisation: { weightBits: derived(BITS[weights].weight), scaleBits: derived(BITS[weights].scale) },
    packing: { group, gateRow: derived(row(weights)), upRow: derived(row(weights)), downRow: derived(row(isFormat(name) ? name : weights)) },
  };
};

/** As a file has it: quantities carry their units, and empty notes are left out. */
export const encodePackedModel = (model: ModelSpec): unknown => {
  const inBytes = ({ note, ...fact }: Fact): unknown => ({ ...fact, value: `${fact.value}B`, ...(note === "" ? {} : { note }) });
  const bare = ({ note, ...fact }: Fact): unknown => ({ ...fact, ...(note === "" ? {} : { note }) });
  const { packing, quantisation, ...rest } = model;
  return {
    ...rest,
    quantisation: { weightBits: bare(quantisation.weightBits), scaleBits: bare(quantisation.scaleBits) },
    packing: packing === null ? null : { group: packing.group, gateRow: inBytes(packing.gateRow), upRow: inBytes(packing.upRow), downRow: inBytes(packing.downRow) },
  };
};
