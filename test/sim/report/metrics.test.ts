import { describe, expect, it } from "vitest";
import { METRICS, metricsPage, summariseErrors } from "../../../sim/report/metrics.js";
import { aRecord } from "../../fakes/capabilities.js";

describe("metrics", () => {
  it("docs/metrics.md is what the definitions generate", async () => {
    await expect(metricsPage()).toMatchFileSnapshot("../../../docs/metrics.md");
  });

  it("have a symbol of their own each, and are finite for a sound run", () => {
    const record = aRecord({ device: "d", model: "m", system: "s", memory: { _tag: "All" }, phase: "decode", prompt: 1, tokens: 2, batch: 1, seed: 1, fidelity: "cluster" });
    const all = Object.values(METRICS);
    expect(new Set(all.map((m) => m.symbol)).size).toBe(all.length);
    for (const m of all) if (m !== METRICS.peakResident) expect(Number.isFinite(m.of(record)), m.symbol).toBe(true);
    // Of a process that there is none of.
    expect(METRICS.peakResident.of(record)).toBeNull();
  });
});

describe("the errors of a set of points", () => {
  it("are of absolute values, with gaps counted apart and never as zero", () => {
    expect(summariseErrors([{ signedError: -0.3 }, { signedError: 0.1 }, { signedError: null }, { signedError: 0.2 }])).toEqual({ points: 4, gaps: 1, medianAbsError: 0.2, meanAbsError: expect.closeTo(0.2, 12), worstAbsError: 0.3 });
  });

  it("the median of an even number is the mean of the middle two", () => {
    expect(summariseErrors([{ signedError: 0.1 }, { signedError: 0.5 }]).medianAbsError).toBeCloseTo(0.3, 12);
  });

  it("are null, not zero, where nothing could be compared", () => {
    expect(summariseErrors([{ signedError: null }])).toEqual({ points: 1, gaps: 1, medianAbsError: null, meanAbsError: null, worstAbsError: null });
  });
});
