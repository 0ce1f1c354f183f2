/** The closed form where experts are read whole: what a mean token asks, what each part takes on its own, and how long a layer is. */
import { shareWithin } from "../../neurons/expert-reuse.js";
import { wholeExpertMisses } from "../../neurons/populations.js";
import { NO_DEMAND, type Demand } from "../demand.js";
import { fedByDram, type Parts, type Setting } from "../setting.js";
import { streamedCosts, type StreamedCosts } from "./costs.js";

/**
 * `readNs` is the least that the reads take, all lanes at work; `chainNs` what they take at the worst beyond that, one after the other on a hot device, and waking;
 * `aroundNs` making room.
 */
export const demandOfLayer = (costs: StreamedCosts, layer: number, misses: number, hotRatio: number): Demand => {
  const { expertBytes, pieces, pieceBytes, each } = costs.layers[layer]!;
  const bytes = misses * pieces * pieceBytes;
  const least = bytes / Math.max(each, costs.together);
  return { ...NO_DEMAND, active: costs.active, lookups: costs.active, missing: misses, denseBytes: costs.active * expertBytes, otherMissingBytes: bytes, readNs: least, chainNs: bytes / Math.min(each, costs.together) / hotRatio - least + (misses > 0 ? costs.startNs : 0), aroundNs: misses * costs.roomNs(expertBytes) };
};

/** Share of a layer's experts that the cache does not have. Every layer has as many of its own as were used since the oldest came in, and these are about as many in each. */
const missShare = ({ model }: Setting, costs: StreamedCosts): ReadonlyArray<number> => {
  const { count, active, reuse } = model.experts;
  const { layers, capacity } = costs;
  if (capacity === Infinity) return layers.map(() => 0);
  const all = layers.reduce((sum, { expertBytes }) => sum + expertBytes, 0);
  // Below one token's demand nothing that is used again is still there.
  if (capacity < active * all) return layers.map(() => 1);
  if (reuse !== null) {
    const ranks = Array.from({ length: active }, (_, rank) => reuse.ranks[Math.min(rank, reuse.ranks.length - 1)]!.points);
    const found = ranks.reduce((sum, points) => sum + shareWithin(points, Math.min(count, capacity / all)), 0) / active;
    return layers.map(() => 1 - found);
  }
  return wholeExpertMisses(model, layers.length, Math.min(1, capacity / (all * count)));
};

export const expectedStreamedDemand = (setting: Setting): Demand => {
  const costs = streamedCosts(setting);
  const sum: { -readonly [K in keyof Demand]: number } = { ...NO_DEMAND };
  missShare(setting, costs).forEach((share, layer) => {
    const asked = demandOfLayer(costs, layer, share * costs.active, setting.device.flash.hotRatio.value);
    for (const part of Object.keys(sum) as ReadonlyArray<keyof Demand>) sum[part] += asked[part];
  });
  return sum;
};

/** What each part of a token takes on its own. */
export const streamedParts = (asked: Setting, demand: Demand): Parts => {
  const costs = streamedCosts(fedByDram(asked));
  const { layers, denseRate, barrierNs, headBytes } = costs;
  const denseBytes = layers.reduce((sum, layer) => sum + layer.denseBytes, 0);
  const attention = denseBytes / denseRate + layers.length * barrierNs;
  const head = headBytes / denseRate + barrierNs;
  const denseFfn = demand.denseBytes / denseRate;
  return {
    attention, head, predictor: 0, sparse: 0, cache: demand.aroundNs, denseFfn, launches: 0, barriers: layers.length * barrierNs,
    reads: 0, stream: demand.readNs, prefetch: 0, alone: demand.chainNs,
    dramCpuBytes: denseBytes + headBytes + demand.denseBytes, dramNpuBytes: 0, dramGpuBytes: 0,
    flashBytes: demand.otherMissingBytes, rows: demand.active, cpuAtBest: 0, beforeAtBest: attention + head + denseFfn + demand.aroundNs,
  };
};

/** So many experts by the lanes, one at a time each: full rounds, and then those that are left. */
const readsNs = ({ lanes, together }: StreamedCosts, reads: number, bytes: number, each: number): number => {
  const rest = reads % lanes;
  return ((reads - rest) * bytes) / Math.min(together, lanes * each) + (rest === 0 ? 0 : (rest * bytes) / Math.min(together, rest * each));
};

/** A mean token, layer by layer. */
export const streamedEstimateNs = (asked: Setting, parts: Parts): number => {
  const setting = fedByDram(asked);
  const costs = streamedCosts(setting);
  const { denseRate, barrierNs, active } = costs;
  const layerNs = (layer: number, misses: number): number => {
    const { expertBytes, pieces, pieceBytes, each } = costs.layers[layer]!;
    const ffn = (active * expertBytes) / denseRate + barrierNs;
    if (misses === 0) return ffn;
    const room = costs.roomNs(expertBytes);
    const reads = costs.startNs + readsNs(costs, misses, pieces * pieceBytes, each);
    if (setting.plan.mechanisms.overlap !== "cluster") return misses * room + reads + ffn;
    return Math.max(misses * room + ffn, room + reads + expertBytes / denseRate);
  };
  const ffn = missShare(setting, costs).reduce((sum, share, layer) => {
    const misses = share * active;
    const fewer = Math.floor(misses + 1e-9);
    return sum + (1 - (misses - fewer)) * layerNs(layer, fewer) + (misses - fewer) * layerNs(layer, Math.min(active, fewer + 1));
  }, 0);
  return parts.attention + parts.head + ffn;
};

