/**
 * What each token needs of each layer at fidelity `neuron`: every neuron that fires, from a recorded text or drawn, looked up in the
 * engine's own segments. With a recorded text and the plan of a real run, hits, misses and bytes are that run's own, token by token.
 *
 * Before the clock starts the prompt goes by, and leaves in the segments what the engine keeps of it. Of a text that is drawn some tokens are
 * decoded too, so that a run begins near the steady state that statistics know; a recorded one begins where the real run began.
 */
import { stream } from "../../base/random.js";
import type { ModelSpec } from "../../domain/model.js";
import type { GateReads, Plan } from "../../domain/plan.js";
import type { RunRequest } from "../../domain/run.js";
import { createNeuronProcess } from "../../neurons/process.js";
import type { ActivationTrace } from "../../neurons/trace.js";
import { BATCH, keepOfPass } from "./prompt.js";
import type { Cut } from "./cut.js";
import { coldSegment, hotSegment } from "./segments.js";
import { createLayerUse, createWalk, type LayerUse } from "./walk.js";

/** Tokens of a drawn text that are decoded before the clock starts. */
const WARM_UP_TOKENS = 64;

/** A text: what its tokens use, one after the other. */
interface Text {
  readonly nextToken: () => void;
  /** The experts of the token in a layer, ascending. */
  readonly expertsInto: (layer: number, out: Int32Array) => void;
  /** Neurons that fire, numbered expert by expert, ascending; returns how many. Once a layer and token, after `expertsInto`. */
  readonly firedInto: (layer: number, out: Int32Array) => number;
}

/** `prompt` tokens of it were given; a text that ends goes on from where generating began. */
const recorded = (trace: ActivationTrace): Text => {
  let token = -1;
  const generated = trace.tokens - trace.prompt;
  const place = (): number => (token < trace.tokens || generated === 0 ? token % trace.tokens : trace.prompt + ((token - trace.prompt) % generated));
  return {
    nextToken: () => {
      token++;
    },
    expertsInto: (layer, out) => trace.expertsInto(place(), layer, out),
    firedInto: (layer, out) => (trace.neuronsRecorded ? trace.neuronsInto(place(), layer, out) : 0),
  };
};

/** Neurons are drawn hottest first, and lie in the file as they come: each has a place of its own, the same in all experts of a layer. */
const drawn = (model: ModelSpec, request: RunRequest): Text => {
  const process = createNeuronProcess(model, request.seed);
  const { ffn, experts: { count } } = model;
  const places = Array.from({ length: model.layers }, (_, layer) => placesOf(ffn, request.seed, layer));
  const ids = new Int32Array(process.mostActive);
  return {
    nextToken: process.nextToken,
    expertsInto: process.expertsInto,
    firedInto: (layer, out) => {
      const found = process.drawLayer(layer, ids);
      const base = layer * count * ffn;
      const place = places[layer]!;
      for (let i = 0; i < found; i++) {
        const neuron = ids[i]! - base;
        const rank = neuron % ffn;
        out[i] = neuron - rank + place[rank]!;
      }
      out.subarray(0, found).sort();
      return found;
    },
  };
};

/** Where in an expert of this layer the neuron of each rank lies. */
export const placesOf = (count: number, seed: number, layer: number): Int32Array => {
  const random = stream(seed, `neurons/places/layer-${layer}`);
  const order = Int32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const other = Math.floor(random.uniform() * (i + 1));
    [order[i], order[other]] = [order[other]!, order[i]!];
  }
  return order;
};

/** Where a token's uses come from, at any fidelity. */
export interface Uses {
  readonly nextToken: () => void;
  readonly fillLayer: (layer: number, out: LayerUse) => void;
}

export const neuronUses = (model: ModelSpec, plan: Plan, cut: Cut, request: RunRequest, trace: ActivationTrace | null, gates?: () => GateReads): Uses => {
  const text = trace === null ? drawn(model, request) : recorded(trace);
  const [hot, cold] = [hotSegment(cut), coldSegment(cut, plan.mechanisms.cache)];
  const walk = createWalk(cut, hot, cold, gates);
  const experts = new Int32Array(cut.used);
  const fired = new Int32Array(cut.used * cut.neurons + 1);
  const fillLayer = (layer: number, out: LayerUse): void => {
    text.expertsInto(layer, experts);
    walk.gates(layer, experts, out);
    if (cut.everyNeuron) walk.every(layer, experts, out);
    else walk.fired(layer, experts, fired, text.firedInto(layer, fired), out);
    walk.end(layer);
  };
  const { prompt } = trace ?? request;
  const decodeUntimed = (): void => {
    text.nextToken();
    for (let layer = 0; layer < cut.layers; layer++) fillLayer(layer, nobody);
  };
  const nobody = createLayerUse(cut);
  for (let done = 0; done < prompt; done += BATCH) {
    const tokens = Math.min(BATCH, prompt - done);
    if (tokens === 1) decodeUntimed();
    else passOver(cut, text, tokens, experts, fired, (layer, countsOf) => keepOfPass(cut, hot, cold, layer, countsOf));
  }
  if (trace === null && !cut.everyNeuron && !cut.loaded) for (let token = 0; token < WARM_UP_TOKENS; token++) decodeUntimed();
  return { nextToken: text.nextToken, fillLayer };
};

/** Counts what a pass over `tokens` tokens fires. Layers are kept in order, each when all its tokens are counted. */
const passOver = (cut: Cut, text: Text, tokens: number, experts: Int32Array, fired: Int32Array, keep: (layer: number, countsOf: (expert: number) => Uint32Array | null) => void): void => {
  const counts = Array.from({ length: cut.layers }, () => new Map<number, Uint32Array>());
  for (let token = 0; token < tokens; token++) {
    text.nextToken();
    for (let layer = 0; layer < cut.layers; layer++) {
      text.expertsInto(layer, experts);
      const ofLayer = counts[layer]!;
      for (const expert of experts) {
        if (!ofLayer.has(expert)) ofLayer.set(expert, new Uint32Array(cut.neurons));
        if (!cut.everyNeuron) continue;
        const all = ofLayer.get(expert)!;
        for (let neuron = 0; neuron < all.length; neuron++) all[neuron]!++;
      }
      if (cut.everyNeuron) continue;
      const found = text.firedInto(layer, fired);
      for (let i = 0; i < found; i++) {
        const expert = Math.floor(fired[i]! / cut.neurons);
        ofLayer.get(expert)![fired[i]! - expert * cut.neurons]!++;
      }
    }
  }
  counts.forEach((ofLayer, layer) => keep(layer, (expert) => ofLayer.get(expert) ?? null));
};
