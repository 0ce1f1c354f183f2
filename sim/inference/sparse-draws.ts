/**
 * What each token needs of each layer's clusters at `cluster` fidelity: numbers drawn from the statistics of the neurons
 * and of the caches that the plan sets up. (sim/neurons has the laws; this file puts a plan's segments to them.)
 */
import { sizesOf, type ModelSpec } from "../domain/model.js";
import type { Plan } from "../domain/plan.js";
import type { RunRequest } from "../domain/run.js";
import { batchUnion, rateBins, sliceBins, type RateBins } from "../neurons/activation.js";
import { batchExperts } from "../neurons/experts.js";
import { lruMissOfLayers } from "../neurons/locality.js";
import { clustersPerExpert, createClusterDraws, createTokenSampler, type ClusterTable } from "../neurons/sampling.js";
import type { LayerDraw } from "./decode-layer.js";
import type { LayerRates } from "./layer-rates.js";

/** One layer's populations: rows dense on the NPU, resident rows computed sparsely, and those backed by flash. */
export interface LayerLaw {
  readonly warmPerExpert: number;
  readonly warmRate: number;
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
const FURTHER_TOKEN_COST = 0.5;

const work = (single: RateBins, union: RateBins, from: number, to: number, batch: number): number => {
  const each = sliceBins(single, from, to).meanRate * batch;
  const any = sliceBins(union, from, to).meanRate;
  return any <= 0 ? 1 : 1 + FURTHER_TOKEN_COST * (each / any - 1);
};

export const layerLaws = (model: ModelSpec, plan: Plan, rates: LayerRates, request: RunRequest): ReadonlyArray<LayerLaw> => {
  const { batch } = request;
  const { experts, activations } = model;
  const use = batchExperts({ count: experts.count, active: experts.active, repeat: experts.repeat.value }, batch);
  const perSequence = experts.active / experts.count;
  const single = Array.from({ length: model.layers }, (_, layer) => rateBins(model, layer));
  const union = batch === 1 ? single : single.map((bins) => batchUnion(bins, batch, 0, perSequence));
  const resident = Math.min(1, rates.hotShare + rates.prefetchShare);
  const misses = rates.allResident || rates.coldShare <= 0
    ? single.map(() => ({ missOfActive: rates.allResident ? 0 : 1, missIfExpertRepeats: rates.allResident ? 0 : 1, missIfExpertSwitches: rates.allResident ? 0 : 1 }))
    : lruMissOfLayers(union, { pinnedShare: resident, capacityShare: rates.coldShare, overlap: activations.tokenOverlap.value, experts: use, tokenVariation: activations.tokenVariation.value / Math.sqrt(batch) });
  const coldPerExpert = rates.allResident ? 0 : Math.round(model.ffn * (1 - resident));
  const warmPerExpert = Math.max(0, model.ffn - coldPerExpert - Math.round(model.ffn * rates.npuShare));
  return single.map((bins, layer): LayerLaw => ({
    warmPerExpert,
    warmRate: sliceBins(union[layer]!, rates.npuShare, rates.allResident ? 1 : resident).meanRate,
    workPerActive: work(bins, union[layer]!, rates.npuShare, 1, (batch * perSequence) / (use.active / use.count)),
    cold: {
      coldPerExpert,
      clusterNeurons: plan.cluster.neurons,
      activeRate: sliceBins(union[layer]!, resident, 1).meanRate,
      missIfExpertRepeats: misses[layer]!.missIfExpertRepeats,
      missIfExpertSwitches: misses[layer]!.missIfExpertSwitches,
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
  const denseBytesPerExpert = model.ffn * rates.npuShare * sizesOf(model).neuronBytes;
  return {
    nextToken: sampler.nextToken,
    fillLayer: (layer, out) => {
      const law = laws[layer]!;
      const inUse = sampler.expertsInUse(layer);
      const activity = sampler.activity();
      const perExpert = Math.ceil(law.warmPerExpert / plan.cluster.neurons);
      const activeEach = perExpert === 0 ? 0 : (law.warmPerExpert / perExpert) * Math.min(1, law.warmRate * activity);
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
    denseBytes: 0,
    denseMissingBytes: 0,
    attentionMissingBytes: 0,
  };
};

