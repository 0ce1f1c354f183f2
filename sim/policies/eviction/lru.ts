import { createRecencyList } from "../../neurons/recency.js";
import type { EvictionPolicy } from "./eviction.js";

/** Drops what was used longest ago: the paper's policy for the cold segment. (PowerInfer-2 v3, text on the neuron cache) */
export const lru: EvictionPolicy = {
  name: "lru",
  admitsAlways: true,
  moreNeverMissesMore: true,
  start: ({ slots, things, onEvict }) => {
    const order = createRecencyList(things);
    return {
      request: (thing) => {
        if (order.touch(thing)) return true;
        if (slots === 0) return false;
        if (order.size() === slots) {
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
