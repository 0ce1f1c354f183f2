/** Estimators against functions whose indices are known in closed form, within the errors that they state of themselves. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stream } from "../../../../sim/base/random.js";
import { RESAMPLES, bootstrap, quantile } from "../../../../sim/sweep/sensitivity/bootstrap.js";
import { morrisOf, morrisPlaces, stepOf } from "../../../../sim/sweep/sensitivity/morris.js";
import { MOST_AXES, indicesOf, saltelliPlaces, type Decomposition } from "../../../../sim/sweep/sensitivity/sobol-indices.js";

type Place = ReadonlyArray<number>;
type Model = (at: Place) => number;
const random = () => stream(5, "test");

interface Known { readonly name: string; readonly model: Model; readonly axes: number; readonly first: Place; readonly total: Place; readonly variance: number }

const PI = Math.PI;
/** Ishigami and Homma (1990), a = 7, b = 0.1, on (-pi, pi)^3. */
const ishigami = (): Known => {
  const [a, b] = [7, 0.1];
  const variance = 0.5 + a ** 2 / 8 + (b * PI ** 4) / 5 + (b ** 2 * PI ** 8) / 18;
  const [v1, v2, v13] = [0.5 * (1 + (b * PI ** 4) / 5) ** 2, a ** 2 / 8, b ** 2 * PI ** 8 * (1 / 18 - 1 / 50)];
  return {
    name: "Ishigami's function", axes: 3, variance, first: [v1 / variance, v2 / variance, 0], total: [(v1 + v13) / variance, v2 / variance, v13 / variance],
    model: (at) => {
      const [x, y, z] = at.map((p) => PI * (2 * p - 1)) as [number, number, number];
      return Math.sin(x) + a * Math.sin(y) ** 2 + b * z ** 4 * Math.sin(x);
    },
  };
};
/** Sobol's g-function: a product of (|4x - 2| + a) / (1 + a). */
const gFunction = (a: Place): Known => {
  const parts = a.map((one) => 1 / (3 * (1 + one) ** 2));
  const variance = parts.reduce((product, v) => product * (1 + v), 1) - 1;
  return {
    name: "Sobol's g-function", axes: a.length, variance,
    first: parts.map((v) => v / variance), total: parts.map((v) => (v * parts.reduce((product, other) => product * (1 + other), 1)) / (1 + v) / variance),
    model: (at) => at.reduce((product, x, i) => (product * (Math.abs(4 * x - 2) + a[i]!)) / (1 + a[i]!), 1),
  };
};
const linear = (weights: Place): Known => {
  const sum = weights.reduce((total, w) => total + w * w, 0);
  return { name: "a linear model", axes: weights.length, variance: sum / 12, first: weights.map((w) => (w * w) / sum), total: weights.map((w) => (w * w) / sum), model: (at) => at.reduce((total, x, i) => total + weights[i]! * x, 3) };
};
const KNOWN = [ishigami(), gFunction([0, 1, 4.5, 9, 99, 99]), linear([1, -2, 3, 0.5])];

const decomposed = ({ model, axes }: Known, points: number): Decomposition => indicesOf(saltelliPlaces(points, axes).map(model), axes, random());

