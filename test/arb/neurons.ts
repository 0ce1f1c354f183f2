/** Models and inputs for the tests of neuron behaviour. */
import fc from "fast-check";
import type { ModelSpec } from "../../sim/domain/model.js";

type SkewPoint = ModelSpec["activations"]["skew"]["points"][number];

/** Bamboo's decoded CDF as published (figures/cdf.svg of https://github.com/SJTU-IPADS/Bamboo): neurons needed for a share of all activations, mean over layers with the range. */
export const BAMBOO_NEEDED = [
  { activations: 0.2, neurons: 0.038, least: 0.029, most: 0.064 },
  { activations: 0.4, neurons: 0.093, least: 0.059, most: 0.173 },
  { activations: 0.5, neurons: 0.133, least: 0.075, most: 0.247 },
  { activations: 0.6, neurons: 0.19, least: 0.096, most: 0.335 },
  { activations: 0.8, neurons: 0.43, least: 0.321, most: 0.565 },
  { activations: 0.9, neurons: 0.628, least: 0.544, most: 0.723 },
  { activations: 0.95, neurons: 0.763, least: 0.696, most: 0.827 },
  { activations: 0.99, neurons: 0.919, least: 0.876, most: 0.942 },
] as const;

/** The other half of the same table: activations that the hottest x % carry, mean with the range. */
export const BAMBOO_CARRIED = [
  { neurons: 0.05, activations: 0.28, low: 0.165, high: 0.339 },
  { neurons: 0.1, activations: 0.466, low: 0.276, high: 0.612 },
  { neurons: 0.2, activations: 0.608, low: 0.439, high: 0.734 },
  { neurons: 0.25, activations: 0.656, low: 0.504, high: 0.764 },
  { neurons: 0.3, activations: 0.699, low: 0.563, high: 0.79 },
  { neurons: 0.5, activations: 0.832, low: 0.751, high: 0.882 },
] as const;

const straight = (points: ReadonlyArray<readonly [number, number]>, x: number): number => {
  let i = 1;
  while (points[i][0] < x) i++;
  const [x0, y0] = points[i - 1];
  const [x1, y1] = points[i];
  return y0 + ((y1 - y0) * (x - x0)) / (x1 - x0);
};

/** Both halves as points of a model's skew curve: the layer that needs the least neurons for 80 % lies on the high curve, and so on. */
export const BAMBOO_POINTS: ReadonlyArray<SkewPoint> = (() => {
  const along = (neurons: "least" | "most", carried: "low" | "high"): Array<readonly [number, number]> =>
    [[0, 0] as const, ...BAMBOO_NEEDED.map((p) => [p[neurons], p.activations] as const), ...BAMBOO_CARRIED.map((p) => [p.neurons, p[carried]] as const), [1, 1] as const].sort((a, b) => a[0] - b[0]);
  const low = along("most", "low");
  const high = along("least", "high");
  return [...BAMBOO_NEEDED.map((p) => ({ neurons: p.neurons, activations: p.activations })), ...BAMBOO_CARRIED.map((p) => ({ neurons: p.neurons, activations: p.activations }))]
    .sort((a, b) => a.neurons - b.neurons)
    .map((p) => ({ ...p, low: Math.min(p.activations, straight(low, p.neurons)), high: Math.max(p.activations, straight(high, p.neurons)) }));
})();

export const estimated = (value: number): { readonly value: number; readonly kind: "estimated"; readonly source: string; readonly note: string } => ({ value, kind: "estimated", source: "test", note: "" });

export interface TestModelChoices {
  readonly layers?: number;
  readonly ffn?: number;
  readonly experts?: { readonly count: number; readonly active: number; readonly repeat: number };
  readonly activeShare?: number;
  readonly overlap?: number;
  readonly variation?: number;
  readonly points?: ReadonlyArray<SkewPoint>;
  /** Layers that differ: `activations.layers`. */
  readonly own?: NonNullable<ModelSpec["activations"]["layers"]>["table"];
}

/** A Bamboo-like model, altered as asked. */
export const testModel = (choices: TestModelChoices = {}): ModelSpec => {
  const experts = choices.experts ?? { count: 1, active: 1, repeat: 1 };
  return {
    schema: "neuronlab/model@1", name: "test", title: "test", note: "", layers: choices.layers ?? 32, hidden: 4096, ffn: choices.ffn ?? 14336,
    heads: 32, kvHeads: 8, vocabulary: 32000, experts: { count: experts.count, active: experts.active, repeat: estimated(experts.repeat), reuse: null },
    activation: "dReLU", shapesSource: "test", quantisation: { weightBits: estimated(4), scaleBits: estimated(0.5) }, packing: null, stored: null, predictorParameters: null,
    activations: {
      activeShare: estimated(choices.activeShare ?? 0.148), skew: { source: "facts 3.5", note: "", points: choices.points ?? BAMBOO_POINTS }, layers: choices.own === undefined ? null : { source: "test", note: "", table: choices.own },
      tokenOverlap: estimated(choices.overlap ?? 0), tokenVariation: estimated(choices.variation ?? 0), gateFires: estimated(0.8), predictorRecall: estimated(0.95),
    },
  };
};

/** Any skew curve a model file may hold, concave or not. */
export const arbPoints: fc.Arbitrary<ReadonlyArray<SkewPoint>> = fc
  .uniqueArray(fc.integer({ min: 1, max: 99 }), { minLength: 2, maxLength: 10 })
  .chain((percent) => fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 0.2, noNaN: true }), fc.double({ min: 0, max: 0.2, noNaN: true })), { minLength: percent.length, maxLength: percent.length }).map((rows) => {
    const neurons = [...percent].sort((a, b) => a - b).map((p) => p / 100);
    const carried = rows.map((row) => row[0]).sort((a, b) => a - b);
    return neurons.map((share, i) => ({ neurons: share, activations: carried[i], low: Math.max(0, carried[i] - rows[i][1]), high: Math.min(1, carried[i] + rows[i][2]) }));
  }));

export const arbModel: fc.Arbitrary<ModelSpec> = fc
  .record({ points: arbPoints, activeShare: fc.double({ min: 0.001, max: 1, noNaN: true }), layers: fc.integer({ min: 1, max: 40 }), overlap: fc.double({ min: 0, max: 0.9, noNaN: true }) })
  .map((choices) => testModel(choices));

export interface Requests {
  readonly things: number;
  readonly slots: number;
  readonly windowTokens: number;
  readonly heat: ReadonlyArray<number>;
  /** What each token asks for, in order; a token asks for a thing at most once. */
  readonly tokens: ReadonlyArray<ReadonlyArray<number>>;
}

/** Requests to a small cache: few things, so that all of hits, misses, evictions and empty tokens happen. */
export const arbRequests: fc.Arbitrary<Requests> = fc.integer({ min: 1, max: 14 }).chain((things) =>
  fc.record({
    things: fc.constant(things),
    slots: fc.integer({ min: 0, max: things + 1 }),
    windowTokens: fc.integer({ min: 1, max: 4 }),
    heat: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: things, maxLength: things }),
    tokens: fc.array(fc.uniqueArray(fc.integer({ min: 0, max: things - 1 }), { maxLength: things }), { maxLength: 25 }),
  }));
