import { describe, expect, it } from "vitest";
import { E } from "../../../sim/base/fp.js";
import type { Plan } from "../../../sim/domain/plan.js";
import { cliffOf, demandOfOneToken } from "../../../sim/planner/cliff.js";
import { askOf } from "../../../sim/planner/trials.js";
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

  it("says nothing where all is resident", () => {
    const whole = cellOf("oneplus-12", "bamboo-7b", 8);
    expect(cliffOf(whole.model, defaultIn(whole), 1)).toMatchObject({ wholeIsUnder: false, coldIsUnder: false });
  });
});