describe("Sobol's indices", () => {
  it.each(KNOWN)("of $name are the known ones within twice the interval that is stated, and the variance is right", (known) => {
    const found = decomposed(known, 2048);
    expect(Math.abs(found.variance! / known.variance - 1)).toBeLessThan(0.02);
    found.axes.forEach((axis, i) => {
      // Half of a 95 % interval is 1.96 standard errors: twice that is passed by one estimate in ten thousand.
      for (const [estimate, interval, truth] of [[axis.first!, axis.firstInterval!, known.first[i]!], [axis.total!, axis.totalInterval!, known.total[i]!]] as const)
        expect(Math.abs(estimate - truth), `${known.name}, axis ${i}: ${estimate} for ${truth}`).toBeLessThanOrEqual(interval.high - interval.low + 1e-12);
    });
  });

  it("come nearer with more points, as the intervals narrow", () => {
    const width = (points: number): number => decomposed(ishigami(), points).axes.reduce((sum, { firstInterval, totalInterval }) => sum + firstInterval!.high - firstInterval!.low + totalInterval!.high - totalInterval!.low, 0);
    const ratio = width(256) / width(4096);
    // Four times narrower for sixteen times as many, by the square root; intervals of a thousand samples are known to a tenth.
    expect(ratio).toBeGreaterThan(3);
    expect(ratio).toBeLessThan(5.5);
  });

  it("first orders are at most one in sum, total effects at least as much as the first orders, within the interval", () => {
    for (const known of KNOWN) {
      const { axes } = decomposed(known, 1024);
      const slack = axes.reduce((sum, { firstInterval }) => sum + (firstInterval!.high - firstInterval!.low) / 2, 0);
      expect(axes.reduce((sum, { first }) => sum + first!, 0)).toBeLessThanOrEqual(1 + slack);
      for (const { first, total, firstInterval, totalInterval } of axes) expect(total! - first!).toBeGreaterThanOrEqual(-(firstInterval!.high - firstInterval!.low) / 2 - (totalInterval!.high - totalInterval!.low) / 2);
    }
  });

  it("have the intervals of samples drawn anew, each with the variance about its own mean", () => {
    const { axes, model } = ishigami();
    const [points, size] = [24, axes + 2];
    const values = saltelliPlaces(points, axes).map(model);
    const both = values.filter((_, row) => row % size < 2);
    const middle = both.reduce((sum, v) => sum + v, 0) / both.length;
    const block = (i: number): ReadonlyArray<number> => values.slice(i * size, (i + 1) * size).map((v) => v - middle);
    const meanOf = (all: ReadonlyArray<number>): number => all.reduce((sum, v) => sum + v, 0) / all.length;
    const known = bootstrap(random(), points, (drawn) => {
      const blocks = [...drawn].map(block);
      const sample = blocks.flatMap(([a, b]) => [a!, b!]);
      const variance = meanOf(sample.map((v) => (v - meanOf(sample)) ** 2));
      const each = (term: (a: number, b: number, mixed: number) => number): ReadonlyArray<number> => Array.from({ length: axes }, (_, i) => meanOf(blocks.map((of) => term(of[0]!, of[1]!, of[2 + i]!))) / variance);
      return [...each((a, b, mixed) => b * (mixed - a)), ...each((a, _, mixed) => (a - mixed) ** 2 / 2)];
    });
    const found = indicesOf(values, axes, random()).axes;
    [...found.map(({ firstInterval }) => firstInterval!), ...found.map(({ totalInterval }) => totalInterval!)].forEach(({ low, high }, i) => {
      expect(low, `figure ${i}`).toBeCloseTo(known[i]!.low, 9);
      expect(high, `figure ${i}`).toBeCloseTo(known[i]!.high, 9);
    });
  });

  it("of an axis that does nothing are exactly zero", () => {
    const { axes } = indicesOf(saltelliPlaces(64, 3).map(([x, , z]) => Math.exp(x!) * (1 + z!)), 3, random());
    expect(axes[1]).toEqual({ first: 0, firstInterval: { low: 0, high: 0 }, total: 0, totalInterval: { low: 0, high: 0 } });
  });

  it("do not move with a constant, nor with the unit of the metric", () => {
    const { axes, model } = ishigami();
    const values = saltelliPlaces(256, axes).map(model);
    const [plain, moved] = [values, values.map((v) => 1e3 * v + 5e5)].map((of) => indicesOf(of, axes, random()));
    plain!.axes.forEach(({ first, total }, i) => {
      expect(moved!.axes[i]!.first).toBeCloseTo(first!, 8);
      expect(moved!.axes[i]!.total).toBeCloseTo(total!, 8);
    });
  });

  it("of few points may be negative, and are shown so", () => {
    const values = Array.from({ length: 40 }, (_, seed) => indicesOf(saltelliPlaces(16, 3).map((at, i) => at[0]! + 3 * stream(seed, String(i)).uniform()), 3, random()));
    expect(values.some(({ axes }) => axes.some(({ first }) => first! < 0))).toBe(true);
  });

  it("of a design with holes are those of the points that are whole, and the holes are counted", () => {
    const { axes, model } = ishigami();
    const places = saltelliPlaces(128, axes);
    const values = places.map(model);
    const [size, gone] = [axes + 2, [3, 40, 41]];
    const holed = values.map((value, row) => (gone.includes(Math.floor(row / size)) && row % size === 1 + Math.floor(row / size) % 3 ? null : value));
    const whole = values.filter((_, row) => !gone.includes(Math.floor(row / size)));
    expect(indicesOf(holed, axes, random())).toEqual({ ...indicesOf(whole, axes, random()), missing: 3 });
    expect(indicesOf(values.map(() => null), axes, random())).toMatchObject({ used: 0, missing: 128, mean: null, axes: [{ first: null, totalInterval: null }, {}, {}] });
  });

  it("of a metric that does not vary say nothing", () => {
    expect(indicesOf(saltelliPlaces(16, 2).map(() => 0.1), 2, random())).toMatchObject({ variance: 0, axes: [{ first: null, total: null }, { first: null, total: null }] });
  });

  it("have a column of the sequence for each axis of both samples", () => {
    expect(saltelliPlaces(2, MOST_AXES)).toHaveLength(2 * (MOST_AXES + 2));
    const [a, b, first, second] = saltelliPlaces(5, 2).slice(8, 12) as [Place, Place, Place, Place];
    expect([first, second]).toEqual([[b[0], a[1]], [a[0], b[1]]]);
  });
});

