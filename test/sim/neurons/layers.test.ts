/** Layers and experts that a recording tells apart: what is read of them, what is drawn of them, and what caches are predicted to find. */
import { describe, expect, it } from "vitest";
import { hitRate, lookUpsOf, modelLayers, policyNamed, predictedHitRate } from "../../../experiments/validate/trace/caches.js";
import { asTrace, countsOf, partOf, simulatedText } from "../../../experiments/validate/trace/text.js";
import { meanRate, rateBins } from "../../../sim/neurons/activation.js";
import { createExpertChain, expertsApart } from "../../../sim/neurons/experts.js";
import { layerCurve, layerExperts, layerOverlap, layerShare } from "../../../sim/neurons/layers.js";
import { layerUnion, layerUse, missOfLayer, populationsOf, windowHolds, windowMissOfModel, windowTokensOfModel } from "../../../sim/neurons/populations.js";
import { carriedBy } from "../../../sim/neurons/skew.js";
import { asRecorded, traceStatistics } from "../../../sim/neurons/trace-statistics.js";
import type { ModelSpec } from "../../../sim/domain/model.js";
import { BAMBOO_POINTS, testModel } from "../../arb/neurons.js";

const EXPERTS = { count: 8, active: 2, repeat: 0.4 };
const EVEN = Array.from({ length: 8 }, () => 1 / 8);
const UNEVEN = [0.3, 0.22, 0.16, 0.12, 0.1, 0.06, 0.04, 0];
const steeper = BAMBOO_POINTS.map(({ high }) => high);
const flatter = BAMBOO_POINTS.map(({ low }) => low);
const own = [
  { activeShare: 0.2, carried: flatter, tokenOverlap: 0, expertRepeat: 0.25, expertUse: EVEN },
  { activeShare: 0.02, carried: steeper, tokenOverlap: 0.1, expertRepeat: 0.4, expertUse: UNEVEN },
  { activeShare: 0.11, carried: flatter, tokenOverlap: 0.2, expertRepeat: 0.55, expertUse: [...UNEVEN].reverse() },
];
const model = testModel({ layers: 3, ffn: 512, experts: EXPERTS, activeShare: 0.11, overlap: 0.1, variation: 0.15, own });
const means: ModelSpec = { ...model, activations: { ...model.activations, layers: null } };

describe("a model's own layers", () => {
  it("have the numbers of the table, and none of them is asked where there is no table", () => {
    expect([0, 1, 2].map((layer) => layerShare(model, layer))).toEqual([0.2, 0.02, 0.11].map((share) => expect.closeTo(share, 12)));
    expect([0, 1, 2].map((layer) => layerOverlap(model, layer))).toEqual([0, 0.1, 0.2].map((overlap) => expect.closeTo(overlap, 12)));
    expect(layerExperts(model, 2)).toEqual({ count: 8, active: 2, repeat: expect.closeTo(0.55, 12), use: [...UNEVEN].reverse() });
    for (const [layer, { carried }] of own.entries()) BAMBOO_POINTS.forEach(({ neurons }, i) => expect(carriedBy(layerCurve(model, layer), neurons)).toBeGreaterThanOrEqual(carried[i]! - 1e-9));
    expect([layerShare(means, 1), layerOverlap(means, 1), layerExperts(means, 1)]).toEqual([0.11, 0.1, EXPERTS]);
    for (const layer of [0, 1, 2]) expect(meanRate(rateBins(model, layer))).toBeCloseTo(own[layer]!.activeShare, 9);
  });

  it("move with the model's number, which a sweep changes for all of them", () => {
    const twice: ModelSpec = { ...model, activations: { ...model.activations, activeShare: { ...model.activations.activeShare, value: 0.22 } } };
    expect([0, 1, 2].map((layer) => layerShare(twice, layer))).toEqual([0.4, 0.04, 0.22].map((share) => expect.closeTo(share, 12)));
    const all: ModelSpec = { ...model, activations: { ...model.activations, activeShare: { ...model.activations.activeShare, value: 0.9 } } };
    expect(layerShare(all, 0)).toBe(1);
  });
});

