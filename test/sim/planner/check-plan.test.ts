import { describe, expect, it } from "vitest";
import { describeError, exitCode } from "../../../sim/base/errors.js";
import { E } from "../../../sim/base/fp.js";
import type { Plan } from "../../../sim/domain/plan.js";
import type { RunRequest } from "../../../sim/domain/run.js";
import { checkPlan } from "../../../sim/planner/check-plan.js";
import { defaultPlan } from "../../../sim/planner/default-plan.js";
import { deviceNamed, GIB, modelNamed, SYSTEMS, systemNamed } from "../../arb/runs.js";

const device = deviceNamed("oneplus-12");
const model = modelNamed("bamboo-7b");
const requestOf = (system: string, memory: RunRequest["memory"] = { _tag: "Bytes", bytes: 3 * GIB }): RunRequest => ({ device: device.name, model: model.name, system, memory, phase: "decode", prompt: 128, tokens: 16, batch: 1, seed: 1, fidelity: "cluster" });
const request = requestOf("powerinfer-2");
const planFor = (asked: RunRequest): Plan => {
  const plan = defaultPlan(device, model, systemNamed(asked.system), asked);
  if (E.isLeft(plan)) throw new Error(describeError(plan.left));
  return plan.right;
};
const own = planFor(request);
const cache = (changes: Partial<Plan["cache"]>): Plan => ({ ...own, cache: { ...own.cache, ...changes } });
const compute = (changes: Partial<Plan["compute"]>): Plan => ({ ...own, compute: { ...own.compute, ...changes } });

/** Exit code and what the user reads. */
const told = (plan: Plan, asked: RunRequest = request, phone = device, of = model): readonly [number, string] => {
  const checked = checkPlan(phone, of, systemNamed(asked.system), asked, plan);
  return E.isLeft(checked) ? [exitCode(checked.left), describeError(checked.left)] : [0, "(accepted)"];
};
const one = (text: string): readonly [number, string] => [2, `plan: 1 mistake\n  ${text}`];

describe("a plan given by hand", () => {
  it.each(SYSTEMS)("may be the default plan of %s", (system) => {
    for (const memory of [{ _tag: "All" }, { _tag: "Bytes", bytes: 5 * GIB }] as const) {
      const asked = requestOf(system, memory);
      const plan = defaultPlan(device, model, systemNamed(system), asked);
      if (E.isRight(plan)) expect(told(plan.right, asked)).toEqual([0, "(accepted)"]);
    }
  });

  it("is refused with all of its mistakes at once", () => {
    const plan: Plan = { ...own, device: "oneplus-13", system: "qnn", compute: { ...own.compute, threads: { big: 0, mid: 9, little: 0 }, npuRows: [{ batch: 2, share: 0.5 }, { batch: 2, share: 0.7 }] }, io: { ...own.io, streamBlock: 512 } };
    expect(told(plan)).toEqual([2, `plan: 6 mistakes
  plan.device: is for oneplus-13, the run is on oneplus-12
  plan.system: is for qnn, the run is with powerinfer-2
  plan.compute.threads.mid: is 9, and ${device.title} has 5 mid cores
  plan.compute.npuRows[0].batch: should be 1, got 2
  plan.compute.npuRows[1].batch: should be above 2, the one before it, got 2
  plan.io.streamBlock: should be at least 4096B, one page of flash, got 512B`]);
  });

  it("is for the model of the run", () => {
    expect(told({ ...own, model: "qwen2-7b" })).toEqual(one("plan.model: is for qwen2-7b, the run is of bamboo-7b"));
  });

  it("has a thread for the CPU's work, and a core for its reads", () => {
    expect(told(compute({ threads: { big: 0, mid: 0, little: 0 } }))).toEqual(one("plan.compute.threads: are all 0, and decode runs on cpu+npu; give it at least one"));
    expect(told(compute({ threads: { big: 1, mid: 4, little: 0 }, ioCore: "big" }))).toEqual(one(`plan.compute.ioCore: is big, and no such core is left beside 1 compute thread: ${device.title} has 1 big core; take one thread away, or read on another kind`));
    const noBig = { ...device, cpu: { ...device.cpu, clusters: device.cpu.clusters.filter((c) => c.kind !== "big") } };
    expect(told(compute({ ioCore: "big" }), request, noBig)).toEqual(one(`plan.compute.ioCore: is big, and ${device.title} has 0 big cores; choose one of mid, little, none`));
  });

  it("keeps no more of the FFN than there is; a mapped file no more than the file", () => {
    expect(told(cache({ hot: 9e9, cold: 1e9 }))[1]).toMatch(/^plan: 1 mistake\n {2}plan\.cache: hot and cold are 10\.00GB together, and all FFN weights take only \d\.\d\dGB$/);
    const asked = requestOf("llama.cpp", { _tag: "Bytes", bytes: 5 * GIB });
    const mapped = planFor(asked);
    expect(told({ ...mapped, cache: { ...mapped.cache, cold: 9e9 } }, asked)[1]).toMatch(/^plan: 1 mistake\n {2}plan\.cache: hot and cold are 9\.00GB together, and the whole file takes only \d\.\d\dGB$/);
  });

  it("has parts that fit in its memory, and memory that the phone gives", () => {
    const over = told(cache({ runtime: own.cache.runtime + 1e9 }));
    expect([over[0], over[1].split("\n")[0]]).toEqual([3, "does not fit: needs 4.22GB, allowed 3.22GB; the plan's parts take more than its memory; largest first:"]);
    const large = told({ ...own, memory: 23e9 });
    expect([large[0], large[1].split("\n")[0]]).toEqual([3, `does not fit: needs 23.00GB, allowed ${(device.dram.usable.value / 1e9).toFixed(2)}GB; ${device.title} gives one app no more than that; parts of the request, largest first:`]);
  });

  it("holds what the model and the request need, each part by name", () => {
    expect(told(cache({ kv: 1e6, runtime: 1e8 }))).toEqual([3, `does not fit: needs 0.34GB, allowed 0.10GB; too small in the plan: cache.kv (1.0MB, needs 18.9MB), cache.runtime (100.0MB, needs 322.1MB); what they need, largest first:
     0.32GB  cache.runtime
     0.02GB  cache.kv`]);
    expect(told(own, { ...request, tokens: 4096 })[1]).toMatch(/too small in the plan: cache\.kv /);
  });

  it("needs the units and predictors that it computes with", () => {
    expect(told(own, request, { ...device, npu: null })).toEqual([3, `powerinfer-2 on oneplus-12: ${systemNamed("powerinfer-2").title} needs an NPU; ${device.title} has none`]);
    expect(told(compute({ attentionOn: "gpu" }), request, { ...device, gpu: null })).toEqual([3, `powerinfer-2 on oneplus-12: ${systemNamed("powerinfer-2").title} needs a GPU; ${device.title} has none`]);
    expect(told(own, request, device, { ...model, predictorParameters: null })).toEqual([3, `powerinfer-2 with bamboo-7b: ${model.title} has no predictors, so its neurons cannot be selected; use a dense system or a sparse model`]);
  });
});
