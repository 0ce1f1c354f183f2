/**
 * The neurons of a model's layers in populations that share one law, and the misses of a cache that serves them all: what locality.ts says of
 * populations, put together again by layer.
 */
import type { ModelSpec } from "../domain/model.js";
import { batchUnion, type RateBins } from "./activation.js";
import { batchExperts, expertsApart, type ExpertUse } from "./experts.js";
import type { GapMiss } from "./idle-gap.js";
import { layerExperts, layerOverlap } from "./layers.js";
import { lruMissByRate, lruMissOfPopulations, windowMiss, windowOccupancy, windowTokensAt, type LruQuestion, type Population } from "./locality.js";

/** A population of a layer, and the share of the layer's uses of experts that go to it. */
export interface LayerPopulation extends Population { readonly weight: number }

/** One population where experts are alike, one for each expert where they are not. `bins` are the layer's, of one sequence. */
export const populationsOf = (model: ModelSpec, layer: number, bins: RateBins, batch: number): ReadonlyArray<LayerPopulation> => {
  const overlap = layerOverlap(model, layer);
  const apart = expertsApart(layerExperts(model, layer)).map((one) => ({ bins: batch === 1 ? bins : batchUnion(bins, batch, 0, one.active / one.count), experts: batchExperts(one, batch) }));
  const uses = apart.reduce((sum, { experts }) => sum + experts.active / experts.count, 0);
  return apart.map((one) => ({ ...one, overlap, weight: one.experts.active / one.experts.count / uses }));
};

/** The experts of a layer that a step of so many sequences uses: how many of them on average, and how often one that is used was used by the step before. */
export const layerUse = (model: ModelSpec, layer: number, batch: number): ExpertUse => {
  const apart = expertsApart(layerExperts(model, layer)).map((experts) => batchExperts(experts, batch));
  if (apart.length === 1) return apart[0]!;
  const active = apart.reduce((sum, one) => sum + one.active / one.count, 0);
  return { count: apart.length, active, repeat: apart.reduce((sum, one) => sum + (one.active / one.count) * one.repeat, 0) / active };
};

/** Mean over a model's layers of the experts that a step uses. */
export const meanExpertsUsed = (model: ModelSpec, batch: number): number => Array.from({ length: model.layers }, (_, layer) => layerUse(model, layer, batch).active).reduce((sum, used) => sum + used, 0) / model.layers;

/** How often a layer's neurons fire for at least one of so many sequences whose step uses their expert: `batchUnion`, over experts as they are used. */
export const layerUnion = (model: ModelSpec, layer: number, bins: RateBins, batch: number): RateBins => {
  if (batch === 1) return bins;
  const populations = populationsOf(model, layer, bins, batch);
  return populations.length === 1 ? populations[0]!.bins : { share: bins.share, rate: bins.rate.map((_, bin) => populations.reduce((sum, { weight, bins: own }) => sum + weight * own.rate[bin]!, 0)) };
};

/** Of the populations of one layer: over all its uses of experts, over those of experts that were in use before, and over the others. */
export const missOfLayer = (populations: ReadonlyArray<LayerPopulation>, misses: ReadonlyArray<GapMiss>): GapMiss => {
  if (populations.length === 1) return misses[0]!;
  let [all, repeats, repeated, switches, switched] = [0, 0, 0, 0, 0];
  populations.forEach(({ weight, experts: { repeat } }, i) => {
    const miss = misses[i]!;
    all += weight * miss.missOfActive;
    repeats += weight * repeat * miss.missIfExpertRepeats;
    repeated += weight * repeat;
    switches += weight * (1 - repeat) * miss.missIfExpertSwitches;
    switched += weight * (1 - repeat);
  });
  return { missOfActive: all, missIfExpertRepeats: repeated > 0 ? repeats / repeated : all, missIfExpertSwitches: switched > 0 ? switches / switched : all };
};

/** A layer of a model by its number, with its bins, of one sequence. */
export interface NumberedLayer { readonly layer: number; readonly bins: RateBins }

export interface SharedCache extends Pick<LruQuestion, "pinnedShare" | "capacityShare" | "tokenVariation"> { readonly batch: number }

const missesOfParts = (parts: ReadonlyArray<ReadonlyArray<LayerPopulation>>, cache: Omit<SharedCache, "batch">): ReadonlyArray<GapMiss> => {
  const misses = lruMissOfPopulations(parts.flat(), cache);
  let from = 0;
  return parts.map((populations) => missOfLayer(populations, misses.slice(from, (from += populations.length))));
};

/** Misses by layer of one LRU that serves these layers of a model together. `capacityShare` is of all their neurons. */
export const lruMissOfModel = (model: ModelSpec, layers: ReadonlyArray<NumberedLayer>, { batch, ...cache }: SharedCache): ReadonlyArray<GapMiss> =>
  missesOfParts(layers.map(({ layer, bins }) => populationsOf(model, layer, bins, batch)), cache);

/** A neuron that fires whenever its expert is used stands for all of the expert. */
const WHOLE: RateBins = { share: Float64Array.of(1), rate: Float64Array.of(1 - 1e-9) };

/** Misses by layer of an LRU that keeps whole experts, or what belongs to them, and has room for `capacityShare` of all. */
export const wholeExpertMisses = (model: ModelSpec, layers: number, capacityShare: number): ReadonlyArray<number> => {
  const parts = Array.from({ length: layers }, (_, layer) => populationsOf(model, layer, WHOLE, 1).map((population) => ({ ...population, overlap: 0 })));
  return missesOfParts(parts, { pinnedShare: 0, capacityShare, tokenVariation: 0 }).map(({ missOfActive }) => missOfActive);
};

/** The same, bin by bin of each layer. */
export const missByRateOfModel = (model: ModelSpec, layers: ReadonlyArray<NumberedLayer>, { batch, ...cache }: SharedCache): ReadonlyArray<Float64Array> => {
  const parts = layers.map(({ layer, bins }) => populationsOf(model, layer, bins, batch));
  const misses = lruMissByRate(parts.flat(), cache);
  let from = 0;
  return parts.map((populations) => {
    const own = misses.slice(from, (from += populations.length));
    return populations.length === 1 ? own[0]! : own[0]!.map((_, bin) => populations.reduce((sum, { weight }, i) => sum + weight * own[i]![bin]!, 0));
  });
};

/** The same of a window of so many tokens. */
export const windowMissOfModel = (model: ModelSpec, { layer, bins }: NumberedLayer, pinnedShare: number, windowTokens: number, batch: number): GapMiss => {
  const populations = populationsOf(model, layer, bins, batch);
  return missOfLayer(populations, populations.map((population) => windowMiss({ ...population, pinnedShare, windowTokens })));
};

/** Share of the layer's neurons that such a window holds. */
export const windowHolds = (populations: ReadonlyArray<LayerPopulation>, pinnedShare: number, windowTokens: number): number =>
  populations.reduce((sum, population) => sum + windowOccupancy({ ...population, pinnedShare, windowTokens }), 0) / populations.length;

/** The longest window, in tokens, that fits into `capacityShare` of the layer's neurons on average. */
export const windowTokensOfModel = (model: ModelSpec, { layer, bins }: NumberedLayer, capacityShare: number): number => windowTokensAt(populationsOf(model, layer, bins, 1), { pinnedShare: 0, capacityShare });
