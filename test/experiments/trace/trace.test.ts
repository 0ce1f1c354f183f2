/** The simulator's picture of neurons against texts whose truth is known: independent ones, drawn ones, and ones with a memory or company planted in them. */
import { describe, expect, it } from "vitest";
import { evictionPolicies } from "../../../sim/policies/eviction/index.js";
import { rateBins } from "../../../sim/neurons/activation.js";
import { hitRate, lookUpsOf, modelLayers, policyNamed, predictedHitRate } from "../../../experiments/validate/trace/caches.js";
import { ofSecondHalf } from "../../../experiments/validate/trace/analyse.js";
import { expertUses } from "../../../experiments/validate/trace/experts.js";
import { carriedIn, distance, modelCurve, SHARES } from "../../../experiments/validate/trace/frequencies.js";
import { meanOverlaps } from "../../../experiments/validate/trace/overlap.js";
import { asTrace, countsOf, independentText, partOf, ratesOf, recordedText, shuffledText, simulatedText, type Text } from "../../../experiments/validate/trace/text.js";
import { togetherOf } from "../../../experiments/validate/trace/together.js";
import type { ModelSpec } from "../../../sim/domain/model.js";
import { modelNamed } from "../../arb/runs.js";

const published = modelNamed("turbosparse-mixtral-47b");
const small = (activations: Partial<Record<"tokenOverlap" | "tokenVariation", number>> = {}): ModelSpec => ({
  ...published, layers: 3, ffn: 256,
  activations: { ...published.activations, ...Object.fromEntries(Object.entries({ tokenOverlap: 0, tokenVariation: 0, ...activations }).map(([name, value]) => [name, { ...published.activations.tokenOverlap, value }])) },
});
const TOKENS = 800;

describe("texts", () => {
  const text = simulatedText(small(), TOKENS, 1);
  it("go through the form of a trace and come back the same, whole and in part", () => {
    expect(recordedText(asTrace(text, "t"), 0, TOKENS)).toEqual(text);
    expect(recordedText(asTrace(partOf(text, 100, 300), "t"), 0, 200)).toEqual(recordedText(asTrace(text, "t"), 100, 300));
  });
  it("drawn independently have the rates and the experts that they were given; shuffled, the very same counts", () => {
    const alone = independentText(text, ratesOf(text), 2);
    expect(alone.layers.map(({ experts }) => experts)).toEqual(text.layers.map(({ experts }) => experts));
    const [was, is] = [countsOf(text), countsOf(alone)].map((all) => all.reduce((sum, { fired }) => sum + fired.reduce((s, n) => s + n, 0), 0)) as [number, number];
    expect(Math.abs(is / was - 1)).toBeLessThan(0.02);
    expect(countsOf(shuffledText(text, 3))).toEqual(countsOf(text));
  });
});

describe("the statistics of the second half", () => {
  it("are those of tokens that a run over the beginning does not play", () => {
    // A text whose first half fires twice as much.
    const seldom = { ...published.activations.activeShare, value: published.activations.activeShare.value / 2 };
    const [often, rarely] = [small(), { ...small(), activations: { ...small().activations, activeShare: seldom } }].map((model) => asTrace(simulatedText(model, TOKENS, 1), "t")) as [ReturnType<typeof asTrace>, ReturnType<typeof asTrace>];
    const [loud, quiet] = [recordedText(often, 0, TOKENS), recordedText(rarely, 0, TOKENS)];
    const joined = (a: Text["layers"][number], b: Text["layers"][number]): Text["layers"][number] => ({
      experts: Int32Array.of(...a.experts, ...b.experts), ids: Int32Array.of(...a.ids, ...b.ids),
      starts: Int32Array.of(...a.starts, ...b.starts.subarray(1).map((start) => start + a.starts[TOKENS]!)),
    });
    const both: Text = { ...loud, tokens: 2 * TOKENS, layers: loud.layers.map((layer, i) => joined(layer, quiet.layers[i]!)) };
    const found = ofSecondHalf(small(), asTrace(both, "t")).activations.activeShare.value;
    expect(found / seldom.value).toBeCloseTo(1, 1);
  });
});

