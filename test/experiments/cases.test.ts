import { describe, expect, it } from "vitest";
import { ALL, decode, loadingShare } from "../../experiments/cases.js";
import type { SimulatedRun } from "../../sim/domain/run.js";
import { fakeRunRecord } from "../fakes/run-record.js";

describe("the share of loading", () => {
  const { request } = decode({ device: "oneplus-12", model: "bamboo-7b", system: "llm-in-a-flash", memory: ALL });
  const spent = (breakdown: SimulatedRun["breakdown"]): SimulatedRun => fakeRunRecord(request, 10, { exposedIoShare: 0.5, breakdown });

  it("is what reads leave exposed and the part of the token that placing takes", () => {
    expect(loadingShare(spent([{ activity: "dense FFN", nsPerToken: 50 }, { activity: "cache", nsPerToken: 20 }, { activity: "attention", nsPerToken: 30 }]))).toBeCloseTo(0.7, 12);
  });

  it("is the exposed reads alone where nothing is placed", () => {
    expect(loadingShare(spent([{ activity: "dense FFN", nsPerToken: 100 }]))).toBe(0.5);
  });
});
