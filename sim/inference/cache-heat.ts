/**
 * Which neurons are found in memory, as a map: layers by popularity. The same law as in sparse-draws.ts, asked bin by bin and not in sum; it is
 * known where neurons are kept by a hot segment, by recency, or by both.
 */
import type { DeviceProfile } from "../domain/device.js";
import type { ModelSpec } from "../domain/model.js";
import type { Plan } from "../domain/plan.js";
import type { RunRequest } from "../domain/run.js";
import type { SystemSpec } from "../domain/system.js";
import { rateBins } from "../neurons/activation.js";
import { missByRateOfModel } from "../neurons/populations.js";
import { layerRates } from "./layer-rates.js";

export interface HeatBin {
  /** Neurons of an expert that are hotter, and those with the bin's own, as shares of all. */
  readonly from: number;
  readonly to: number;
  /** Probability that a token which uses the neuron's expert uses the neuron. */
  readonly rate: number;
  /** Share of its uses that find it in memory. */
  readonly held: number;
}

export interface CacheHeat {
  /** Share of every expert's neurons, the hottest, that never leaves. */
  readonly pinned: number;
  readonly layers: ReadonlyArray<ReadonlyArray<HeatBin>>;
}

export interface HeatInputs { readonly device: DeviceProfile; readonly model: ModelSpec; readonly system: SystemSpec; readonly plan: Plan; readonly request: RunRequest }

/** null where no neuron is chosen and kept by itself: in dense, gated and prefill runs, and in other caches than these. */
export const cacheHeat = ({ device, model, system, plan, request }: HeatInputs): CacheHeat | null => {
  const { computation, cache } = plan.mechanisms;
  if (request.phase !== "decode" || computation !== "predicted" || (cache !== "segmented" && cache !== "neuron-lru" && cache !== "static-hot")) return null;
  const rates = layerRates(device, model, system, plan, request);
  const pinned = rates.allResident ? 1 : Math.min(1, rates.hotShare + rates.prefetchShare);
  const layers = Array.from({ length: model.layers }, (_, layer) => rateBins(model, layer));
  const keepsCold = rates.coldShare > 0 && !rates.allResident;
  const missing = keepsCold ? missByRateOfModel(model, layers.map((bins, layer) => ({ layer, bins })), { pinnedShare: pinned, capacityShare: rates.coldShare, tokenVariation: model.activations.tokenVariation.value / Math.sqrt(request.batch), batch: request.batch }) : null;
  return { pinned, layers: layers.map((bins, layer) => binsOf(bins, pinned, missing?.[layer] ?? null)) };
};

const binsOf = ({ share, rate }: ReturnType<typeof rateBins>, pinned: number, missing: Float64Array | null): ReadonlyArray<HeatBin> => {
  let end = 0;
  return Array.from(share, (width, i): ReadonlyArray<HeatBin> => {
    const from = end;
    end += width;
    const to = end;
    const cold = missing === null ? 0 : 1 - missing[i]!;
    // The edge of the hot segment cuts a bin in two.
    const parts = from < pinned && pinned < to ? [[from, pinned, 1], [pinned, to, cold]] as const : [[from, to, to <= pinned + 1e-12 ? 1 : cold]] as const;
    return parts.map(([low, high, held]) => ({ from: low, to: high, rate: rate[i]!, held }));
  }).flat();
};
