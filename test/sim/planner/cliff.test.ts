import { describe, expect, it } from "vitest";
import { E } from "../../../sim/base/fp.js";
import { sizesOf } from "../../../sim/domain/model.js";
import type { Plan } from "../../../sim/domain/plan.js";
import { cliffOf, demandOfOneToken } from "../../../sim/planner/cliff.js";
import { rateBins } from "../../../sim/neurons/activation.js";
import { layerExperts } from "../../../sim/neurons/layers.js";
import { cachedNeuronBytes } from "../../../sim/planner/fit.js";
import { askOf } from "../../../sim/planner/trials.js";
import { testModel } from "../../arb/neurons.js";
import { systemNamed, withLayersApart } from "../../arb/runs.js";
import { cellOf, defaultIn, simulated } from "../../arb/tuning.js";

const cell = cellOf("oneplus-12", "bamboo-7b", 3);
const plan = defaultIn(cell);
const demand = demandOfOneToken(cell.model, plan, 1, 0);
/** All of the FFN cache by recency, of so many tokens' demand. */
const lru = (tokens: number): Plan => {
  const cold = Math.floor(demand * tokens);
  const others = plan.cache.fixed + plan.cache.predictors + plan.cache.scales + plan.cache.kv + plan.cache.runtime;
  return { ...plan, memory: Math.ceil(others + cold), cache: { ...plan.cache, hot: 0, cold }, compute: { ...plan.compute, npuRows: [{ batch: 1, share: 0 }] }, mechanisms: { ...plan.mechanisms, prefetchHot: "off" } };
};
const hits = (asked: Plan): number => {
  const ran = simulated(askOf(cell, asked, "neuron", 4));
  return E.isRight(ran) ? ran.right.cacheHitRate : NaN;
};

describe("the LRU cliff in closed form", () => {
  it("lies where every neuron looked up says that it lies", () => {
    expect(cliffOf(cell.model, lru(0.6), 1)).toMatchObject({ wholeIsUnder: true, coldIsUnder: true });
    expect(cliffOf(cell.model, lru(2), 1)).toMatchObject({ wholeIsUnder: false, coldIsUnder: false });
    expect(hits(lru(0.6))).toBeLessThan(0.1);
    expect(hits(lru(2))).toBeGreaterThan(0.3);
  });

  it("asks less of the cold segment the more is pinned, nothing of it when all is, and more with more sequences", () => {
    const at = (pinned: number): number => demandOfOneToken(cell.model, plan, 1, pinned);
    expect(at(0.1)).toBeLessThan(at(0));
    expect(at(0.5)).toBeLessThan(at(0.1));
    expect(at(1)).toBe(0);
    expect(demandOfOneToken(cell.model, plan, 4, 0)).toBeGreaterThan(1.5 * at(0));
  });

  it.each([[1, 0], [4, 0], [1, 0.2], [4, 0.2]])("asks for the neurons that at least one of %i sequences uses, layer by layer and expert by expert, beyond the hottest %f", (batch, pinned) => {
    const model = withLayersApart(testModel({ layers: 4, ffn: 256, experts: { count: 8, active: 2, repeat: 0.45 }, activeShare: 0.1 }));
    let neurons = 0;
    for (let layer = 0; layer < model.layers; layer++) {
      const { share, rate } = rateBins(model, layer);
      const { use, active } = layerExperts(model, layer);
      let before = 0;
      // Bins come hottest first.
      for (let bin = 0; bin < share.length; before += share[bin++]!) {
        const beyond = Math.min(share[bin]!, Math.max(0, before + share[bin]! - pinned));
        for (const part of use!) neurons += model.ffn * beyond * (1 - (1 - part * active * rate[bin]!) ** batch);
      }
    }
    expect(demandOfOneToken(model, plan, batch, pinned) / (neurons * cachedNeuronBytes(model, plan.mechanisms))).toBeCloseTo(1, 6);
  });

  it("asks for whole experts where they are streamed", () => {
    const model = testModel({ layers: 4, ffn: 256, experts: { count: 8, active: 2, repeat: 0.45 }, activeShare: 0.1 });
    expect(demandOfOneToken(model, systemNamed("expert-streaming"), 1, 0)).toBe(sizesOf(model).ffnBytes / 4);
  });

  it("looks at the cold segment beyond what is pinned, and at the whole cache as if nothing were", () => {
    const hot = Math.floor(0.1 * sizesOf(cell.model).neurons * cachedNeuronBytes(cell.model, plan.mechanisms));
    const beyond = demandOfOneToken(cell.model, plan, 1, 0.1);
    const at = (cold: number) => cliffOf(cell.model, { ...plan, cache: { ...plan.cache, hot, cold } }, 1);
    expect(at(0).coldDemandBytes / beyond).toBeCloseTo(1, 6);
    expect(at(0)).toMatchObject({ demandBytes: demand, coldIsUnder: false });
    expect(at(Math.floor(0.95 * beyond))).toMatchObject({ coldIsUnder: true });
    expect(at(Math.ceil(1.05 * beyond))).toMatchObject({ coldIsUnder: false });
    expect(at(Math.ceil(demand - hot) + 1)).toMatchObject({ wholeIsUnder: false });
    expect(at(Math.floor(demand - hot) - 1)).toMatchObject({ wholeIsUnder: true });
  });

  it("says nothing where all is resident", () => {
    const whole = cellOf("oneplus-12", "bamboo-7b", 8);
    expect(cliffOf(whole.model, defaultIn(whole), 1)).toMatchObject({ wholeIsUnder: false, coldIsUnder: false });
  });
});
