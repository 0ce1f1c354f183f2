/** What a report is of, as it says itself, beside what it is said to be of. Pure. */
import { showBytes } from "../../../sim/base/units.js";
import type { DeviceProfile } from "../../../sim/domain/device.js";
import { sizesOf, type ModelSpec } from "../../../sim/domain/model.js";
import type { Row } from "../bench/rows.js";
import { likeDevice, unlikeModel } from "./likeness.js";

/** How far the parameters of a report's model may lie from those of the model that is simulated: embeddings are counted once or twice. */
export const PARAMETERS_NEAR = 0.1;
/** A format of weights of another size is another speed. */
const BYTES_NEAR = 0.1;

const bytesOf = (model: ModelSpec): number => sizesOf(model).ffnBytes + sizesOf(model).nonFfnBytes;

export const parametersOf = (model: ModelSpec): number => bytesOf(model) / ((model.quantisation.weightBits.value + model.quantisation.scaleBits.value) / 8);

export interface Matched {
  readonly file: string;
  readonly filename: string;
  readonly type: string;
  readonly parameters: { readonly reported: number; readonly simulated: number };
  readonly bytes: { readonly reported: number; readonly simulated: number };
  readonly cpu: string;
  readonly gpu: string;
  readonly backends: string;
  /** Why the name or the type is not the model's; null where both look like it. */
  readonly unlikeModel: string | null;
  /** null: the report says nothing of its processor. */
  readonly likeDevice: boolean | null;
}

/** One for each model and machine in each report. */
export const matchedOf = (rows: ReadonlyArray<{ readonly file: string; readonly row: Row }>, model: ModelSpec, device: DeviceProfile, known: ReadonlyArray<string>): ReadonlyArray<Matched> => {
  const all = rows.map(({ file, row }): Matched => ({
    file, filename: row.model_filename, type: row.model_type,
    parameters: { reported: row.model_n_params, simulated: Math.round(parametersOf(model)) },
    bytes: { reported: row.model_size, simulated: Math.round(bytesOf(model)) },
    cpu: String(row.cpu_info), gpu: String(row.gpu_info), backends: row.backends,
    unlikeModel: unlikeModel({ filename: row.model_filename, type: row.model_type }, model, known),
    likeDevice: likeDevice(String(row.cpu_info), device),
  }));
  return [...new Map(all.map((one) => [JSON.stringify(one), one])).values()];
};

const billions = (parameters: number): string => `${(parameters / 1e9).toFixed(2)} billion parameters`;
const processorOf = ({ cpu }: Matched): string => (cpu.trim() === "" ? "a processor that it does not name" : cpu.trim());

/** What was compared, whether it agrees or not. */
export const describeMatched = (all: ReadonlyArray<Matched>, model: ModelSpec, device: DeviceProfile): ReadonlyArray<string> =>
  all.flatMap((one) => [
    `${one.file}: ${one.filename} (${one.type}), ${billions(one.parameters.reported)}, ${showBytes(one.bytes.reported)}; taken for ${model.name}, ${billions(one.parameters.simulated)}, ${showBytes(one.bytes.simulated)} as it is simulated`,
    `${one.file}: made on ${processorOf(one)}${one.gpu.trim() === "" ? "" : `, GPU ${one.gpu.trim()}`}, backend ${one.backends}; taken for ${device.name}, ${device.soc}`,
  ]);

export const warningsOf = (all: ReadonlyArray<Matched>, model: ModelSpec, device: DeviceProfile): ReadonlyArray<string> => [...new Set(all.flatMap((one) => [
  ...(one.unlikeModel === null ? [] : [`${one.file} may be of another model than ${model.name}: ${one.unlikeModel} (${one.filename}, ${one.type}), and models of one size differ in speed`]),
  ...(Math.abs(one.bytes.reported / one.bytes.simulated - 1) <= BYTES_NEAR ? [] : [`${one.file} was made with ${showBytes(one.bytes.reported)} of weights (${one.type}), and ${showBytes(one.bytes.simulated)} are simulated: a token reads all of them, so the two do not compare`]),
  ...(one.likeDevice !== false ? [] : [`${one.file} may be of another machine than ${device.name}: it was made on ${processorOf(one)}, which does not look like ${device.soc}`]),
]))];