describe("experts of unequal use", () => {
  const observed = (use: ReadonlyArray<number>, repeat: number) => {
    const chain = createExpertChain({ count: 8, active: 2, repeat, use }, 1, "test");
    const uses = new Float64Array(8);
    let [kept, before] = [0, new Set(chain.inUse)];
    for (let token = 0; token < TOKENS; token++) {
      chain.step();
      const now = new Set(chain.inUse);
      expect(now.size).toBe(2);
      for (const expert of now) {
        uses[expert]! += 1 / (2 * TOKENS);
        if (before.has(expert)) kept++;
      }
      before = now;
    }
    return { uses, again: kept / (2 * TOKENS) };
  };
  const TOKENS = 40_000;

  it.each([0.38, 0.6, 0.85])("are used as often as they should, again with probability %f, and never where they never were", (repeat) => {
    const { uses, again } = observed(UNEVEN, repeat);
    // Uses come in runs of 1 / (1 - k) tokens: five standard errors.
    UNEVEN.forEach((share, expert) => expect(Math.abs(uses[expert]! - share), `expert ${expert}: ${uses[expert]}`).toBeLessThanOrEqual(5 * Math.sqrt((share * 2) / (1 - repeat) / (2 * TOKENS))));
    expect(uses[7]).toBe(0);
    expect(Math.abs(again - repeat)).toBeLessThan(0.01);
  });

  it("are used again no less often than their popularity brings them back", () => {
    const byPopularity = 2 * UNEVEN.reduce((sum, share) => sum + share * share, 0);
    expect(Math.abs(observed(UNEVEN, 0.1).again - byPopularity)).toBeLessThan(0.01);
    const apart = expertsApart({ ...EXPERTS, repeat: 0.1, use: UNEVEN });
    expect(apart.reduce((sum, { repeat }, expert) => sum + UNEVEN[expert]! * repeat, 0)).toBeCloseTo(byPopularity, 12);
  });

  it("come together in every way that their shares leave open, and not as neighbours of one order", () => {
    const chain = createExpertChain({ count: 8, active: 2, repeat: 0.25, use: EVEN }, 1, "pairs");
    const pairs = new Map<string, number>();
    for (let token = 0; token < TOKENS; token++) {
      chain.step();
      const pair = [...chain.inUse].sort((a, b) => a - b).join();
      pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
    }
    expect(pairs.size).toBe(28);
    for (const [pair, times] of pairs) expect(Math.abs((times * 28) / TOKENS - 1), pair).toBeLessThan(0.15);
  });

  it("come down to equal ones", () => {
    const { uses, again } = observed(EVEN, 0.5);
    for (const share of uses) expect(Math.abs(share - 1 / 8)).toBeLessThan(0.01);
    expect(Math.abs(again - 0.5)).toBeLessThan(0.01);
    expect(expertsApart(EXPERTS)).toEqual([EXPERTS]);
    for (const apart of expertsApart({ ...EXPERTS, use: EVEN })) expect(apart).toEqual({ count: 8, active: 2, repeat: expect.closeTo(0.4, 12) });
  });

  it("are chains apart whose uses and repeats add up to those of the layer", () => {
    const apart = expertsApart({ ...EXPERTS, use: UNEVEN });
    expect(apart.reduce((sum, { active }) => sum + active / 8, 0)).toBeCloseTo(2, 12);
    expect(apart.reduce((sum, { repeat }, expert) => sum + UNEVEN[expert]! * repeat, 0)).toBeCloseTo(0.4, 12);
  });

  it("that all tokens use stay, whatever rounding leaves of their shares", () => {
    const always = observed([0.5, 0.5, 0, 0, 0, 0, 0, 0], 1);
    expect([...always.uses].slice(0, 2)).toEqual([expect.closeTo(0.5, 6), expect.closeTo(0.5, 6)]);
    for (const rounded of [1 / 3 - 1e-7, 1 / 3 + 1e-7]) {
      const chain = createExpertChain({ count: 4, active: 3, repeat: 0.5, use: [rounded, rounded, rounded, 0] }, 1, "test");
      for (let i = 0; i < 50; i++) {
        chain.step();
        expect(new Set(chain.inUse).size).toBe(3);
      }
    }
  });
});

