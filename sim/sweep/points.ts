/** A declaration to its points: every dimension crossed with every other, the last one fastest; those that break a condition are left out. */
import { axesOf, stepsOf, valueAt, type Dimension } from "./axis.js";
import { holds, type Coordinates } from "./constraint.js";
import type { Declaration } from "./declaration.js";
import { stream } from "../base/random.js";
import { placesOf, rowsOf } from "./sensitivity/design.js";
import { DRAW } from "./stability/draw.js";
import { sampled } from "./sampling.js";

export type { Coordinates };

/** The places of a design in the unit cube of its axes. */
export const designed = ({ design, axes }: Extract<Dimension, { readonly _tag: "Designed" }>, seed: number, name: string): ReadonlyArray<ReadonlyArray<number>> =>
  placesOf(design, axes.length, stream(seed, `sweep/sensitivity/${name}`));

const coordinatesOf = (dimension: Dimension, seed: number, name: string): ReadonlyArray<Coordinates> => {
  const axes = axesOf(dimension);
  switch (dimension._tag) {
    case "Single":
      return stepsOf(dimension.axis).map((value) => ({ [dimension.axis.name]: value }));
    case "Zipped":
      return stepsOf(axes[0]!).map((_, i) => Object.fromEntries(axes.map((axis) => [axis.name, stepsOf(axis)[i]!])));
    case "Sampled":
      return sampled(dimension.method, dimension.points, axes.length, seed, name).map((place) => Object.fromEntries(axes.map((axis, i) => [axis.name, valueAt(axis, place[i]!)])));
    case "Designed":
      return designed(dimension, seed, name).map((place) => Object.fromEntries(axes.map((axis, i) => [axis.name, valueAt(axis, place[i]!)])));
  }
};

export interface Points {
  readonly kept: ReadonlyArray<Coordinates>;
  /** The number of each kept point among all, those ruled out included. */
  readonly numbers: ReadonlyArray<number>;
  /** Points that a condition of `where` rules out. */
  readonly ruledOut: number;
}

/** Points beyond this are a slip of the pen and not a sweep. */
export const MOST_POINTS = 1e6;

export const sizeOf = (dimension: Dimension): number => {
  switch (dimension._tag) {
    case "Sampled":
      return dimension.points;
    case "Designed":
      return rowsOf(dimension.design, dimension.axes.length);
    case "Single":
    case "Zipped":
      return stepsOf(axesOf(dimension)[0]!).length;
  }
};

export const countOf = (declaration: Declaration): number => declaration.axes.reduce((product, dimension) => product * sizeOf(dimension), 1) * ((declaration.uncertain?.draws ?? 0) + 1);

export const pointsOf = (declaration: Declaration): Points => {
  let points: ReadonlyArray<Coordinates> = [{}];
  declaration.axes.forEach((dimension, i) => {
    const along = coordinatesOf(dimension, declaration.seed, String(i));
    points = points.flatMap((before) => along.map((more) => ({ ...before, ...more })));
  });
  const numbers = points.flatMap((at, number) => (declaration.where.every((constraint) => holds(constraint, at)) ? [number] : []));
  const ruledOut = points.length - numbers.length;
  const kept = numbers.map((number) => points[number]!);
  if (declaration.uncertain === null) return { kept, numbers, ruledOut };
  // Each point as the profiles have it, then draw by draw.
  const drawn = kept.flatMap((at) => Array.from({ length: declaration.uncertain!.draws + 1 }, (_, draw) => ({ ...at, [DRAW]: draw })));
  return { kept: drawn, numbers: drawn.map((_, i) => i), ruledOut };
};
