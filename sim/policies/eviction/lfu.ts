import { NOTHING_HELD, type EvictionPolicy } from "./eviction.js";

const NONE = -1;

/**
 * Drops what was used least often since it came in; among equals, what was used longest ago. Counts start at 1 when a thing
 * comes in and are lost when it leaves (in-cache LFU, without ageing). Every step takes constant time, by the list of
 * lists of Shah, Mitra and Matani (An O(1) algorithm for implementing the LFU cache eviction scheme, 2010): residents
 * used equally often share a bucket, in order of last use; buckets are linked in order of uses.
 */
export const lfu: EvictionPolicy = {
  name: "lfu",
  admitsAlways: true,
  // Counts that are lost with a thing make the order of leaving depend on the number of slots.
  moreNeverMissesMore: false,
  start: ({ slots, things, onEvict, held = NOTHING_HELD }) => {
    const bucketOf = new Int32Array(things).fill(NONE);
    const newerOf = new Int32Array(things);
    const olderOf = new Int32Array(things);
    // A bucket for each resident, and one more while a thing moves.
    const most = Math.min(slots, things) + 1;
    const uses = new Float64Array(most);
    const newest = new Int32Array(most);
    const oldest = new Int32Array(most);
    const more = new Int32Array(most);
    const fewer = new Int32Array(most);
    const spare = Array.from({ length: most }, (_, bucket) => bucket);
    let fewest = NONE;
    let size = 0;

    /** An empty bucket right after `after`, or first for none. */
    const insertBucket = (count: number, after: number): number => {
      const bucket = spare.pop()!;
      uses[bucket] = count;
      newest[bucket] = NONE;
      oldest[bucket] = NONE;
      fewer[bucket] = after;
      more[bucket] = after === NONE ? fewest : more[after];
      if (more[bucket] !== NONE) fewer[more[bucket]] = bucket;
      if (after === NONE) fewest = bucket;
      else more[after] = bucket;
      return bucket;
    };
    const unlink = (thing: number): void => {
      const bucket = bucketOf[thing];
      const newer = newerOf[thing];
      const older = olderOf[thing];
      if (newer === NONE) newest[bucket] = older;
      else olderOf[newer] = older;
      if (older === NONE) oldest[bucket] = newer;
      else newerOf[older] = newer;
      bucketOf[thing] = NONE;
      if (newest[bucket] !== NONE) return;
      if (more[bucket] !== NONE) fewer[more[bucket]] = fewer[bucket];
      if (fewer[bucket] === NONE) fewest = more[bucket];
      else more[fewer[bucket]] = more[bucket];
      spare.push(bucket);
    };
    /** The first that is not held, from the least used on; there is one. */
    const victim = (): number => {
      let bucket = fewest;
      let thing = oldest[bucket];
      while (held.has(thing)) {
        thing = newerOf[thing];
        if (thing !== NONE) continue;
        bucket = more[bucket];
        thing = oldest[bucket];
      }
      return thing;
    };
    const linkNewest = (bucket: number, thing: number): void => {
      const second = newest[bucket];
      bucketOf[thing] = bucket;
      newerOf[thing] = NONE;
      olderOf[thing] = second;
      newest[bucket] = thing;
      if (second === NONE) oldest[bucket] = thing;
      else newerOf[second] = thing;
    };
    return {
      request: (thing) => {
        const from = bucketOf[thing];
        if (from !== NONE) {
          const next = more[from];
          const to = next !== NONE && uses[next] === uses[from] + 1 ? next : insertBucket(uses[from] + 1, from);
          unlink(thing);
          linkNewest(to, thing);
          return true;
        }
        if (slots === 0) return false;
        if (size === slots) {
          if (held.count() >= slots) return false;
          const leaving = victim();
          unlink(leaving);
          size--;
          onEvict(leaving);
        }
        linkNewest(fewest !== NONE && uses[fewest] === 1 ? fewest : insertBucket(1, NONE), thing);
        size++;
        return false;
      },
      endToken: () => {},
      isResident: (thing) => bucketOf[thing] !== NONE,
      size: () => size,
    };
  },
};
