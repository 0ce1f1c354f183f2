import type { EvictionPolicy } from "./eviction.js";

/**
 * The best any policy could do, with the requests to come known: drops what is wanted again last, and does not even take
 * in what would itself be wanted last (Bélády 1966, with bypass). Only for replays, as the bound for the others. Among
 * things never wanted again the lowest number leaves first.
 *
 * A heap holds (next use, thing); an entry is stale once the thing was requested again or left, and is then skipped.
 */
export const belady: EvictionPolicy = {
  name: "belady",
  admitsAlways: false,
  moreNeverMissesMore: true,
  start: ({ slots, things, future, onEvict }) => {
    const length = future.length;
    // nextUse[i]: when the thing of request i is requested next. Never again is later than any request, and later the lower the number.
    const nextUse = new Float64Array(length);
    const lastSeen = new Float64Array(things);
    for (let thing = 0; thing < things; thing++) lastSeen[thing] = length + things - thing;
    for (let i = length - 1; i >= 0; i--) {
      nextUse[i] = lastSeen[future[i]];
      lastSeen[future[i]] = i;
    }
    const heapUse = new Float64Array(length + 1);
    const heapThing = new Int32Array(length + 1);
    let heapSize = 0;
    const push = (use: number, thing: number): void => {
      let place = heapSize++;
      while (place > 0) {
        const parent = (place - 1) >> 1;
        if (heapUse[parent] >= use) break;
        heapUse[place] = heapUse[parent];
        heapThing[place] = heapThing[parent];
        place = parent;
      }
      heapUse[place] = use;
      heapThing[place] = thing;
    };
    const pop = (): void => {
      const use = heapUse[--heapSize];
      const thing = heapThing[heapSize];
      let place = 0;
      for (let child = 1; child < heapSize; child = 2 * place + 1) {
        if (child + 1 < heapSize && heapUse[child + 1] > heapUse[child]) child++;
        if (heapUse[child] <= use) break;
        heapUse[place] = heapUse[child];
        heapThing[place] = heapThing[child];
        place = child;
      }
      heapUse[place] = use;
      heapThing[place] = thing;
    };
    /** Next use of a resident thing, -1 of others. */
    const wanted = new Float64Array(things).fill(-1);
    let size = 0;
    let now = 0;
    return {
      request: (thing) => {
        if (future[now] !== thing) throw new Error(`request ${now} is not the one foreseen: got ${thing}, expected ${future[now]}`);
        const use = nextUse[now++];
        if (wanted[thing] >= 0) {
          wanted[thing] = use;
          push(use, thing);
          return true;
        }
        if (slots === 0) return false;
        if (size === slots) {
          while (wanted[heapThing[0]] !== heapUse[0]) pop();
          if (heapUse[0] <= use) return false;
          const last = heapThing[0];
          pop();
          wanted[last] = -1;
          size--;
          onEvict(last);
        }
        wanted[thing] = use;
        push(use, thing);
        size++;
        return false;
      },
      endToken: () => {},
      isResident: (thing) => wanted[thing] >= 0,
      size: () => size,
    };
  },
};
