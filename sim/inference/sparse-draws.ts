/**
 * What each token needs of each layer's clusters at `cluster` fidelity: numbers drawn from the statistics of the neurons
 * and of the caches that the plan sets up. (sim/neurons has the laws; this file puts a plan's segments to them.)
 */
import { sizesOf, type ModelSpec } from "../domain/model.js";
import type { Plan } from "../domain/plan.js";
import type { RunRequest } from "../domain/run.js";
import { rateBins, sliceBins, type RateBins } from "../neurons/activation.js";
import { relativeResponse } from "../neurons/activity.js";
import type { ExpertUse } from "../neurons/experts.js";
import type { GapMiss } from "../neurons/idle-gap.js";
import { layerUnion, layerUse, lruMissOfModel, populationsOf, windowHolds, windowMissOfModel } from "../neurons/populations.js";
import { clustersPerExpert, coldResponse, createClusterDraws, createTokenSampler, type ClusterTable } from "../neurons/sampling.js";
import type { LayerDraw } from "./decode-layer.js";
import type { LayerRates } from "./layer-rates.js";

/** One layer's populations: rows dense on the NPU, resident rows computed sparsely, and those backed by flash. */
export interface LayerLaw {
  /** The experts that a step uses. */
  readonly use: ExpertUse;
  /** Active neurons among one expert's rows on the NPU, on average. */
  readonly hotActivePerExpert: number;
  readonly warmPerExpert: number;
  readonly warmRate: number;
  /** How much more or less than the whole token the warm rows swing (`coldResponse` of theirs). */
  readonly warmResponse: number;
  /** Tokens' worth of work per active row: 1 for a single token, more when a batch shares rows. */
  readonly workPerActive: number;
  readonly cold: ClusterTable;
  /** Mean miss share of active cold neurons. */
  readonly missOfActive: number;
}

/**
 * A row that several tokens of a batch activate is read once and multiplied for each: a further token costs half of the
 * first, the other half being the row's way through the cache and its dequantisation. Estimated; only batches see it.
 */
export const FURTHER_TOKEN_COST = 0.5;

const work = (single: RateBins, union: RateBins, from: number, to: number, batch: number): number => {
  const each = sliceBins(single, from, to).meanRate * batch;
  const any = sliceBins(union, from, to).meanRate;
  return any <= 0 ? 1 : 1 + FURTHER_TOKEN_COST * (each / any - 1);
};

const EVERY_MISS: GapMiss = { missOfActive: 1, missIfExpertRepeats: 1, missIfExpertSwitches: 1 };
const NO_MISS: GapMiss = { missOfActive: 0, missIfExpertRepeats: 0, missIfExpertSwitches: 0 };

/** Shares of the FFN kept before any cold neuron is looked up: the hot segment and what is streamed under attention. */
const residentShare = (rates: LayerRates): number => Math.min(1, rates.hotShare + rates.prefetchShare);

/** The longest window, in tokens and the same for all layers, whose neurons fill the cold segment on average. */
export const windowTokensOf = (model: ModelSpec, rates: LayerRates, single: ReadonlyArray<RateBins>, request: RunRequest): number => {
  const pinnedShare = residentShare(rates);
  const layers = single.map((bins, layer) => populationsOf(model, layer, bins, request.batch));
  const held = (windowTokens: number): number => layers.reduce((sum, populations) => sum + windowHolds(populations, pinnedShare, windowTokens), 0) / layers.length;
  if (held(LONGEST_WINDOW) <= rates.coldShare) return LONGEST_WINDOW;
  let low = 0;
  let high = LONGEST_WINDOW;
  // Held bytes grow with the window: halved until the window is known to a thousandth of a token.
  while (high - low > 1e-3) {
    const middle = (low + high) / 2;
    if (held(middle) <= rates.coldShare) low = middle;
    else high = middle;
  }
  return low;
};
/** A window that long holds whatever a prompt has used. */
const LONGEST_WINDOW = 2 ** 18;

/** Misses of the cold neurons, by layer, in the cache that the plan's mechanism names. `static-hot` and `none` keep no cold neuron: coldShare is 0. */
const missesOf = (model: ModelSpec, plan: Plan, rates: LayerRates, request: RunRequest, single: ReadonlyArray<RateBins>): ReadonlyArray<GapMiss> => {
  if (rates.allResident) return single.map(() => NO_MISS);
  if (rates.coldShare <= 0) return single.map(() => EVERY_MISS);
  const { batch } = request;
  const pinnedShare = residentShare(rates);
  if (plan.mechanisms.cache === "window") {
    const windowTokens = windowTokensOf(model, rates, single, request);
    return single.map((bins, layer) => windowMissOfModel(model, { layer, bins }, pinnedShare, windowTokens, batch));
  }
  return lruMissOfModel(model, single.map((bins, layer) => ({ layer, bins })), { pinnedShare, capacityShare: rates.coldShare, tokenVariation: model.activations.tokenVariation.value / Math.sqrt(batch), batch });
};

