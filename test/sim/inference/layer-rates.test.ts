/** What one plan fixes for every layer, against the profile's facts. */
import { describe, expect, it } from "vitest";
import { describeError } from "../../../sim/base/errors.js";
import { E } from "../../../sim/base/fp.js";
import { sizesOf } from "../../../sim/domain/model.js";
import type { MemoryRequest, RunRequest } from "../../../sim/domain/run.js";
import type { Mechanisms, SystemSpec } from "../../../sim/domain/system.js";
import { layerRates } from "../../../sim/inference/layer-rates.js";
import { defaultPlan } from "../../../sim/planner/default-plan.js";
import { deviceNamed, GIB, modelNamed, run, systemNamed, type SYSTEMS } from "../../arb/runs.js";

const device = deviceNamed("oneplus-12");
const model = modelNamed("bamboo-7b");
const sizes = sizesOf(model);

const ratesOf = (system: SystemSpec, more: { readonly memory?: MemoryRequest; readonly prompt?: number; readonly mechanisms?: Partial<Mechanisms> } = {}) => {
  const request: RunRequest = {
    device: device.name, model: model.name, system: system.name, memory: more.memory ?? { _tag: "Bytes", bytes: 3 * GIB }, phase: "decode", prompt: more.prompt ?? 64, tokens: 8, batch: 1, seed: 1, fidelity: "cluster",
    ...(more.mechanisms === undefined ? {} : { mechanisms: more.mechanisms }),
  };
  const plan = defaultPlan(device, model, system, request);
  if (E.isLeft(plan)) throw new Error(describeError(plan.left));
  return layerRates(device, model, system, plan.right, request);
};

/** A system that packs its cache at so many bytes/ns, null where it does not. */
const packingAt = (name: (typeof SYSTEMS)[number], bandwidth: number | null): SystemSpec => {
  const system = systemNamed(name);
  return { ...system, software: { ...system.software, cacheUpkeep: bandwidth === null ? null : { ...systemNamed("llm-in-a-flash").software.cacheUpkeep!, value: bandwidth } } };
};

describe("placing a neuron that was read", () => {
  const insertNs = device.cpu.cacheInsert.value;
  // LLM in a flash keeps scales beside their rows, so they are packed with them.
  const loadedBytes = 3 * sizes.rowBytesWithScales;

  it.each(["neuron-lru", "window"] as const)("takes the insertion and packing its bytes in a cache of the recent (%s)", (cache) => {
    expect(ratesOf(packingAt("llm-in-a-flash", 2), { mechanisms: { cache } }).insertNs).toBeCloseTo(insertNs + loadedBytes / 2, 6);
    expect(ratesOf(packingAt("llm-in-a-flash", null), { mechanisms: { cache } }).insertNs).toBe(insertNs);
  });

  it("packs no scales that lie apart", () => {
    expect(ratesOf(packingAt("llm-in-a-flash", 2), { mechanisms: { scalesResident: "yes" } }).insertNs).toBeCloseTo(insertNs + (3 * sizes.rowBytes) / 2, 6);
  });

  it.each(["segmented", "static-hot", "none"] as const)("takes the insertion alone where a read lands in its slot or is used once (%s), whatever packing would cost", (cache) => {
    for (const name of ["powerinfer-2", "llm-in-a-flash"] as const) expect(ratesOf(packingAt(name, 2), { mechanisms: { cache } }).insertNs).toBe(insertNs);
  });

  it("of the shipped systems, only LLM in a flash packs: at 4.1 GB/s", () => {
    expect(ratesOf(systemNamed("llm-in-a-flash")).insertNs).toBeCloseTo(insertNs + loadedBytes / 4.1, 6);
    for (const name of ["powerinfer-2", "powerinfer-2-v1", "powerinfer-2-cpu-only", "powerinfer"] as const) expect(ratesOf(systemNamed(name)).insertNs, name).toBe(insertNs);
  });

  it.each(["cluster", "neuron", "analytic"] as const)("lasts in a run as long as without packing on a phone whose insertion takes that much longer (%s)", (fidelity) => {
    const asked = { model, gib: 3, tokens: 2, fidelity } as const;
    const slow = { ...device, cpu: { ...device.cpu, cacheInsert: { ...device.cpu.cacheInsert, value: insertNs + loadedBytes / 4.1 } } };
    const shipped = run({ ...asked, device, system: "llm-in-a-flash" });
    expect(shipped.wallNs).toBeCloseTo(run({ ...asked, device: slow, system: packingAt("llm-in-a-flash", null) }).wallNs, 0);
    expect(shipped.wallNs).toBeGreaterThan(run({ ...asked, device, system: packingAt("llm-in-a-flash", null) }).wallNs);
  });
});

describe("prefetch under attention", () => {
  const system = systemNamed("powerinfer-2");
  /** Attention on both units, as fast as the bus lets them. */
  const attentionNs = (attentionBytes: number): number => attentionBytes / Math.min(device.dram.sustained.value, device.cpu.bandwidth.value + device.npu!.bulkBandwidth.value);

  it("ends within nine tenths of attention's time, and uses them where enough is left to read", () => {
    for (const prompt of [1, 64, 1024]) {
      const rates = ratesOf(system, { prompt });
      expect(rates.prefetchNs).toBeCloseTo(0.9 * attentionNs(rates.attentionBytes), 3);
      expect(rates.prefetchShare * model.ffn * rates.reads.slotBytes).toBeCloseTo(rates.prefetchNs * rates.reads.streamBandwidth, 3);
    }
  });

  it("reads no more than what is not held", () => {
    const rates = ratesOf(system, { prompt: 16384, memory: { _tag: "OffloadFfn", share: 0.01 } });
    expect(rates.prefetchShare).toBeGreaterThan(0);
    expect(rates.prefetchShare).toBeCloseTo(1 - rates.hotShare - rates.coldShare, 9);
    expect(rates.prefetchNs).toBeLessThan(0.9 * attentionNs(rates.attentionBytes));
  });

  it("is not where the system does not, or all is held", () => {
    expect(ratesOf(system, { mechanisms: { prefetchHot: "off" } }).prefetchNs).toBe(0);
    expect(ratesOf(system, { memory: { _tag: "All" } }).prefetchNs).toBe(0);
  });
});

describe("heads split over CPU and NPU", () => {
  const shareOf = (cpuBandwidth: number): number => {
    const slower = { ...device, cpu: { ...device.cpu, bandwidth: { ...device.cpu.bandwidth, value: cpuBandwidth } } };
    const request: RunRequest = { device: device.name, model: model.name, system: "powerinfer-2", memory: { _tag: "All" }, phase: "decode", prompt: 64, tokens: 8, batch: 1, seed: 1, fidelity: "cluster" };
    const plan = defaultPlan(slower, model, systemNamed("powerinfer-2"), request);
    if (E.isLeft(plan)) throw new Error(describeError(plan.left));
    return layerRates(slower, model, systemNamed("powerinfer-2"), plan.right, request).attentionCpuShare;
  };

  it("go in proportion to what each gets from the bus beside the other, so that both end together", () => {
    // 59.6 GB/s in all: a CPU of 10 leaves the NPU 49.6 of its 56; two that could each take more than half get half.
    expect(shareOf(10)).toBeCloseTo(10 / 59.6, 9);
    expect(shareOf(20)).toBeCloseTo(20 / 59.6, 9);
    expect(shareOf(43.9)).toBeCloseTo(0.5, 9);
  });
});
