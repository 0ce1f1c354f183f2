/**
 * How well a model's statistics say which neurons fire how often, held against a half of the text that they were not fitted to.
 *
 * Two measures. The largest distance of two cumulative curves (Kolmogorov's) of "the hottest x % carry y % of the activations" is at the same
 * time the largest error of the hit rate that any fixed choice of hot neurons can make, at any budget: what a planner reads off the curve. And the
 * log-likelihood of the other half, in bits, because a curve can be right while the neurons on it are others.
 */
import type { ModelSpec } from "../../../sim/domain/model.js";
import { coverage, meanRate, rateBins, type RateBins } from "../../../sim/neurons/activation.js";
import { carriedBy, skewCurve } from "../../../sim/neurons/skew.js";
import { countsOf, type Counted, type Text } from "./text.js";

const mean = (all: ArrayLike<number>): number => Array.from(all).reduce((sum, one) => sum + one, 0) / Math.max(1, all.length);

/** Points of the curves, denser at the hot end. */
const STEPS = 64;
export const SHARES: ReadonlyArray<number> = Array.from({ length: STEPS + 1 }, (_, i) => (i / STEPS) ** 2);

/** A neuron never seen, or always, may still do the other: Jeffreys's half an observation of each. */
const smoothed = ({ uses, fired }: Counted, ffn: number): Float64Array => fired.map((count, place) => (count + 0.5) / (uses[Math.floor(place / ffn)]! + 1));

/** Places of each expert's neurons, hottest first; ties in their order. */
const orderOf = (rates: Float64Array, ffn: number, expert: number): Int32Array =>
  Int32Array.from({ length: ffn }, (_, i) => expert * ffn + i).sort((a, b) => rates[b]! - rates[a]! || a - b);

/** What the hottest shares carry of the activations that `seen` counts, where heat is known from `known`; an expert's part is its use. */
export const carriedIn = (known: Counted, seen: Counted, text: Text): Float64Array => {
  const { ffn, experts } = text;
  const rates = smoothed(known, ffn);
  const byRank = new Float64Array(ffn);
  for (let expert = 0; expert < experts; expert++) orderOf(rates, ffn, expert).forEach((place, rank) => (byRank[rank]! += seen.fired[place]!));
  const total = Math.max(1, byRank.reduce((sum, one) => sum + one, 0));
  const upTo = new Float64Array(ffn + 1);
  byRank.forEach((count, rank) => (upTo[rank + 1] = upTo[rank]! + count / total));
  return Float64Array.from(SHARES, (share) => {
    const whole = Math.min(ffn, Math.floor(share * ffn));
    return upTo[whole]! + (share * ffn - whole) * ((upTo[whole + 1] ?? 1) - upTo[whole]!);
  });
};

export const distance = (one: ArrayLike<number>, other: ArrayLike<number>): number => Array.from(one).reduce((most, value, i) => Math.max(most, Math.abs(value - other[i]!)), 0);

/** A model's curve for one layer. */
export const modelCurve = (bins: RateBins): Float64Array => Float64Array.from(SHARES, (share) => coverage(bins, share));

/** The mean curve of a model and its range over layers, as models/*.json give it. */
export const curveOfModel = ({ activations: { skew } }: ModelSpec, factor: number): Float64Array => Float64Array.from(SHARES, (share) => carriedBy(skewCurve(skew.points, factor), share));

/** Bits that it takes to say which neurons of the experts in use fired, under rates by place. */
const bitsOf = (rateAt: (place: number) => number, { uses, fired }: Counted, ffn: number): number => {
  let bits = 0;
  for (let place = 0; place < fired.length; place++) {
    const rate = Math.min(1 - 1e-6, Math.max(1e-6, rateAt(place)));
    bits -= fired[place]! * Math.log2(rate) + (uses[Math.floor(place / ffn)]! - fired[place]!) * Math.log2(1 - rate);
  }
  return bits;
};

