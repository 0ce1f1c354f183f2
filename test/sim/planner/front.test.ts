import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dominates, frontOf, unlike } from "../../../sim/planner/front.js";
import type { Worth } from "../../../sim/planner/objectives.js";

// Few values, so that ties and dominance are common.
const few = fc.integer({ min: 1, max: 4 });
const arbWorth: fc.Arbitrary<Worth> = fc.record({ tokensPerSec: few, p99Ms: few, joulesPerToken: few, memoryBytes: few });

describe("the front", () => {
  it("holds no plan that another of all beats, and every other is beaten or equalled by one of it", () => {
    fc.assert(fc.property(fc.array(arbWorth, { minLength: 1, maxLength: 30 }), (all) => {
      const front = frontOf(all);
      for (const one of front) expect(all.some((other) => dominates(other, one))).toBe(false);
      for (const one of all) expect(front.some((other) => dominates(other, one) || JSON.stringify(other) === JSON.stringify(one))).toBe(true);
      expect(new Set(front.map((one) => JSON.stringify(one))).size).toBe(front.length);
      expect(front.map((one) => one.tokensPerSec)).toEqual(front.map((one) => one.tokensPerSec).sort((a, b) => b - a));
    }));
  });

  it("nobody dominates an equal", () => {
    fc.assert(fc.property(arbWorth, (one) => !dominates(one, { ...one })));
  });

  it("of plans that are alike in everything, one is run at length: each is like one of those, and no two of those are alike", () => {
    const near = fc.double({ min: 1, max: 1.03, noNaN: true });
    const arbNear: fc.Arbitrary<Worth> = fc.record({ tokensPerSec: near, p99Ms: near, joulesPerToken: near, memoryBytes: near });
    const alike = (a: Worth, b: Worth): boolean => unlike([b, a]).length === 1;
    fc.assert(fc.property(fc.array(arbNear, { minLength: 1, maxLength: 20 }), (all) => {
      const kept = unlike(all);
      for (const one of all) expect(kept.some((other) => one === other || alike(one, other))).toBe(true);
      kept.forEach((one, i) => kept.slice(0, i).forEach((other) => expect(alike(one, other)).toBe(false)));
    }));
    expect(unlike([{ tokensPerSec: 100, p99Ms: 1, joulesPerToken: 1, memoryBytes: 1 }, { tokensPerSec: 99, p99Ms: 1, joulesPerToken: 1, memoryBytes: 1 }, { tokensPerSec: 98, p99Ms: 1, joulesPerToken: 1, memoryBytes: 1 }])).toHaveLength(2);
  });
});
