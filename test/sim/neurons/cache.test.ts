import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createSegmentedCache, type SegmentCounts } from "../../../sim/neurons/cache.js";
import { createRecencyList } from "../../../sim/neurons/recency.js";

const SEED = { seed: 20240610, numRuns: 500 };
const THINGS = 12;
const NEURON_BYTES = 10;
const CLUSTER_BYTES = 35;

/** The slow, obvious twin of a segment: an array of ids, oldest first. */
const segmentSlow = (bytesOfOne: number, segmentBytes: number): { readonly lookup: (id: number) => boolean; readonly resize: (bytes: number) => void; readonly ids: () => ReadonlyArray<number>; readonly counts: () => SegmentCounts } => {
  let ids: Array<number> = [];
  let capacity = segmentBytes;
  const counts = { hits: 0, misses: 0, evictions: 0, loadedBytes: 0, evictedBytes: 0 };
  const trim = (): void => {
    while (ids.length * bytesOfOne > capacity) {
      ids.shift();
      counts.evictions++;
      counts.evictedBytes += bytesOfOne;
    }
  };
  return {
    lookup: (id) => {
      const hit = ids.includes(id);
      counts[hit ? "hits" : "misses"]++;
      if (!hit && capacity < bytesOfOne) return false;
      ids = [...ids.filter((other) => other !== id), id];
      if (!hit) counts.loadedBytes += bytesOfOne;
      trim();
      return hit;
    },
    resize: (bytes) => {
      capacity = bytes;
      trim();
    },
    ids: () => ids,
    counts: () => ({ ...counts, residentBytes: ids.length * bytesOfOne }),
  };
};

type Act = { readonly _tag: "Neuron"; readonly id: number } | { readonly _tag: "Cluster"; readonly id: number } | { readonly _tag: "Resize"; readonly hotBytes: number; readonly coldBytes: number };
const id = fc.integer({ min: 0, max: THINGS - 1 });
const bytes = fc.integer({ min: 0, max: 150 });
const arbAct: fc.Arbitrary<Act> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ _tag: fc.constant("Neuron" as const), id }) },
  { weight: 6, arbitrary: fc.record({ _tag: fc.constant("Cluster" as const), id }) },
  { weight: 2, arbitrary: fc.record({ _tag: fc.constant("Resize" as const), hotBytes: bytes, coldBytes: bytes }) });

describe("the segmented cache", () => {
  it("does what two plain arrays do, under any lookups and resizes, and never holds more than its bytes", () => {
    fc.assert(fc.property(bytes, bytes, fc.array(arbAct, { maxLength: 80 }), (hotBytes, coldBytes, acts) => {
      const cache = createSegmentedCache({ fixedBytes: 1000, hotBytes, coldBytes, hotClusters: THINGS, hotClusterBytes: CLUSTER_BYTES, neurons: THINGS, neuronBytes: NEURON_BYTES });
      const hot = segmentSlow(CLUSTER_BYTES, hotBytes);
      const cold = segmentSlow(NEURON_BYTES, coldBytes);
      let allowed = hotBytes + coldBytes;
      for (const act of acts) {
        if (act._tag === "Neuron") expect(cache.lookup(act.id)).toBe(cold.lookup(act.id));
        else if (act._tag === "Cluster") expect(cache.lookupHotCluster(act.id)).toBe(hot.lookup(act.id));
        else {
          cache.resize(act);
          hot.resize(act.hotBytes);
          cold.resize(act.coldBytes);
          allowed = act.hotBytes + act.coldBytes;
        }
        expect(cache.counts()).toEqual({ hot: hot.counts(), cold: cold.counts() });
        expect(cache.residentBytes()).toBeLessThanOrEqual(1000 + allowed);
      }
      for (let thing = 0; thing < THINGS; thing++) {
        expect(cache.isResident(thing)).toBe(cold.ids().includes(thing));
        expect(cache.isHotClusterResident(thing)).toBe(hot.ids().includes(thing));
      }
    }), SEED);
  });

  const filled = (): ReturnType<typeof createSegmentedCache> => {
    const cache = createSegmentedCache({ fixedBytes: 0, hotBytes: 70, coldBytes: 40, hotClusters: THINGS, hotClusterBytes: CLUSTER_BYTES, neurons: THINGS, neuronBytes: NEURON_BYTES });
    for (const cluster of [0, 1, 0]) cache.lookupHotCluster(cluster);
    for (const neuron of [3, 4, 5, 6, 3]) cache.lookup(neuron);
    return cache;
  };

  it("drops the least active cold neurons when the batch grows and hot takes their room", () => {
    const cache = filled();
    cache.resize({ hotBytes: 90, coldBytes: 20 });
    expect([3, 4, 5, 6].filter(cache.isResident)).toEqual([3, 6]);
    expect([0, 1].filter(cache.isHotClusterResident)).toEqual([0, 1]);
  });

  it("drops the least active hot clusters when the batch shrinks", () => {
    const cache = filled();
    cache.resize({ hotBytes: 40, coldBytes: 70 });
    expect([0, 1].filter(cache.isHotClusterResident)).toEqual([0]);
    expect([3, 4, 5, 6].filter(cache.isResident)).toEqual([3, 4, 5, 6]);
  });

  it("keeps no copy of what it evicted: the next lookup is a miss and a load", () => {
    const cache = filled();
    const before = cache.counts().cold;
    cache.lookup(7);
    expect(cache.lookup(4)).toBe(false);
    expect(cache.counts().cold).toEqual({ ...before, misses: before.misses + 2, evictions: 2, loadedBytes: before.loadedBytes + 20, evictedBytes: 20 });
  });
});

describe("the recency list", () => {
  it("keeps the order of last use under any touches, additions and removals", () => {
    fc.assert(fc.property(fc.array(fc.tuple(id, fc.boolean()), { maxLength: 100 }), (acts) => {
      const list = createRecencyList(THINGS);
      let slow: Array<number> = [];
      for (const [thing, use] of acts) {
        const had = slow.includes(thing);
        expect(list.has(thing)).toBe(had);
        slow = slow.filter((other) => other !== thing);
        if (use) {
          expect(list.touch(thing)).toBe(had);
          if (!had) list.add(thing);
          slow.push(thing);
        } else if (had) list.remove(thing);
        expect([list.size(), list.oldest()]).toEqual([slow.length, slow[0] ?? -1]);
      }
    }), SEED);
  });
});
