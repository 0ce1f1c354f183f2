/** Layers and experts of a model that a recording tells apart: each layer gets its own, where a run draws and where a closed form asks. */
import { describe, expect, it } from "vitest";
import type { LayerDraw } from "../../../sim/inference/decode-layer.js";
import { denseWeights } from "../../../sim/inference/dense-weights.js";
import { sizesOf } from "../../../sim/domain/model.js";
import type { Plan } from "../../../sim/domain/plan.js";
import { meanRate, rateBins } from "../../../sim/neurons/activation.js";
import { expertChainOf } from "../../../sim/neurons/expert-reuse.js";
import { layerExperts } from "../../../sim/neurons/layers.js";
import { layerUse, lruMissOfModel, missByRateOfModel, wholeExpertMisses } from "../../../sim/neurons/populations.js";
import { createTokenSampler } from "../../../sim/neurons/sampling.js";
import { testModel } from "../../arb/neurons.js";
import { run, systemNamed, withLayersApart } from "../../arb/runs.js";

const model = withLayersApart(testModel({ layers: 4, ffn: 256, experts: { count: 8, active: 2, repeat: 0.45 }, activeShare: 0.1, overlap: 0.1, variation: 0.15 }));
const LAYERS = [0, 1, 2, 3] as const;
const STEPS = 4000;
/** Layers 1 and the others differ by more than this. */
const WITHIN = 0.02;

describe("layers apart", () => {
  it("differ, so that a layer in the place of another shows", () => {
    const used = LAYERS.map((layer) => layerUse(model, layer, 4));
    expect(used[0]!.active / used[1]!.active).toBeGreaterThan(1 + 3 * WITHIN);
    expect(Math.abs(layerUse(model, 0, 1).repeat - layerUse(model, 1, 1).repeat)).toBeGreaterThan(3 * WITHIN);
  });

  it("have their own experts in use, in a batch, of the draws at cluster fidelity", () => {
    const table = { coldPerExpert: 0, clusterNeurons: 64, activeRate: 0, missIfExpertRepeats: 0, missIfExpertSwitches: 0 };
    const sampler = createTokenSampler(model, 1, LAYERS.map(() => table), 4);
    const used = LAYERS.map(() => 0);
    for (let step = 0; step < STEPS; step++) {
      sampler.nextToken();
      for (const layer of LAYERS) used[layer]! += sampler.expertsInUse(layer) / STEPS;
    }
    for (const layer of LAYERS) expect(Math.abs(used[layer]! / layerUse(model, layer, 4).active - 1), `layer ${layer}`).toBeLessThan(WITHIN);
  });

  it.each(["none", "page-cache"] as const)("have their own weights read where all of an expert is computed: %s", (cache) => {
    const plan = { mechanisms: { cache }, cache: { cold: 1e12 } } as unknown as Plan;
    const expertBytes = sizesOf(model).ffnBytes / model.layers / 8;
    const weights = denseWeights(model, plan, 4, true, 1);
    const out = { denseBytes: 0, denseMissingBytes: 0, attentionMissingBytes: 0 } as LayerDraw;
    const bytes = LAYERS.map(() => 0);
    for (let step = 0; step < STEPS; step++) {
      weights.nextToken();
      for (const layer of LAYERS) {
        weights.fillLayer(layer, out);
        bytes[layer]! += out.denseBytes / STEPS;
      }
    }
    for (const layer of LAYERS) expect(Math.abs(bytes[layer]! / expertBytes / layerUse(model, layer, 4).active - 1), `layer ${layer}`).toBeLessThan(WITHIN);
  });

  it.each([0.4, 0.6, 0.8])("miss whole experts as an LRU that serves them all does, at %f of the room", (capacityShare) => {
    const chains = LAYERS.map((layer) => expertChainOf(model, layer, 1, `layer ${layer}`));
    const capacity = Math.round(capacityShare * 4 * 8);
    // A Map keeps the order in which keys came: the first is the one that was used longest ago.
    const kept = new Map<number, true>();
    const missed = LAYERS.map(() => 0);
    for (let step = 0; step < 10 * STEPS; step++)
      chains.forEach((chain, layer) => {
        chain.step();
        for (const expert of chain.inUse) {
          const key = layer * 8 + expert;
          if (!kept.delete(key)) missed[layer]! += 1 / (20 * STEPS);
          kept.set(key, true);
          if (kept.size > capacity) kept.delete(kept.keys().next().value!);
        }
      });
    const predicted = wholeExpertMisses(model, 4, capacityShare);
    // So few experts are no fluid: Che's time is a number here, and the real one changes from token to token.
    for (const layer of LAYERS) expect(Math.abs(predicted[layer]! - missed[layer]!), `layer ${layer}: ${missed[layer]} replayed, ${predicted[layer]} predicted`).toBeLessThan(0.05);
  });

  it("miss as much by rate as in all", () => {
    const layers = LAYERS.map((layer) => ({ layer, bins: rateBins(model, layer) }));
    const cache = { pinnedShare: 0, capacityShare: 0.3, tokenVariation: 0, batch: 1 };
    const [all, byRate] = [lruMissOfModel(model, layers, cache), missByRateOfModel(model, layers, cache)];
    layers.forEach(({ layer, bins }) => {
      const mean = bins.share.reduce((sum, share, bin) => sum + share * bins.rate[bin]! * byRate[layer]![bin]!, 0) / meanRate(bins);
      expect(Math.abs(mean - all[layer]!.missOfActive), `layer ${layer}`).toBeLessThan(1e-6);
    });
  });

  it("make one chain each", () => {
    for (const layer of LAYERS) {
      const chain = expertChainOf(model, layer, 1, "own");
      const uses = new Float64Array(8);
      for (let step = 0; step < 10 * STEPS; step++) {
        chain.step();
        for (const expert of chain.inUse) uses[expert]! += 1 / (20 * STEPS);
      }
      layerExperts(model, layer).use!.forEach((share, expert) => expect(Math.abs(uses[expert]! - share), `layer ${layer}, expert ${expert}`).toBeLessThan(0.01));
    }
  });

  it.each([["neuronlab", 0.02], ["expert-streaming", 0.05]])("leave clusters and closed form of %s near to each other", (system, within) => {
    const [cluster, analytic] = (["cluster", "analytic"] as const).map((fidelity) => run({ model, system: systemNamed(system), memory: { _tag: "OffloadFfn", share: 0.5 }, fidelity, tokens: 256 }));
    expect(Math.abs(analytic!.cacheHitRate - cluster!.cacheHitRate)).toBeLessThan(within);
  });
});
