/**
 * The Sobol sequence in Gray-code order (Antonov and Saleev 1979), 32 bits, unscrambled; the first point, all zeros, is skipped because it lies
 * on a corner. 2^k points fill the cube evenly; other numbers of points do so less well.
 */
import { DIRECTION_NUMBERS } from "./direction-numbers.js";

const BITS = 32;
const SCALE = 2 ** -BITS;

export const MOST_DIMENSIONS = DIRECTION_NUMBERS.length + 1;

const directionsOf = (dimension: number): Uint32Array => {
  const directions = new Uint32Array(BITS);
  if (dimension === 0) return directions.map((_, bit) => 2 ** (BITS - 1 - bit));
  const [polynomial, ...initial] = DIRECTION_NUMBERS[dimension - 1]!;
  const degree = initial.length;
  for (let bit = 0; bit < BITS; bit++) {
    if (bit < degree) {
      directions[bit] = initial[bit]! * 2 ** (BITS - 1 - bit);
      continue;
    }
    let next = directions[bit - degree]! ^ (directions[bit - degree]! >>> degree);
    for (let k = 1; k < degree; k++) if (((polynomial! >>> (degree - k)) & 1) === 1) next ^= directions[bit - k]!;
    directions[bit] = next;
  }
  return directions;
};

const lowestZero = (index: number): number => {
  let bit = 0;
  for (let rest = index; (rest & 1) === 1; rest >>>= 1) bit++;
  return bit;
};

/** `count` points of the unit cube, at most 2^31, in at most MOST_DIMENSIONS dimensions. */
export const sobolPoints = (count: number, dimensions: number): ReadonlyArray<ReadonlyArray<number>> => {
  const directions = Array.from({ length: dimensions }, (_, d) => directionsOf(d));
  const at = new Uint32Array(dimensions);
  return Array.from({ length: count }, (_, index) => {
    const bit = lowestZero(index);
    return directions.map((of, d) => {
      at[d] = at[d]! ^ of[bit]!;
      return at[d]! * SCALE;
    });
  });
};
