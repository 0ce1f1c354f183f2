/** Each field of a plan that a sweep can turn costs something on both sides of its optimum. Mixtral-47B at 13 GiB on OnePlus 12. */
import { describe, expect, it } from "vitest";
import type { Plan } from "../../sim/domain/plan.js";
import { modelNamed, run, withLocality, type Asked } from "../arb/runs.js";

const asked: Asked = { model: modelNamed("turbosparse-mixtral-47b"), gib: 13, tokens: 48 };

interface Point { readonly at: number; readonly tokensPerSec: number; readonly missing: number }

const sweep = (title: string, base: Asked, values: ReadonlyArray<number>, planAt: (plan: Plan, value: number) => Plan): ReadonlyArray<Point> => {
  const { plan } = run(base);
  const points = values.map((at): Point => {
    const record = run({ ...base, plan: planAt(plan, at) });
    return { at, tokensPerSec: record.tokensPerSec, missing: record.missOfComputed.mean };
  });
  console.log(`${title}\n${points.map((p) => `  ${String(p.at).padStart(6)}  ${p.tokensPerSec.toFixed(3)} tokens/s  ${(p.missing * 100).toFixed(2)} % missing`).join("\n")}`);
  return points;
};

/** Neither end is best: the middle beats both by at least this much. */
const VISIBLE = 1.005;
const expectInterior = (points: ReadonlyArray<Point>): void => {
  const best = Math.max(...points.slice(1, -1).map((p) => p.tokensPerSec));
  expect(best).toBeGreaterThan(points[0].tokensPerSec * VISIBLE);
  expect(best).toBeGreaterThan(points.at(-1)!.tokensPerSec * VISIBLE);
};

describe("a plan field has its best value between its ends", () => {
  it("cluster size: small ones pay for hand-overs, large ones for idle cores, a late first read and buffers", () => {
    for (const fidelity of ["cluster", "analytic"] as const)
      expectInterior(sweep(`neurons of a cluster (${fidelity})`, { ...asked, fidelity }, [16, 64, 256, 512, 1024, 2048, 4096, 14336], (plan, neurons) => ({ ...plan, cluster: { neurons } })));
  });

  it("pipeline depth: a shallow one lets the flash wait for the cores, a deep one takes memory from the cache", () => {
    for (const fidelity of ["cluster", "analytic"] as const)
      expectInterior(sweep(`pipeline depth (${fidelity})`, { ...asked, fidelity }, [1, 2, 4, 8, 16, 64, 256], (plan, depth) => ({ ...plan, pipeline: { depth } })));
  });

  it("hot and cold segments, where consecutive tokens share neurons: pinning misses what is used again, recency what is used often", () => {
    // With independent tokens (overlap 0) no cache can beat pinning by rate, and all hot is best: a theorem, not a fault.
    const split = (plan: Plan, hot: number): Plan => {
      const bytes = plan.cache.hot + plan.cache.cold;
      return { ...plan, cache: { ...plan.cache, hot: bytes * hot, cold: bytes * (1 - hot) } };
    };
    for (const fidelity of ["cluster", "analytic"] as const)
      expectInterior(sweep(`hot share of the FFN cache (${fidelity})`, { ...asked, fidelity }, [0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1], split));
    const independent = sweep("hot share of the FFN cache, token overlap 0 (analytic)", { ...asked, model: withLocality(asked.model!, 0), fidelity: "analytic" }, [0, 0.5, 0.8, 1], split);
    expect(independent.map((p) => p.missing)).toEqual(independent.map((p) => p.missing).sort((a, b) => b - a));
  });
});

describe("buffers of the clusters in flight", () => {
  it("come out of a hand plan's cold segment, then out of its hot one; what the plan set aside is not charged twice", () => {
    const { plan } = run({ ...asked, fidelity: "analytic" });
    const missing = (changed: Plan): number => run({ ...asked, fidelity: "analytic", plan: changed }).missOfComputed.mean;
    const deeper: Plan = { ...plan, pipeline: { depth: 4 * plan.pipeline.depth } };
    expect(missing(deeper)).toBeGreaterThan(missing(plan));
    // The default plan sets its own buffers aside; with three times as much more, the deeper one is paid for.
    const ownBuffers = plan.cache.runtime - 0.3 * 2 ** 30;
    expect(ownBuffers).toBeGreaterThan(0);
    expect(missing({ ...deeper, memory: plan.memory + 3 * ownBuffers, cache: { ...plan.cache, runtime: plan.cache.runtime + 3 * ownBuffers } })).toBeCloseTo(missing(plan), 12);
  });
});
