import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { intervalOf, wantsMore } from "../../../sim/sweep/interval.js";
import { scheduleOf, type Order, type Place } from "../../../sim/sweep/schedule.js";

describe("an interval", () => {
  it("is Student's: 1, 2, 3 are 2 ± 4.303·1/√3", () => {
    const { mean, halfWidth } = intervalOf([1, 2, 3]);
    expect(mean).toBe(2);
    expect(halfWidth).toBeCloseTo(4.303 / Math.sqrt(3), 6);
  });

  /** The quantile by which `n` values are multiplied. */
  const width = (n: number): number => {
    const values = Array.from({ length: n }, (_, i) => i % 2);
    const sd = Math.sqrt(values.reduce((sum, v) => sum + (v - intervalOf(values).mean) ** 2, 0) / (n - 1));
    return (intervalOf(values).halfWidth! / sd) * Math.sqrt(n);
  };

  /** Simpson's rule over 2,000 steps. */
  const integral = (f: (x: number) => number, to: number): number => {
    const step = to / 2000;
    return (step / 3) * Array.from({ length: 2001 }, (_, i) => (i === 0 || i === 2000 ? 1 : i % 2 === 1 ? 4 : 2) * f(i * step)).reduce((sum, v) => sum + v, 0);
  };

  /** With t = √ν tan θ, the share of Student's distribution within ±t is the integral of cos^(ν-1) up to θ, over that up to a right angle. */
  const quantile = (freedom: number): number => {
    const density = (angle: number): number => Math.cos(angle) ** (freedom - 1);
    const wanted = 0.95 * integral(density, Math.PI / 2);
    let [low, high] = [0, Math.PI / 2];
    for (let i = 0; i < 50; i++) {
      const middle = (low + high) / 2;
      if (integral(density, middle) < wanted) low = middle;
      else high = middle;
    }
    return Math.sqrt(freedom) * Math.tan((low + high) / 2);
  };

  it("has every entry of its table as integrating the distribution gives it, to the last digit", () => {
    for (let freedom = 1; freedom <= 30; freedom++) expect(width(freedom + 1), `${freedom} degrees of freedom`).toBeCloseTo(Number(quantile(freedom).toFixed(3)), 9);
  });

  it("has beyond the table what integrating gives, but for the next term of the expansion", () => {
    const z = 1.959963984540054;
    const next = (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / 92160;
    for (const freedom of [31, 32, 35, 40, 50, 70, 100, 200]) expect(Math.abs(quantile(freedom) - width(freedom + 1) - next / freedom ** 4), `${freedom} degrees of freedom`).toBeLessThan(2e-7);
  });

  it("goes over from table to expansion without a step", () => {
    // 2.042 for 30 degrees of freedom, 2.040 for 31, 1.984 for 100, as tables have them.
    expect([width(31), width(32), width(101)].map((t) => Number(t.toFixed(3)))).toEqual([2.042, 2.04, 1.984]);
  });
});

describe("the stopping rule", () => {
  const rule = { metric: "tokensPerSec", halfWidth: 0.05, atMost: 6 };

  it("asks on while the interval is too wide, and no further than it may", () => {
    expect(wantsMore([10], 3, rule)).toBe(true);
    expect(wantsMore([10, 10, 10], 3, rule)).toBe(false);
    expect(wantsMore([10, 12, 8], 3, rule)).toBe(true);
    expect(wantsMore([10, 12, 8, 10, 12, 8], 3, rule)).toBe(false);
    expect(wantsMore([10, 12, null], 3, rule)).toBe(false);
    expect(wantsMore([1, 9, 5], 3, null)).toBe(false);
  });

  const valueAt = ({ point, repetition }: Place): number => 10 + Math.sin(point * 7 + repetition * 3) * (point % 3);

  /** All runs, made in whatever order `pick` takes them from those under way. */
  const ran = (pick: (under: number) => number, known: ReadonlySet<string> = new Set(), most = 3, order: Order = "points"): ReadonlyArray<string> => {
    const name = ({ point, repetition }: Place): string => `${point}/${repetition}`;
    const schedule = scheduleOf(5, 3, rule, (place) => (known.has(name(place)) ? { value: valueAt(place) } : undefined), order);
    const [under, made]: [Array<Place>, Array<string>] = [[], []];
    for (;;) {
      for (let next = under.length < most ? schedule.next() : null; next !== null; next = under.length < most ? schedule.next() : null) under.push(next);
      if (under.length === 0) return made.sort();
      const [done] = under.splice(pick(under.length), 1);
      made.push(name(done!));
      schedule.settle(done!, valueAt(done!));
    }
  };

  it("the same runs are made in any order and for any number of workers", () => {
    const inOrder = ran(() => 0, new Set(), 1);
    expect(inOrder.length).toBeGreaterThan(15);
    fc.assert(fc.property(fc.array(fc.nat(), { minLength: 40, maxLength: 40 }), fc.integer({ min: 1, max: 8 }), (picks, most) => {
      let i = 0;
      expect(ran((under) => picks[i++ % picks.length]! % under, new Set(), most)).toEqual(inOrder);
    }), { seed: 20261121, numRuns: 50 });
  });

  it("scattered, the same runs are made, each once, and by two not side by side", () => {
    const inOrder = ran(() => 0, new Set(), 1);
    fc.assert(fc.property(fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 40, maxLength: 40 }), fc.integer({ min: 1, max: 8 }), (numbers, most) => {
      let i = 0;
      expect(ran(() => 0, new Set(), most, { scattered: () => numbers[i++ % numbers.length]! })).toEqual(inOrder);
    }), { seed: 20261122, numRuns: 50 });
    const first = (number: number): Place | null => scheduleOf(20, 1, null, () => undefined, { scattered: () => number }).next();
    expect([first(0), first(0.5), first(0.999)]).toEqual([{ point: 0, repetition: 0 }, { point: 10, repetition: 0 }, { point: 19, repetition: 0 }]);
  });

  it("what was known before is not made again, and the rest is what would have been", () => {
    const all = ran(() => 0);
    fc.assert(fc.property(fc.subarray([...all]), (before) => {
      expect(ran(() => 0, new Set(before))).toEqual(all.filter((one) => !before.includes(one)));
    }), { seed: 20261121, numRuns: 50 });
  });
});
