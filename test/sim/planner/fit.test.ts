import { describe, expect, it } from "vitest";
import { describeError } from "../../../sim/base/errors.js";
import { E } from "../../../sim/base/fp.js";
import { sizesOf } from "../../../sim/domain/model.js";
import type { MemoryRequest, RunRequest } from "../../../sim/domain/run.js";
import { mechanismsOf } from "../../../sim/planner/default-plan.js";
import { cachedNeuronBytes, fitMemory, type Fit } from "../../../sim/planner/fit.js";
import { deviceNamed, GIB, modelNamed, systemNamed } from "../../arb/runs.js";

const device = deviceNamed("oneplus-12");
const request = (memory: MemoryRequest, system = "powerinfer-2"): RunRequest => ({ device: device.name, model: "m", system, memory, phase: "decode", prompt: 100, tokens: 28, batch: 2, seed: 1, fidelity: "cluster" });
const bytes = (amount: number): MemoryRequest => ({ _tag: "Bytes", bytes: amount });

const fitted = (modelName: string, systemName: string, memory: MemoryRequest) => {
  const system = systemNamed(systemName);
  const asked = request(memory, systemName);
  return fitMemory(device, modelNamed(modelName), system, mechanismsOf(system, asked), asked);
};
const fit = (modelName: string, systemName: string, memory: MemoryRequest): Fit => {
  const result = fitted(modelName, systemName, memory);
  if (E.isLeft(result)) throw new Error(describeError(result.left));
  return result.right;
};

describe("the parts of a budget", () => {
  const model = modelNamed("turbosparse-mixtral-47b");
  const sizes = sizesOf(model);
  it("sum to it, and the cache gets what is left", () => {
    const parts = fit("turbosparse-mixtral-47b", "powerinfer-2", bytes(9 * GIB));
    expect(parts.fixed + parts.predictors + parts.scales + parts.kv + parts.runtime + parts.ffn).toBeCloseTo(9 * GIB, 3);
    expect(parts.kv).toBe(sizes.kvBytesPerToken * 128 * 2);
    expect(parts.fixed).toBe(sizes.nonFfnBytes);
    expect(parts.all).toBe(false);
  });
  it("are those that the paper prints for 7 GB: about 1 GB outside the FFN, 2.6 of predictors, 2.7 of scales, 0.3 of runtime (GiB)", () => {
    const parts = fit("turbosparse-mixtral-47b", "powerinfer-2", bytes(7 * GIB));
    for (const [what, got, printed] of [["outside the FFN", parts.fixed, 1], ["predictors", parts.predictors, 2.6], ["scales", parts.scales, 2.7], ["runtime", parts.runtime, 0.3]] as const) {
      console.log(`${what}: printed ${printed} GiB, got ${(got / GIB).toFixed(3)}, deviation ${((got / GIB / printed - 1) * 100).toFixed(1)} %`);
      expect(Math.abs(got / GIB / printed - 1)).toBeLessThan(0.06);
    }
  });
  it("fill a share of the FFN exactly: half offloaded leaves room for the other half", () => {
    const parts = fit("turbosparse-mixtral-47b", "powerinfer-2", { _tag: "OffloadFfn", share: 0.5 });
    expect(parts.ffn / parts.ffnAll).toBeCloseTo(0.5, 12);
    expect(fit("bamboo-7b", "powerinfer-2", { _tag: "All" }).all).toBe(true);
  });
  it("hold scales apart only where the system keeps them resident", () => {
    expect(fit("bamboo-7b", "llm-in-a-flash", bytes(3 * GIB)).scales).toBe(0);
    const small = modelNamed("bamboo-7b");
    const dims = sizesOf(small);
    expect(cachedNeuronBytes(small, systemNamed("powerinfer-2").mechanisms)).toBe(3 * dims.rowBytes);
    expect(cachedNeuronBytes(small, systemNamed("llama.cpp").mechanisms)).toBe(dims.neuronBytes);
  });
});

describe("a budget one byte short", () => {
  it("is refused with what it would take; at that size it fits", () => {
    const least = (() => {
      const parts = fit("bamboo-7b", "powerinfer-2", bytes(3 * GIB));
      return parts.fixed + parts.predictors + parts.scales + parts.kv + parts.runtime;
    })();
    expect(E.isRight(fitted("bamboo-7b", "powerinfer-2", bytes(Math.ceil(least))))).toBe(true);
    const short = fitted("bamboo-7b", "powerinfer-2", bytes(Math.ceil(least) - 1));
    expect(short).toMatchObject({ left: { _tag: "DoesNotFit", needed: least, hint: expect.stringContaining(`the smallest budget that would work is ${Math.ceil(least / 1e6)}MB, for what lies outside the FFN`) as string } });
    // What it names works as it is typed.
    expect(E.isRight(fitted("bamboo-7b", "powerinfer-2", bytes(1e6 * Math.ceil(least / 1e6))))).toBe(true);
    expect(fitted("bamboo-7b", "llama.cpp", bytes(1e6))).toMatchObject({ left: { hint: expect.stringContaining("for what cannot be paged") as string } });
  });
  it("is refused to a system that cannot offload, and what the phone does not give to any", () => {
    expect(fitted("bamboo-7b", "mlc-llm", bytes(3 * GIB))).toMatchObject({ left: { _tag: "DoesNotFit" } });
    expect(E.isRight(fitted("bamboo-7b", "powerinfer-2", bytes(device.dram.usable.value)))).toBe(true);
    expect(fitted("bamboo-7b", "powerinfer-2", bytes(device.dram.usable.value + 1))).toMatchObject({ left: { _tag: "DoesNotFit", allowed: device.dram.usable.value } });
  });
});
