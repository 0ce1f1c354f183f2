/** Speeds of the neurons' behaviour, after checking that the fast form does what the prediction says. */
import { rateBins } from "../../sim/neurons/activation.js";
import { createSegment } from "../../sim/neurons/cache.js";
import { lruMiss, lruMissOfLayers } from "../../sim/neurons/locality.js";
import { createNeuronProcess } from "../../sim/neurons/process.js";
import { createClusterDraws, createTokenSampler } from "../../sim/neurons/sampling.js";
import { testModel } from "../arb/neurons.js";

export interface NeuronBenchRow {
  readonly what: string;
  readonly unit: string;
  readonly best: number;
  readonly median: number;
}

const timed = (what: string, unit: string, rounds: number, once: () => number): NeuronBenchRow => {
  const values = Array.from({ length: rounds }, once).sort((a, b) => a - b);
  const higherIsBetter = unit.startsWith("M");
  return { what, unit, best: values[higherIsBetter ? rounds - 1 : 0], median: values[rounds >> 1] };
};

/** Mixtral-47B's size: 3.67 million neurons, 0.9 million draws per token. */
export const benchNeurons = (): ReadonlyArray<NeuronBenchRow> => {
  const experts = { count: 8, active: 2, repeat: 0.5 };
  const capacityShare = 0.3;
  const model = testModel({ experts, overlap: 0.3, variation: 0.2 });
  const layers = Array.from({ length: model.layers }, (_, layer) => rateBins(model, layer));
  const process = createNeuronProcess(model, 1, layers);
  const ids = new Int32Array(process.mostActive);
  const segment = createSegment(process.neurons, 1, capacityShare * process.neurons);
  const token = { ids: new Int32Array(process.mostActive * model.layers), count: 0, drawMs: 0 };
  const draw = (): void => {
    token.count = 0;
    const start = performance.now();
    process.nextToken();
    for (let layer = 0; layer < model.layers; layer++) {
      const found = process.drawLayer(layer, ids);
      token.ids.set(ids.subarray(0, found), token.count);
      token.count += found;
    }
    token.drawMs = performance.now() - start;
  };
  let misses = 0;
  const lookup = (): void => {
    for (let i = 0; i < token.count; i++) if (!segment.lookup(token.ids[i])) misses++;
  };

  let lookups = 0;
  for (let warm = -60; warm < 60; warm++) {
    draw();
    lookup();
    if (warm < 0) misses = 0;
    else lookups += token.count;
  }
  const question = { pinnedShare: 0, capacityShare, overlap: 0.3, experts, tokenVariation: 0.2 };
  const predicted = lruMissOfLayers(layers, question).reduce((sum, miss) => sum + miss.missOfActive, 0) / layers.length;
  if (Math.abs(predicted - misses / lookups) > 0.03) throw new Error(`predicted misses ${predicted} are not the real ones: ${misses / lookups}`);

  const tables = layers.map(() => ({ coldPerExpert: 7168, clusterNeurons: 64, activeRate: 0.05, missIfExpertRepeats: 0.3, missIfExpertSwitches: 0.6 }));
  const sampler = createTokenSampler(model, 1, tables);
  const draws = createClusterDraws(model, tables);
  let consumed = 0;
  const rows = [
    timed("neuron process, 47B", "ms per token", 40, () => (draw(), token.drawMs)),
    timed("neuron LRU, 47B, 30 % cached", "M lookups per s", 40, () => {
      draw();
      const start = performance.now();
      lookup();
      return token.count / (performance.now() - start) / 1e3;
    }),
    timed("cluster draws, 47B, 7168 clusters", "ms per token", 100, () => {
      const start = performance.now();
      sampler.nextToken();
      for (let layer = 0; layer < model.layers; layer++) consumed += sampler.fillLayer(layer, draws);
      return performance.now() - start;
    }),
    timed("lruMiss, one layer", "us per call", 20, () => {
      const start = performance.now();
      for (let i = 0; i < 100; i++) consumed += lruMiss({ ...question, bins: layers[i % 32], capacityShare: 0.02 + 0.005 * i }).missOfActive;
      return (performance.now() - start) * 10;
    }),
    timed("rateBins, one layer", "us per call", 20, () => {
      const start = performance.now();
      for (let i = 0; i < 100; i++) consumed += rateBins(model, i % 32).rate[0];
      return (performance.now() - start) * 10;
    }),
  ];
  // Also keeps the timed calls from being optimised away.
  if (!(consumed > 0)) throw new Error(`nothing was drawn: ${consumed}`);
  return rows;
};
