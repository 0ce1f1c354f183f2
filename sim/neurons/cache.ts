/**
 * The paper's segmented cache as real structures (PowerInfer-2 v3, text on the neuron cache): a fixed segment that is never evicted, a hot segment
 * of neuron clusters and a cold segment of single neurons, each evicting its least recently used. What is evicted is
 * dropped, never written back. Segments change size with the batch: when hot grows, the least active cold neurons leave;
 * when it shrinks, the least active hot clusters do.
 */
import { createRecencyList } from "./recency.js";

export interface CacheShape {
  readonly fixedBytes: number;
  readonly hotBytes: number;
  readonly coldBytes: number;
  /** Things numbered from 0 that may be looked up, and the bytes one takes. */
  readonly hotClusters: number;
  readonly hotClusterBytes: number;
  readonly neurons: number;
  readonly neuronBytes: number;
}

/** What happened so far in one segment. */
export interface SegmentCounts {
  readonly hits: number;
  readonly misses: number;
  readonly evictions: number;
  /** Bytes brought in, evicted, and now held. */
  readonly loadedBytes: number;
  readonly evictedBytes: number;
  readonly residentBytes: number;
}

/** Contract: `lookup` tells whether the thing was resident; if not, it is now, and the least recently used made room (unless the segment holds nothing at all). */
export interface Segment {
  readonly lookup: (id: number) => boolean;
  readonly isResident: (id: number) => boolean;
  /** Evicts what no longer fits, least recently used first. */
  readonly resize: (bytes: number) => void;
  readonly counts: () => SegmentCounts;
}

export const createSegment = (ids: number, bytesOfOne: number, segmentBytes: number): Segment => {
  const order = createRecencyList(ids);
  let slots = Math.floor(segmentBytes / bytesOfOne);
  let hits = 0;
  let misses = 0;
  let evictions = 0;
  let loads = 0;
  const evictOldest = (): void => {
    order.remove(order.oldest());
    evictions++;
  };
  return {
    lookup: (id) => {
      if (order.touch(id)) {
        hits++;
        return true;
      }
      misses++;
      if (slots === 0) return false;
      if (order.size() === slots) evictOldest();
      order.add(id);
      loads++;
      return false;
    },
    isResident: order.has,
    resize: (bytes) => {
      slots = Math.floor(bytes / bytesOfOne);
      while (order.size() > slots) evictOldest();
    },
    counts: () => ({ hits, misses, evictions, loadedBytes: loads * bytesOfOne, evictedBytes: evictions * bytesOfOne, residentBytes: order.size() * bytesOfOne }),
  };
};

export interface SegmentedCache {
  /** A cold neuron, by its id. */
  readonly lookup: (neuronId: number) => boolean;
  readonly lookupHotCluster: (clusterId: number) => boolean;
  readonly isResident: (neuronId: number) => boolean;
  readonly isHotClusterResident: (clusterId: number) => boolean;
  /** Moves bytes between the segments, as at a change of phase or batch. */
  readonly resize: (segments: { readonly hotBytes: number; readonly coldBytes: number }) => void;
  readonly counts: () => { readonly hot: SegmentCounts; readonly cold: SegmentCounts };
  /** All bytes now held, the fixed segment included. */
  readonly residentBytes: () => number;
}

export const createSegmentedCache = (shape: CacheShape): SegmentedCache => {
  const hot = createSegment(shape.hotClusters, shape.hotClusterBytes, shape.hotBytes);
  const cold = createSegment(shape.neurons, shape.neuronBytes, shape.coldBytes);
  return {
    lookup: cold.lookup,
    lookupHotCluster: hot.lookup,
    isResident: cold.isResident,
    isHotClusterResident: hot.isResident,
    resize: ({ hotBytes, coldBytes }) => {
      // Nothing is loaded here, so evicting on both sides in any order never exceeds the old or the new sum.
      hot.resize(hotBytes);
      cold.resize(coldBytes);
    },
    counts: () => ({ hot: hot.counts(), cold: cold.counts() }),
    residentBytes: () => shape.fixedBytes + hot.counts().residentBytes + cold.counts().residentBytes,
  };
};
