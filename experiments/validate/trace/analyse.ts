/**
 * The simulator's picture of a model's neurons, held against a recorded text: its statistics are fitted to the first half, all else is asked of the second. Pure.
 *
 * What a prediction of the hit rate gets wrong is parted by texts that differ in one assumption each, from the recorded one down to the closed form. The
 * steps add up to the whole error.
 */
import type { ModelSpec } from "../../../sim/domain/model.js";
import type { ActivationTrace } from "../../../sim/neurons/trace.js";
import { asRecorded, traceStatistics, type TraceStatistics } from "../../../sim/neurons/trace-statistics.js";
import { BEST, BUDGETS, heatOf, hitRate, lookUpsOf, modelLayers, POLICIES, policyNamed, predictedHitRate } from "./caches.js";
import { expertUses, type ExpertUse } from "./experts.js";
import { fitFrequencies, type FrequencyFit } from "./frequencies.js";
import { meanOverlaps, overlapsOf } from "./overlap.js";
import { asTrace, countsOf, evenExpertsText, independentText, partOf, ratesOf, recordedText, shuffledText, simulatedText, type Rates, type Text } from "./text.js";
import { togetherOf, type Together } from "./together.js";

/** Neurons that the engine keeps and reads together: one, and four, as `pack` groups rows of some 270 bytes (hidden 256, Q8_0) into pages. */
export const UNITS = [1, 4] as const;
/** Turned texts of the test of independence: the least probability that it can tell is one in a hundred. */
const TURNS = 99;
const DRAWN = 5;

/** The hit rate of one policy at one budget: replayed over the recorded text, independent neurons, and neurons drawn; and by the closed form. The last two as they are for a model of which only means over layers are known, and layer by layer. */
export interface CacheCell { readonly policy: string; readonly unit: number; readonly budget: number; readonly replayed: number; readonly independent: number; readonly drawn: number; readonly closedForm: number; readonly drawnByLayer: number; readonly closedByLayer: number }

/** What each assumption adds to the hit rate of LRU, in the order in which they are made; the last text is the closed form's. */
export interface Steps {
  readonly budget: number;
  readonly replayed: number;
  /** The order of the tokens alone: replayed less shuffled. Beside the sum. */
  readonly order: number;
  readonly independence: number;
  readonly evenExperts: number;
  readonly sharedRates: number;
  readonly givenBack: number;
  readonly closedForm: number;
}

/** By distance: the recorded text, and what the simulator and independence draw; the greatest deviation of the drawn ones is over several seeds. */
export interface OverlapRow { readonly distance: number; readonly recorded: number; readonly layers: ReadonlyArray<number | null>; readonly drawn: number; readonly independent: number; readonly deviation: number }

export interface Analysis {
  readonly name: string;
  readonly tokens: number;
  readonly half: number;
  readonly statistics: TraceStatistics;
  /** Of the means over layers, and layer by layer. */
  readonly frequencies: FrequencyFit;
  readonly byLayer: FrequencyFit;
  readonly experts: ReadonlyArray<ExpertUse>;
  readonly overlaps: ReadonlyArray<OverlapRow>;
  readonly together: ReadonlyArray<Together>;
  readonly drawnTogether: ReadonlyArray<Together>;
  readonly cells: ReadonlyArray<CacheCell>;
  /** Replayed with all that is to come known. */
  readonly best: ReadonlyArray<{ readonly budget: number; readonly hitRate: number }>;
  readonly steps: ReadonlyArray<Steps>;
}

const mean = (all: ReadonlyArray<number>): number => all.reduce((sum, one) => sum + one, 0) / Math.max(1, all.length);
const deviation = (all: ReadonlyArray<number>): number => Math.sqrt(all.reduce((sum, one) => sum + (one - mean(all)) ** 2, 0) / Math.max(1, all.length - 1));

/** A model as the published ones are: of its layers no more is known than their mean and range. */
const onlyMeans = (model: ModelSpec): ModelSpec => ({ ...model, activations: { ...model.activations, layers: null } });

/** Both halves of a drawn text are drawn, so that its cache is warm as the recorded text's is. */
const cacheCells = (recorded: Text, independent: Text, [drawn, drawnByLayer]: readonly [Text, Text], model: ModelSpec, half: number, seed: number): ReadonlyArray<CacheCell> => {
  const means = onlyMeans(model);
  return UNITS.flatMap((unit) => {
    const [layers, own] = [modelLayers(means, unit, seed), modelLayers(model, unit, seed)];
    const asked = [recorded, independent, drawn, drawnByLayer].map((text) => {
      const first = partOf(text, 0, half);
      return { text, lookUps: lookUpsOf(text, unit), heat: unitHeat(heatOf(first, countsOf(first).map(({ uses }) => uses), ratesOf(first)), text.ffn, unit) };
    });
    return (unit === 1 ? POLICIES : ["lru"]).flatMap((policy) => BUDGETS.map((budget): CacheCell => {
      const [replayed, ofIndependent, ofDrawn, ofLayers] = asked.map(({ text, lookUps, heat }) => hitRate(policyNamed(policy), text, lookUps, budget, heat, half)) as [number, number, number, number];
      return { policy, unit, budget, replayed, independent: ofIndependent, drawn: ofDrawn, drawnByLayer: ofLayers, closedForm: predictedHitRate(means, layers, policy, budget), closedByLayer: predictedHitRate(model, own, policy, budget) };
    }));
  });
};