export const layerLaws = (model: ModelSpec, plan: Plan, rates: LayerRates, request: RunRequest): ReadonlyArray<LayerLaw> => {
  const { batch } = request;
  const single = Array.from({ length: model.layers }, (_, layer) => rateBins(model, layer));
  const union = single.map((bins, layer) => layerUnion(model, layer, bins, batch));
  const resident = residentShare(rates);
  const misses = missesOf(model, plan, rates, request, single);
  const uses = single.map((_, layer) => layerUse(model, layer, batch));
  const coldPerExpert = rates.allResident ? 0 : Math.round(model.ffn * (1 - resident));
  const warmPerExpert = Math.max(0, model.ffn - coldPerExpert - Math.round(model.ffn * rates.npuShare));
  return single.map((bins, layer): LayerLaw => ({
    hotActivePerExpert: rates.npuShare <= 0 ? 0 : model.ffn * rates.npuShare * sliceBins(union[layer]!, 0, rates.npuShare).meanRate,
    warmPerExpert,
    warmRate: sliceBins(union[layer]!, rates.npuShare, rates.allResident ? 1 : resident).meanRate,
    warmResponse: relativeResponse([sliceBins(union[layer]!, rates.npuShare, rates.allResident ? 1 : resident).bins], [union[layer]!]),
    workPerActive: work(bins, union[layer]!, rates.npuShare, 1, (batch * model.experts.active) / uses[layer]!.active),
    use: uses[layer]!,
    cold: {
      coldPerExpert,
      clusterNeurons: plan.cluster.neurons,
      activeRate: sliceBins(union[layer]!, resident, 1).meanRate,
      missIfExpertRepeats: misses[layer]!.missIfExpertRepeats,
      missIfExpertSwitches: misses[layer]!.missIfExpertSwitches,
      response: coldResponse(union[layer]!, resident),
    },
    missOfActive: misses[layer]!.missOfActive,
  }));
};

export interface SparseDraws {
  readonly nextToken: () => void;
  readonly fillLayer: (layer: number, out: LayerDraw) => void;
}

export const sparseDraws = (model: ModelSpec, plan: Plan, rates: LayerRates, request: RunRequest, laws: ReadonlyArray<LayerLaw>): SparseDraws => {
  const tables = laws.map((law) => law.cold);
  const sampler = createTokenSampler(model, request.seed, tables, request.batch);
  const draws = createClusterDraws(model, tables);
  // The mean of a lognormal's power is brought back to 1 (as in sampling.ts).
  const variance = model.activations.tokenVariation.value ** 2 / request.batch;
  const denseBytesPerExpert = model.ffn * rates.npuShare * sizesOf(model).neuronBytes;
  return {
    nextToken: sampler.nextToken,
    fillLayer: (layer, out) => {
      const law = laws[layer]!;
      const inUse = sampler.expertsInUse(layer);
      const activity = sampler.activity();
      const perExpert = Math.ceil(law.warmPerExpert / plan.cluster.neurons);
      const activeEach = perExpert === 0 ? 0 : (law.warmPerExpert / perExpert) * Math.min(1, law.warmRate * activity ** law.warmResponse * Math.exp((law.warmResponse * (1 - law.warmResponse) * variance) / 2));
      out.warmClusters = perExpert * inUse;
      for (let c = 0; c < out.warmClusters; c++) {
        out.warmActive[c] = activeEach;
        out.warmWork[c] = activeEach * law.workPerActive;
      }
      out.coldClusters = law.cold.coldPerExpert === 0 ? 0 : sampler.fillLayer(layer, draws);
      for (let c = 0; c < out.coldClusters; c++) {
        out.coldActive[c] = draws.active[c]!;
        out.coldWork[c] = draws.active[c]! * law.workPerActive;
        out.coldMissing[c] = draws.missing[c]!;
      }
      out.hotActive = law.hotActivePerExpert * inUse;
      out.denseBytes = denseBytesPerExpert * inUse;
      out.denseMissingBytes = 0;
      out.attentionMissingBytes = 0;
    },
  };
};

/** Room for the draws of any layer. */
export const createLayerDraw = (model: ModelSpec, laws: ReadonlyArray<LayerLaw>, clusterNeurons: number): LayerDraw => {
  const warm = model.experts.count * Math.max(1, ...laws.map((law) => Math.ceil(law.warmPerExpert / clusterNeurons)));
  const cold = model.experts.count * Math.max(1, ...laws.map((law) => clustersPerExpert(law.cold)));
  return {
    warmClusters: 0,
    coldClusters: 0,
    warmActive: new Float64Array(warm),
    warmWork: new Float64Array(warm),
    coldActive: new Float64Array(cold),
    coldWork: new Float64Array(cold),
    coldMissing: new Float64Array(cold),
    hotActive: 0,
    denseBytes: 0,
    denseMissingBytes: 0,
    attentionMissingBytes: 0,
  };
};

