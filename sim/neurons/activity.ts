/**
 * How much a token activates altogether, against the mean token: lognormal about 1 with the model's tokenVariation, the
 * same for all layers. For single neurons that factor is an exposure m: one that fires with probability p fires with
 * 1 - (1-p)^m instead. Hot neurons hardly can fire more often, so the exposure must vary more than the number of active
 * neurons does, and be centred so that the mean number stays.
 */
import type { RandomStream } from "../base/random.js";
import { meanRate, type RateBins } from "./activation.js";

/** Activity of a token: lognormal with mean 1. */
export const drawActivity = (random: RandomStream, variation: number): number => Math.exp(variation * random.normal() - (variation * variation) / 2);

/** The exposure of a token whose activity deviates by z standard deviations is exp(spread z + centre). */
export interface Exposure { readonly spread: number; readonly centre: number }

/** Above this mean rate there is too little left to vary. */
const MOST_ACTIVE = 0.95;

/** Five-point Gauss-Hermite rule for the standard normal. */
const NODES = [-2.8569700138728056, -1.3556261799742657, 0, 1.3556261799742657, 2.8569700138728056];
const WEIGHTS = [0.011257411327720689, 0.22207592200561266, 0.5333333333333333, 0.22207592200561266, 0.011257411327720689];

/** By how much more the number of active neurons grows, in logarithms, when the exposure does: near 1 for cold neurons, near 0 for hot ones. */
const responseOf = (populations: ReadonlyArray<RateBins>): number => {
  let grows = 0;
  let active = 0;
  for (const { share, rate } of populations) {
    for (let b = 0; b < share.length; b++) {
      grows -= rate[b] < 1 ? share[b] * (1 - rate[b]) * Math.log1p(-rate[b]) : 0;
      active += share[b] * rate[b];
    }
  }
  return active > 0 ? grows / active : 1;
};

/** How much more than the token as a whole the neurons of a part of it swing, in logarithms: above 1 for cold ones (nearly 2 in steep layers, whose hot neurons always fire), near 0 for hot ones. */
export const relativeResponse = (part: ReadonlyArray<RateBins>, whole: ReadonlyArray<RateBins>): number => {
  const response = responseOf(whole);
  return response > 0 ? responseOf(part) / response : 0;
};

/** Mean share of active neurons at one exposure. */
const activeAt = (layers: ReadonlyArray<RateBins>, exposure: number): number => {
  let active = 0;
  for (const bins of layers) for (let b = 0; b < bins.share.length; b++) active += bins.share[b] * (1 - (1 - bins.rate[b]) ** exposure);
  return active / layers.length;
};

/** The exposure law under which the number of active neurons of these layers varies by `variation` and keeps its mean. */
export const exposureOf = (layers: ReadonlyArray<RateBins>, variation: number): Exposure => {
  const mean = layers.reduce((sum, bins) => sum + meanRate(bins), 0) / layers.length;
  const response = responseOf(layers);
  // A model that is always fully active cannot vary.
  if (variation === 0 || mean > MOST_ACTIVE) return { spread: 0, centre: 0 };
  const spread = variation / response;
  // The mean grows with the centre about as log does with `response`: a few corrections settle it.
  let centre = 0;
  for (let round = 0; round < 6; round++) {
    const averaged = NODES.reduce((sum, z, i) => sum + WEIGHTS[i] * activeAt(layers, Math.exp(spread * z + centre)), 0);
    centre += Math.log(mean / averaged) / response;
  }
  return { spread, centre };
};
