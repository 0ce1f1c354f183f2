/**
 * Which dense weights a token must read first: none when all is resident, a layer's FFN streamed each time (QNN), or what
 * the page cache has dropped of a mapped file (llama.cpp), looked up extent by extent in the real cache structure.
 */
import { sizesOf, type ModelSpec } from "../domain/model.js";
import type { Plan } from "../domain/plan.js";
import { createPageCache } from "../hardware/page-cache.js";
import { createExpertChain } from "../neurons/experts.js";
import { layerExperts } from "../neurons/layers.js";
import { layerUse } from "../neurons/populations.js";
import type { LayerDraw } from "./decode-layer.js";

/** A tensor is touched whole, but reclaim takes pages: extents of this size let a tensor be half there. */
const EXTENT_BYTES = 16e6;
/** Tokens played through the page cache before the clock starts, so that a run begins in its steady state. */
const WARM_UP_TOKENS = 48;

export interface DenseWeights {
  readonly nextToken: () => void;
  readonly fillLayer: (layer: number, out: LayerDraw) => void;
  readonly headMissing: () => number;
}

export const denseWeights = (model: ModelSpec, plan: Plan, batch: number, allResident: boolean, seed: number): DenseWeights => {
  const sizes = sizesOf(model);
  const { count, active } = model.experts;
  const expertBytes = sizes.ffnBytes / model.layers / count;
  const inUse = Array.from({ length: model.layers }, (_, layer) => layerUse(model, layer, batch).active);
  if (plan.mechanisms.cache !== "page-cache") {
    return {
      nextToken: () => {},
      headMissing: () => 0,
      fillLayer: (layer, out) => {
        out.denseBytes = inUse[layer]! * expertBytes;
        // A streaming engine fetches the experts in use of the layer; with one expert that is the whole FFN.
        out.denseMissingBytes = allResident ? 0 : inUse[layer]! * expertBytes;
        out.attentionMissingBytes = 0;
      },
    };
  }
  const pieces = Math.max(1, Math.ceil(expertBytes / EXTENT_BYTES));
  const perLayer = 1 + count * pieces;
  const extents = new Float64Array(model.layers * perLayer + 1);
  for (let layer = 0; layer < model.layers; layer++) {
    extents[layer * perLayer] = sizes.attentionBytes;
    extents.fill(expertBytes / pieces, layer * perLayer + 1, (layer + 1) * perLayer);
  }
  const head = extents.length - 1;
  extents[head] = sizes.headBytes;
  const cache = createPageCache(extents, plan.cache.cold);
  const chains = Array.from({ length: model.layers }, (_, layer) =>
    Array.from({ length: batch }, (_s, sequence) => createExpertChain(layerExperts(model, layer), seed, `pages/experts/layer-${layer}/sequence-${sequence}`)));
  const isUsed = new Uint8Array(count);
  const touchLayer = (layer: number, out: { denseBytes: number; denseMissingBytes: number; attentionMissingBytes: number }): void => {
    out.attentionMissingBytes = cache.touch(layer * perLayer);
    isUsed.fill(0);
    for (const chain of chains[layer]!) for (let i = 0; i < active; i++) isUsed[chain.inUse[i]!] = 1;
    out.denseBytes = 0;
    out.denseMissingBytes = 0;
    for (let expert = 0; expert < count; expert++) {
      if (isUsed[expert] === 0) continue;
      out.denseBytes += expertBytes;
      for (let piece = 0; piece < pieces; piece++) out.denseMissingBytes += cache.touch(layer * perLayer + 1 + expert * pieces + piece);
    }
  };
  const nextToken = (): void => {
    for (const layer of chains) for (const chain of layer) chain.step();
  };
  const scratch = { denseBytes: 0, denseMissingBytes: 0, attentionMissingBytes: 0 };
  for (let token = 0; token < WARM_UP_TOKENS; token++) {
    nextToken();
    for (let layer = 0; layer < model.layers; layer++) touchLayer(layer, scratch);
    cache.touch(head);
  }
  return { nextToken, fillLayer: touchLayer, headMissing: () => cache.touch(head) };
};
