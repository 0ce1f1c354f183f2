/**
 * Misses of the neuron caches by statistics, from the law of idle gaps (idle-gap.ts).
 *
 * LRU by Che's characteristic time (Che, Tung, Wang 2002): a neuron is resident iff it was active in the last T tokens,
 * and T is where the expected occupancy meets the capacity. Two things are special here. A token uses each neuron at most
 * once, so gaps are whole tokens and the miss share falls in STEPS as capacity grows: a gap of j tokens hits iff the
 * distinct neurons of j tokens fit. Below one token's demand nothing hits: the LRU cliff. And tokens differ in activity
 * (model.activations.tokenVariation, lognormal of variance v about 1), which rounds the steps: see `fitting`.
 */
import { relativeResponse } from "./activity.js";
import { coverage, type RateBins } from "./activation.js";
import type { ExpertUse } from "./experts.js";
import { gapLaw, missBeyond, occupancyWithin, type GapLaw, type GapMiss } from "./idle-gap.js";
import { normalBelow } from "./normal.js";

export interface Locality {
  /** model.activations.tokenOverlap. */
  readonly overlap: number;
  readonly experts: ExpertUse;
}

export interface LruQuestion extends Locality {
  readonly bins: RateBins;
  /** The hottest share of every expert's neurons, kept elsewhere: neither looked up here nor taking room. */
  readonly pinnedShare: number;
  /** What the LRU holds, as a share of ALL the layer's neurons. */
  readonly capacityShare: number;
  /** model.activations.tokenVariation (over the square root of the batch). */
  readonly tokenVariation: number;
}

export interface LruMiss extends GapMiss {
  /** Tokens that the LRU remembers; below 1 it holds less than one token needs; Infinity when all fits. */
  readonly characteristicTokens: number;
}

/** Beyond this a remembered window is as good as endless. */
const MOST_TOKENS = 2 ** 40;
/** Steps are followed one by one up to here; further on each is below half a percent. */
const LAST_STEP = 24;
const MOST_STEPS = 4 * LAST_STEP;

const occupancyOf = (laws: ReadonlyArray<GapLaw>, tokens: number): number => {
  let occupied = 0;
  for (const law of laws) occupied += occupancyWithin(law, tokens);
  return occupied / laws.length;
};

/** The T at which mean occupancy over the layers equals `capacityShare`: straight between whole tokens. */
const characteristicTokens = (laws: ReadonlyArray<GapLaw>, capacityShare: number): number => {
  let managed = 0;
  for (const law of laws) for (const share of law.share) managed += share;
  if (capacityShare >= managed / laws.length - 1e-9) return Infinity;
  let below = 0;
  let belowShare = 0;
  let above = 1;
  let aboveShare = occupancyOf(laws, above);
  while (aboveShare < capacityShare && above < MOST_TOKENS) {
    below = above;
    belowShare = aboveShare;
    above *= 2;
    aboveShare = occupancyOf(laws, above);
  }
  if (aboveShare < capacityShare) return Infinity;
  while (above - below > 1) {
    const middle = Math.floor((below + above) / 2);
    const share = occupancyOf(laws, middle);
    if (share < capacityShare) {
      below = middle;
      belowShare = share;
    } else {
      above = middle;
      aboveShare = share;
    }
  }
  return aboveShare > belowShare ? below + (capacityShare - belowShare) / (aboveShare - belowShare) : below;
};

const mixedMiss = (law: GapLaw, windows: ReadonlyArray<{ readonly tokens: number; readonly weight: number }>): GapMiss => {
  let missOfActive = 0;
  let missIfExpertRepeats = 0;
  let missIfExpertSwitches = 0;
  for (const { tokens, weight } of windows) {
    const miss = missBeyond(law, tokens);
    missOfActive += weight * miss.missOfActive;
    missIfExpertRepeats += weight * miss.missIfExpertRepeats;
    missIfExpertSwitches += weight * miss.missIfExpertSwitches;
  }
  return { missOfActive, missIfExpertRepeats, missIfExpertSwitches };
};

/** Straight between the two whole windows about `tokens`. */
const between = (tokens: number): ReadonlyArray<{ readonly tokens: number; readonly weight: number }> => {
  const whole = Math.floor(tokens);
  return [{ tokens: whole, weight: whole + 1 - tokens }, { tokens: whole + 1, weight: tokens - whole }];
};

/**
 * Probability that the distinct neurons of a gap of `gap` tokens fit. Their mean is the occupancy F(gap) and each token
 * moves it by its activity times what it alone adds, d = F(gap) - F(gap - 1). The gap begins and ends at one neuron's place
 * inside a token, so two of its tokens are cut in complementary parts u and 1-u: their variances count E[u² + (1-u)²] = 2/3
 * on average, and since both were met by way of an active neuron, their mean activity is 1 + v. Lognormal of that mean
 * and variance: never below zero, so that no room means no hits.
 */
const fitting = (laws: ReadonlyArray<GapLaw>, capacityShare: number, gap: number, activityVariance: number): number => {
  const mean = occupancyOf(laws, gap);
  const added = mean - occupancyOf(laws, gap - 1);
  const seen = mean + activityVariance * added;
  const logVariance = Math.log1p(activityVariance * (gap - 1 / 3) * (added / seen) ** 2);
  return normalBelow((Math.log(capacityShare / seen) + logVariance / 2) / Math.sqrt(logVariance));
};

