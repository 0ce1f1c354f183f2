/**
 * Whole experts in memory, counted in bytes: one LRU over all layers. A layer finds out at once which of its experts are there; then they count as used,
 * one after the other, and what was used longest ago leaves until the rest fits. (As BigMoeOnEdge's recorded runs do it, expert by expert: docs/model.md, 3b.)
 */
import { createRecencyList } from "./recency.js";

export interface ExpertCache {
  /** Whether each of these experts of a layer is there, into `missing` (1: it is not); and then they are used in this order. Returns how many are missing. */
  readonly useLayer: (layer: number, experts: ArrayLike<number>, missing: Uint8Array) => number;
  readonly residentBytes: () => number;
}

/** `bytesOf`: an expert of each layer. */
export const createExpertCache = (bytesOf: ArrayLike<number>, experts: number, capacity: number): ExpertCache => {
  const order = createRecencyList(bytesOf.length * experts);
  let resident = 0;
  return {
    residentBytes: () => resident,
    useLayer: (layer, used, missing) => {
      let misses = 0;
      for (let i = 0; i < used.length; i++) {
        missing[i] = order.has(layer * experts + used[i]!) ? 0 : 1;
        misses += missing[i]!;
      }
      for (let i = 0; i < used.length; i++) {
        const key = layer * experts + used[i]!;
        if (order.touch(key)) continue;
        order.add(key);
        resident += bytesOf[layer]!;
        while (resident > capacity) {
          const oldest = order.oldest();
          order.remove(oldest);
          resident -= bytesOf[Math.floor(oldest / experts)]!;
        }
      }
      return misses;
    },
  };
};
