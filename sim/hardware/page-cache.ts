/**
 * The host's page cache under a mapped file: read-ahead windows brought in by faults, reclaimed in LRU order. Kept by
 * extent (a contiguous run of the file that is always touched together), because a dense kernel touches a tensor whole.
 * llama.cpp's collapse beyond RAM follows from it: a cyclic scan of a file that is larger than the cache finds nothing,
 * since LRU has always just dropped what comes next. (PowerInfer-2 v3, section 2.3; powerinfer2.md 7.6)
 */
import type { DeviceProfile } from "../domain/device.js";
import { sequentialReadBandwidth } from "./flash.js";

export interface PageCache {
  /** Touches an extent; returns the bytes that had to be read for it. */
  readonly touch: (extent: number) => number;
  readonly residentBytes: () => number;
}

/** An LRU over extents of given sizes within `capacityBytes`: a doubly linked list in typed arrays, index = extent. */
export const createPageCache = (extentBytes: Float64Array, capacityBytes: number): PageCache => {
  const count = extentBytes.length;
  const newer = new Int32Array(count + 1).fill(-1);
  const older = new Int32Array(count + 1).fill(-1);
  const isResident = new Uint8Array(count);
  // The last slot is the ring's head: its `older` is the most recent extent, its `newer` the least recent.
  const head = count;
  newer[head] = head;
  older[head] = head;
  let resident = 0;
  const unlink = (extent: number): void => {
    older[newer[extent]!] = older[extent]!;
    newer[older[extent]!] = newer[extent]!;
  };
  const toFront = (extent: number): void => {
    const second = older[head]!;
    older[head] = extent;
    newer[extent] = head;
    older[extent] = second;
    newer[second] = extent;
  };
  return {
    residentBytes: () => resident,
    touch: (extent) => {
      const bytes = extentBytes[extent]!;
      if (isResident[extent] === 1) {
        unlink(extent);
        toFront(extent);
        return 0;
      }
      // An extent larger than the whole cache passes through it and leaves nothing behind.
      if (bytes > capacityBytes) return bytes;
      while (resident + bytes > capacityBytes) {
        const victim = newer[head]!;
        unlink(victim);
        isResident[victim] = 0;
        resident -= extentBytes[victim]!;
      }
      toFront(extent);
      isResident[extent] = 1;
      resident += bytes;
      return bytes;
    },
  };
};

/**
 * Time to fault `bytes` of a mapped file in, ns. The kernel reads the next window ahead while the faulting threads map this
 * one, so a window takes the longer of the two: its sequential read, or its faults (entry, page allocation, mapping).
 */
export const faultInNs = (device: DeviceProfile, bytes: number): number => {
  const window = device.pageCache.readAhead.value;
  return (bytes / window) * Math.max(device.pageCache.faultCost.value, window / sequentialReadBandwidth(device.flash, window));
};
