import { NOTHING_HELD, type EvictionPolicy } from "./eviction.js";
import { createRings } from "./rings.js";

/** Seen once lately, and at least twice, and resident (the paper's T1 and T2); then their ghosts (B1 and B2). */
const ONCE = 0;
const OFTEN = 1;
const ONCE_GHOST = 2;
const OFTEN_GHOST = 3;
const NOWHERE = 4;

/**
 * ARC (Megiddo and Modha, ARC: a self-tuning, low overhead replacement cache, FAST 2003, figure 4): two LRU lists of things
 * seen once and often, ghosts of both, and a target size for the first (the paper's p) that moves towards the list whose
 * ghosts are asked for.
 *
 * The paper's step is a ratio of list sizes; here it is the ratio rounded down, at least 1, with the sizes before the
 * ghost leaves its list, so that the target is an integer and equal wherever it is computed.
 */
export const arc: EvictionPolicy = {
  name: "arc",
  admitsAlways: true,
  moreNeverMissesMore: false,
  start: ({ slots, things, onEvict, held = NOTHING_HELD }) => {
    const lists = createRings(things, 4);
    const at = new Uint8Array(things).fill(NOWHERE);
    let target = 0;
    const size = (): number => lists.size(ONCE) + lists.size(OFTEN);
    const move = (to: number, thing: number): void => {
      lists.shift(at[thing], to, thing);
      at[thing] = to;
    };
    const forgetOldest = (list: number): void => {
      const thing = lists.oldest(list);
      lists.remove(list, thing);
      at[thing] = NOWHERE;
    };
    /** The oldest that is not held; -1 where there is none. */
    const oldestFree = (list: number): number => {
      let thing = lists.oldest(list);
      while (thing >= 0 && held.has(thing)) thing = lists.newer(thing);
      return thing;
    };
    /** The paper's REPLACE: one resident leaves and becomes a ghost. */
    const replace = (oftenGhostAsked: boolean): void => {
      const once = lists.size(ONCE);
      const first = once > 0 && (once > target || (oftenGhostAsked && once === target)) ? ONCE : OFTEN;
      const fromFirst = oldestFree(first);
      const list = fromFirst >= 0 ? first : ONCE + OFTEN - first;
      const thing = fromFirst >= 0 ? fromFirst : oldestFree(list);
      move(list === ONCE ? ONCE_GHOST : OFTEN_GHOST, thing);
      onEvict(thing);
    };
    /** Makes room for a thing that is remembered nowhere, in the cache and among the ghosts. */
    const makeRoomForStranger = (): void => {
      const [once, onceGhosts, oftenGhosts] = [lists.size(ONCE), lists.size(ONCE_GHOST), lists.size(OFTEN_GHOST)];
      if (once === slots) {
        // Only things seen once, as many as fit: the oldest leaves without becoming a ghost.
        const thing = oldestFree(ONCE);
        lists.remove(ONCE, thing);
        at[thing] = NOWHERE;
        onEvict(thing);
        return;
      }
      const full = size() === slots;
      if (once + onceGhosts === slots) forgetOldest(ONCE_GHOST);
      else if (size() + onceGhosts + oftenGhosts === 2 * slots) forgetOldest(OFTEN_GHOST);
      if (full) replace(false);
    };
    return {
      request: (thing) => {
        const was = at[thing];
        if (was <= OFTEN) {
          move(OFTEN, thing);
          return true;
        }
        if (slots === 0 || (size() === slots && held.count() >= slots)) return false;
        const [onceGhosts, oftenGhosts] = [lists.size(ONCE_GHOST), lists.size(OFTEN_GHOST)];
        if (was === NOWHERE) {
          makeRoomForStranger();
          at[thing] = ONCE;
          lists.add(ONCE, thing);
          return false;
        }
        // A ghost is remembered only since the cache was full, and it has stayed full.
        target = was === ONCE_GHOST
          ? Math.min(slots, target + Math.max(1, Math.floor(oftenGhosts / onceGhosts)))
          : Math.max(0, target - Math.max(1, Math.floor(onceGhosts / oftenGhosts)));
        replace(was === OFTEN_GHOST);
        move(OFTEN, thing);
        return false;
      },
      endToken: () => {},
      isResident: (thing) => at[thing] <= OFTEN,
      size,
    };
  },
};
