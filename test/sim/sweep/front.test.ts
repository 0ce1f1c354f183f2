import { describe, expect, it } from "vitest";
import { stream } from "../../../sim/base/random.js";
import { coveredShare, hypervolume, paretoFront } from "../../../sim/sweep/front.js";

describe("the front", () => {
  it("keeps what nothing beats in everything, and of equals the first", () => {
    expect(paretoFront([[1, 5], [2, 4], [2, 4], [1, 4], [3, 1], [0, 0]])).toEqual([0, 1, 4]);
  });
});

describe("the hypervolume", () => {
  it("of one point is its box, of two the union of theirs", () => {
    expect(hypervolume([[2, 3]], [0, 0])).toBe(6);
    expect(hypervolume([[2, 3], [4, 1]], [0, 0])).toBe(8);
    expect(hypervolume([[2, 3], [-1, 9]], [0, 0])).toBe(6);
  });

  it.each([2, 3, 4])("agrees with counting random darts in %i dimensions", (dimensions) => {
    const random = stream(3, "darts");
    const place = (): ReadonlyArray<number> => Array.from({ length: dimensions }, () => random.uniform());
    const points = Array.from({ length: 12 }, place);
    const darts = Array.from({ length: 40_000 }, place);
    const hit = darts.filter((dart) => points.some((p) => p.every((v, i) => v >= dart[i]!))).length / darts.length;
    expect(Math.abs(hypervolume(points, points[0]!.map(() => 0)) - hit)).toBeLessThan(0.01);
  });

  it("as a share is 1 where one point is the best in all, and takes no notice of an aim in which all are equal", () => {
    expect(coveredShare([[1, 1], [2, 2]])).toBe(1);
    expect(coveredShare([[1, 2, 7], [2, 1, 7]])).toBe(0);
    expect(coveredShare([[0, 2, 7], [1, 1, 7], [2, 0, 7]])).toBe(0.25);
  });
});