/** The whole windows that the LRU remembers, with their probabilities. */
const remembered = (laws: ReadonlyArray<GapLaw>, tokens: number, capacityShare: number, variation: number): ReadonlyArray<{ readonly tokens: number; readonly weight: number }> => {
  if (tokens > LAST_STEP) return between(tokens);
  if (variation === 0 || capacityShare <= 0) return [{ tokens: Math.floor(tokens), weight: 1 }];
  const activityVariance = Math.expm1(variation ** 2);
  const windows: Array<{ readonly tokens: number; readonly weight: number }> = [];
  // Gaps shorter by five deviations fit for certain.
  const certain = Math.max(0, Math.floor(tokens - 1 - 5 * variation * Math.sqrt(tokens + 1)));
  let fits = 1;
  for (let gap = certain + 1; fits > 0; gap++) {
    const likely = fitting(laws, capacityShare, gap, activityVariance);
    const fitsNext = likely < 1e-4 || gap > MOST_STEPS ? 0 : Math.min(fits, likely);
    if (fits > fitsNext) windows.push({ tokens: gap - 1, weight: fits - fitsNext });
    fits = fitsNext;
  }
  return windows;
};

/** Neurons under one law: those of a layer, or of one of its experts. */
export interface Population extends Locality { readonly bins: RateBins }

type Shared = Pick<LruQuestion, "pinnedShare" | "capacityShare" | "tokenVariation">;

/** What such an LRU remembers, in whole windows; null where all fits. */
const rememberedBy = (populations: ReadonlyArray<Population>, laws: ReadonlyArray<GapLaw>, tokens: number, { capacityShare, tokenVariation }: Shared) =>
  tokens === Infinity ? null : remembered(laws, tokens, capacityShare, tokenVariation * relativeResponse(laws, populations.map(({ bins }) => bins)));

const lawsOf = (populations: ReadonlyArray<Population>, { pinnedShare }: Pick<Shared, "pinnedShare">): ReadonlyArray<GapLaw> => populations.map(({ bins, overlap, experts }) => gapLaw(bins, pinnedShare, overlap, experts));

/**
 * Misses of one LRU that serves several populations of as many neurons each, by population: they share one characteristic time, so those whose
 * activity is concentrated get less room. `capacityShare` is of all their neurons.
 */
export const lruMissOfPopulations = (populations: ReadonlyArray<Population>, question: Shared): ReadonlyArray<LruMiss> => {
  const laws = lawsOf(populations, question);
  const tokens = characteristicTokens(laws, question.capacityShare);
  const windows = rememberedBy(populations, laws, tokens, question);
  return laws.map((law) => ({ ...(windows === null ? { missOfActive: 0, missIfExpertRepeats: 0, missIfExpertSwitches: 0 } : mixedMiss(law, windows)), characteristicTokens: tokens }));
};

/** The same for layers that differ in nothing but their rates. */
export const lruMissOfLayers = (layers: ReadonlyArray<RateBins>, { overlap, experts, ...question }: Omit<LruQuestion, "bins">): ReadonlyArray<LruMiss> =>
  lruMissOfPopulations(layers.map((bins) => ({ bins, overlap, experts })), question);

/**
 * How the same misses lie over the neurons: for each population and each of its bins, the share of a bin's uses that miss. The hottest `pinnedShare`
 * is not looked up here; its bins are answered as if it were.
 */
export const lruMissByRate = (populations: ReadonlyArray<Population>, question: Shared): ReadonlyArray<Float64Array> => {
  const laws = lawsOf(populations, question);
  const windows = rememberedBy(populations, laws, characteristicTokens(laws, question.capacityShare), question);
  if (windows === null) return populations.map(({ bins: { rate } }) => new Float64Array(rate.length));
  return populations.map(({ bins: { rate }, overlap, experts }) => rate.map((one) => mixedMiss(gapLaw({ share: Float64Array.of(1), rate: Float64Array.of(one) }, 0, overlap, experts), windows).missOfActive));
};

/** Misses of an LRU that gives this layer the room `capacityShare`. */
export const lruMiss = (question: LruQuestion): LruMiss => lruMissOfLayers([question.bins], question)[0];

export interface WindowQuestion extends Locality {
  readonly bins: RateBins;
  readonly pinnedShare: number;
  /** Neurons active in the last so many tokens are kept (LLM in a flash, arXiv 2312.11514, sliding window: 4-5). */
  readonly windowTokens: number;
}

/** Misses of a sliding window over tokens. */
export const windowMiss = (question: WindowQuestion): GapMiss =>
  mixedMiss(gapLaw(question.bins, question.pinnedShare, question.overlap, question.experts), between(question.windowTokens));

/** Share of all the layer's neurons that the window holds on average. */
export const windowOccupancy = (question: WindowQuestion): number => {
  const law = gapLaw(question.bins, question.pinnedShare, question.overlap, question.experts);
  return between(question.windowTokens).reduce((sum, { tokens, weight }) => sum + weight * occupancyWithin(law, tokens), 0);
};

/** The longest window, in tokens, whose mean occupancy of these populations is `capacityShare` of all their neurons; Infinity when all fit. */
export const windowTokensAt = (populations: ReadonlyArray<Population>, { pinnedShare, capacityShare }: Pick<LruQuestion, "pinnedShare" | "capacityShare">): number =>
  characteristicTokens(lawsOf(populations, { pinnedShare }), capacityShare);

/** Misses when just the hottest `pinnedShare` is kept: all activations of the rest. */
export const staticMiss = (bins: RateBins, pinnedShare: number): number => Math.max(0, 1 - coverage(bins, pinnedShare));