describe("elementary effects", () => {
  const design = fc.record({ trajectories: fc.integer({ min: 1, max: 6 }), half: fc.integer({ min: 1, max: 6 }), axes: fc.integer({ min: 1, max: 8 }), seed: fc.nat(1000) });

  it("trajectories lie on the grid, move one axis at a time by the same step, and each axis once", () => {
    fc.assert(fc.property(design, ({ trajectories, half, axes, seed }) => {
      const levels = 2 * half;
      const places = morrisPlaces(trajectories, levels, axes, stream(seed, "m"));
      expect(places).toHaveLength(trajectories * (axes + 1));
      for (const place of places.flat()) expect(Number.isInteger(Math.round(place * (levels - 1) * 1e9) / 1e9) && place >= 0 && place <= 1).toBe(true);
      for (let first = 0; first < places.length; first += axes + 1) {
        const movedBy = places.slice(first, first + axes).map((place, i) => places[first + i + 1]!.flatMap((to, axis) => (to === place[axis] ? [] : [[axis, Math.abs(to - place[axis]!)] as const])));
        expect(movedBy.map((moves) => moves.length)).toEqual(movedBy.map(() => 1));
        expect(movedBy.map(([[axis]]) => axis).sort((a, b) => a - b)).toEqual(Array.from({ length: axes }, (_, i) => i));
        for (const [[, step]] of movedBy) expect(step).toBeCloseTo(stepOf(levels), 12);
      }
    }), { seed: 3 });
  });

  it("visit every level equally often", () => {
    const counts = [0, 0, 0, 0];
    for (const [x] of morrisPlaces(4000, 4, 1, random())) counts[Math.round(3 * x!)]!++;
    // 8000 visits in pairs: the standard deviation of a count is sqrt(4000 · 1/4 · 3/4 · …) < 40.
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(160);
  });

  it("of a linear model are its weights, without spread", () => {
    const { model, axes } = linear([1, -2, 3, 0]);
    const places = morrisPlaces(8, 4, axes, random());
    const found = morrisOf(places, places.map(model), axes, random());
    found.forEach(({ mu, muStar, sigma, effects }, i) => {
      expect(effects).toBe(8);
      expect(mu).toBeCloseTo([1, -2, 3, 0][i]!, 12);
      expect(muStar).toBeCloseTo([1, 2, 3, 0][i]!, 12);
      expect(sigma).toBeCloseTo(0, 12);
    });
    // An axis that does nothing: exactly.
    expect(found[3]).toMatchObject({ mu: 0, muStar: 0, sigma: 0, muStarInterval: { low: 0, high: 0 } });
  });

  it("of a product, and of a square that turns round, are those worked out by hand", () => {
    // f = x y: the effect of x is y, at a random level of {0, 1/3, 2/3, 1}: mean 1/2, variance 5/36.
    const places = morrisPlaces(2000, 4, 2, random());
    const [x] = morrisOf(places, places.map(([a, b]) => a! * b!), 2, random());
    const error = Math.sqrt(5 / 36 / 2000);
    expect(Math.abs(x!.mu! - 0.5)).toBeLessThan(4 * error);
    expect(Math.abs(x!.sigma! - Math.sqrt(5 / 36))).toBeLessThan(4 * error);
    // f = (x - 1/2)²: from 0 to 2/3 it falls by 2/9, from 1/3 to 1 it rises by 2/9. mu tells nothing, mu* 1/3 exactly.
    const alone = morrisPlaces(500, 4, 1, random());
    const [turned] = morrisOf(alone, alone.map(([a]) => (a! - 0.5) ** 2), 1, random());
    expect(turned!.muStar).toBeCloseTo(1 / 3, 12);
    expect(Math.abs(turned!.mu!)).toBeLessThan(4 / 3 / Math.sqrt(500));
  });

  it("that need a missing run are left out and counted, the others stay", () => {
    const { model, axes } = ishigami();
    const places = morrisPlaces(6, 4, axes, random());
    const values = places.map(model);
    const found = morrisOf(places, values.map((value, row) => (row === 5 ? null : value)), axes, random());
    // Row 5 is the second of the second trajectory: the effects before and after it are gone.
    expect(found.map(({ missing }) => missing).sort((a, b) => a - b)).toEqual([0, 1, 1]);
    expect(found.map(({ effects }) => effects).sort((a, b) => a - b)).toEqual([5, 5, 6]);
    expect(morrisOf(places, values.map(() => null), axes, random())[0]).toEqual({ effects: 0, missing: 6, mu: null, muStar: null, muStarInterval: null, sigma: null });
  });
});

