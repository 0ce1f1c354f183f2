import { describe, expect, it } from "vitest";
import type { Fact } from "../../../sim/domain/fact.js";
import { weakFacts, withFactOff } from "../../../sim/planner/weak-facts.js";
import { deviceNamed, modelNamed } from "../../arb/runs.js";

const device = deviceNamed("oneplus-13");

describe("weak facts of a profile", () => {
  it("are the calibrated and estimated ones, tables as one, and no counts or coordinates", () => {
    const paths = weakFacts(device).map((fact) => fact.path);
    expect(paths).toContain("cpu.clusters[0].sparseBandwidth");
    expect(paths).toContain("flash.random[].rate");
    expect(paths.filter((path) => path.startsWith("flash.random"))).toEqual(["flash.random[].rate"]);
    expect(paths.filter((path) => /count|queues|depth|block|range/.test(path))).toEqual([]);
    // Measured, so nobody may doubt it here.
    expect(device.npu?.bulkBandwidth.kind).toBe("measured");
    expect(paths).not.toContain("npu.bulkBandwidth");
    expect(weakFacts(modelNamed("bamboo-7b")).map((fact) => fact.path)).toContain("activations.tokenOverlap");
  });

  it("one off moves just that one, and its profile's other facts stay the same objects' values", () => {
    const off = withFactOff(device, "cpu.clusters[1].sparseBandwidth", 0.8);
    expect(off.cpu.clusters[1]!.sparseBandwidth.value).toBeCloseTo(0.8 * device.cpu.clusters[1]!.sparseBandwidth.value, 12);
    expect({ ...off, cpu: null }).toEqual({ ...device, cpu: null });
    expect(off.cpu.clusters[0]).toEqual(device.cpu.clusters[0]);
    const slow = withFactOff(device, "flash.random[].rate", 0.8);
    const rates = (points: ReadonlyArray<{ readonly rate: Fact }>): ReadonlyArray<number> => points.map((p) => p.rate.value);
    expect(rates(slow.flash.random)).toEqual(device.flash.random.map((p) => (p.rate.kind === "estimated" || p.rate.kind === "calibrated" ? 0.8 * p.rate.value : p.rate.value)));
    expect(slow.flash.random.map((p) => p.block.value)).toEqual(device.flash.random.map((p) => p.block.value));
  });

  it("no share goes above one", () => {
    expect(withFactOff(device, "flash.hotRatio", 5).flash.hotRatio.value).toBe(1);
    expect(withFactOff(modelNamed("bamboo-7b"), "activations.tokenOverlap", 50).activations.tokenOverlap.value).toBe(1);
  });
});
