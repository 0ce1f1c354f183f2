/**
 * A text as the neurons that its tokens fire, in memory: recorded, or drawn under an assumption that is to be tested. All of them are
 * counted and replayed by the same functions, so that what differs is the text and not the way of looking at it.
 */
import { stream } from "../../../sim/base/random.js";
import type { ModelSpec } from "../../../sim/domain/model.js";
import { createExpertChain } from "../../../sim/neurons/experts.js";
import { placesOf } from "../../../sim/inference/gated/neuron-uses.js";
import { createNeuronProcess } from "../../../sim/neurons/process.js";
import type { ActivationTrace } from "../../../sim/neurons/trace.js";

/** One layer. `fired` of token t are `ids` from `starts[t]` to `starts[t + 1]`: neurons numbered expert by expert, ascending. */
export interface LayerText {
  /** Tokens by experts in use, ascending. */
  readonly experts: Int32Array;
  readonly starts: Int32Array;
  readonly ids: Int32Array;
}

export interface Text {
  readonly experts: number;
  /** Experts that a token uses. */
  readonly used: number;
  /** Neurons of an expert. */
  readonly ffn: number;
  readonly tokens: number;
  readonly layers: ReadonlyArray<LayerText>;
}

type Shape = Pick<Text, "experts" | "used" | "ffn">;

/** `fill` writes the experts and the neurons of a token in a layer, and returns how many neurons. */
const textOf = (shape: Shape, layers: number, tokens: number, next: (token: number) => void, fill: (token: number, layer: number, experts: Int32Array, fired: Int32Array) => number): Text => {
  const rows = Array.from({ length: layers }, () => ({ experts: new Int32Array(tokens * shape.used), starts: new Int32Array(tokens + 1), ids: new Int32Array(Math.ceil((tokens * shape.used * shape.ffn) / 8)), end: 0 }));
  const fired = new Int32Array(shape.used * shape.ffn + 1);
  for (let token = 0; token < tokens; token++) {
    next(token);
    rows.forEach((row, layer) => {
      const count = fill(token, layer, row.experts.subarray(token * shape.used, (token + 1) * shape.used), fired);
      if (row.end + count > row.ids.length) {
        const larger = new Int32Array(2 * (row.end + count));
        larger.set(row.ids.subarray(0, row.end));
        row.ids = larger;
      }
      row.ids.set(fired.subarray(0, count), row.end);
      row.end += count;
      row.starts[token + 1] = row.end;
    });
  }
  return { ...shape, tokens, layers: rows.map(({ experts, starts, ids, end }) => ({ experts, starts, ids: ids.slice(0, end) })) };
};

/** Tokens [from, to) of a trace. */
export const recordedText = (trace: ActivationTrace, from: number, to: number): Text =>
  textOf({ experts: trace.experts, used: trace.active, ffn: trace.ffn }, trace.layers, to - from, () => undefined, (token, layer, experts, fired) => {
    trace.expertsInto(from + token, layer, experts);
    return trace.neuronsInto(from + token, layer, fired);
  });

/** How often each neuron fires for a token that uses its expert, layer by layer, experts by neurons. */
export type Rates = ReadonlyArray<Float64Array>;

/** Draws the neurons of these experts, each by itself; returns how many. */
const drawn = (uniform: () => number, rates: Float64Array, ffn: number, experts: Int32Array, fired: Int32Array): number => {
  let found = 0;
  for (const expert of experts)
    for (let neuron = expert * ffn; neuron < (expert + 1) * ffn; neuron++) {
      fired[found] = neuron;
      if (uniform() < rates[neuron]!) found++;
    }
  return found;
};

/** The same experts as `like`, token by token; in them every neuron fires by itself with its own rate. */
export const independentText = (like: Text, rates: Rates, seed: number): Text => {
  const random = rates.map((_, layer) => stream(seed, `trace/independent/layer-${layer}`));
  return textOf(like, like.layers.length, like.tokens, () => undefined, (token, layer, experts, fired) => {
    experts.set(like.layers[layer]!.experts.subarray(token * like.used, (token + 1) * like.used));
    return drawn(() => random[layer]!.uniform(), rates[layer]!, like.ffn, experts, fired);
  });
};

