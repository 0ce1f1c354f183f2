/**
 * Things in order of last use: a doubly linked list through one Int32Array indexed by the thing's number, so that finding,
 * moving and removing need no hashing and no allocation. Entry 2i holds the newer neighbour of i, 2i+1 the older one
 * (side by side: one cache line per thing); the entry after the last closes the ring.
 */
export interface RecencyList {
  readonly size: () => number;
  readonly has: (id: number) => boolean;
  /** Makes `id` the newest if it is in the list; false, and nothing done, if not. */
  readonly touch: (id: number) => boolean;
  /** Adds `id`, which must not be in the list, as the newest. */
  readonly add: (id: number) => void;
  readonly remove: (id: number) => void;
  /** The least recently used id, -1 when empty. */
  readonly oldest: () => number;
}

const ABSENT = -1;

export const createRecencyList = (ids: number): RecencyList => {
  const links = new Int32Array(2 * ids + 2).fill(ABSENT);
  const newestEdge = 2 * ids + 1;
  const oldestEdge = 2 * ids;
  links[newestEdge] = ids;
  links[oldestEdge] = ids;
  let size = 0;

  return {
    size: () => size,
    has: (id) => links[2 * id] !== ABSENT,
    touch: (id) => {
      const newer = links[2 * id];
      if (newer === ABSENT) return false;
      if (newer === ids) return true;
      const older = links[2 * id + 1];
      links[2 * newer + 1] = older;
      links[2 * older] = newer;
      const second = links[newestEdge];
      links[2 * id] = ids;
      links[2 * id + 1] = second;
      links[2 * second] = id;
      links[newestEdge] = id;
      return true;
    },
    add: (id) => {
      const second = links[newestEdge];
      links[2 * id] = ids;
      links[2 * id + 1] = second;
      links[2 * second] = id;
      links[newestEdge] = id;
      size++;
    },
    remove: (id) => {
      const newer = links[2 * id];
      const older = links[2 * id + 1];
      links[2 * newer + 1] = older;
      links[2 * older] = newer;
      links[2 * id] = ABSENT;
      size--;
    },
    oldest: () => (size === 0 ? -1 : links[oldestEdge]),
  };
};
