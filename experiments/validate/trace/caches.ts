/**
 * What a cache of neurons finds, replayed look-up by look-up over a text, and what the simulator's closed form says it finds. What a layer uses stays until its
 * end, and things are looked up in ascending order: as the engine's cold segment does it (sim/inference/gated).
 */
import type { ModelSpec } from "../../../sim/domain/model.js";
import { rateBins, type RateBins } from "../../../sim/neurons/activation.js";
import { staticMiss } from "../../../sim/neurons/locality.js";
import { lruMissOfModel, windowMissOfModel, windowTokensOfModel } from "../../../sim/neurons/populations.js";
import { unitBins } from "../../../sim/inference/gated/cluster-uses.js";
import { WINDOW_TOKENS } from "../../../sim/inference/gated/segments.js";
import { evictionPolicies, type EvictionPolicy } from "../../../sim/policies/eviction/index.js";
import type { Rates, Text } from "./text.js";

/** Shares of all neurons that a cache holds. */
export const BUDGETS = [0.05, 0.1, 0.25, 0.5, 0.75, 1] as const;

/** Knows what is to come: the bound of the others, replayed over the recorded text alone. */
export const BEST = "belady";
export const POLICIES: ReadonlyArray<string> = evictionPolicies.names.filter((name) => name !== BEST);

/** Things that are looked up in a text, `unit` neurons each, in order; and where each layer of each token ends. */
interface LookUps { readonly things: number; readonly ids: Int32Array; readonly ends: Int32Array }

export const lookUpsOf = (text: Text, unit: number): LookUps => {
  const units = Math.ceil(text.ffn / unit);
  const perLayer = text.experts * units;
  const ids = new Int32Array(text.layers.reduce((sum, layer) => sum + layer.ids.length, 0));
  const ends = new Int32Array(text.tokens * text.layers.length);
  let [at, part] = [0, 0];
  for (let token = 0; token < text.tokens; token++)
    text.layers.forEach(({ starts, ids: fired }, layer) => {
      let last = -1;
      for (let i = starts[token]!; i < starts[token + 1]!; i++) {
        const expert = Math.floor(fired[i]! / text.ffn);
        const thing = layer * perLayer + expert * units + Math.floor((fired[i]! - expert * text.ffn) / unit);
        if (thing !== last) ids[at++] = last = thing;
      }
      ends[part++] = at;
    });
  return { things: perLayer * text.layers.length, ids: ids.subarray(0, at), ends };
};

/** How often each thing is wanted a token, from the rates of an earlier text: what a fixed choice goes by. */
export const heatOf = (text: Text, uses: ReadonlyArray<Float64Array>, rates: Rates): Float64Array =>
  Float64Array.from(rates.flatMap((of, layer) => Array.from(of, (rate, place) => (rate * uses[layer]![Math.floor(place / text.ffn)]!) / text.tokens)));

/** The share found of the look-ups from token `from` on; those before fill the cache. */
export const hitRate = (policy: EvictionPolicy, text: Text, lookUps: LookUps, budget: number, heat: Float64Array, from: number): number => {
  const { things, ids, ends } = lookUps;
  const slots = Math.floor(budget * things);
  const inUse = new Uint8Array(things);
  const used: Array<number> = [];
  const foresees = policy.name === BEST;
  const state = policy.start({
    slots, things, heat, windowTokens: WINDOW_TOKENS, future: foresees ? ids : [], onEvict: () => undefined,
    ...(foresees ? {} : { held: { count: () => used.length, has: (thing: number) => inUse[thing] === 1 } }),
  });
  let [hits, lookedUp, at, part] = [0, 0, 0, 0];
  for (let token = 0; token < text.tokens; token++) {
    for (let layer = 0; layer < text.layers.length; layer++) {
      for (const end = ends[part++]!; at < end; at++) {
        const thing = ids[at]!;
        const found = state.request(thing);
        if (token >= from) {
          lookedUp++;
          if (found) hits++;
        }
        if (inUse[thing] === 0 && (found || state.isResident(thing))) {
          inUse[thing] = 1;
          used.push(thing);
        }
      }
      for (const thing of used) inUse[thing] = 0;
      used.length = 0;
    }
    state.endToken();
  }
  return hits / Math.max(1, lookedUp);
};

export const policyNamed = (name: string): EvictionPolicy => {
  const found = evictionPolicies.all.find((policy) => policy.name === name);
  if (found === undefined) throw new Error(`no eviction policy ${name}`);
  return found;
};

const demandOf = ({ share, rate }: RateBins): number => share.reduce((sum, one, b) => sum + one * rate[b]!, 0);

/** The hit rate of the closed form over these layers (Che's approximation for LRU, which it takes for every policy but the window and the fixed choice). */
export const predictedHitRate = (model: ModelSpec, layers: ReadonlyArray<RateBins>, policy: string, budget: number): number => {
  const numbered = layers.map((bins, layer) => ({ layer, bins }));
  const demands = layers.map(demandOf);
  const hits = (misses: ReadonlyArray<number>): number => 1 - misses.reduce((sum, one, layer) => sum + demands[layer]! * one, 0) / demands.reduce((sum, one) => sum + one, 0);
  switch (policy) {
    case "static-hot":
      return hits(layers.map((bins) => staticMiss(bins, budget)));
    case "window":
      return hits(numbered.map((one) => windowMissOfModel(model, one, 0, Math.min(WINDOW_TOKENS, windowTokensOfModel(model, one, budget)), 1).missOfActive));
    default:
      return budget >= 1 ? 1 : hits(lruMissOfModel(model, numbered, { pinnedShare: 0, capacityShare: budget, tokenVariation: model.activations.tokenVariation.value, batch: 1 }).map(({ missOfActive }) => missOfActive));
  }
};

/** The layers as the model's statistics have them. */
export const modelLayers = (model: ModelSpec, unit: number, seed: number): ReadonlyArray<RateBins> => Array.from({ length: model.layers }, (_, layer) => unitBins(rateBins(model, layer), unit, seed));
