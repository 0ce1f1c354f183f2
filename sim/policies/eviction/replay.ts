/** A whole trace through one policy, from empty and nothing held: what became of each of its places. */
import { END_OF_TOKEN, type TraceKeys } from "../../neurons/trace-keys.js";
import type { EvictionPolicy } from "./eviction.js";

export interface Replayed {
  readonly hits: number;
  readonly misses: number;
  /** A number for each place of the trace: 0 a miss, 1 a hit, 2 the end of a token. */
  readonly outcomes: Uint8Array;
}

export const replayThrough = (policy: EvictionPolicy, { keys, requests, lookUps, heat }: TraceKeys, { slots, windowTokens }: { readonly slots: number; readonly windowTokens: number }): Replayed => {
  const state = policy.start({ slots, things: keys, heat, windowTokens, future: lookUps, onEvict: () => undefined });
  const outcomes = new Uint8Array(requests.length);
  let hits = 0;
  for (let place = 0; place < requests.length; place++) {
    const key = requests[place];
    if (key === END_OF_TOKEN) {
      state.endToken();
      outcomes[place] = 2;
    } else if (state.request(key)) {
      hits++;
      outcomes[place] = 1;
    }
  }
  return { hits, misses: lookUps.length - hits, outcomes };
};