describe("caches of layers that differ", () => {
  const TOKENS = 3000;
  const text = simulatedText(model, TOKENS, 1);
  const lookUps = lookUpsOf(text, 1);
  const replayedAt = (budget: number): number => hitRate(policyNamed("lru"), text, lookUps, budget, new Float64Array(lookUps.things), TOKENS / 2);

  it("find what the closed form says layer by layer, within two points; the means over layers are further off", () => {
    for (const budget of [0.1, 0.25, 0.5, 0.75]) {
      const [replayed, byLayer, byMeans] = [replayedAt(budget), predictedHitRate(model, modelLayers(model, 1, 1), "lru", budget), predictedHitRate(means, modelLayers(means, 1, 1), "lru", budget)];
      expect(Math.abs(replayed - byLayer), `${budget}: ${replayed} replayed, ${byLayer} predicted`).toBeLessThan(0.02);
      if (budget >= 0.25) expect(Math.abs(replayed - byMeans), `${budget}: ${byMeans} by means`).toBeGreaterThan(0.03);
    }
  });

  it("hold, in a window, what they were predicted to", () => {
    for (const [layer, tokens] of [[1, 3], [2, 6]] as const) {
      const one = { layer, bins: rateBins(model, layer) };
      expect(windowTokensOfModel(model, one, windowHolds(populationsOf(model, one.layer, one.bins, 1), 0, tokens) + 1e-9)).toBeCloseTo(tokens, 3);
      expect(windowMissOfModel(model, one, 0, tokens + 1, 1).missOfActive).toBeLessThan(windowMissOfModel(model, one, 0, tokens, 1).missOfActive);
    }
  });

  it("put together what the experts miss, by how often they are used", () => {
    const populations = populationsOf(model, 1, rateBins(model, 1), 1);
    expect(populations.map(({ weight }) => weight)).toEqual(UNEVEN.map((share) => expect.closeTo(share, 12)));
    const misses = populations.map((_, expert) => ({ missOfActive: 0, missIfExpertRepeats: expert / 10, missIfExpertSwitches: expert / 5 }));
    const apart = misses.map((miss, expert) => ({ ...miss, missOfActive: populations[expert]!.experts.repeat * miss.missIfExpertRepeats + (1 - populations[expert]!.experts.repeat) * miss.missIfExpertSwitches }));
    const all = missOfLayer(populations, apart);
    expect(all.missOfActive).toBeCloseTo(0.4 * all.missIfExpertRepeats + 0.6 * all.missIfExpertSwitches, 12);
    expect(all.missOfActive).toBeCloseTo(UNEVEN.reduce((sum, share, expert) => sum + share * apart[expert]!.missOfActive, 0), 12);
    const batch = populationsOf(model, 1, rateBins(model, 1), 4);
    expect(batch.reduce((sum, { weight }) => sum + weight, 0)).toBeCloseTo(1, 12);
    // Of four sequences nearly all use the most popular expert: its part of the uses is smaller than of one.
    expect(batch[0]!.weight).toBeLessThan(0.3);
  });

  it.each([1, 4, 16])("are used, by a step of %d sequences, as often as their chains use them", (batch) => {
    const layer = 1;
    const chains = Array.from({ length: batch }, (_, s) => createExpertChain(layerExperts(model, layer), s, "batch"));
    const bins = rateBins(model, layer);
    const steps = 6000;
    let [used, fired, again, before] = [0, 0, 0, new Set<number>()];
    for (let step = 0; step < steps; step++) {
      const users = new Map<number, number>();
      for (const chain of chains) {
        chain.step();
        for (const expert of chain.inUse) users.set(expert, (users.get(expert) ?? 0) + 1);
      }
      used += users.size;
      for (const [expert, times] of users) {
        if (before.has(expert)) again++;
        // A neuron of that expert fires for at least one of those that use it.
        fired += bins.share.reduce((sum, share, bin) => sum + share * (1 - (1 - bins.rate[bin]!) ** times), 0);
      }
      before = new Set(users.keys());
    }
    const use = layerUse(model, layer, batch);
    expect(Math.abs(use.active / (used / steps) - 1)).toBeLessThan(0.02);
    expect(Math.abs(use.repeat - again / used)).toBeLessThan(0.03);
    expect(Math.abs(meanRate(layerUnion(model, layer, bins, batch)) / (fired / used) - 1)).toBeLessThan(0.02);
  });

  it("are told apart again by the statistics of the text", () => {
    const { layers } = traceStatistics(asTrace(text, "drawn"));
    layers.forEach((found, layer) => {
      expect(Math.abs(found.activeShare / own[layer]!.activeShare - 1)).toBeLessThan(0.05);
      expect(Math.abs(found.tokenOverlap - own[layer]!.tokenOverlap)).toBeLessThan(0.03);
      expect(Math.abs(found.expertRepeat - own[layer]!.expertRepeat)).toBeLessThan(0.04);
      expect(found.expertUse.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
      own[layer]!.expertUse.forEach((share, expert) => expect(Math.abs(found.expertUse[expert]! - share)).toBeLessThan(0.03));
      expect([found.carried.length, found.carried[0], found.carried.at(-1)]).toEqual([12, 0, 1]);
    });
    const again = asRecorded(means, asTrace(partOf(text, 0, 1000), "drawn"), "a test");
    const { table } = again.activations.layers!;
    expect(table.map(({ expertUse }) => expertUse.length)).toEqual([8, 8, 8]);
    // What stands beside a table is its mean, of which the decoder makes sure; the first layer's overlap is about none, and none is as low as it goes.
    const mean = (of: (row: (typeof table)[number]) => number): number => table.reduce((sum, row) => sum + of(row), 0) / 3;
    expect(again.activations.tokenOverlap.value).toBeCloseTo(mean((row) => row.tokenOverlap), 12);
    expect(again.activations.activeShare.value).toBeCloseTo(mean((row) => row.activeShare), 12);
    expect(again.experts.repeat.value).toBeCloseTo(mean((row) => row.expertRepeat), 12);
    for (const row of table) expect(row.tokenOverlap).toBeGreaterThanOrEqual(0);
    // Fired neurons by layer are as unequal as they were planted.
    const fired = countsOf(text).map((counts) => counts.fired.reduce((sum, n) => sum + n, 0));
    expect(fired[0]! / fired[1]!).toBeGreaterThan(8);
  });
});
