/**
 * What a prompt leaves in the engine's segments: it streams past, and of each block the gates stay, and as many of the units whose
 * neurons fired most as are the block's share of the cold segment. The rules of engine/crates/offload/src/{prefill,keep}.rs.
 */
import { neuronsOf } from "./walk.js";
import type { Cut } from "./cut.js";
import type { Segment } from "./segments.js";

/** Neurons that are streamed at once. */
const BLOCK_NEURONS = 1024;
/** Tokens of a pass over the prompt; a pass of one token is a pass of decoding. */
export const BATCH = 512;

/** How often each neuron of a layer fired for the tokens of a pass; null for an expert that none of them used. */
export type FiredCounts = (expert: number) => Uint32Array | null;

/** One pass of more than one token, one layer. */
export const keepOfPass = (cut: Cut, hot: Segment, cold: Segment, layer: number, countsOf: FiredCounts): void => {
  const step = Math.max(BLOCK_NEURONS, cut.group);
  for (let expert = 0; expert < cut.experts; expert++) {
    const counts = countsOf(expert);
    if (counts === null) continue;
    const key = layer * cut.experts + expert;
    for (let start = 0; start < cut.neurons; start += step) {
      const end = Math.min(start + step, cut.neurons);
      for (const cluster of wholeParts(cut, cut.cluster, start, end)) hot.keep(key * cut.clusters + cluster);
      for (const unit of hottest(cut, cold.slots, counts, start, end)) cold.keep(key * cut.units + unit);
    }
  }
};

/** Those of `size` neurons that lie within the block whole. */
const wholeParts = (cut: Cut, size: number, start: number, end: number): ReadonlyArray<number> => {
  const first = Math.ceil(start / size);
  return Array.from({ length: Math.max(0, Math.ceil(end / size) - first) }, (_, i) => first + i).filter((part) => part * size + neuronsOf(cut, size, part) <= end);
};

/** The hottest last: what was used last leaves last. */
const hottest = (cut: Cut, slots: number, counts: Uint32Array, start: number, end: number): ReadonlyArray<number> => {
  const share = Math.ceil(Math.floor((slots * (end - start)) / cut.unit) / cut.unitKeys);
  if (share === 0) return [];
  const firedOf = (unit: number): number => {
    let sum = 0;
    for (let neuron = unit * cut.unit; neuron < unit * cut.unit + neuronsOf(cut, cut.unit, unit); neuron++) sum += counts[neuron]!;
    return sum;
  };
  return wholeParts(cut, cut.unit, start, end)
    .map((unit) => ({ unit, fired: firedOf(unit) }))
    .filter(({ fired }) => fired > 0)
    .sort((a, b) => b.fired - a.fired || a.unit - b.unit)
    .slice(0, share)
    .map(({ unit }) => unit)
    .reverse();
};
