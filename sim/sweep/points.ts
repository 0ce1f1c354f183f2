/** A declaration to its points: every dimension crossed with every other, the last one fastest; those that break a condition are left out. */
import { axesOf, stepsOf, valueAt, type Dimension } from "./axis.js";
import { holds, type Coordinates } from "./constraint.js";
import type { Declaration } from "./declaration.js";
import { sampled } from "./sampling.js";

export type { Coordinates };

const coordinatesOf = (dimension: Dimension, seed: number, name: string): ReadonlyArray<Coordinates> => {
  const axes = axesOf(dimension);
  switch (dimension._tag) {
    case "Single":
      return stepsOf(dimension.axis).map((value) => ({ [dimension.axis.name]: value }));
    case "Zipped":
      return stepsOf(axes[0]!).map((_, i) => Object.fromEntries(axes.map((axis) => [axis.name, stepsOf(axis)[i]!])));
    case "Sampled":
      return sampled(dimension.method, dimension.points, axes.length, seed, name).map((place) => Object.fromEntries(axes.map((axis, i) => [axis.name, valueAt(axis, place[i]!)])));
  }
};

export interface Points {
  readonly kept: ReadonlyArray<Coordinates>;
  /** Points that a condition of `where` rules out. */
  readonly ruledOut: number;
}

/** Points beyond this are a slip of the pen and not a sweep. */
export const MOST_POINTS = 1e6;

export const countOf = (declaration: Declaration): number =>
  declaration.axes.reduce((product, dimension) => product * (dimension._tag === "Sampled" ? dimension.points : stepsOf(axesOf(dimension)[0]!).length), 1);

export const pointsOf = (declaration: Declaration): Points => {
  let points: ReadonlyArray<Coordinates> = [{}];
  declaration.axes.forEach((dimension, i) => {
    const along = coordinatesOf(dimension, declaration.seed, String(i));
    points = points.flatMap((before) => along.map((more) => ({ ...before, ...more })));
  });
  const kept = points.filter((at) => declaration.where.every((constraint) => holds(constraint, at)));
  return { kept, ruledOut: points.length - kept.length };
};
