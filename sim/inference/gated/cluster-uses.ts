/**
 * What each token needs of each layer at fidelity `cluster`. Experts are drawn, and clusters of gate rows looked up, as at fidelity
 * `neuron`: there are few of them. Only single neurons are replaced by numbers: how many fire in a cluster, how many of their units are
 * missing, from the statistics of the neurons and of the cold segment.
 *
 * Policies other than the window and the fixed choice are taken for LRU; what sets them apart only fidelity `neuron` shows.
 */
import { binomial, stream } from "../../base/random.js";
import type { ModelSpec } from "../../domain/model.js";
import type { GateReads, Plan } from "../../domain/plan.js";
import type { RunRequest } from "../../domain/run.js";
import { meanRate, rateBins, type RateBins } from "../../neurons/activation.js";
import { drawActivity } from "../../neurons/activity.js";
import { createExpertChain } from "../../neurons/experts.js";
import type { GapMiss } from "../../neurons/idle-gap.js";
import { layerExperts } from "../../neurons/layers.js";
import { lruMissOfModel, windowMissOfModel, windowTokensOfModel } from "../../neurons/populations.js";
import type { Cut } from "./cut.js";
import type { Uses } from "./neuron-uses.js";
import { BATCH, keepOfPass } from "./prompt.js";
import { coldSegment, hotSegment, WINDOW_TOKENS } from "./segments.js";
import { createLayerUse, createWalk, isBundled, neuronsOf, type LayerUse } from "./walk.js";

/** One layer's neurons and units in the mean. */
export interface UnitLaw {
  /** Share of an expert's neurons that fire for a token that uses it, and of its units in which any does. */
  readonly neuronRate: number;
  readonly unitRate: number;
  readonly miss: GapMiss;
}

/** Units of several neurons, thrown together at random: enough of them to know how their rates are spread. */
const SAMPLED_UNITS = 4096;
const BINS = 64;

/** Rates of units of `size` neurons, whose neurons are any of the layer's. */
export const unitBins = (bins: RateBins, size: number, seed: number): RateBins => {
  if (size === 1) return bins;
  const random = stream(seed, `neurons/units-of-${size}`);
  const ends = new Float64Array(bins.share.length);
  bins.share.reduce((sum, share, i) => (ends[i] = sum + share), 0);
  const idleOf = (): number => {
    const at = random.uniform();
    let i = 0;
    while (i + 1 < ends.length && ends[i]! < at) i++;
    return 1 - bins.rate[i]!;
  };
  const rates = Float64Array.from({ length: SAMPLED_UNITS }, () => {
    let idle = 1;
    for (let i = 0; i < size; i++) idle *= idleOf();
    return Math.min(0.999, 1 - idle);
  }).sort().reverse();
  const each = SAMPLED_UNITS / BINS;
  return {
    share: new Float64Array(BINS).fill(1 / BINS),
    rate: Float64Array.from({ length: BINS }, (_, bin) => rates.subarray(bin * each, (bin + 1) * each).reduce((sum, rate) => sum + rate, 0) / each),
  };
};

const missesOf = (model: ModelSpec, plan: Plan, cut: Cut, layers: ReadonlyArray<RateBins>): ReadonlyArray<GapMiss> => {
  const always = (share: number): ReadonlyArray<GapMiss> => layers.map(() => ({ missOfActive: share, missIfExpertRepeats: share, missIfExpertSwitches: share }));
  const capacityShare = cut.coldSlots / cut.unitKeys;
  // A window drops what is too old, however much room there is.
  if (capacityShare >= 1 && plan.mechanisms.cache !== "window") return always(0);
  if (capacityShare <= 0) return always(1);
  // A fixed choice by place knows nothing of who is hot.
  if (cut.fixedUnits) return always(1 - capacityShare);
  const numbered = layers.map((bins, layer) => ({ layer, bins }));
  if (plan.mechanisms.cache === "window") return numbered.map((one) => windowMissOfModel(model, one, 0, Math.min(WINDOW_TOKENS, windowTokensOfModel(model, one, capacityShare)), 1));
  return lruMissOfModel(model, numbered, { pinnedShare: 0, capacityShare, tokenVariation: model.activations.tokenVariation.value, batch: 1 });
};

export const unitLaws = (model: ModelSpec, plan: Plan, cut: Cut, seed: number): ReadonlyArray<UnitLaw> => {
  const neurons = Array.from({ length: cut.layers }, (_, layer) => rateBins(model, layer));
  const units = neurons.map((bins) => unitBins(bins, cut.ownReads ? cut.unit : 1, seed));
  const misses = missesOf(model, plan, cut, units);
  return neurons.map((bins, layer) => ({ neuronRate: meanRate(bins), unitRate: meanRate(units[layer]!), miss: misses[layer]! }));
};

