/** What the one function answers: records of any fidelity, and the errors a user reads. */
import { describe, expect, it } from "vitest";
import { describeError } from "../../../sim/base/errors.js";
import { E } from "../../../sim/base/fp.js";
import { asRun, deviceNamed, modelNamed, run, type Asked } from "../../arb/runs.js";

const errorOf = (asked: Asked): string => {
  const result = asRun(asked);
  if (E.isRight(result)) throw new Error("expected an error");
  return describeError(result.left);
};

describe("simulate", () => {
  it("gives the same kind of record at every fidelity, with the inputs and the plan it ran", () => {
    for (const fidelity of ["analytic", "cluster", "neuron"] as const) {
      const record = run({ gib: 3, tokens: 2, fidelity });
      expect(record.schema).toBe("neuronlab/run@1");
      expect(record.origin).toBe("simulated");
      expect(record.inputs.fidelity).toBe(fidelity);
      expect(record.plan.memory).toBe(3 * 2 ** 30);
      expect(record.tokensPerSec).toBeCloseTo(1e3 / record.msPerToken.mean, 6);
    }
  });

  it("runs a plan it is handed, byte for byte as it ran its own", () => {
    const own = run({ gib: 3, tokens: 4 });
    const handed = run({ gib: 3, tokens: 4, plan: own.plan });
    expect({ ...handed, inputs: own.inputs }).toEqual(own);
  });

  it("counts a batch in aggregate and one token of it by its step", () => {
    const record = run({ batch: 4, tokens: 4 });
    expect(record.tokensPerSec).toBeCloseTo((4 * 1e3) / record.msPerToken.mean, 6);
  });

  it("keeps spans when asked, and none otherwise; the critical ones cover the wall time without gaps", () => {
    expect(run({ gib: 3, tokens: 2 }).spans).toEqual([]);
    const record = run({ gib: 3, tokens: 2, trace: true });
    const critical = record.spans.filter((span) => span.critical).sort((a, b) => a.startNs - b.startNs);
    expect(critical[0].startNs).toBe(0);
    expect(critical.at(-1)!.endNs).toBe(record.wallNs);
    for (let i = 1; i < critical.length; i++) expect(critical[i].startNs).toBeLessThanOrEqual(critical[i - 1].endNs);
  });

  it("is the same at neuron and at cluster fidelity for a dense system: there is nothing to draw", () => {
    const cluster = run({ system: "llama.cpp", gib: 3, tokens: 2 });
    expect({ ...run({ system: "llama.cpp", gib: 3, tokens: 2, fidelity: "neuron" }), inputs: cluster.inputs }).toEqual(cluster);
  });
});

describe("a run that cannot be", () => {
  it("says what does not fit, by part", () => {
    const text = errorOf({ gib: 0.5 });
    expect(text).toMatch(/^does not fit: needs \d+\.\d\dGB, allowed 0\.54GB/);
    expect(text).toContain("weights outside the FFN");
    expect(text).toContain("predictors");
    expect(E.isLeft(asRun({ gib: 0.5 }))).toBe(true);
  });

  it("says when weights may not stay on flash, and when a phone does not give so much", () => {
    expect(errorOf({ system: "mlc-llm", gib: 3 })).toContain("cannot leave weights on flash");
    expect(errorOf({ model: modelNamed("turbosparse-mixtral-47b"), gib: 22 })).toContain("gives one app no more than that");
  });

  it("says which unit is missing", () => {
    const device = { ...deviceNamed("oneplus-12"), npu: null };
    expect(errorOf({ device })).toMatch(/needs an NPU; OnePlus 12.* has none/);
    expect(errorOf({ device: { ...device, gpu: null }, system: "mlc-llm" })).toMatch(/needs a GPU/);
  });

  it("says that a model without predictors cannot be sparse", () => {
    expect(errorOf({ model: modelNamed("llama-2-7b") })).toContain("has no predictors");
  });
});
