import { createRecencyList } from "../../neurons/recency.js";
import { NOTHING_HELD, type EvictionPolicy } from "./eviction.js";

/**
 * Keeps what the last few tokens used and drops the rest at the end of each token (LLM in a flash, arXiv 2312.11514).
 * Where the window does not fit its room, what was used longest ago leaves early, as under LRU.
 */
export const window: EvictionPolicy = {
  name: "window",
  admitsAlways: true,
  // Both limits, room and age, drop the oldest first: with more room the resident set is a superset.
  moreNeverMissesMore: true,
  start: ({ slots, things, windowTokens, onEvict, held = NOTHING_HELD }) => {
    const order = createRecencyList(things);
    const lastUse = new Int32Array(things);
    let token = 0;
    const dropOldest = (): void => {
      const oldest = order.oldest();
      order.remove(oldest);
      onEvict(oldest);
    };
    return {
      request: (thing) => {
        lastUse[thing] = token;
        if (order.touch(thing)) return true;
        if (slots === 0) return false;
        if (order.size() === slots) {
          if (held.count() >= slots) return false;
          // What is held was used since it came to be held, and so later than anything that is not.
          dropOldest();
        }
        order.add(thing);
        return false;
      },
      endToken: () => {
        token++;
        while (order.size() > 0 && lastUse[order.oldest()] < token - windowTokens) dropOldest();
      },
      isResident: order.has,
      size: order.size,
    };
  },
};