describe("measures", () => {
  it("find the overlap that was planted, and none where there is none", () => {
    expect(meanOverlaps(simulatedText(small({ tokenOverlap: 0.3 }), TOKENS, 1))[0]).toBeCloseTo(0.3, 1);
    for (const one of meanOverlaps(simulatedText(small(), TOKENS, 1))) expect(Math.abs(one)).toBeLessThan(0.02);
  });
  it("tell neurons that fire together from neurons that do not, memory or not", () => {
    for (const { dispersion, probability } of togetherOf(simulatedText(small({ tokenOverlap: 0.3 }), TOKENS, 1), 19, 1)) {
      expect(dispersion).toBeGreaterThan(0.8);
      expect(dispersion).toBeLessThan(1.25);
      expect(probability).toBeGreaterThan(0.05);
    }
    for (const { dispersion, probability, correlation } of togetherOf(simulatedText(small({ tokenVariation: 0.4 }), TOKENS, 1), 19, 1)) {
      expect([dispersion > 2, probability]).toEqual([true, 0.05]);
      expect(correlation).toBeGreaterThan(0);
    }
  });
  it("find the curve and the experts that a text was drawn with", () => {
    const model = small();
    const text = simulatedText(model, 4 * TOKENS, 1);
    const [first, second] = [partOf(text, 0, 2 * TOKENS), partOf(text, 2 * TOKENS, 4 * TOKENS)].map(countsOf) as [ReturnType<typeof countsOf>, ReturnType<typeof countsOf>];
    first.forEach((known, layer) => {
      const carried = carriedIn(known, second[layer]!, text);
      expect(distance(carried, modelCurve(rateBins(model, layer)))).toBeLessThan(0.06);
      expect(distance(carried, SHARES)).toBeGreaterThan(0.15);
    });
    for (const { effective, repeats, byPopularity } of expertUses(text)) {
      expect(effective).toBeGreaterThan(7.8);
      expect(repeats[0]).toBeCloseTo(model.experts.repeat.value, 1);
      expect(byPopularity).toBeCloseTo(model.experts.active / model.experts.count, 1);
    }
  });
});

describe("caches", () => {
  const text = simulatedText(small({ tokenOverlap: 0.1, tokenVariation: 0.15 }), TOKENS, 1);
  const plain = (of: Text) => lookUpsOf(of, 1);
  it("find what the closed form says of a text that is drawn as it assumes, within two points", () => {
    const [model, lookUps] = [small({ tokenOverlap: 0.1, tokenVariation: 0.15 }), plain(text)];
    for (const budget of [0.1, 0.25, 0.5, 0.75]) {
      const found = hitRate(policyNamed("lru"), text, lookUps, budget, new Float64Array(lookUps.things), TOKENS / 2);
      expect(Math.abs(found - predictedHitRate(model, modelLayers(model, 1, 1), "lru", budget)), String(budget)).toBeLessThan(0.02);
    }
  });
  it("are never better than one that knows what is to come, and find everything seen before once all fits", () => {
    const lookUps = plain(text);
    const heat = new Float64Array(lookUps.things);
    for (const id of lookUps.ids) heat[id]!++;
    const best = hitRate(policyNamed("belady"), text, lookUps, 0.25, heat, TOKENS / 2);
    for (const policy of evictionPolicies.all) expect(hitRate(policy, text, lookUps, 0.25, heat, TOKENS / 2), policy.name).toBeLessThanOrEqual(best);
    expect(hitRate(policyNamed("lru"), text, lookUps, 1, heat, 0)).toBeCloseTo(1 - new Set(lookUps.ids).size / lookUps.ids.length, 9);
  });
  it("look up a unit once a layer, however many of its neurons fire", () => {
    const pairs = lookUpsOf({ experts: 2, used: 1, ffn: 4, tokens: 2, layers: [{ experts: Int32Array.of(0, 1), starts: Int32Array.of(0, 3, 5), ids: Int32Array.of(0, 1, 3, 4, 5) }] }, 2);
    expect([pairs.things, [...pairs.ids], [...pairs.ends]]).toEqual([4, [0, 1, 2], [2, 3]]);
  });
});
