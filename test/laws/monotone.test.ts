/**
 * More of anything never hurts. Exact in the closed form, at one plan; with events a greedy list schedule can pay for an
 * earlier arrival with a worse order (Graham's anomaly), so that there the law holds up to a stated share of a percent.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DeviceProfile } from "../../sim/domain/device.js";
import { arbSparseRecipe, arbRecipe, askedOf, modelNamed, phoneOf, run, runIfFits, SPARSE_SYSTEMS, SYSTEMS, withFasterCpu, withFasterDram, withFasterFlash, withFasterNpu, type Asked } from "../arb/runs.js";

/** What a list schedule may lose to a worse order, as a share of the token time. */
const ANOMALY = 0.01;
/**
 * Rows are streamed while attention runs, and only for as long as it runs. A processor that ends attention sooner leaves
 * less time for that, more rows are then read one by one, and where streaming is the cheaper way (large batches, which need
 * most rows anyhow) the token can take longer. A planner that streams on past attention would not lose this.
 */
const LESS_PREFETCHED = 0.1;
/** A faster flash streams more rows; they leave the cold clusters for the resident ones, which may then divide less evenly among the cores: at most one more round of clusters a layer. */
const MORE_PREFETCHED = 0.05;

const faster: ReadonlyArray<{ readonly what: string; readonly change: (device: DeviceProfile, factor: number) => DeviceProfile }> = [
  { what: "flash", change: withFasterFlash },
  { what: "DRAM", change: withFasterDram },
  { what: "CPU", change: withFasterCpu },
  { what: "NPU", change: withFasterNpu },
];

const arbFactor = fc.double({ min: 1, max: 4, noNaN: true });

describe.each(faster)("a faster $what never slows a token", ({ what, change }) => {
  const compare = (recipe: Parameters<typeof askedOf>[0], factor: number, fidelity: "analytic" | "cluster", tolerance: number, prefetches = false): void => {
    const device = phoneOf(recipe.phone);
    const asked: Asked = { ...askedOf(recipe, device), fidelity, ...(prefetches ? {} : { mechanisms: { prefetchHot: "off" } }) };
    const before = runIfFits(asked);
    if (before === null) return;
    const after = run({ ...asked, device: change(device, factor), plan: before.plan });
    expect(after.tokensPerSec, `${before.tokensPerSec} before`).toBeGreaterThanOrEqual(before.tokensPerSec * (1 - tolerance));
  };

  it("in closed form, at one plan", () => {
    fc.assert(fc.property(arbRecipe, arbFactor, (recipe, factor) => compare(recipe, factor, "analytic", 1e-6)), { seed: 1966, numRuns: 150 });
  });

  it("with events and the same seed, up to 1 %", () => {
    fc.assert(fc.property(arbSparseRecipe, arbFactor, (recipe, factor) => compare(recipe, factor, "cluster", ANOMALY)), { seed: 1969, numRuns: 60 });
  });

  it("with rows streamed under attention too, up to what a shorter attention leaves unstreamed", () => {
    fc.assert(fc.property(arbSparseRecipe, arbFactor, (recipe, factor) => compare(recipe, factor, "analytic", what === "flash" ? MORE_PREFETCHED : LESS_PREFETCHED, true)), { seed: 1970, numRuns: 150 });
  });
});

describe("more memory", () => {
  it("never reads more per token and never misses more, at the default plans of all systems (closed form)", () => {
    for (const name of ["bamboo-7b", "prosparse-llama-2-7b", "turbosparse-mixtral-47b"])
      for (const system of SYSTEMS) {
        let bytesBefore = Infinity;
        let missesBefore = Infinity;
        for (let gib = 1; gib <= 19; gib += 0.5) {
          const record = runIfFits({ model: modelNamed(name), system, gib, fidelity: "analytic" });
          if (record === null) continue;
          expect(record.bytesReadPerToken, `${name}, ${system}, ${gib} GiB`).toBeLessThanOrEqual(bytesBefore * (1 + 1e-9));
          expect(record.missOfComputed.mean, `${name}, ${system}, ${gib} GiB`).toBeLessThanOrEqual(missesBefore * (1 + 1e-9));
          bytesBefore = record.bytesReadPerToken;
          missesBefore = record.missOfComputed.mean;
        }
      }
  });

  it("never lowers the hit rate: of the segmented cache, the neuron LRU, the window, the fixed choice and the page cache", () => {
    const cases: ReadonlyArray<Asked> = [{ system: "powerinfer-2" }, { system: "powerinfer-2-v1" }, { system: "llm-in-a-flash" }, { system: "llm-in-a-flash", mechanisms: { cache: "window" } }, { system: "powerinfer" }, { system: "llama.cpp" }];
    for (const name of ["bamboo-7b", "turbosparse-mixtral-47b"])
      for (const asked of cases) {
        let before = -1;
        for (let gib = 2; gib <= 19; gib += 0.5) {
          const record = runIfFits({ ...asked, model: modelNamed(name), gib, fidelity: "analytic" });
          if (record === null) continue;
          expect(record.cacheHitRate, `${name}, ${JSON.stringify(asked)}, ${gib} GiB`).toBeGreaterThanOrEqual(before - 1e-9);
          before = record.cacheHitRate;
        }
      }
  });

  it("never reads more with events and the same seed, up to what single draws move (2 % over 32 tokens)", () => {
    for (const system of SPARSE_SYSTEMS) {
      let before = Infinity;
      for (const gib of [2.5, 3, 3.5, 4, 4.5, 5]) {
        const record = run({ system, gib, tokens: 32 });
        expect(record.bytesReadPerToken, `${system}, ${gib} GiB`).toBeLessThanOrEqual(before * 1.02);
        before = record.bytesReadPerToken;
      }
      expect(before).toBe(0);
    }
  });
});

describe("a larger batch", () => {
  it("never lowers the aggregate speed when all weights are in memory", () => {
    for (const system of SYSTEMS)
      for (const fidelity of ["analytic", "cluster"] as const) {
        let before = 0;
        for (const batch of [1, 2, 3, 4, 8]) {
          const { tokensPerSec } = run({ system, batch, fidelity, tokens: 8 });
          expect(tokensPerSec, `${system}, batch ${batch}, ${fidelity}`).toBeGreaterThanOrEqual(before * (1 - ANOMALY));
          before = tokensPerSec;
        }
      }
  });
});
