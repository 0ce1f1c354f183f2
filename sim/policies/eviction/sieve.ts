import { NOTHING_HELD, type EvictionPolicy } from "./eviction.js";
import { createRings } from "./rings.js";

const ABSENT = 0;
const RESIDENT = 1;
const VISITED = 2;

/**
 * SIEVE (Zhang et al., SIEVE is simpler than LRU, NSDI 2024, algorithm 1): a queue in order of arrival that hits never
 * reorder, and a hand that goes from the oldest to the newest, clears the marks of what was visited, and drops the first that
 * was not. Unlike the clock's, what is spared keeps its place and newcomers join at the newest end, so that they meet the
 * hand soon. Past the newest the hand is at the oldest again, whichever that is by the next time.
 */
export const sieve: EvictionPolicy = {
  name: "sieve",
  admitsAlways: true,
  moreNeverMissesMore: false,
  start: ({ slots, things, onEvict, held = NOTHING_HELD }) => {
    const queue = createRings(things, 1);
    const state = new Uint8Array(things);
    let hand = -1;
    const evictOne = (): void => {
      for (;;) {
        const thing = hand >= 0 ? hand : queue.oldest(0);
        hand = queue.newer(thing);
        if (held.has(thing)) continue;
        if (state[thing] !== VISITED) {
          queue.remove(0, thing);
          state[thing] = ABSENT;
          onEvict(thing);
          return;
        }
        state[thing] = RESIDENT;
      }
    };
    return {
      request: (thing) => {
        if (state[thing] !== ABSENT) {
          state[thing] = VISITED;
          return true;
        }
        if (slots === 0) return false;
        if (queue.size(0) === slots) {
          if (held.count() >= slots) return false;
          evictOne();
        }
        queue.add(0, thing);
        state[thing] = RESIDENT;
        return false;
      },
      endToken: () => {},
      isResident: (thing) => state[thing] !== ABSENT,
      size: () => queue.size(0),
    };
  },
};
