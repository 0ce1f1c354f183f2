/**
 * The host's page cache under a mapped file: read-ahead windows brought in by faults, reclaimed by the kernel's two LRU
 * lists. Kept by extent (a contiguous run of the file that is always touched together), because a dense kernel touches a
 * tensor whole. llama.cpp's collapse beyond RAM follows from it: a cyclic scan of a file that is larger than the cache finds
 * nothing, since what comes next has always just been dropped. (PowerInfer-2 v3, section 2.3)
 *
 * The rules are Linux's (mm/vmscan.c, mm/workingset.c, without MGLRU): a page enters the inactive list; at its tail a page
 * touched since gets a second round there, and if touched in that round too it becomes active; the active list gives its
 * oldest back while it is more than sqrt(10 × GiB) times the inactive one; and a page that is read again after less
 * eviction than the active list holds becomes active at once.
 */
import type { DeviceProfile } from "../domain/device.js";
import { sequentialReadBandwidth } from "./flash.js";

export interface PageCache {
  /** Touches an extent; returns the bytes that had to be read for it. */
  readonly touch: (extent: number) => number;
  readonly residentBytes: () => number;
}

const ABSENT = 0;
const INACTIVE = 1;
const ACTIVE = 2;

/** Two lists over extents of given sizes within `capacityBytes`; index = extent. */
export const createPageCache = (extentBytes: Float64Array, capacityBytes: number): PageCache => {
  const count = extentBytes.length;
  // Two rings share the links; the heads lie behind the extents. A head's `older` is its newest member, its `newer` its oldest.
  const newer = new Int32Array(count + 3);
  const older = new Int32Array(count + 3);
  const headOf = (list: number): number => count + list;
  for (const list of [INACTIVE, ACTIVE]) {
    newer[headOf(list)] = headOf(list);
    older[headOf(list)] = headOf(list);
  }
  const listOf = new Uint8Array(count);
  /** Touched since it was last looked at; and found touched once before at the inactive tail. */
  const isYoung = new Uint8Array(count);
  const isReferenced = new Uint8Array(count);
  /** Eviction clock, in bytes evicted or activated so far, when the extent was last evicted; -1 for never. */
  const evictedAt = new Float64Array(count).fill(-1);
  const bytesIn = new Float64Array(3);
  let clock = 0;
  const mostActivePerInactive = Math.max(1, Math.floor(Math.sqrt((10 * capacityBytes) / 2 ** 30)));

  const leave = (extent: number): void => {
    older[newer[extent]!] = older[extent]!;
    newer[older[extent]!] = newer[extent]!;
    bytesIn[listOf[extent]!]! -= extentBytes[extent]!;
    listOf[extent] = ABSENT;
  };
  const enter = (list: number, extent: number): void => {
    const head = headOf(list);
    const second = older[head]!;
    older[head] = extent;
    newer[extent] = head;
    older[extent] = second;
    newer[second] = extent;
    listOf[extent] = list;
    bytesIn[list]! += extentBytes[extent]!;
  };
  const oldest = (list: number): number => newer[headOf(list)]!;

  const deactivateOldest = (): void => {
    const extent = oldest(ACTIVE);
    leave(extent);
    isYoung[extent] = 0;
    isReferenced[extent] = 0;
    enter(INACTIVE, extent);
  };

  const makeRoom = (bytes: number): void => {
    while (bytesIn[INACTIVE]! + bytesIn[ACTIVE]! + bytes > capacityBytes) {
      while (bytesIn[ACTIVE]! > 0 && bytesIn[ACTIVE]! > bytesIn[INACTIVE]! * mostActivePerInactive) deactivateOldest();
      const extent = oldest(INACTIVE);
      leave(extent);
      if (isYoung[extent] === 0) {
        evictedAt[extent] = clock;
        clock += extentBytes[extent]!;
        continue;
      }
      isYoung[extent] = 0;
      if (isReferenced[extent] === 0) {
        isReferenced[extent] = 1;
        enter(INACTIVE, extent);
      } else {
        clock += extentBytes[extent]!;
        enter(ACTIVE, extent);
      }
    }
  };

  return {
    residentBytes: () => bytesIn[INACTIVE]! + bytesIn[ACTIVE]!,
    touch: (extent) => {
      if (listOf[extent] !== ABSENT) {
        isYoung[extent] = 1;
        return 0;
      }
      const bytes = extentBytes[extent]!;
      // An extent larger than the whole cache passes through it and leaves nothing behind.
      if (bytes > capacityBytes) return bytes;
      const returnsSoon = evictedAt[extent]! >= 0 && clock - evictedAt[extent]! <= bytesIn[ACTIVE]!;
      makeRoom(bytes);
      isYoung[extent] = 1;
      isReferenced[extent] = 0;
      if (returnsSoon) clock += bytes;
      enter(returnsSoon ? ACTIVE : INACTIVE, extent);
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
