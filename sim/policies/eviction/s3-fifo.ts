import { NOTHING_HELD, type EvictionPolicy } from "./eviction.js";
import { createRings } from "./rings.js";

const SMALL = 0;
const MAIN = 1;
const GHOST = 2;
const NOWHERE = 3;
const MOST_USES = 3;

/**
 * S3-FIFO (Yang et al., FIFO queues are all you need for cache eviction, SOSP 2023, algorithm 1): newcomers wait in a small
 * queue; those used at least twice there go on to the main queue, the others leave and are remembered as ghosts for a
 * while; who comes back as a ghost goes straight to the main queue, which drops its oldest but gives each use one more round.
 *
 * Where the paper leaves a choice:
 * - the small queue's share is a tenth of the slots, rounded down, at least one; main has the rest; ghosts are as many as main;
 * - uses are counted from 0 to 3 and start at 0 on every entry to a queue: of newcomers, of ghosts, and from small to main;
 * - whether the newcomer is a ghost is looked up, and the ghost removed, before room is made;
 * - to make room: while the small queue has its share or more its oldest goes on or leaves; otherwise main's oldest has
 *   another round or leaves; until exactly one has left. (The paper's main queue, when a move overfills it, drops one and
 *   its small queue then drops another; one is enough here.)
 */
export const s3Fifo: EvictionPolicy = {
  name: "s3-fifo",
  admitsAlways: true,
  moreNeverMissesMore: false,
  start: ({ slots, things, onEvict, held = NOTHING_HELD }) => {
    const queues = createRings(things, 3);
    const at = new Uint8Array(things).fill(NOWHERE);
    const uses = new Uint8Array(things);
    const smallShare = Math.max(1, Math.floor(slots / 10));
    const ghosts = Math.max(0, slots - smallShare);
    const size = (): number => queues.size(SMALL) + queues.size(MAIN);
    const move = (to: number, thing: number): void => {
      queues.shift(at[thing], to, thing);
      at[thing] = to;
    };
    const leave = (thing: number): void => {
      queues.remove(at[thing], thing);
      at[thing] = NOWHERE;
    };
    const evictOne = (): void => {
      // After a round of main that met only what is held, the small queue is next whatever its share.
      let heldInMain = 0;
      for (;;) {
        const queue = queues.size(SMALL) >= smallShare || queues.size(MAIN) === heldInMain ? SMALL : MAIN;
        const thing = queues.oldest(queue);
        if (queue === SMALL && (held.has(thing) || uses[thing] > 1)) {
          move(MAIN, thing);
          uses[thing] = 0;
          heldInMain = 0;
        } else if (queue === MAIN && held.has(thing)) {
          move(MAIN, thing);
          heldInMain++;
        } else if (queue === MAIN && uses[thing] > 0) {
          move(MAIN, thing);
          uses[thing]--;
          heldInMain = 0;
        } else {
          if (queue === SMALL) {
            move(GHOST, thing);
            if (queues.size(GHOST) > ghosts) leave(queues.oldest(GHOST));
          } else leave(thing);
          onEvict(thing);
          return;
        }
      }
    };
    return {
      request: (thing) => {
        if (at[thing] <= MAIN) {
          if (uses[thing] < MOST_USES) uses[thing]++;
          return true;
        }
        if (slots === 0 || (size() === slots && held.count() >= slots)) return false;
        const returns = at[thing] === GHOST;
        if (returns) leave(thing);
        if (size() === slots) evictOne();
        at[thing] = returns ? MAIN : SMALL;
        queues.add(at[thing], thing);
        uses[thing] = 0;
        return false;
      },
      endToken: () => {},
      isResident: (thing) => at[thing] <= MAIN,
      size,
    };
  },
};
