/** Laws of every run record, over random phones, models, systems and requests. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SimulatedRun } from "../../sim/domain/run.js";
import { arbRecipe, askedOf, modelNamed, run, runIfFits, SYSTEMS, type Asked } from "../arb/runs.js";

const forRuns = (runs: number, check: (record: SimulatedRun, asked: Asked) => void): void => {
  let fitted = 0;
  fc.assert(
    fc.property(arbRecipe, (recipe) => {
      const asked = askedOf(recipe);
      const record = runIfFits(asked);
      if (record === null) return;
      fitted++;
      check(record, asked);
    }),
    { seed: 20241212, numRuns: runs },
  );
  // A law that nothing was tried on says nothing.
  expect(fitted).toBeGreaterThan(runs / 3);
};

describe("any run with events", () => {
  it("breaks no in-run check, and no lane is busier than the wall time allows", () => {
    forRuns(120, (record) => {
      expect(record.violations).toEqual([]);
      for (const lane of record.lanes) expect(lane.busyNs, lane.lane).toBeLessThanOrEqual(record.wallNs * lane.servers);
    });
  });

  it("spends on its critical path exactly the wall time, to the nanosecond", () => {
    forRuns(120, (record, asked) => {
      const steps = record.inputs.phase === "decode" ? record.inputs.tokens : record.inputs.prompt;
      const onPath = record.breakdown.reduce((sum, part) => sum + part.nsPerToken, 0) * steps;
      expect(Math.round(onPath), JSON.stringify(asked.system)).toBe(record.wallNs);
      expect(record.breakdown.every((part) => part.nsPerToken > 0)).toBe(true);
    });
  });

  it("has token times that sum to the wall time, and bytes, look-ups and misses that sum to its means", () => {
    forRuns(60, (record) => {
      const sum = (of: (token: SimulatedRun["tokens"][number]) => number): number => record.tokens.reduce((total, token) => total + of(token), 0);
      expect(sum((t) => t.latencyNs)).toBe(record.wallNs);
      const divisor = record.inputs.phase === "decode" ? record.inputs.tokens : record.inputs.prompt;
      expect(sum((t) => t.bytesRead) / divisor / record.bytesReadPerToken || 1).toBeCloseTo(1, 9);
      if (sum((t) => t.lookups) > 0) expect(1 - sum((t) => t.misses) / sum((t) => t.lookups)).toBeCloseTo(record.cacheHitRate, 9);
    });
  });

  it("lies between its bounds", () => {
    forRuns(200, (record) => {
      expect(record.bound.lower).toBeLessThanOrEqual(record.tokensPerSec);
      expect(record.bound.upper).toBeGreaterThanOrEqual(record.tokensPerSec);
    });
  });

  it("uses energy that sums over the parts, and never peaks below the mean", () => {
    forRuns(60, (record) => {
      const joules = record.energy.byPart.reduce((sum, part) => sum + part.joules, 0);
      const produced = record.inputs.phase === "decode" ? record.inputs.tokens * record.inputs.batch : record.inputs.prompt;
      expect(joules / produced / record.energy.joulesPerToken).toBeCloseTo(1, 9);
      expect(record.energy.byPart.every((part) => part.joules >= 0)).toBe(true);
      expect(record.energy.peakWatts).toBeGreaterThanOrEqual(record.energy.meanWatts * (1 - 1e-9));
      expect((record.energy.meanWatts * record.wallNs * 1e-9) / joules).toBeCloseTo(1, 9);
    });
  });

  it("has shares that are shares", () => {
    forRuns(60, (record) => {
      for (const share of [record.exposedIoShare, record.cpuUtilisation, record.cacheHitRate, record.missOfComputed.mean]) {
        expect(share).toBeGreaterThanOrEqual(0);
        expect(share).toBeLessThanOrEqual(1);
      }
      expect(record.limits.reduce((sum, limit) => sum + limit.share, 0)).toBeCloseTo(1, 9);
    });
  });
});

describe("the closed form", () => {
  it("lies between its bounds too, and its parts sum to the token time", () => {
    fc.assert(
      fc.property(arbRecipe, (recipe) => {
        const record = runIfFits({ ...askedOf(recipe), fidelity: "analytic" });
        if (record === null) return;
        expect(record.bound.lower).toBeLessThanOrEqual(record.tokensPerSec * (1 + 1e-6));
        expect(record.bound.upper).toBeGreaterThanOrEqual(record.tokensPerSec * (1 - 1e-6));
        const onPath = record.breakdown.reduce((sum, part) => sum + part.nsPerToken, 0);
        expect(onPath / 1e6 / record.msPerToken.mean).toBeCloseTo(1, 6);
      }),
      { seed: 20241212, numRuns: 300 },
    );
  });
});

describe("seeds", () => {
  const model = modelNamed("bamboo-7b");
  it("decide everything: the same seed gives the same bytes, at every fidelity and for every system", () => {
    for (const fidelity of ["analytic", "cluster", "neuron"] as const)
      for (const system of SYSTEMS) {
        const asked: Asked = { model, system, memory: { _tag: "OffloadFfn", share: system === "mlc-llm" ? 0 : 0.5 }, tokens: 3, fidelity, seed: 7 };
        expect(JSON.stringify(run(asked)), `${system}, ${fidelity}`).toBe(JSON.stringify(run(asked)));
      }
  });

  it("differ: another seed gives other tokens wherever something is drawn", () => {
    for (const fidelity of ["cluster", "neuron"] as const) {
      const latencies = [1, 2, 3].map((seed) => JSON.stringify(run({ model, gib: 3, tokens: 3, fidelity, seed }).tokens));
      expect(new Set(latencies).size).toBe(3);
    }
  });

  it("do not mix: later tokens do not shift earlier ones, and a shallower pipeline meets the same misses", () => {
    const system = "llm-in-a-flash" as const;
    const drawn = (record: SimulatedRun): ReadonlyArray<ReadonlyArray<number>> => record.tokens.map((t) => [t.lookups, t.misses]);
    const four = run({ model, system, gib: 3, tokens: 4 });
    expect(drawn(run({ model, system, gib: 3, tokens: 8, plan: four.plan })).slice(0, 4)).toEqual(drawn(four));
    const deep = run({ model, gib: 3, tokens: 4 });
    expect(drawn(run({ model, gib: 3, tokens: 4, plan: { ...deep.plan, pipeline: { depth: 4 } } }))).toEqual(drawn(deep));
  });
});