/** The rate that the model gives each place, its neurons ranked as the first half ranks them. */
const ranked = (bins: RateBins, known: Counted, text: Text): Float64Array => {
  const { ffn, experts } = text;
  const rates = smoothed(known, ffn);
  const ends = new Float64Array(bins.share.length);
  bins.share.reduce((sum, share, b) => (ends[b] = sum + share), 0);
  const byRank = new Float64Array(ffn);
  for (let rank = 0, b = 0; rank < ffn; rank++) {
    while (b + 1 < ends.length && ends[b]! * ffn <= rank) b++;
    byRank[rank] = bins.rate[b]!;
  }
  const out = new Float64Array(experts * ffn);
  for (let expert = 0; expert < experts; expert++) orderOf(rates, ffn, expert).forEach((place, rank) => (out[place] = byRank[rank]!));
  return out;
};

export interface LayerFit {
  readonly layer: number;
  /** Share of the neurons of the experts in use that fire: of the layer, and what the model has for every layer. */
  readonly active: number;
  readonly modelActive: number;
  /** The hottest share of the neurons against the share of the activations: in the other half, and as the model has it; at `SHARES`. */
  readonly carried: Float64Array;
  readonly modelCarried: Float64Array;
  /** Largest distance between the two; and of the published curve, and of no skew at all. */
  readonly distance: number;
  readonly publishedDistance: number;
  readonly evenDistance: number;
  /** Neurons that never fired in either half, of all. */
  readonly never: number;
}

/** Bits a token, all layers: with one rate for all neurons; one a layer; the model's rates by rank; each neuron's own rate of the first half; its own rate of this very half, which nothing known before can have. */
export interface Likelihood { readonly one: number; readonly byLayer: number; readonly model: number; readonly own: number; readonly best: number }

export interface FrequencyFit { readonly layers: ReadonlyArray<LayerFit>; readonly likelihood: Likelihood }

/** `model` has the statistics of `known`; `published` is another model, whose curve is laid beside. */
export const fitFrequencies = (model: ModelSpec, published: ModelSpec, known: Text, seen: Text): FrequencyFit => {
  const [before, after] = [countsOf(known), countsOf(seen)];
  const { ffn, tokens } = seen;
  const rateOfAll = (counts: ReadonlyArray<Counted>): number => counts.reduce((sum, { fired }) => sum + fired.reduce((s, n) => s + n, 0), 0) / counts.reduce((sum, { uses }) => sum + ffn * uses.reduce((s, n) => s + n, 0), 0);
  const publishedCurve = curveOfModel(published, 0);
  const bits = { one: 0, byLayer: 0, model: 0, own: 0, best: 0 };
  const everywhere = rateOfAll(before);
  const layers = after.map((counts, layer): LayerFit => {
    const bins = rateBins(model, layer);
    const carried = carriedIn(before[layer]!, counts, seen);
    const modelCarried = modelCurve(bins);
    const [own, best, byRank, inLayer] = [smoothed(before[layer]!, ffn), smoothed(counts, ffn), ranked(bins, before[layer]!, seen), rateOfAll([before[layer]!])];
    bits.one += bitsOf(() => everywhere, counts, ffn) / tokens;
    bits.byLayer += bitsOf(() => inLayer, counts, ffn) / tokens;
    bits.model += bitsOf((place) => byRank[place]!, counts, ffn) / tokens;
    bits.own += bitsOf((place) => own[place]!, counts, ffn) / tokens;
    bits.best += bitsOf((place) => best[place]!, counts, ffn) / tokens;
    return {
      layer, active: rateOfAll([counts]), modelActive: meanRate(bins), carried, modelCarried,
      distance: distance(carried, modelCarried), publishedDistance: distance(carried, publishedCurve), evenDistance: distance(carried, SHARES),
      never: mean(counts.fired.map((count, place) => (count > 0 || before[layer]!.fired[place]! > 0 ? 0 : 1))),
    };
  });
  return { layers, likelihood: bits };
};