/** The same neurons, but the simulator's experts: all as popular as any other, used again with one probability. */
export const evenExpertsText = (like: Text, rates: Rates, repeat: number, seed: number): Text => {
  const random = rates.map((_, layer) => stream(seed, `trace/even/layer-${layer}`));
  const chains = rates.map((_, layer) => createExpertChain({ count: like.experts, active: like.used, repeat }, seed, `trace/experts/layer-${layer}`));
  return textOf(like, like.layers.length, like.tokens, () => chains.forEach((chain) => chain.step()), (_, layer, experts, fired) => {
    experts.set(chains[layer]!.inUse);
    experts.sort();
    return drawn(() => random[layer]!.uniform(), rates[layer]!, like.ffn, experts, fired);
  });
};

/** What the simulator draws at fidelity `neuron`, its neurons at the places that it gives them. */
export const simulatedText = (model: ModelSpec, tokens: number, seed: number): Text => {
  const process = createNeuronProcess(model, seed);
  const { ffn, experts: { count, active } } = model;
  const room = new Int32Array(process.mostActive);
  const places = Array.from({ length: model.layers }, (_, layer) => placesOf(ffn, seed, layer));
  return textOf({ experts: count, used: active, ffn }, model.layers, tokens, process.nextToken, (_, layer, experts, fired) => {
    process.expertsInto(layer, experts);
    const found = process.drawLayer(layer, room);
    for (let i = 0; i < found; i++) {
      const rank = room[i]! % ffn;
      fired[i] = room[i]! - layer * count * ffn - rank + places[layer]![rank]!;
    }
    fired.subarray(0, found).sort();
    return found;
  });
};

/** The same tokens in an order drawn anew, all layers together: what tokens fire stays, when they do does not. */
export const shuffledText = (text: Text, seed: number): Text => {
  const random = stream(seed, "trace/shuffled");
  const order = Int32Array.from({ length: text.tokens }, (_, token) => token);
  for (let i = text.tokens - 1; i > 0; i--) {
    const other = Math.floor(random.uniform() * (i + 1));
    [order[i], order[other]] = [order[other]!, order[i]!];
  }
  return textOf(text, text.layers.length, text.tokens, () => undefined, (place, layer, experts, fired) => {
    const token = order[place]!;
    const of = text.layers[layer]!;
    experts.set(of.experts.subarray(token * text.used, (token + 1) * text.used));
    const ids = of.ids.subarray(of.starts[token]!, of.starts[token + 1]!);
    fired.set(ids);
    return ids.length;
  });
};

/** Tokens [from, to). */
export const partOf = (text: Text, from: number, to: number): Text => ({
  ...text,
  tokens: to - from,
  layers: text.layers.map(({ experts, starts, ids }) => ({
    experts: experts.subarray(from * text.used, to * text.used),
    starts: starts.slice(from, to + 1).map((start) => start - starts[from]!),
    ids: ids.subarray(starts[from]!, starts[to]!),
  })),
});

export interface Counted {
  /** Tokens that use each expert. */
  readonly uses: Float64Array;
  /** Tokens that fire each neuron, experts by neurons. */
  readonly fired: Float64Array;
}

export const countsOf = (text: Text): ReadonlyArray<Counted> =>
  text.layers.map(({ experts, ids }) => {
    const [uses, fired] = [new Float64Array(text.experts), new Float64Array(text.experts * text.ffn)];
    for (const expert of experts) uses[expert]!++;
    for (const id of ids) fired[id]!++;
    return { uses, fired };
  });

export const ratesOf = (text: Text): Rates => countsOf(text).map(({ uses, fired }) => fired.map((count, place) => count / Math.max(1, uses[Math.floor(place / text.ffn)]!)));

/** The same as a trace, so that whatever reads traces reads a part or a drawn text too. */
export const asTrace = (text: Text, name: string): ActivationTrace => ({
  name, layers: text.layers.length, experts: text.experts, active: text.used, ffn: text.ffn, neuronsRecorded: true, tokens: text.tokens, prompt: text.tokens,
  expertsInto: (token, layer, out) => out.set(text.layers[layer]!.experts.subarray(token * text.used, (token + 1) * text.used)),
  neuronsInto: (token, layer, out) => {
    const { starts, ids } = text.layers[layer]!;
    out.set(ids.subarray(starts[token]!, starts[token + 1]!));
    return starts[token + 1]! - starts[token]!;
  },
});
