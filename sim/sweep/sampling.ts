/** Points of the unit cube by the methods that a sweep may name. The same seed and name give the same points. */
import { stream, type RandomStream } from "../base/random.js";
import { sobolPoints } from "./sobol.js";

export const METHODS = ["random", "latin-hypercube", "sobol"] as const;
export type Method = (typeof METHODS)[number];

/** Fisher and Yates: each order equally likely. */
const shuffled = (count: number, random: RandomStream): Uint32Array => {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random.uniform() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
};

/** One point in each of `count` slices of every dimension, at a random place in its slice (McKay, Beckman and Conover 1979). */
const latinHypercube = (count: number, dimensions: number, random: RandomStream): ReadonlyArray<ReadonlyArray<number>> => {
  const slices = Array.from({ length: dimensions }, () => shuffled(count, random));
  return Array.from({ length: count }, (_, i) => slices.map((order) => (order[i]! + random.uniform()) / count));
};

/** `count` points, each with a coordinate in [0, 1) for every dimension. */
export const sampled = (method: Method, count: number, dimensions: number, seed: number, name: string): ReadonlyArray<ReadonlyArray<number>> => {
  const random = stream(seed, `sweep/${method}/${name}`);
  switch (method) {
    case "random":
      return Array.from({ length: count }, () => Array.from({ length: dimensions }, () => random.uniform()));
    case "latin-hypercube":
      return latinHypercube(count, dimensions, random);
    case "sobol":
      return sobolPoints(count, dimensions);
  }
};
