/**
 * What one token needs of each cold cluster, drawn: how many neurons are active and how many of those miss (fidelity
 * `cluster`). Cold neurons are dealt to clusters at random, so that all clusters of a layer have one law; counts are then
 * binomial about the layer's mean rate. A token's activity is lognormal about 1 for all layers alike, and a neuron whose
 * expert was not in use for the last token misses more often than one whose expert stayed.
 */
import type { ModelSpec } from "../domain/model.js";
import { binomial, BinomialLaw, stream } from "../base/random.js";
import { sliceBins, type RateBins } from "./activation.js";
import { drawActivity, relativeResponse } from "./activity.js";
import { createExpertChain } from "./experts.js";
import { layerExperts } from "./layers.js";

/** The law of one layer's cold neurons. */
export interface ClusterTable {
  /** Cold neurons of one expert, and of one cluster; an expert has ceil(cold / cluster) clusters of as equal size as whole neurons allow. */
  readonly coldPerExpert: number;
  readonly clusterNeurons: number;
  /** Mean rate of the cold neurons: `sliceBins(bins, hotShare, 1).meanRate` (of `batchUnion` for a batch). */
  readonly activeRate: number;
  /** From `lruMiss` (idle-gap.ts `GapMiss`). */
  readonly missIfExpertRepeats: number;
  readonly missIfExpertSwitches: number;
  /** How much more than the whole token the cold neurons swing: `coldResponse`. 1 when left out: exactly as the token. */
  readonly response?: number;
}

/** The `response` of a layer's neurons below the hottest `hotShare`. */
export const coldResponse = (bins: RateBins, hotShare: number): number => relativeResponse([sliceBins(bins, hotShare, 1).bins], [bins]);

export const clustersPerExpert = (table: ClusterTable): number => Math.ceil(table.coldPerExpert / table.clusterNeurons);

const largestCluster = (table: ClusterTable): number => Math.ceil(table.coldPerExpert / Math.max(1, clustersPerExpert(table)));

/** Filled by `fillLayer`: entry c is a cluster of the c-th expert in use's part of the list. */
export interface ClusterDraws {
  readonly neurons: Int32Array;
  readonly active: Int32Array;
  readonly missing: Int32Array;
  readonly expert: Int32Array;
}

export interface TokenSampler {
  /** Moves to the next token: its activity and its experts. */
  readonly nextToken: () => void;
  /** The activity of the current token about its mean 1. */
  readonly activity: () => number;
  /** Experts of the layer that the current token (or batch) uses. */
  readonly expertsInUse: (layer: number) => number;
  /** Draws the layer's clusters into `out` and returns how many there are. Once per layer and token. */
  readonly fillLayer: (layer: number, out: ClusterDraws) => number;
}

/** Room for the draws of any layer. */
export const createClusterDraws = (model: Pick<ModelSpec, "experts">, tables: ReadonlyArray<ClusterTable>): ClusterDraws => {
  const most = model.experts.count * tables.reduce((largest, table) => Math.max(largest, clustersPerExpert(table)), 0);
  return { neurons: new Int32Array(most), active: new Int32Array(most), missing: new Int32Array(most), expert: new Int32Array(most) };
};

/** Draws for `batch` sequences decoded together: the union of their experts, the mean of their activities. Tables hold the laws of the union. */
export const createTokenSampler = (model: Pick<ModelSpec, "experts" | "activations">, seed: number, tables: ReadonlyArray<ClusterTable>, batch = 1): TokenSampler => {
  const { count, active } = model.experts;
  const variation = model.activations.tokenVariation.value;
  const activityStream = stream(seed, "neurons/activity");
  const counts = tables.map((_, layer) => stream(seed, `neurons/clusters/layer-${layer}`));
  const chains = tables.map((_, layer) => Array.from({ length: batch }, (_s, sequence) => createExpertChain(layerExperts(model, layer), seed, `neurons/experts/layer-${layer}/sequence-${sequence}`)));
  // A layer's two probabilities of a miss hold for the whole run, and nearly every cluster draws with one of them.
  const ofRepeated = tables.map((table) => new BinomialLaw(table.missIfExpertRepeats, largestCluster(table)));
  const ofSwitched = tables.map((table) => new BinomialLaw(table.missIfExpertSwitches, largestCluster(table)));
  // Step at which an expert was last used, so that "used in the step before" needs no clearing.
  const usedNow = new Int32Array(tables.length * count).fill(-1);
  const usedBefore = new Int32Array(tables.length * count).fill(-1);
  let token = 0;
  let activity = 1;

  const markUse = (): void => {
    for (let layer = 0; layer < chains.length; layer++) {
      for (const chain of chains[layer]) {
        for (let i = 0; i < active; i++) {
          const expert = layer * count + chain.inUse[i];
          if (usedNow[expert] === token) continue;
          usedBefore[expert] = usedNow[expert];
          usedNow[expert] = token;
        }
      }
    }
  };
  markUse();

  const nextToken = (): void => {
    token++;
    activity = 0;
    for (let sequence = 0; sequence < batch; sequence++) activity += drawActivity(activityStream, variation) / batch;
    for (const layer of chains) for (const chain of layer) chain.step();
    markUse();
  };

  const fillLayer = (layer: number, out: ClusterDraws): number => {
    const table = tables[layer];
    const random = counts[layer];
    const perExpert = clustersPerExpert(table);
    const response = table.response ?? 1;
    // The power of a lognormal is one; the second factor brings its mean back to 1 (variance over the batch's mean).
    const rate = table.activeRate * activity ** response * Math.exp((response * (1 - response) * variation * variation) / (2 * batch));
    let cluster = 0;
    for (let expert = 0; expert < count; expert++) {
      const place = layer * count + expert;
      if (usedNow[place] !== token) continue;
      const misses = usedBefore[place] === token - 1 ? ofRepeated[layer] : ofSwitched[layer];
      let dealt = 0;
      for (let c = 0; c < perExpert; c++) {
        const end = Math.floor(((c + 1) * table.coldPerExpert) / perExpert);
        const neurons = end - dealt;
        dealt = end;
        const fired = binomial(random, neurons, rate);
        out.neurons[cluster] = neurons;
        out.expert[cluster] = expert;
        out.active[cluster] = fired;
        out.missing[cluster] = misses.draw(random, fired);
        cluster++;
      }
    }
    return cluster;
  };

  return {
    nextToken,
    activity: () => activity,
    expertsInUse: (layer) => {
      let inUse = 0;
      for (let expert = 0; expert < count; expert++) if (usedNow[layer * count + expert] === token) inUse++;
      return inUse;
    },
    fillLayer,
  };
};
