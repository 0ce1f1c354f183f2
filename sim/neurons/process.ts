/**
 * Every neuron drawn, token by token (fidelity `neuron`): each neuron of each expert in use is a two-state Markov chain
 * over its expert's uses, as in idle-gap.ts. A token's activity stretches the exposure of all neurons (activity.ts).
 *
 * Neurons are numbered layer by layer, expert by expert, hottest first. One byte per neuron holds its last state: bits
 * would be an eighth of the memory but cost a read-modify-write per draw. The generator (Marsaglia's xor128, as in
 * base/random.ts) runs inlined on four integers per layer, because 0.9 million calls per token are too many.
 */
import type { ModelSpec } from "../domain/model.js";
import { stream } from "../base/random.js";
import { rateBins, type RateBins } from "./activation.js";
import { exposureOf } from "./activity.js";
import { createExpertChain } from "./experts.js";
import { layerExperts, layerOverlap } from "./layers.js";

export interface NeuronProcess {
  /** Neuron ids run from 0 to here. */
  readonly neurons: number;
  /** Room that `drawLayer` needs. */
  readonly mostActive: number;
  readonly nextToken: () => void;
  /** Draws one layer for the current token: writes the ids of the active neurons in ascending order, returns how many. Once per layer and token. */
  readonly drawLayer: (layer: number, activeIds: Int32Array) => number;
}

const HALF = 2 ** 31;
/** Drawn, and so with experts of its own: also those in which nothing is active. */
export interface DrawnProcess extends NeuronProcess {
  /** The experts of the current token in a layer, ascending. */
  readonly expertsInto: (layer: number, out: Int32Array) => void;
}

/** A probability as a bound on a signed 32-bit draw: fires when the draw is below it. */
const drawBound = (probability: number): number => Math.min(HALF - 1, Math.round(probability * 2 * HALF) - HALF);

/** A non-zero 32-bit word from a stream. */
const word = (uniform: () => number): number => ((uniform() * 2 * HALF) | 0) || 1;

export const createNeuronProcess = (model: ModelSpec, seed: number, bins: ReadonlyArray<RateBins> = Array.from({ length: model.layers }, (_, layer) => rateBins(model, layer))): DrawnProcess => {
  const { ffn } = model;
  const { count, active } = model.experts;
  const overlaps = bins.map((_, layer) => layerOverlap(model, layer));
  const perLayer = ffn * count;
  const layers = bins.length;
  const state = new Uint8Array(perLayer * layers);
  const binEnds = bins.map(({ share }) => {
    let sum = 0;
    const ends = Int32Array.from(share, (s) => Math.round((sum += s) * ffn));
    ends[ends.length - 1] = ffn;
    return ends;
  });
  const activityStream = stream(seed, "neurons/activity");
  const chains = bins.map((_, layer) => createExpertChain(layerExperts(model, layer), seed, `neurons/experts/layer-${layer}/sequence-0`));
  const inUse = new Int32Array(active);
  const generator = new Int32Array(4 * layers);
  const { spread, centre } = exposureOf(bins, model.activations.tokenVariation.value);
  let exposure = 1;

  for (let layer = 0; layer < layers; layer++) {
    const random = stream(seed, `neurons/draws/layer-${layer}`);
    for (let i = 0; i < 4; i++) generator[4 * layer + i] = word(random.uniform);
    // The state before the first token is drawn from the stationary rates, so that there is no start-up drift.
    for (let expert = 0; expert < count; expert++) {
      let neuron = layer * perLayer + expert * ffn;
      for (let rank = 0, b = 0; rank < ffn; rank++) {
        while (binEnds[layer][b] <= rank) b++;
        state[neuron++] = random.uniform() < bins[layer].rate[b] ? 1 : 0;
      }
    }
  }

  const nextToken = (): void => {
    exposure = Math.exp(spread * activityStream.normal() + centre);
    for (const chain of chains) chain.step();
  };

  const drawLayer = (layer: number, activeIds: Int32Array): number => {
    const ends = binEnds[layer];
    const rates = bins[layer].rate;
    const overlap = overlaps[layer];
    inUse.set(chains[layer].inUse);
    inUse.sort();
    let x = generator[4 * layer];
    let y = generator[4 * layer + 1];
    let z = generator[4 * layer + 2];
    let w = generator[4 * layer + 3];
    let found = 0;
    for (let e = 0; e < active; e++) {
      const first = layer * perLayer + inUse[e] * ffn;
      let neuron = first;
      for (let b = 0; b < ends.length; b++) {
        const end = first + ends[b];
        if (neuron === end) continue;
        const rate = rates[b];
        const boundIfIdle = drawBound(1 - (1 - rate * (1 - overlap)) ** exposure);
        const boundIfActive = drawBound(1 - ((1 - rate) * (1 - overlap)) ** exposure);
        for (; neuron < end; neuron++) {
          const t = x ^ (x << 11);
          x = y;
          y = z;
          z = w;
          w ^= (w >>> 19) ^ t ^ (t >>> 8);
          const fires = w < (state[neuron] === 0 ? boundIfIdle : boundIfActive) ? 1 : 0;
          state[neuron] = fires;
          // Written always, kept only if it fires: no branch to mispredict.
          activeIds[found] = neuron;
          found += fires;
        }
      }
    }
    generator[4 * layer] = x;
    generator[4 * layer + 1] = y;
    generator[4 * layer + 2] = z;
    generator[4 * layer + 3] = w;
    return found;
  };

  const expertsInto = (layer: number, out: Int32Array): void => {
    out.set(chains[layer].inUse);
    out.sort();
  };

  return { neurons: perLayer * layers, mostActive: active * ffn + 1, nextToken, drawLayer, expertsInto };
};
