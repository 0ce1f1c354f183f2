/**
 * Which experts a layer uses, drawn from how long ago they were used: the experts of a layer stand in order of last use, and each rank of the router takes
 * one at a depth drawn from that rank's recorded curve (Mattson's stack distance, taken as a generator), or the nearest that the token does not have yet. Ranks beyond those recorded behave as the last one.
 */
import { stream } from "../base/random.js";
import type { ModelSpec } from "../domain/model.js";
import { createExpertChain, type ExpertChain } from "./experts.js";
import { layerExperts } from "./layers.js";
import type { Routing } from "./routing.js";

export type ReuseCurve = NonNullable<ModelSpec["experts"]["reuse"]>["ranks"][number]["points"];

/** The depth at which a share of the uses lies, between points evenly; from 0. */
export const depthAt = (points: ReuseCurve, share: number): number => {
  let [depth, below] = [0, 0];
  for (const point of points) {
    if (share < point.share) return Math.min(point.experts - 1, depth + Math.floor(((share - below) / (point.share - below)) * (point.experts - depth)));
    [depth, below] = [point.experts, point.share];
  }
  return depth - 1;
};

/** The share of the uses that lie at a depth below `experts`, which need not be whole. */
export const shareWithin = (points: ReuseCurve, experts: number): number => {
  let [depth, below] = [0, 0];
  for (const point of points) {
    if (experts < point.experts) return below + ((experts - depth) / (point.experts - depth)) * (point.share - below);
    [depth, below] = [point.experts, point.share];
  }
  return 1;
};

/** The chain of one sequence in one layer; `inUse` is in the router's order. */
export const createReuseChain = (ranks: ReadonlyArray<{ readonly points: ReuseCurve }>, count: number, active: number, seed: number, name: string): ExpertChain => {
  const random = stream(seed, name);
  const order = Int32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const other = Math.floor(random.uniform() * (i + 1));
    const kept = order[i]!;
    order[i] = order[other]!;
    order[other] = kept;
  }
  const inUse = new Int32Array(active);
  const isTaken = new Uint8Array(count);
  /** Drawing again would lead away from the depths that are drawn most. */
  const nearestFree = (depth: number): number => {
    for (let away = 0; away < count; away++) {
      if (depth - away >= 0 && isTaken[order[depth - away]!] === 0) return depth - away;
      if (depth + away < count && isTaken[order[depth + away]!] === 0) return depth + away;
    }
    return depth;
  };
  const step = (): void => {
    isTaken.fill(0);
    for (let rank = 0; rank < active; rank++) {
      const { points } = ranks[Math.min(rank, ranks.length - 1)]!;
      const depth = nearestFree(depthAt(points, random.uniform()));
      inUse[rank] = order[depth]!;
      isTaken[order[depth]!] = 1;
    }
    for (let rank = 0; rank < active; rank++) moveToFront(order, inUse[rank]!);
  };
  step();
  return { inUse, step };
};

const moveToFront = (order: Int32Array, expert: number): void => {
  let place = order.indexOf(expert);
  for (; place > 0; place--) order[place] = order[place - 1]!;
  order[0] = expert;
};

/** Of one layer: as the model's recording has it, or by how often its experts are used, and used again. */
export const expertChainOf = (model: ModelSpec, layer: number, seed: number, name: string): ExpertChain => {
  const { count, active, reuse } = model.experts;
  return reuse === null ? createExpertChain(layerExperts(model, layer), seed, name) : createReuseChain(reuse.ranks, count, active, seed, name);
};

/** Depths at which a recorded curve is kept. */
const DEPTHS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96] as const;

/** The curves of a recording, rank by rank over all layers, from its tokens alone; the prompt says only in which order they find the experts. */
export const reuseOf = ({ layers, experts, active, prompt, tokens, used }: Routing): ReadonlyArray<{ readonly points: ReuseCurve }> => {
  const counts = Array.from({ length: active }, () => new Float64Array(experts));
  for (let layer = 0; layer < layers; layer++) {
    // Experts that were never used lie below all others, in no order: each next newcomer is drawn evenly among them.
    const order = Int32Array.from({ length: experts }, (_, i) => i);
    const seen = new Uint8Array(experts);
    let known = 0;
    const use = (expert: number): void => {
      if (seen[expert] === 0) known++;
      seen[expert] = 1;
      moveToFront(order, expert);
    };
    for (const expert of prompt[layer]!) use(expert);
    for (let token = 0; token < tokens; token++) {
      const at = (token * layers + layer) * active;
      for (let rank = 0; rank < active; rank++) {
        const expert = used[at + rank]!;
        if (seen[expert] === 1) counts[rank]![order.indexOf(expert)]!++;
        else for (let depth = known; depth < experts; depth++) counts[rank]![depth]! += 1 / (experts - known);
      }
      for (let rank = 0; rank < active; rank++) use(used[at + rank]!);
    }
  }
  return counts.map((column) => {
    const all = column.reduce((sum, count) => sum + count, 0);
    const share = (depth: number): number => Math.round((1e4 * column.subarray(0, depth).reduce((sum, count) => sum + count, 0)) / all) / 1e4;
    return { points: [...DEPTHS.filter((depth) => depth < experts).map((depth) => ({ experts: depth, share: share(depth) })), { experts, share: 1 }] };
  });
};

/** Of the experts in use, the share that was in use for the last token. */
export const repeatOf = ({ layers, active, tokens, used }: Routing): number => {
  let repeated = 0;
  for (let at = layers * active; at < tokens * layers * active; at++) {
    const before = at - layers * active;
    const start = before - (before % active);
    for (let rank = 0; rank < active; rank++) if (used[start + rank] === used[at]) repeated++;
  }
  return repeated / Math.max(1, (tokens - 1) * layers * active);
};
