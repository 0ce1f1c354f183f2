import { describe, expect, it } from "vitest";
import { E } from "../../../../sim/base/fp.js";
import { decode } from "../../../../sim/base/decode.js";
import { sweepCodec, type Declaration } from "../../../../sim/sweep/declaration.js";
import { pointsOf } from "../../../../sim/sweep/points.js";
import { stabilityOf } from "../../../../sim/sweep/stability/analysis.js";
import { claimMistakes, holdsCodec, verdictOf, type Found, type Holds } from "../../../../sim/sweep/stability/claims.js";
import { factorsOf } from "../../../../sim/sweep/stability/laws.js";
import { byChance, rankCorrelation, wilson } from "../../../../sim/sweep/stability/statistics.js";

const right = <A>(found: E.Either<unknown, A>): A => {
  if (E.isLeft(found)) throw new Error(JSON.stringify(found.left));
  return found.right;
};
const read = (raw: unknown): Holds => right(decode(holdsCodec, "x")(raw));
const points = [{ depth: 1, block: "64KiB" }, { depth: 4, block: "64KiB" }, { depth: 8, block: "64KiB" }, { depth: 1, block: "1MiB" }, { depth: 4, block: "1MiB" }, { depth: 8, block: "1MiB" }];
const speeds: ReadonlyArray<Found> = [5, 10, 9, 4, null, 6];
const verdict = (raw: unknown) => verdictOf(read(raw), points, (point) => speeds[point]!);

describe("a claim", () => {
  it("is an order, a ratio, a difference, or the place of the best", () => {
    const [one, four, eight] = [1, 4, 8].map((depth) => ({ at: { depth, block: "64KiB" } }));
    expect(verdict([">", four, one])).toEqual({ holds: true, margin: 5 });
    expect(verdict([">=", ["/", four, one], 2.5])).toEqual({ holds: false, margin: -0.5 });
    expect(verdict(["<", ["-", eight, four], 0])).toEqual({ holds: true, margin: 1 });
    expect(verdict(["=", { best: "larger", along: "depth", at: { block: "64KiB" } }, 4])).toEqual({ holds: true, margin: 1 });
    expect(verdict(["<=", { best: "smaller", along: "depth", at: { block: "64KiB" } }, 0])).toEqual({ holds: false, margin: -1 });
    expect(verdict(["=", { best: "smaller", along: "block", at: { depth: 1 } }, "1024KiB"])).toMatchObject({ holds: true });
  });

  it("is not known where a run is not there; what cannot run is not the best", () => {
    expect(verdict([">", { at: { depth: 4, block: "1MiB" } }, 1])).toBeNull();
    expect(verdict(["=", { best: "larger", along: "depth", at: { block: "1MiB" } }, 8])).toBeNull();
    expect(verdictOf(read(["=", { best: "larger", along: "depth", at: { block: "1MiB" } }, 8]), points, (point) => speeds[point] ?? "refused")).toMatchObject({ holds: true });
    expect(verdictOf(read([">", { at: { depth: 4, block: "1MiB" } }, 1]), points, () => "refused")).toBeNull();
  });

  it("that leads to no point, to several or to no metric is told", () => {
    const told = (raw: unknown): string => claimMistakes(read(raw), points, ["tokensPerSec"]).join("; ");
    expect(told([">", { at: { depth: 4, block: "64KiB" } }, { at: { depth: 4, block: "1024KiB" } }])).toBe("");
    expect(told([">", { at: { depth: 4 } }, 1])).toBe('2 points are at {"depth":4}; name more of depth, block');
    expect(told([">", { at: { depth: 5 } }, 1])).toBe('no point is at {"depth":5}');
    expect(told([">", { at: { deep: 5 } }, 1])).toContain("there is no axis deep; known: depth, block");
    expect(told(["=", { best: "larger", along: "depth" }, 1])).toContain("several points at {} have the same depth");
    expect(told(["=", { best: "larger", along: "depth", at: { depth: 1, block: "1MiB" } }, 1])).toContain("there is no best depth");
    expect(told([">", { of: "speed", at: { depth: 4, block: "64KiB" } }, 1])).toContain("unknown metric: speed");
    for (const raw of ["x", [">", 1], ["~", 1, 2], [">", { at: { depth: null } }, 1], [">", { at: {}, by: 1 }, 1], [">", { best: "best", along: "depth" }, 1], [">", ["^", 1, 2], 1]]) expect(E.isLeft(decode(holdsCodec, "x")(raw)), JSON.stringify(raw)).toBe(true);
  });
});

