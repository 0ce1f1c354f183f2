/**
 * A recorded text in place of drawn neurons (fidelity `neuron`): the same interface as process.ts, the trace's own neurons. It is played
 * again from its beginning when it ends.
 *
 * Neurons are numbered hottest first, and which are hot is taken from this very trace: a planner that profiled another text would know them
 * a little less well.
 */
import type { NeuronProcess } from "./process.js";
import type { ActivationTrace } from "./trace.js";

/** The place of each neuron in its expert, hottest first; layers by experts by neurons. Who is active as often keeps its order. */
export const ranksOf = (trace: ActivationTrace): Int32Array => {
  const { layers, experts, ffn, tokens } = trace;
  const perLayer = experts * ffn;
  const ranks = new Int32Array(layers * perLayer);
  const uses = new Int32Array(perLayer);
  const active = new Int32Array(trace.active * ffn);
  for (let layer = 0; layer < layers; layer++) {
    uses.fill(0);
    for (let token = 0; token < tokens; token++) {
      const found = trace.neuronsInto(token, layer, active);
      for (let i = 0; i < found; i++) uses[active[i]!]!++;
    }
    for (let expert = 0; expert < experts; expert++) {
      const first = expert * ffn;
      const order = Int32Array.from({ length: ffn }, (_, neuron) => neuron).sort((a, b) => uses[first + b]! - uses[first + a]! || a - b);
      order.forEach((neuron, rank) => {
        ranks[layer * perLayer + first + neuron] = rank;
      });
    }
  }
  return ranks;
};

/** Plays the trace from token `from` on. */
export const traceProcess = (trace: ActivationTrace, ranks: Int32Array, from = 0): NeuronProcess => {
  const { layers, experts, ffn, tokens } = trace;
  const perLayer = experts * ffn;
  let token = from - 1;
  return {
    neurons: layers * perLayer,
    mostActive: trace.active * ffn + 1,
    nextToken: () => {
      token++;
    },
    drawLayer: (layer, activeIds) => {
      const base = layer * perLayer;
      const found = trace.neuronsInto(((token % tokens) + tokens) % tokens, layer, activeIds);
      for (let i = 0; i < found; i++) {
        const neuron = activeIds[i]!;
        activeIds[i] = base + neuron - (neuron % ffn) + ranks[base + neuron]!;
      }
      activeIds.subarray(0, found).sort();
      return found;
    },
  };
};
