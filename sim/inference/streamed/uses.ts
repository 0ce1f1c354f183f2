/** Which experts each layer of a token uses and which of them are not in memory: recorded or drawn, and looked up in the real cache. */
import type { ModelSpec } from "../../domain/model.js";
import type { RunRequest } from "../../domain/run.js";
import { createExpertCache } from "../../neurons/expert-cache.js";
import { expertChainOf } from "../../neurons/expert-reuse.js";
import type { Replay } from "../../neurons/routing.js";
import type { StreamedCosts } from "./costs.js";

/** Drawn tokens that go through the cache before the clock starts, so that a run begins in its steady state. */
const WARM_UP_TOKENS = 128;

/** `missing[i]` is 1 where the expert that is computed i-th in the layer must be read. */
export interface LayerExperts { readonly missing: Uint8Array; misses: number }

export interface StreamedUses {
  readonly nextToken: () => void;
  readonly fillLayer: (layer: number, out: LayerExperts) => void;
}

export const streamedUses = (model: ModelSpec, costs: StreamedCosts, request: RunRequest, replay: Replay | null): StreamedUses => {
  const { layers, experts, active, capacity } = costs;
  const cache = createExpertCache(layers.map(({ expertBytes }) => expertBytes), experts, capacity);
  const found = new Uint8Array(Math.max(active, experts));
  const places = new Int32Array(active);
  /** Kernels compute the experts in use in the order of their numbers; the cache sees them as the router ranks them. */
  const look = (layer: number, used: ArrayLike<number>, out: LayerExperts): void => {
    out.misses = cache.useLayer(layer, used, found);
    for (let i = 0; i < active; i++) places[i] = i;
    places.sort((a, b) => used[a]! - used[b]!);
    for (let i = 0; i < active; i++) out.missing[i] = found[places[i]!]!;
  };
  const scratch: LayerExperts = { missing: new Uint8Array(active), misses: 0 };
  if (replay !== null) {
    const { routing, skip } = replay;
    const usedBy = (token: number, layer: number): Int32Array => routing.used.subarray((token * layers.length + layer) * active, (token * layers.length + layer + 1) * active);
    routing.prompt.forEach((used, layer) => cache.useLayer(layer, used, found));
    for (let token = 0; token < skip; token++) for (let layer = 0; layer < layers.length; layer++) look(layer, usedBy(token, layer), scratch);
    let token = skip - 1;
    return { nextToken: () => void token++, fillLayer: (layer, out) => look(layer, usedBy(token, layer), out) };
  }
  const chains = layers.map((_, layer) => expertChainOf(model, layer, request.seed, `streamed/experts/layer-${layer}`));
  const nextToken = (): void => {
    for (const chain of chains) chain.step();
  };
  if (capacity < Infinity)
    for (let token = 0; token < WARM_UP_TOKENS; token++) {
      nextToken();
      for (let layer = 0; layer < layers.length; layer++) look(layer, chains[layer]!.inUse, scratch);
    }
  const nothing = (out: LayerExperts): void => {
    out.missing.fill(0);
    out.misses = 0;
  };
  return { nextToken, fillLayer: (layer, out) => (capacity === Infinity ? nothing(out) : look(layer, chains[layer]!.inUse, out)) };
};
