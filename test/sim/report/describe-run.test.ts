import { describe, expect, it } from "vitest";
import type { RunRequest } from "../../../sim/domain/run.js";
import { describeRun, summaryOf } from "../../../sim/report/describe-run.js";
import { aRecord } from "../../fakes/capabilities.js";

const request: RunRequest = { device: "oneplus-12", model: "bamboo-7b", system: "powerinfer-2", memory: { _tag: "OffloadFfn", share: 0.5 }, phase: "decode", prompt: 64, tokens: 8, batch: 1, seed: 1, fidelity: "cluster" };
const text = describeRun(aRecord(request), { timeline: "HERE" });

describe("a run as text", () => {
  it("opens with what was asked", () => {
    expect(text.split("\n").slice(0, 2)).toEqual(["bamboo-7b on oneplus-12 with powerinfer-2, 50.0% of the FFN on flash", "simulated: decode of 8 tokens after 64; fidelity cluster, seed 1"]);
  });

  it("shows the speed with its bounds beside it", () => {
    expect(text).toContain("speed    9.89 tokens/s; bounds 5.00 (nothing overlaps) to 20.0 (everything does), 49.5% of the upper");
  });

  it("cuts the token time into activities that sum to it", () => {
    expect(text).toContain(["critical path  ms/token   share", "read gate         75.83   75.0%", "attention         25.27   25.0%", "token time       101.10  100.0%"].join("\n"));
  });

  it("shows the use of each lane, a count where a lane has no limit, and names the idle ones", () => {
    expect(text).toContain(["lane              busy", "cpu mid 0        50.0%", "flash            75.0%", "reads in flight         2.00 at a time", "idle: gpu"].join("\n"));
  });

  it("shows memory by part, the largest first, and what is not used", () => {
    expect(text).toContain("hot segment                     1.50GB   37.5%");
    expect(text).toMatch(/unused +500\.0MB +12\.5%\nallowed +4\.00GB +100\.0%/);
  });

  it("ends with what limits it and where the timeline is", () => {
    expect(text.split("\n").slice(-2)).toEqual(["limited by flash, random reads (75.0% of the critical path), then attention (25.0% of the critical path)", "timeline: HERE"]);
  });

  it("says so when the run broke its own checks", () => {
    expect(describeRun(aRecord(request, { violations: ["bytes lost"] }), { timeline: "-" })).toContain("this run broke its own checks; do not trust its numbers:\n  bytes lost");
  });

  it("names the mechanisms that were switched, the batch, and a prefill as such", () => {
    expect(describeRun(aRecord({ ...request, batch: 4, mechanisms: { overlap: "none" } }), { timeline: "-" })).toContain("simulated: decode of 8 tokens after 64, batch 4; fidelity cluster, seed 1; switched overlap=none");
    expect(describeRun(aRecord({ ...request, phase: "prefill", prompt: 512 }), { timeline: "-" })).toContain("simulated: prefill of 512 tokens;");
  });
});

describe("a run as JSON", () => {
  const json = summaryOf(aRecord(request)) as Readonly<Record<string, unknown>>;

  it("has the stable fields", () => {
    expect(Object.keys(json)).toEqual(expect.arrayContaining(["tokensPerSec", "msPerToken", "bytesReadPerToken", "cacheHitRate", "joulesPerToken", "bound", "breakdown", "inputs"]));
    expect(json.bound).toEqual({ lower: 5, upper: 20 });
    expect(json.inputs).toEqual(request);
  });

  it("has a breakdown that sums to the mean latency, and shares that sum to one", () => {
    const rows = json.breakdown as ReadonlyArray<{ msPerToken: number; share: number }>;
    expect(rows.reduce((sum, row) => sum + row.msPerToken, 0)).toBeCloseTo((json.msPerToken as { mean: number }).mean, 9);
    expect(rows.reduce((sum, row) => sum + row.share, 0)).toBeCloseTo(1, 12);
  });

  it("leaves out spans and token rows", () => {
    expect(json).not.toHaveProperty("spans");
    expect(json).not.toHaveProperty("tokens");
  });
});
