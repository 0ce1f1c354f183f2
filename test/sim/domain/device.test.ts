import { describe, expect, it } from "vitest";
import { decode } from "../../../sim/base/decode.js";
import { describeError } from "../../../sim/base/errors.js";
import { E } from "../../../sim/base/fp.js";
import { deviceCodec } from "../../../sim/domain/device.js";
import { mayBeFitted } from "../../../sim/domain/fact.js";
import { loadDevice, rawOf } from "../../data/profiles.js";
import { edited } from "./edit.js";

const raw = rawOf("devices/oneplus-12.json");
const told = (document: unknown): string => {
  const result = decode(deviceCodec, "devices/toy.json")(document);
  return E.isLeft(result) ? describeError(result.left) : "(accepted)";
};
const fact = (value: unknown): unknown => ({ value, kind: "estimated", source: "test", note: "test" });

describe("a device profile", () => {
  it("is held in base units", () => {
    const device = loadDevice("devices/oneplus-12.json");
    expect(device.cpu.bandwidth.value).toBe(43.9);
    expect(device.npu?.prefillRate.value).toBeCloseTo(10_750, 6);
    expect(device.npu?.launch.value).toBe(50_000);
    expect(device.dram.usable.value).toBe(19 * 2 ** 30);
    expect(device.dram.energy.value).toBeCloseTo(0.032, 9);
    expect(device.gpu?.duty.value).toBe(0.5);
  });

  it("keeps where each number comes from, and only calibrated and estimated ones may be fitted", () => {
    const device = loadDevice("devices/oneplus-12.json");
    expect(device.cpu.bandwidth).toMatchObject({ kind: "printed" });
    expect(mayBeFitted(device.cpu.bandwidth)).toBe(false);
    expect(mayBeFitted(device.gpu!.bandwidth)).toBe(false);
    expect(mayBeFitted(device.npu!.prefillRate)).toBe(false);
    expect(mayBeFitted(device.flash.secondPhaseRatio)).toBe(true);
    expect(mayBeFitted(device.flash.latency)).toBe(true);
  });

  it.each([
    ["a bare number where a unit is due", ["cpu", "bandwidth"], fact(43.9), 'cpu.bandwidth.value: has no unit: 43.9; write it like "43.9GB/s"'],
    ["a size for a rate", ["cpu", "bandwidth"], fact("43.9GB"), 'cpu.bandwidth.value: has an unknown unit "GB"; did you mean GB/s? known: B/s, KB/s, MB/s, GB/s, TB/s, KiB/s, MiB/s, GiB/s, TiB/s'],
    ["a negative rate", ["npu", "bulkBandwidth"], fact("-56GB/s"), "npu.bulkBandwidth.value: must be above zero: -56GB/s"],
    ["a rate of nothing", ["npu", "bulkBandwidth"], fact("0GB/s"), "npu.bulkBandwidth.value: must be above zero: 0GB/s"],
    ["a negative time", ["npu", "launch"], fact("-88us"), "npu.launch.value: must be above zero: -88us"],
    ["a negative cost", ["pageCache", "faultCost"], fact("-1us"), "pageCache.faultCost.value: must not be negative: -1us"],
    ["a share above one", ["gpu", "duty"], fact("120%"), "gpu.duty.value: is too large: 120%; should be at most 100%"],
    ["a number without its provenance", ["dram", "sustained"], "59.6GB/s", 'dram.sustained: should be an object with value, kind, source, note, got "59.6GB/s"'],
    ["a kind of provenance that does not exist", ["dram", "sustained"], { value: "59.6GB/s", kind: "guessed", source: "me" }, 'dram.sustained.kind: should be one of printed, measured, derived, calibrated, estimated, got "guessed"'],
    ["a mistyped kind", ["dram", "sustained"], { value: "59.6GB/s", kind: "mesured", source: "me" }, 'dram.sustained.kind: should be one of printed, measured, derived, calibrated, estimated, got "mesured"; did you mean measured?'],
    ["a fact without a source", ["dram", "sustained"], { value: "59.6GB/s", kind: "printed" }, "dram.sustained.source: is missing"],
    ["a missing NPU", ["npu"], undefined, "npu: is missing"],
    ["a count without its provenance", ["cpu", "clusters", 0, "count"], 1, "cpu.clusters[0].count: should be an object with value, kind, source, note, got 1"],
    ["half a core", ["cpu", "clusters", 0, "count", "value"], 1.5, "cpu.clusters[0].count.value: should be a whole number, got 1.5"],
    ["a count with a unit", ["flash", "depth", "value"], "32KiB", 'flash.depth.value: takes no unit, got "32KiB"; write it like 6'],
    ["more cores than a phone can have", ["cpu", "clusters", 0, "count", "value"], 65, "cpu.clusters[0].count.value: is too large: 65; should be at most 64"],
    ["no clusters", ["cpu", "clusters"], [], "cpu.clusters: should have at least 1 entries, got 0"],
    ["a cluster kind that does not exist", ["cpu", "clusters", 0, "kind"], "huge", 'cpu.clusters[0].kind: should be one of big, mid, little, got "huge"'],
    ["an unknown schema", ["schema"], "neuronlab/device@2", 'schema: should be one of neuronlab/device@1, got "neuronlab/device@2"; did you mean neuronlab/device@1?'],
    ["more usable memory than there is", ["dram", "usable"], fact("25GiB"), "dram.usable: must not exceed dram.total (25.77GB), got 26.84GB"],
    ["more sustained than theory", ["dram", "sustained"], fact("70GB/s"), "dram.sustained: must not exceed dram.theory (68.3GB/s), got 70GB/s"],
    ["a CPU that gets more than DRAM gives", ["cpu", "bandwidth"], fact("60GB/s"), "cpu.bandwidth: must not exceed dram.sustained (59.6GB/s), got 60GB/s"],
    ["an NPU that gets more than DRAM gives", ["npu", "bulkBandwidth"], fact("60GB/s"), "npu.bulkBandwidth: must not exceed dram.sustained (59.6GB/s), got 60GB/s"],
    ["a core that gets more than the CPU", ["cpu", "clusters", 0, "denseBandwidth"], fact("44GB/s"), "cpu.clusters[0].denseBandwidth: must not exceed cpu.bandwidth (43.9GB/s), got 44GB/s"],
    ["a flash table with a hole", ["flash", "random", 1], undefined, "flash.random: should have one point for blocks of 4.1kB over a range of 256.0MB, has 0"],
    ["a throttle that ends before it begins", ["thermal", "throttleFull"], fact("40C"), "thermal.throttleFull: should lie above throttleStart"],
    ["blocks out of order", ["flash", "sequential"], [{ block: fact("8KiB"), rate: fact("1GB/s") }, { block: fact("4KiB"), rate: fact("1GB/s") }], "flash.sequential: blocks should ascend"],
  ] as const)("refuses %s", (_what, path, value, message) => {
    expect(told(edited(raw, path, value))).toBe(`devices/toy.json: 1 mistake\n  ${message}`);
  });

  it("refuses a mistyped key with the one that was meant", () => {
    const document = edited(edited(raw, ["cpu", "bandwith"], fact("43.9GB/s")), ["cpu", "bandwidth"], undefined);
    expect(told(document)).toBe(
      ["devices/toy.json: 2 mistakes", "  cpu.bandwith: unknown key; did you mean bandwidth? allowed: isa, clusters, bandwidth, barrier, cacheInsert", "  cpu.bandwidth: is missing"].join("\n"),
    );
  });

  it("tells all mistakes at once", () => {
    const document = edited(edited(edited(raw, ["dram", "total"], fact("24")), ["flash", "queues", "value"], 0), ["cpu", "clusters", 1, "clock"], fact("3m"));
    expect(told(document)).toBe(
      [
        "devices/toy.json: 3 mistakes",
        '  cpu.clusters[1].clock.value: has an unknown unit "m"; known: GHz, MHz',
        '  dram.total.value: has no unit: 24; write it like "19GB" or "19GiB"',
        "  flash.queues.value: is too small: 0; should be at least 1",
      ].join("\n"),
    );
  });

  it("may lack an NPU and a GPU", () => {
    expect(told(edited(edited(raw, ["npu"], null), ["gpu"], null))).toBe("(accepted)");
  });
});
