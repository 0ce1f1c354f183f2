/**
 * What a run must hold in DRAM, by part, and how large the FFN cache can then be. Follows the paper's own account of its
 * 7 GB budget: non-FFN weights with KV, predictors, FFN scales, runtime, and what is left for neurons (Figure 10's text).
 */
import { E, type Either } from "../base/fp.js";
import type { AppError } from "../base/errors.js";
import type { DeviceProfile } from "../domain/device.js";
import { rowsOf, sizesOf, type ModelSpec } from "../domain/model.js";
import type { RunRequest } from "../domain/run.js";
import type { Mechanisms, SystemSpec } from "../domain/system.js";

export interface Fit {
  readonly memory: number;
  readonly fixed: number;
  readonly predictors: number;
  readonly scales: number;
  readonly kv: number;
  readonly runtime: number;
  /** Left for FFN weights, never more than all of them take. */
  readonly ffn: number;
  /** What the FFN weights take in the cache when all are there. */
  readonly ffnAll: number;
  readonly all: boolean;
}

/** Bytes of one neuron in the cache: its useful bytes, without the scales when those are kept apart (the paper counts 400 MB as 65 K neurons). */
export const cachedNeuronBytes = (model: ModelSpec, mechanisms: Mechanisms): number => {
  if (mechanisms.computation === "gated") {
    const { gateRow, upDownRow } = rowsOf(model);
    return gateRow + upDownRow;
  }
  const sizes = sizesOf(model);
  return mechanisms.scalesResident === "yes" ? 3 * sizes.rowBytes : sizes.neuronBytes;
};

export const fitMemory = (device: DeviceProfile, model: ModelSpec, system: SystemSpec, mechanisms: Mechanisms, request: RunRequest): Either<AppError, Fit> => {
  const sizes = sizesOf(model);
  const sparse = mechanisms.computation === "predicted";
  const decoded = request.phase === "decode" ? request.tokens : 0;
  const kv = sizes.kvBytesPerToken * (request.prompt + decoded) * request.batch;
  const fixed = sizes.nonFfnBytes;
  const predictors = sparse ? sizes.predictorBytesPerLayer * model.layers : 0;
  const scales = sparse && mechanisms.scalesResident === "yes" ? sizes.neuronScaleBytes * sizes.neurons : 0;
  const runtime = system.software.runtimeBytes.value;
  const ffnAll = cachedNeuronBytes(model, mechanisms) * sizes.neurons;
  const others = fixed + predictors + scales + kv + runtime;
  const memory = request.memory._tag === "Bytes" ? request.memory.bytes : request.memory._tag === "All" ? others + ffnAll : others + (1 - request.memory.share) * ffnAll;
  // A mapped file can be paged, attention weights and all; everything else must hold what is not FFN.
  const mapped = mechanisms.cache === "page-cache";
  const least = mapped ? kv + runtime : others;
  const parts = [
    { part: mapped ? "weights outside the FFN (can be paged)" : "weights outside the FFN", bytes: fixed },
    { part: "predictors", bytes: predictors },
    { part: "FFN scales", bytes: scales },
    { part: "KV cache", bytes: kv },
    { part: "runtime", bytes: runtime },
    { part: "all FFN weights", bytes: ffnAll },
  ].filter((p) => p.bytes > 0);
  const notFitting = (needed: number, allowed: number, hint: string): AppError => ({ _tag: "DoesNotFit", needed, allowed, parts, hint });
  if (memory < least) return E.left(notFitting(least, memory, `the smallest budget that would work is ${Math.ceil(least / 1e6)}MB, for what ${mapped ? "cannot be paged" : "lies outside the FFN"}; parts of the run, largest first:`));
  if (mechanisms.offload === "no" && memory < others + ffnAll) return E.left(notFitting(others + ffnAll, memory, `${system.title} cannot leave weights on flash; its parts, largest first:`));
  if (request.memory._tag !== "All" && memory > device.dram.usable.value)
    return E.left(notFitting(memory, device.dram.usable.value, `${device.title} gives one app no more than that; parts of the request, largest first:`));
  const ffn = Math.max(0, Math.min(ffnAll, memory - others));
  return E.right({ memory, fixed, predictors, scales, kv, runtime, ffn, ffnAll, all: ffn >= ffnAll * (1 - 1e-9) });
};
