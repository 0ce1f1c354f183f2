import { describe, expect, it } from "vitest";
import { METHODS, sampled } from "../../../sim/sweep/sampling.js";
import { MOST_DIMENSIONS, sobolPoints } from "../../../sim/sweep/sobol.js";

describe("the Sobol sequence", () => {
  // The numbers of scipy.stats.qmc.Sobol(40, scramble=False), which has the same direction numbers from their authors' file, at its points 1, 7, 33 and 63.
  it.each([
    [0, [0.5, 0.5, 0.5, 0.5, 0.5]],
    [6, [0.125, 0.625, 0.875, 0.875, 0.125]],
    [32, [0.546875, 0.765625, 0.546875, 0.015625, 0.953125]],
    [62, [0.015625, 0.796875, 0.578125, 0.234375, 0.171875]],
  ])("has the known values at point %i in dimensions 1, 2, 10, 20 and 40", (index, values) => {
    const point = sobolPoints(63, MOST_DIMENSIONS)[index]!;
    expect([0, 1, 9, 19, 39].map((d) => point[d])).toEqual(values);
  });

  it("puts one of 2^k points into each of 2^k slices of every dimension, the skipped corner counted", () => {
    const points = [Array.from({ length: MOST_DIMENSIONS }, () => 0), ...sobolPoints(255, MOST_DIMENSIONS)];
    for (let d = 0; d < MOST_DIMENSIONS; d++) expect(new Set(points.map((point) => Math.floor(point[d]! * 256))).size, `dimension ${d}`).toBe(256);
  });
});

describe("every method", () => {
  it.each(METHODS)("%s gives as many points as asked for inside the cube, the same for the same seed", (method) => {
    const points = sampled(method, 50, 6, 7, "a");
    expect(points).toHaveLength(50);
    expect(points.flat().every((x) => x >= 0 && x < 1)).toBe(true);
    expect(sampled(method, 50, 6, 7, "a")).toEqual(points);
  });

  it.each(["random", "latin-hypercube"] as const)("%s gives others for another seed or another name", (method) => {
    expect(sampled(method, 5, 2, 8, "a")).not.toEqual(sampled(method, 5, 2, 7, "a"));
    expect(sampled(method, 5, 2, 7, "b")).not.toEqual(sampled(method, 5, 2, 7, "a"));
  });

  it("a Latin hypercube has one point in each slice of each dimension", () => {
    const points = sampled("latin-hypercube", 37, 5, 1, "a");
    for (let d = 0; d < 5; d++) expect(points.map((p) => Math.floor(p[d]! * 37)).sort((a, b) => a - b)).toEqual(Array.from({ length: 37 }, (_, i) => i));
  });
});
