/**
 * A recorded text as look-ups of one cache over all layers: token by token and layer by layer, ascending within a layer, as the engine makes them. Neurons
 * keep their numbers of the trace; of a model whose neurons are all active, experts are looked up.
 */
import type { ActivationTrace } from "./trace.js";

/** Stands among keys where a token ends; never a key. */
export const END_OF_TOKEN = 2 ** 32 - 1;

export interface TraceKeys {
  readonly what: "neurons" | "experts";
  /** Keys are below this. */
  readonly keys: number;
  /** Look-ups in their order, and END_OF_TOKEN behind each token's. */
  readonly requests: Uint32Array;
  /** The same without the ends of tokens. */
  readonly lookUps: Uint32Array;
  /** Share of the tokens that want each key. */
  readonly heat: Float64Array;
}

/**
 * More than any known model has neurons (about 50 million), and few enough for the tables of the caches: 8 to 40 bytes a key, some gigabytes here. A
 * header of a few bytes can claim a thousand times as many.
 */
export const MOST_TRACE_KEYS = 2 ** 26;

/** How many keys a trace has, before anything is made of it. */
export const keyCount = ({ layers, experts, ffn, neuronsRecorded }: ActivationTrace): number => layers * experts * (neuronsRecorded ? ffn : 1);

/** Takes memory for each key, so a trace with more than MOST_TRACE_KEYS (`keyCount`) is not to be handed over. */
export const traceKeys = (trace: ActivationTrace): TraceKeys => {
  const { layers, active, ffn, tokens, neuronsRecorded } = trace;
  const keys = keyCount(trace);
  const perLayer = keys / layers;
  const wanted = new Int32Array(neuronsRecorded ? active * ffn : active);
  const uses = new Float64Array(keys);
  let requests = new Uint32Array(1 << 16);
  let at = 0;
  for (let token = 0; token < tokens; token++) {
    // Room for the most that a token can want, and its end.
    const most = at + layers * wanted.length + 1;
    if (most > requests.length) {
      const longer = new Uint32Array(Math.max(most, 2 * requests.length));
      longer.set(requests.subarray(0, at));
      requests = longer;
    }
    for (let layer = 0; layer < layers; layer++) {
      let found = active;
      if (neuronsRecorded) found = trace.neuronsInto(token, layer, wanted);
      else trace.expertsInto(token, layer, wanted);
      for (let i = 0; i < found; i++) {
        const key = layer * perLayer + wanted[i];
        requests[at++] = key;
        uses[key]++;
      }
    }
    requests[at++] = END_OF_TOKEN;
  }
  requests = requests.slice(0, at);
  // In place, and what nobody wanted is not written: pages of keys that no token names stay untouched.
  for (let key = 0; key < keys; key++) if (uses[key] !== 0) uses[key] /= tokens;
  return { what: neuronsRecorded ? "neurons" : "experts", keys, requests, lookUps: requests.filter((key) => key !== END_OF_TOKEN), heat: uses };
};