/** Heat of units: the sum over their neurons. */
const unitHeat = (heat: Float64Array, ffn: number, unit: number): Float64Array => {
  const units = Math.ceil(ffn / unit);
  const sums = new Float64Array((heat.length / ffn) * units);
  heat.forEach((one, place) => (sums[Math.floor(place / ffn) * units + Math.floor((place % ffn) / unit)]! += one));
  return sums;
};

const lru = (text: Text, half: number) => {
  const lookUps = lookUpsOf(text, 1);
  return (budget: number): number => hitRate(policyNamed("lru"), text, lookUps, budget, new Float64Array(lookUps.things), half);
};

const stepsOf = (recorded: Text, independent: Text, rates: Rates, drawn: Text, model: ModelSpec, half: number, seed: number): ReadonlyArray<Steps> => {
  const { activations, experts } = model;
  const memoryless: ModelSpec = { ...model, activations: { ...activations, tokenOverlap: { ...activations.tokenOverlap, value: 0 }, tokenVariation: { ...activations.tokenVariation, value: 0 } } };
  const chain = [recorded, independent, evenExpertsText(recorded, rates, experts.repeat.value, seed), simulatedText(memoryless, recorded.tokens, seed), drawn].map((text) => lru(text, half));
  const layers = modelLayers(model, 1, seed);
  const shuffled = lru(shuffledText(recorded, seed), half);
  return BUDGETS.filter((budget) => budget < 1).map((budget) => {
    const [real, alone, even, shared, simulated] = chain.map((hits) => hits(budget)) as [number, number, number, number, number];
    return { budget, replayed: real, order: real - shuffled(budget), independence: alone - real, evenExperts: even - alone, sharedRates: shared - even, givenBack: simulated - shared, closedForm: predictedHitRate(model, layers, "lru", budget) - simulated };
  });
};

const overlapRows = (recorded: Text, rates: Rates, model: ModelSpec, distances: ReadonlyArray<number>, seed: number): ReadonlyArray<OverlapRow> => {
  const [real, byLayer] = [meanOverlaps(recorded), overlapsOf(recorded)];
  const seeds = Array.from({ length: DRAWN }, (_, i) => seed + i);
  const independent = seeds.map((one) => meanOverlaps(independentText(recorded, rates, one)));
  const drawn = seeds.map((one) => meanOverlaps(simulatedText(model, recorded.tokens, one)));
  return distances.map((distance, d) => ({
    distance, recorded: real[d]!, layers: byLayer.map((row) => row[d]!), drawn: mean(drawn.map((row) => row[d]!)), independent: mean(independent.map((row) => row[d]!)), deviation: deviation(independent.map((row) => row[d]!)),
  }));
};

/** The model with the statistics of the second half of a text. */
export const ofSecondHalf = (spec: ModelSpec, trace: ActivationTrace): ModelSpec => asRecorded(spec, asTrace(recordedText(trace, Math.floor(trace.tokens / 2), trace.tokens), trace.name), "the second half of the text");

/** `spec` has the model's shape; `published` is whose curve is laid beside. */
export const analyse = (spec: ModelSpec, trace: ActivationTrace, published: ModelSpec, distances: ReadonlyArray<number>, seed: number): Analysis => {
  const half = Math.floor(trace.tokens / 2);
  const text = recordedText(trace, 0, trace.tokens);
  const [first, second] = [partOf(text, 0, half), partOf(text, half, trace.tokens)];
  const model = asRecorded(spec, asTrace(first, trace.name), "the first half of the text");
  const means = onlyMeans(model);
  // What independence is given is each neuron's rate over all of the text: no more can be known of single neurons.
  const rates = ratesOf(text);
  const independent = independentText(text, rates, seed);
  const [drawn, byLayer] = [simulatedText(means, text.tokens, seed), simulatedText(model, text.tokens, seed)];
  return {
    name: trace.name, tokens: trace.tokens, half,
    statistics: traceStatistics(trace),
    frequencies: fitFrequencies(means, published, first, second),
    byLayer: fitFrequencies(model, published, first, second),
    experts: expertUses(text),
    overlaps: overlapRows(text, rates, means, distances, seed),
    together: togetherOf(text, TURNS, seed),
    drawnTogether: togetherOf(drawn, 0, seed),
    cells: cacheCells(text, independent, [drawn, byLayer], model, half, seed),
    best: BUDGETS.map((budget) => ({ budget, hitRate: hitRate(policyNamed(BEST), text, lookUpsOf(text, 1), budget, new Float64Array(0), half) })),
    steps: stepsOf(text, independent, rates, drawn, means, half, seed),
  };
};
