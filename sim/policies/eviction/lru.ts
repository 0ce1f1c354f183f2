import { createRecencyList } from "../../neurons/recency.js";
import { NOTHING_HELD, type EvictionPolicy } from "./eviction.js";

/** Drops what was used longest ago: the paper's policy for the cold segment. (PowerInfer-2 v3, text on the neuron cache) */
export const lru: EvictionPolicy = {
  name: "lru",
  admitsAlways: true,
  moreNeverMissesMore: true,
  start: ({ slots, things, onEvict, held = NOTHING_HELD }) => {
    const order = createRecencyList(things);
    return {
      request: (thing) => {
        if (order.touch(thing)) return true;
        if (slots === 0) return false;
        if (order.size() === slots) {
          if (held.count() >= slots) return false;
          // What is held was used since it came to be held, and so later than anything that is not.
          const oldest = order.oldest();
          order.remove(oldest);
          onEvict(oldest);
        }
        order.add(thing);
        return false;
      },
      endToken: () => {},
      isResident: order.has,
      size: order.size,
    };
  },
};