describe("the bootstrap", () => {
  it("of a mean has the width that the normal law gives it", () => {
    const draws = stream(2, "values");
    const values = Array.from({ length: 400 }, () => draws.normal());
    const [interval] = bootstrap(random(), values.length, (blocks) => [blocks.reduce((sum, i) => sum + values[i]!, 0) / blocks.length]);
    const mean = values.reduce((sum, v) => sum + v, 0) / 400;
    const deviation = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 400);
    // A percentile of a thousand samples is known to about one part in twelve of the half width.
    expect((interval!.high - interval!.low) / 2 / ((1.96 * deviation) / 20)).toBeCloseTo(1, 0);
    expect(Math.abs((interval!.high - interval!.low) / 2 / ((1.96 * deviation) / 20) - 1)).toBeLessThan(4 / Math.sqrt(RESAMPLES) / 0.6);
  });

  it("is the same for the same seed, and says nothing of one block", () => {
    const width = () => bootstrap(random(), 9, (blocks) => [blocks.reduce((sum, i) => sum + i, 0)]);
    expect(width()).toEqual(width());
    expect(bootstrap(random(), 1, () => [1, 2])).toEqual([null, null]);
  });

  it("quantiles lie straight between neighbours", () => {
    expect([0, 0.25, 0.5, 1].map((share) => quantile([1, 2, 4], share))).toEqual([1, 1.5, 2, 4]);
  });
});
