/**
 * Several lists over the same things, each thing in at most one: doubly linked rings through one Int32Array, so that
 * finding, moving and removing need no hashing and no allocation. Entry 2i holds the newer neighbour of i, 2i+1 the older
 * one; the entries behind the things' close the rings.
 */
export interface Rings {
  readonly size: (ring: number) => number;
  /** The thing longest in the ring, -1 when it is empty. */
  readonly oldest: (ring: number) => number;
  /** The thing next newer in the same ring, -1 for the newest. */
  readonly newer: (thing: number) => number;
  /** Adds a thing that is in no ring as the newest. */
  readonly add: (ring: number, thing: number) => void;
  /** Takes a thing out of the ring that it is in. */
  readonly remove: (ring: number, thing: number) => void;
  /** Makes a thing of one ring the newest of another, or of the same. */
  readonly shift: (from: number, to: number, thing: number) => void;
}

export const createRings = (things: number, rings: number): Rings => {
  const links = new Int32Array(2 * (things + rings));
  const sizes = new Int32Array(rings);
  for (let edge = things; edge < things + rings; edge++) links.fill(edge, 2 * edge, 2 * edge + 2);
  const real = (thing: number): number => (thing < things ? thing : -1);
  const unlink = (thing: number): void => {
    const newer = links[2 * thing];
    const older = links[2 * thing + 1];
    links[2 * newer + 1] = older;
    links[2 * older] = newer;
  };
  const linkNewest = (edge: number, thing: number): void => {
    const second = links[2 * edge + 1];
    links[2 * thing] = edge;
    links[2 * thing + 1] = second;
    links[2 * second] = thing;
    links[2 * edge + 1] = thing;
  };
  return {
    size: (ring) => sizes[ring],
    oldest: (ring) => real(links[2 * (things + ring)]),
    newer: (thing) => real(links[2 * thing]),
    add: (ring, thing) => {
      linkNewest(things + ring, thing);
      sizes[ring]++;
    },
    remove: (ring, thing) => {
      unlink(thing);
      sizes[ring]--;
    },
    shift: (from, to, thing) => {
      unlink(thing);
      linkNewest(things + to, thing);
      sizes[from]--;
      sizes[to]++;
    },
  };
};