export const clusterUses = (model: ModelSpec, plan: Plan, cut: Cut, request: RunRequest, gates?: () => GateReads): Uses => {
  const { count, active } = model.experts;
  const { seed } = request;
  const laws = unitLaws(model, plan, cut, seed);
  // Where single neurons are kept, statistics stand in the place of the cold segment.
  const [hot, cold] = [hotSegment(cut), coldSegment(cut.ownReads ? { ...cut, coldSlots: 0 } : cut, plan.mechanisms.cache)];
  const walk = createWalk(cut, hot, cold, gates);
  const chains = laws.map((_, layer) => createExpertChain(layerExperts(model, layer), seed, `neurons/experts/layer-${layer}/sequence-0`));
  const random = laws.map((_, layer) => stream(seed, `neurons/units/layer-${layer}`));
  const activityStream = stream(seed, "neurons/activity");
  const experts = new Int32Array(active);
  const lastUse = new Int32Array(cut.layers * count).fill(-2);
  let [token, activity] = [-1, 1];

  const drawUnits = (layer: number, out: LayerUse): void => {
    const law = laws[layer]!;
    const perCluster = cut.cluster / cut.unit;
    for (let route = 0; route < active; route++) {
      const { missIfExpertRepeats, missIfExpertSwitches } = law.miss;
      const miss = lastUse[layer * count + experts[route]!] === token - 1 ? missIfExpertRepeats : missIfExpertSwitches;
      for (let cluster = 0; cluster < cut.clusters; cluster++) {
        const at = route * cut.clusters + cluster;
        const units = Math.min(cut.units, (cluster + 1) * perCluster) - cluster * perCluster;
        const wanted = binomial(random[layer]!, units, Math.min(1, law.unitRate * activity));
        const missing = binomial(random[layer]!, wanted, miss);
        out.fired[at] = Math.min(out.neurons[at]!, (wanted * law.neuronRate * cut.unit) / law.unitRate);
        out.lookups += wanted;
        out.misses += missing;
        out.beside += out.gatesMissed[at]! * missing;
        // In bundles they have come with the gates.
        const own = isBundled(out, at) ? 0 : missing;
        out.secondReads[at] = own;
        out.secondBytes[at] = own * cut.upDownPart;
        out.secondCopied[at] = missing * cut.unit * cut.upDownRow;
      }
    }
  };

  /** Units that are clusters or more are looked up like gates; how many of their neurons fire is drawn. */
  const drawFired = (layer: number, out: LayerUse): void => {
    if (!cut.onePhase) walk.every(layer, experts, out);
    for (let at = 0; at < out.clusters; at++) out.fired[at] = binomial(random[layer]!, neuronsOf(cut, cut.cluster, at % cut.clusters), Math.min(1, laws[layer]!.neuronRate * activity));
  };

  const nextToken = (): void => {
    token++;
    activity = drawActivity(activityStream, model.activations.tokenVariation.value);
    for (const chain of chains) chain.step();
  };
  const fillLayer = (layer: number, out: LayerUse): void => {
    experts.set(chains[layer]!.inUse);
    experts.sort();
    walk.gates(layer, experts, out);
    if (cut.everyNeuron) walk.every(layer, experts, out);
    else if (cut.ownReads) drawUnits(layer, out);
    else drawFired(layer, out);
    for (const expert of experts) lastUse[layer * count + expert] = token;
    walk.end(layer);
  };
  beginWithPrompt(cut, request.prompt, chains, nextToken, fillLayer, (layer, used) => keepOfPass(cut, hot, cold, layer, (expert) => (used.has(expert) ? ONCE(cut) : null)));
  return { nextToken, fillLayer };
};

/** All neurons alike: which of them fired most is not known here, and matters only where units are clusters or more. */
const ONCE = (cut: Cut): Uint32Array => new Uint32Array(cut.neurons).fill(1);

const beginWithPrompt = (cut: Cut, prompt: number, chains: ReadonlyArray<{ readonly inUse: Int32Array }>, nextToken: () => void, fillLayer: Uses["fillLayer"], keep: (layer: number, used: ReadonlySet<number>) => void): void => {
  const nobody = createLayerUse(cut);
  for (let done = 0; done < prompt; done += BATCH) {
    const tokens = Math.min(BATCH, prompt - done);
    const used = chains.map(() => new Set<number>());
    for (let token = 0; token < tokens; token++) {
      nextToken();
      if (tokens === 1) for (let layer = 0; layer < cut.layers; layer++) fillLayer(layer, nobody);
      else chains.forEach((chain, layer) => chain.inUse.forEach((expert) => used[layer]!.add(expert)));
    }
    if (tokens > 1) used.forEach((of, layer) => keep(layer, of));
  }
};
