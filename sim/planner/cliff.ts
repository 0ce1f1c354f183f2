/**
 * The LRU cliff in closed form: a cache that evicts the least recently used and is smaller than what one token uses has
 * evicted everything by the time it is used again, and finds nothing (sim/neurons/locality.ts).
 */
import { sizesOf, type ModelSpec } from "../domain/model.js";
import type { Plan } from "../domain/plan.js";
import { streamsExperts } from "../domain/system.js";
import { rateBins, sliceBins } from "../neurons/activation.js";
import { layerUnion, layerUse } from "../neurons/populations.js";
import { cachedNeuronBytes } from "./fit.js";

/** Bytes of FFN neurons that one token (of each sequence) uses beyond the hottest `pinned` share of all, as the cache holds them. */
export const demandOfOneToken = (model: ModelSpec, plan: Pick<Plan, "mechanisms">, batch: number, pinned: number): number => {
  const { count, active } = model.experts;
  if (streamsExperts(plan.mechanisms)) return (sizesOf(model).ffnBytes * active) / count;
  let neurons = 0;
  for (let layer = 0; layer < model.layers; layer++) {
    const bins = layerUnion(model, layer, rateBins(model, layer), batch);
    neurons += model.ffn * layerUse(model, layer, batch).active * (1 - pinned) * sliceBins(bins, pinned, 1).meanRate;
  }
  return neurons * cachedNeuronBytes(model, plan.mechanisms);
};

export interface Cliff {
  /** Of the FFN cache, the hot and the cold segment together, and of the cold segment alone. */
  readonly cacheBytes: number;
  readonly coldBytes: number;
  /** What one token uses in all, and beyond the hot segment. */
  readonly demandBytes: number;
  readonly coldDemandBytes: number;
  /** An LRU over the whole cache would find next to nothing; the plan's own cold segment does. */
  readonly wholeIsUnder: boolean;
  readonly coldIsUnder: boolean;
}

export const cliffOf = (model: ModelSpec, plan: Plan, batch: number): Cliff => {
  const { hot, cold } = plan.cache;
  const all = cachedNeuronBytes(model, plan.mechanisms) * sizesOf(model).neurons;
  const pinned = Math.min(1, hot / all);
  const resident = hot + cold >= all * (1 - 1e-9);
  const demandBytes = demandOfOneToken(model, plan, batch, 0);
  const coldDemandBytes = demandOfOneToken(model, plan, batch, pinned);
  return { cacheBytes: hot + cold, coldBytes: cold, demandBytes, coldDemandBytes, wholeIsUnder: !resident && hot + cold < demandBytes, coldIsUnder: !resident && cold > 0 && cold < coldDemandBytes };
};
