import { NOTHING_HELD, type EvictionPolicy } from "./eviction.js";

/**
 * The second-chance clock: a hand goes round the slots, spares once what was used since it last came by, and replaces the
 * first that was not. Approximates LRU with one bit per slot and no list to mend on a hit (Corbató 1968).
 */
export const clock: EvictionPolicy = {
  name: "clock",
  admitsAlways: true,
  // Like FIFO it can miss more with one slot more (Bélády's anomaly).
  moreNeverMissesMore: false,
  start: ({ slots, things, onEvict, held = NOTHING_HELD }) => {
    const slotOf = new Int32Array(things).fill(-1);
    const thingIn = new Int32Array(slots);
    const usedSince = new Uint8Array(slots);
    let size = 0;
    let hand = 0;
    return {
      request: (thing) => {
        const found = slotOf[thing];
        if (found >= 0) {
          usedSince[found] = 1;
          return true;
        }
        if (slots === 0) return false;
        let slot = size;
        if (size < slots) size++;
        else {
          if (held.count() >= slots) return false;
          // Things that are held are passed by with their mark as it is.
          for (let thingHere = thingIn[hand]; held.has(thingHere) || usedSince[hand] === 1; thingHere = thingIn[hand]) {
            if (!held.has(thingHere)) usedSince[hand] = 0;
            hand = (hand + 1) % slots;
          }
          slot = hand;
          hand = (hand + 1) % slots;
          slotOf[thingIn[slot]] = -1;
          onEvict(thingIn[slot]);
        }
        thingIn[slot] = thing;
        slotOf[thing] = slot;
        usedSince[slot] = 0;
        return false;
      },
      endToken: () => {},
      isResident: (thing) => slotOf[thing] >= 0,
      size: () => size,
    };
  },
};
