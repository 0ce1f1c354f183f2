import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stream } from "../../../sim/base/random.js";
import { coveredShare, hypervolume, paretoFront } from "../../../sim/sweep/front.js";

describe("the front", () => {
  it("keeps what nothing beats in everything, and of equals the first", () => {
    expect(paretoFront([[1, 5], [2, 4], [2, 4], [1, 4], [3, 1], [0, 0]])).toEqual([0, 1, 4]);
  });

  it.each([2, 3, 4])("of %i aims: a point that is better in any one of them, and equal in the others, beats", (dimensions) => {
    for (let aim = 0; aim < dimensions; aim++) {
      const worse = Array.from({ length: dimensions }, () => 2);
      const better = worse.map((v, i) => (i === aim ? v + 1 : v));
      expect(paretoFront([worse, better]), `aim ${aim}`).toEqual([1]);
      expect(paretoFront([better, worse]), `aim ${aim}`).toEqual([0]);
    }
  });

  it("has no point that another of it is at least as good as in everything, and leaves none out but for one that is", () => {
    const some = fc.integer({ min: 2, max: 4 }).chain((dimensions) => fc.array(fc.array(fc.integer({ min: 0, max: 3 }), { minLength: dimensions, maxLength: dimensions }), { minLength: 1, maxLength: 12 }));
    const covers = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): boolean => a.every((v, i) => v >= b[i]!);
    fc.assert(fc.property(some, (points) => {
      const front = paretoFront(points);
      for (const i of front) for (const j of front) if (i !== j) expect(covers(points[i]!, points[j]!), `${i} and ${j}`).toBe(false);
      for (const point of points) expect(front.some((i) => covers(points[i]!, point))).toBe(true);
    }), { seed: 20261122, numRuns: 300 });
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
