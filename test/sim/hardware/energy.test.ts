import { describe, expect, it } from "vitest";
import { energyOf, totalJoules, type Activity } from "../../../sim/hardware/energy.js";
import { deviceNamed } from "../../arb/runs.js";

const device = deviceNamed("oneplus-12");
const none: Activity = { wallNs: 0, bigNs: 0, midNs: 0, littleNs: 0, npuNs: 0, gpuNs: 0, dramBytes: 0, flashBytes: 0 };
const joules = (activity: Partial<Activity>, on = device): number => totalJoules(energyOf(on, { ...none, ...activity }));

describe("energy", () => {
  it("is power times time, or energy times bytes, part by part", () => {
    const second = 1e9;
    expect(joules({ wallNs: second })).toBeCloseTo(device.power.idle.value, 12);
    for (const kind of ["big", "mid", "little"] as const) expect(joules({ [`${kind}Ns`]: second })).toBeCloseTo(device.cpu.clusters.find((c) => c.kind === kind)!.activePower.value, 12);
    expect(joules({ npuNs: second })).toBeCloseTo(device.npu!.activePower.value, 12);
    expect(joules({ gpuNs: second })).toBeCloseTo(device.gpu!.activePower.value, 12);
    // A fact in nJ per byte is held so that bytes × fact × 1e-9 are joules.
    expect(joules({ dramBytes: 1e9 })).toBeCloseTo(device.dram.energy.value, 12);
    expect(joules({ flashBytes: 1e9 })).toBeCloseTo(device.flash.energy.value, 12);
  });
  it("adds up over parts and over time", () => {
    const one: Activity = { wallNs: 5e8, bigNs: 1e8, midNs: 2e8, littleNs: 3e7, npuNs: 4e8, gpuNs: 1e7, dramBytes: 3e9, flashBytes: 2e8 };
    const twice = Object.fromEntries(Object.entries(one).map(([part, amount]) => [part, 2 * amount])) as unknown as Activity;
    expect(joules(twice)).toBeCloseTo(2 * joules(one), 9);
    expect(energyOf(device, one).map((part) => part.part)).toEqual(["idle phone", "big cores", "mid cores", "little cores", "NPU", "GPU", "DRAM", "flash"]);
  });
  it("of a part that is not there is nothing", () => expect(joules({ npuNs: 1e9, gpuNs: 1e9 }, { ...device, npu: null, gpu: null })).toBe(0));
});
