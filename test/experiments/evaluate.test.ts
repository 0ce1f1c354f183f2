import { describe, expect, it } from "vitest";
import { HALF, casesOf, decode, fromRatio, fromRun, printed, tokensPerSec } from "../../experiments/cases.js";
import { numberClaim, shapeClaim, simulatedAt } from "../../experiments/claims.js";
import { evaluate } from "../../experiments/evaluate.js";
import type { Experiment, Lab } from "../../experiments/experiment.js";
import { experiments } from "../../experiments/index.js";
import { fakeRunRecord } from "../fakes/run-record.js";
import { fakeLab } from "./fake-lab.js";

const setting = { device: "oneplus-12", model: "bamboo-7b", memory: HALF };
const fast = decode({ ...setting, system: "powerinfer-2" });
const slow = decode({ ...setting, system: "llama.cpp" });

const points = [
  fromRun({ id: "x.fast", series: "powerinfer-2", x: "Bamboo-7B", unit: "tokens/s", reported: "10.0", role: "calibration" }, fast, tokensPerSec),
  fromRun({ id: "x.slow", series: "llama.cpp", x: "Bamboo-7B", unit: "tokens/s", reported: "0.4", note: "as printed" }, slow, tokensPerSec),
  fromRatio({ id: "x.ratio", series: "lead", x: "Bamboo-7B", unit: "×", reported: "25" }, fast, slow, tokensPerSec),
];

const experiment: Experiment = {
  id: "x", paper: "Figure X", title: "two systems", question: "which is faster?",
  cases: casesOf(points), points,
  curves: () => [{ series: "broken", x: 1, value: Infinity, unit: "s" }, { series: "sound", x: 1, value: 1, unit: "s" }],
  claims: [
    numberClaim({ id: "x.25", text: "25× faster", reported: 25, of: (e) => simulatedAt(e, "x.ratio") }),
    shapeClaim({ id: "x.order", text: "faster", of: (e) => [simulatedAt(e, "x.fast"), simulatedAt(e, "x.slow")], judge: ([a, b]) => a > b }),
  ],
  chart: { panels: [{ key: "", kind: "bars", title: "x", yLabel: "tokens/s" }] },
};

const labWith = (speeds: Readonly<Record<string, number | null>>): Lab => ({
  run: (key) => {
    const found = key === fast.key ? fast : slow;
    const speed = speeds[found.request.system];
    return speed === null ? null : fakeRunRecord(found.request, speed);
  },
  reason: () => "does not fit in memory",
  device: () => expect.fail("no device is needed"),
  model: () => expect.fail("no model is needed"),
});

describe("evaluating an experiment", () => {
  const result = evaluate(experiment, labWith({ "powerinfer-2": 8, "llama.cpp": 0.36 }));

  it("signs errors as simulated minus reported, over reported", () => {
    expect(result.points.map((p) => p.signedError)).toEqual([(8 - 10) / 10, (0.36 - 0.4) / 0.4, (8 / 0.36 - 25) / 25]);
  });

  it("says which errors the rounding of the print explains, and still counts them against the print", () => {
    expect(result.points.map((p) => p.withinPrint)).toEqual([false, true, false]);
    expect(result.points[1].signedError).toBeCloseTo(-0.1, 12);
  });

  it("leaves values that are not finite out of curves", () => {
    expect(result.curves.map((c) => c.series)).toEqual(["sound"]);
  });

  it("judges claims, with what was found", () => {
    expect(result.claims).toEqual([
      { id: "x.25", text: "25× faster (holds within 25 %)", holds: true, found: "22.2×" },
      { id: "x.order", text: "faster", holds: true, found: "8.00, 0.36" },
    ]);
  });

  it("fails a claim whose number lies beyond the tolerance", () => {
    expect(evaluate(experiment, labWith({ "powerinfer-2": 8, "llama.cpp": 0.5 })).claims[0]).toEqual({ id: "x.25", text: "25× faster (holds within 25 %)", holds: false, found: "16.0×" });
  });

  it("turns a run that cannot be made into a gap with its reason, never into zero", () => {
    const gaps = evaluate(experiment, labWith({ "powerinfer-2": 8, "llama.cpp": null }));
    expect(gaps.points.map((p) => [p.simulated, p.signedError, p.withinPrint])).toEqual([[8, -0.2, false], [null, null, false], [null, null, false]]);
    expect(gaps.points[1].note).toBe("no value: does not fit in memory; as printed");
    expect(gaps.claims.map((c) => c.holds)).toEqual([false, false]);
    expect(gaps.claims[0].found).toBe("cannot be judged: a run is missing");
  });

  it("evaluates every experiment of the paper with no run at all", () => {
    const none = fakeLab({ missing: () => true });
    for (const e of experiments) for (const p of evaluate(e, none).points) if (e.cases.length > 0) expect(p.simulated, p.id).toBeNull();
  });
});

describe("a printed number", () => {
  it("carries half of its last digit", () => {
    expect(printed("404.6")).toEqual({ reported: 404.6, printed: 0.05 });
    expect(printed("20")).toEqual({ reported: 20, printed: 0.5 });
    expect(printed("10.0").reported).toBe(10);
  });
});
