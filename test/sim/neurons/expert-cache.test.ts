/** Whole experts in memory: what is asked at once is judged at once; the oldest leave; below one token's demand nothing hits. Reuse curves: counted and drawn. */
import { describe, expect, it } from "vitest";
import { stream } from "../../../sim/base/random.js";
import { createExpertCache } from "../../../sim/neurons/expert-cache.js";
import { createReuseChain, depthAt, repeatOf, reuseOf, shareWithin } from "../../../sim/neurons/expert-reuse.js";
import type { Routing } from "../../../sim/neurons/routing.js";
import { replayExperts, REPLAY_POLICIES } from "../../../sim/policies/experts.js";

const EXPERTS = 16;
const bytesOf = [10, 10, 20];

/** Visits drawn with a liking for low numbers. */
const drawnVisits = (tokens: number, active: number) => {
  const random = stream(7, "visits");
  return Array.from({ length: tokens * bytesOf.length }, (_, visit) => {
    const experts = new Set<number>();
    while (experts.size < active) experts.add(Math.floor(EXPERTS * random.uniform() ** 2));
    return { layer: visit % bytesOf.length, experts: [...experts] };
  });
};

describe("a cache of whole experts", () => {
  it("judges a visit before it changes anything, then uses its experts in order and drops the oldest until the rest fits", () => {
    const cache = createExpertCache(bytesOf, EXPERTS, 30);
    const missing = new Uint8Array(EXPERTS);
    expect(cache.useLayer(0, [1, 2, 3], missing)).toBe(3);
    expect(cache.residentBytes()).toBe(30);
    // 4 drops 1, although 1 is asked for in the same breath: it was there when the layer asked.
    expect(cache.useLayer(0, [4, 1], missing)).toBe(1);
    expect([...missing.subarray(0, 2)]).toEqual([1, 0]);
    // Now 3, 4 and 1 are there; one of 20 bytes drops two of 10.
    expect(cache.useLayer(2, [5], missing)).toBe(1);
    expect(cache.residentBytes()).toBe(30);
    expect(cache.useLayer(0, [1], missing)).toBe(0);
    expect(cache.useLayer(0, [4], missing)).toBe(1);
  });

  it("finds exactly nothing below the demand of one token that visits every layer", () => {
    const demand = bytesOf.reduce((sum, bytes) => sum + 2 * bytes, 0);
    const hitsWith = (capacity: number): number => {
      const cache = createExpertCache(bytesOf, EXPERTS, capacity);
      const missing = new Uint8Array(EXPERTS);
      let hits = 0;
      for (let token = 0; token < 50; token++) for (let layer = 0; layer < bytesOf.length; layer++) hits += 2 - cache.useLayer(layer, [3, 8], missing);
      return hits;
    };
    // What is asked at once is judged at once, so the edge is as wide as one layer's visit.
    expect(hitsWith(demand - 2 * Math.max(...bytesOf))).toBe(0);
    expect(hitsWith(demand)).toBe(49 * 2 * bytesOf.length);
  });

  it("is the replay's LRU, visit for visit", () => {
    const visits = drawnVisits(200, 3);
    for (const capacity of [60, 150, 300, 10_000]) {
      const cache = createExpertCache(bytesOf, EXPERTS, capacity);
      const missing = new Uint8Array(EXPERTS);
      const hits = visits.reduce((sum, { layer, experts }) => sum + experts.length - cache.useLayer(layer, experts, missing), 0);
      expect(replayExperts(visits, { bytesOf, experts: EXPERTS, capacity, policy: "lru", random: stream(1, "unused") }).hits).toBe(hits);
    }
  });
});

describe("replays by policy", () => {
  const visits = drawnVisits(400, 3);
  const rate = (policy: (typeof REPLAY_POLICIES)[number], capacity: number): number => {
    const { hits, lookups } = replayExperts(visits, { bytesOf, experts: EXPERTS, capacity, policy, random: stream(3, "random") });
    return hits / lookups;
  };
  it("order as they should: hindsight above all, counting above recency where popularity is steady, chance below both; all agree when everything fits", () => {
    for (const capacity of [150, 250, 350]) {
      expect(rate("belady", capacity)).toBeGreaterThan(rate("lfu", capacity));
      expect(rate("lfu", capacity)).toBeGreaterThan(rate("lru", capacity));
      expect(rate("lru", capacity)).toBeGreaterThan(rate("random", capacity));
    }
    const all = REPLAY_POLICIES.map((policy) => rate(policy, 1e9));
    expect(new Set(all).size).toBe(1);
    expect(REPLAY_POLICIES.map((policy) => rate(policy, 0))).toEqual([0, 0, 0, 0]);
  });

  it("count the bytes of what was missing, layer by layer", () => {
    const { bytesRead, lookups } = replayExperts(visits, { bytesOf, experts: EXPERTS, capacity: 0, policy: "lru", random: stream(1, "unused") });
    expect(lookups).toBe(400 * 3 * 3);
    expect(bytesRead).toBe(400 * 3 * (10 + 10 + 20));
  });
});

describe("reuse curves", () => {
  const points = [{ experts: 2, share: 0.5 }, { experts: 8, share: 0.8 }, { experts: 16, share: 1 }];
  it("are read both ways", () => {
    expect([0, 0.49, 0.5, 0.79, 0.999].map((share) => depthAt(points, share))).toEqual([0, 1, 2, 7, 15]);
    expect([0, 1, 2, 5, 16, 40].map((experts) => shareWithin(points, experts))).toEqual([0, 0.25, 0.5, 0.65, 1, 1]);
  });

  it("drawn and counted again are the same within the luck of the draw, rank by rank; ranks beyond the last are as the last", () => {
    const later = [{ experts: 2, share: 0.2 }, { experts: 8, share: 0.6 }, { experts: 16, share: 1 }];
    const [layers, active, tokens] = [4, 3, 3000];
    const chains = Array.from({ length: layers }, (_, layer) => createReuseChain([{ points }, { points: later }], EXPERTS, active, 5, `layer-${layer}`));
    const used = new Int32Array(layers * active * tokens);
    for (let token = 0; token < tokens; token++)
      chains.forEach((chain, layer) => {
        chain.step();
        expect(new Set(chain.inUse).size).toBe(active);
        used.set(chain.inUse, (token * layers + layer) * active);
      });
    const routing: Routing = { layers, experts: EXPERTS, active, prompt: Array.from({ length: layers }, () => new Int32Array()), tokens, used };
    const counted = reuseOf(routing);
    expect(counted).toHaveLength(active);
    for (const [rank, curve] of [points, later, later].entries())
      for (const { experts, share } of curve) expect(Math.abs(shareWithin(counted[rank]!.points, experts) - share)).toBeLessThan(0.06);
    for (const { points: of } of counted) expect(of.at(-1)).toEqual({ experts: EXPERTS, share: 1 });
    expect(repeatOf(routing)).toBeGreaterThan(0.3);
  });
});
