/**
 * Shares of a metric's variance by axis: first order (Sobol 1993) by the estimator of Saltelli et al., "Variance based sensitivity analysis of model output",
 * Computer Physics Communications 181 (2010), table 2 (b), and total effect by Jansen's (1999), table 2 (f) there. The two samples A and B are the left
 * and the right half of the columns of one Sobol sequence.
 */
import type { RandomStream } from "../../base/random.js";
import { MOST_DIMENSIONS, sobolPoints } from "../sobol.js";
import { bootstrap, type Between } from "./bootstrap.js";

/** Both samples come from one sequence. */
export const MOST_AXES = Math.floor(MOST_DIMENSIONS / 2);

/** Block by block: A, B, then for each axis A with that axis' coordinate of B. */
export const saltelliPlaces = (points: number, axes: number): ReadonlyArray<ReadonlyArray<number>> =>
  sobolPoints(points, 2 * axes).flatMap((both) => {
    const [a, b] = [both.slice(0, axes), both.slice(axes)];
    return [a, b, ...a.map((_, axis) => a.map((place, i) => (i === axis ? b[i]! : place)))];
  });

export interface Indices {
  /** Share of the variance that goes away when this axis is known; null where the metric does not vary. May come out below zero where it is near zero. */
  readonly first: number | null;
  readonly firstInterval: Between | null;
  /** Share that is left when all other axes are known. */
  readonly total: number | null;
  readonly totalInterval: Between | null;
}

export interface Decomposition {
  /** Points of A and B whose mixtures were all made, and those that were left out because one was not. */
  readonly used: number;
  readonly missing: number;
  readonly mean: number | null;
  readonly variance: number | null;
  readonly axes: ReadonlyArray<Indices>;
}

/** One block's share in the sums: f(A), f(B), their squares, and the terms of both estimators by axis. */
const termsOf = (block: ReadonlyArray<number>): Float64Array => {
  const [a, b, ...mixed] = block as readonly [number, number, ...ReadonlyArray<number>];
  return Float64Array.from([a + b, a * a + b * b, ...mixed.map((m) => b * (m - a)), ...mixed.map((m) => (a - m) ** 2 / 2)]);
};

/** First orders, then total effects; not a number where nothing varies. */
const shares = (terms: ReadonlyArray<Float64Array>, blocks: Int32Array): ReadonlyArray<number> => {
  const sums = new Float64Array(terms[0]!.length);
  for (const block of blocks) {
    const own = terms[block]!;
    for (let i = 0; i < sums.length; i++) sums[i] = sums[i]! + own[i]!;
  }
  const mean = sums[0]! / (2 * blocks.length);
  const variance = sums[1]! / (2 * blocks.length) - mean * mean;
  return Array.from(sums.subarray(2), (sum) => sum / blocks.length / variance);
};

/** `values` are those of `saltelliPlaces`, null where there is none. */
export const indicesOf = (values: ReadonlyArray<number | null>, axes: number, random: RandomStream): Decomposition => {
  const size = axes + 2;
  const blocks = Array.from({ length: values.length / size }, (_, i) => values.slice(i * size, (i + 1) * size));
  const whole = blocks.flatMap((block): ReadonlyArray<ReadonlyArray<number>> => (block.every((value) => value !== null) ? [block] : []));
  const [used, missing] = [whole.length, blocks.length - whole.length];
  const unknown = (mean: number | null, variance: number | null): Decomposition => ({ used, missing, mean, variance, axes: Array.from({ length: axes }, () => ({ first: null, firstInterval: null, total: null, totalInterval: null })) });
  if (used === 0) return unknown(null, null);
  const both = whole.flatMap(([a, b]) => [a!, b!]);
  const mean = both.reduce((sum, v) => sum + v, 0) / both.length;
  const variance = both.reduce((sum, v) => sum + (v - mean) ** 2, 0) / both.length;
  if (both.every((value) => value === both[0])) return unknown(mean, 0);
  // About the mean: the first-order estimator is as right about any number, and the least scattered about this one.
  const terms = whole.map((block) => termsOf(block.map((value) => value - mean)));
  const found = shares(terms, Int32Array.from(terms, (_, i) => i));
  const intervals = bootstrap(random, used, (drawn) => shares(terms, drawn));
  return {
    used, missing, mean, variance,
    axes: Array.from({ length: axes }, (_, i) => ({ first: found[i]!, firstInterval: intervals[i]!, total: found[axes + i]!, totalInterval: intervals[axes + i]! })),
  };
};