describe("a share of draws", () => {
  // Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
  it.each([[81, 263, 0.2553, 0.3662], [15, 148, 0.0624, 0.1605], [0, 20, 0, 0.1611], [1, 29, 0.0061, 0.1718]])("%i of %i has Wilson's interval as it is printed", (hits, of, low, high) => {
    const found = wilson(hits, of);
    expect([found.low, found.high].map((v) => Number(v.toFixed(4)))).toEqual([low, high]);
  });
  it("of all draws ends at one", () => expect(wilson(64, 64)).toMatchObject({ share: 1, high: 1 }));
});

describe("a rank correlation", () => {
  it("is one along any rising curve, minus one along a falling one, and none where nothing varies", () => {
    expect(rankCorrelation([1, 2, 3, 4], [1, 10, 11, 1e9])).toBeCloseTo(1, 12);
    expect(rankCorrelation([1, 2, 3, 4], [4, 3, 1, 0])).toBeCloseTo(-1, 12);
    expect(rankCorrelation([1, 2, 3], [7, 7, 7])).toBeNull();
    // Ties: ranks 1, 2.5, 2.5, 4 against 1, 3, 2, 4.
    expect(rankCorrelation([1, 2, 2, 3], [1, 3, 2, 4])).toBeCloseTo(4.5 / Math.sqrt(4.5 * 5), 12);
  });
  it("is passed by chance more easily among many and in few draws", () => {
    expect(byChance(40, 64)).toBeGreaterThan(byChance(4, 64));
    expect(byChance(40, 64)).toBeGreaterThan(byChance(40, 200));
    expect(byChance(40, 64)).toBeLessThan(0.55);
  });
});

describe("conclusions under uncertain facts", () => {
  const facts = ["a", "b"].map((fact) => ({ fact, moves: [{ profile: "device", name: "d", paths: [fact] }], law: "uniform", low: 0.5, high: 1.5, from: "x" }));
  const declaration: Declaration = right(decode(sweepCodec, "x")({
    schema: "neuronlab/sweep@1", id: "a", title: "A", axes: [{ over: "batch", values: [1, 2] }],
    claims: [{ claim: "more is better", holds: [">", { at: { batch: 2 } }, { at: { batch: 1 } }] }, { claim: "always", holds: [">", { at: { batch: 2 } }, 0] }],
    uncertain: { draws: 400, facts, accepted: Array.from({ length: 400 }, (_, i) => i + 1) },
  }));
  const factors = declaration.uncertain!.facts!.map((doubt) => factorsOf(doubt, declaration.uncertain!.accepted!, declaration.seed));
  const all = pointsOf(declaration);
  /** Speed 1 at batch 1; the fact a at batch 2, which is above it in half of the draws. */
  const speed = (point: number): Found => (all.kept[point]!.batch === 1 ? 1 : factors[0]![Number(all.kept[point]!.draw)]! + (all.kept[point]!.draw === 0 ? 0.1 : 0));

  it("every point is there as the profiles have it, and draw by draw", () => {
    expect(all.kept).toHaveLength(2 * 401);
    expect(all.kept[401]).toEqual({ batch: 2, draw: 0 });
  });

  it("tell how often a claim holds, which fact it goes with, and what the metric does", () => {
    const found = stabilityOf(declaration, all, ["tokensPerSec"], speed)!;
    const [half, always] = found.claims;
    expect(half).toMatchObject({ asProfiled: true, unknown: 0 });
    expect(half!.held!.low).toBeLessThan(0.5);
    expect(half!.held!.high).toBeGreaterThan(0.5);
    expect(half!.facts.map(({ fact }) => fact)).toEqual(["a"]);
    expect(half!.facts[0]!.correlation).toBeCloseTo(1, 10);
    expect(always!.held).toMatchObject({ hits: 400, of: 400, high: 1 });
    const [one, two] = found.points;
    expect(one!.metrics.tokensPerSec).toEqual({ asProfiled: 1, spread: { draws: 400, low: 1, median: 1, high: 1 } });
    // Uniform on 0.5 to 1.5: 5 % at 0.55, to four errors of a quantile.
    expect(Math.abs(two!.metrics.tokensPerSec!.spread!.low - 0.55)).toBeLessThan(4 * Math.sqrt((0.05 * 0.95) / 400));
  });

  it("count draws whose runs are not there, and do not judge them", () => {
    const found = stabilityOf(declaration, all, ["tokensPerSec"], (point) => (Number(all.kept[point]!.draw) > 100 ? null : speed(point)))!;
    expect(found.claims[0]).toMatchObject({ unknown: 300, held: { of: 100 } });
    expect(stabilityOf(declaration, all, ["tokensPerSec"], () => null)!.claims[0]).toMatchObject({ asProfiled: null, held: null, unknown: 400, facts: [] });
  });
});
