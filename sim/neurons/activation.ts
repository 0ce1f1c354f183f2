/**
 * How often each neuron of a layer fires, as data and not as a mean: neurons in bins from hottest to coldest, each bin
 * with its rate. Everything about caches and batches follows from the spread of these rates.
 */
import type { ModelSpec } from "../domain/model.js";
import { layerCurve, layerShare } from "./layers.js";
import { carriedBy } from "./skew.js";

export interface RateBins {
  /** Fraction of an expert's neurons in the bin, hottest bin first; sums to 1. */
  readonly share: Float64Array;
  /** Probability of being active in a token, given that the neuron's expert is in use; descends. */
  readonly rate: Float64Array;
}

const BINS = 96;
/** No neuron is quite always on: a rate of 1 would make its idle gaps undefined. */
const HIGHEST_RATE = 0.999;
/** Of the mean rate. */
const LOWEST_SLOPE = 1e-6;

/**
 * Rates of the given mean in proportion to `slope`, none above `ceiling`: what the clipped ones lose, the others gain in
 * proportion. A few rounds suffice, since each one clips at least one more bin or ends.
 */
const clippedRates = (share: Float64Array, slope: Float64Array, mean: number, ceiling: number): Float64Array => {
  let clipped = 0;
  for (let round = 0; round <= BINS; round++) {
    let clippedShare = 0;
    let freeMass = 0;
    for (let i = 0; i < share.length; i++) {
      if (i < clipped) clippedShare += share[i];
      else freeMass += share[i] * slope[i];
    }
    const scale = (mean - clippedShare * ceiling) / freeMass;
    let more = clipped;
    while (more < share.length && scale * slope[more] > ceiling) more++;
    if (more === clipped) return slope.map((s, i) => (i < clipped ? ceiling : scale * s));
    clipped = more;
  }
  return slope.map(() => mean);
};

/** The rates of one layer's neurons. Layers differ: see layers.ts. */
export const rateBins = (model: ModelSpec, layer: number): RateBins => {
  const [curve, mean] = [layerCurve(model, layer), layerShare(model, layer)];
  const share = new Float64Array(BINS);
  const slope = new Float64Array(BINS);
  for (let i = 0; i < BINS; i++) {
    // Squares make the hottest bin 0.01 % of the neurons and the coldest 2 %: rates change fastest at the hot end.
    const from = (i / BINS) ** 2;
    const to = ((i + 1) / BINS) ** 2;
    share[i] = to - from;
    const exact = (carriedBy(curve, to) - carriedBy(curve, from)) / share[i];
    // No neuron never fires; and where the curve is flat, differences of nearly equal numbers must not make rates rise.
    slope[i] = Math.max(LOWEST_SLOPE, i === 0 ? exact : Math.min(exact, slope[i - 1]));
  }
  return { share, rate: clippedRates(share, slope, mean, Math.max(HIGHEST_RATE, mean)) };
};

/** Mean rate: the share of the neurons that one token activates. */
export const meanRate = (bins: RateBins): number => {
  let sum = 0;
  for (let i = 0; i < bins.share.length; i++) sum += bins.share[i] * bins.rate[i];
  return sum;
};

/** Share of the activations that the hottest `share` of the neurons carry. */
export const coverage = (bins: RateBins, share: number): number => {
  let left = share;
  let carried = 0;
  for (let i = 0; i < bins.share.length && left > 0; i++) {
    carried += Math.min(left, bins.share[i]) * bins.rate[i];
    left -= bins.share[i];
  }
  return carried / meanRate(bins);
};

/** The neurons ranked within [from, to) as shares of all, as a population of its own, and their mean rate. Empty ranges give empty bins of rate 0. */
export const sliceBins = (bins: RateBins, from: number, to: number): { readonly bins: RateBins; readonly meanRate: number } => {
  const share: Array<number> = [];
  const rate: Array<number> = [];
  let start = 0;
  for (let i = 0; i < bins.share.length; i++) {
    const end = start + bins.share[i];
    const inside = Math.min(end, to) - Math.max(start, from);
    // Below this a sliver is rounding error of the running sum, not a neuron (a layer has 10^4).
    if (inside > 1e-9) {
      share.push(inside);
      rate.push(bins.rate[i]);
    }
    start = end;
  }
  const width = share.reduce((sum, s) => sum + s, 0);
  const sliced = { share: Float64Array.from(share, (s) => s / width), rate: Float64Array.from(rate) };
  return { bins: sliced, meanRate: meanRate(sliced) };
};

/**
 * Rates of being active for at least one of `batch` tokens decoded together, given that at least one of them uses the
 * neuron's expert. `correlation` is the correlation of a neuron's activity between two tokens of the batch: 0 for
 * independent tokens, 1 - (1 - r)^n; 1 for tokens that all activate the same neurons. In between, a neuron's rate in this
 * batch is Beta-distributed about r with that correlation, and the chance that n tokens leave it idle is
 * Π_{i<n} ((1-r)(1-c) + i c) / ((1-c) + i c). `expertShare` is active/count of the experts: n is then binomial.
 */
export const batchUnion = (bins: RateBins, batch: number, correlation = 0, expertShare = 1): RateBins => {
  // Probabilities that 1, 2, ... of the batch's tokens use the expert, in logarithms: (1-q)^batch underflows.
  const uses = new Float64Array(batch + 1);
  if (expertShare >= 1) uses[batch] = 1;
  // The limit: of an expert that is hardly ever used, one token at a time makes use.
  else if (expertShare <= 0) uses[1] = 1;
  else {
    let logProbability = batch * Math.log1p(-expertShare);
    const anyUse = -Math.expm1(logProbability);
    for (let n = 1; n <= batch; n++) {
      logProbability += Math.log(((batch - n + 1) / n) * (expertShare / (1 - expertShare)));
      uses[n] = Math.exp(logProbability) / anyUse;
    }
  }
  const rate = bins.rate.map((r) => {
    let idle = 1;
    let active = 0;
    for (let n = 1; n <= batch; n++) {
      const common = (n - 1) * correlation;
      const scale = 1 - correlation + common;
      idle *= scale > 0 ? ((1 - r) * (1 - correlation) + common) / scale : 1 - r;
      active += uses[n] * (1 - idle);
    }
    return active;
  });
  return { share: bins.share, rate };
};
