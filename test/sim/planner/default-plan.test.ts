import { describe, expect, it } from "vitest";
import { describeError } from "../../../sim/base/errors.js";
import { E } from "../../../sim/base/fp.js";
import { npuShareAt, residentBytes, type Plan } from "../../../sim/domain/plan.js";
import type { RunRequest } from "../../../sim/domain/run.js";
import { bestHotFraction, defaultPlan, pipelineBytes } from "../../../sim/planner/default-plan.js";
import { cachedNeuronBytes } from "../../../sim/planner/fit.js";
import { deviceNamed, GIB, modelNamed, run, SYSTEMS, systemNamed, withLocality, type Asked } from "../../arb/runs.js";

const device = deviceNamed("oneplus-12");
const planFor = (system: string, gib: number | null, model = modelNamed("bamboo-7b"), phone = device): Plan => {
  const request: RunRequest = { device: phone.name, model: model.name, system, memory: gib === null ? { _tag: "All" } : { _tag: "Bytes", bytes: gib * GIB }, phase: "decode", prompt: 64, tokens: 8, batch: 1, seed: 1, fidelity: "cluster" };
  const plan = defaultPlan(phone, model, systemNamed(system), request);
  if (E.isLeft(plan)) throw new Error(describeError(plan.left));
  return plan.right;
};

describe("the default plan", () => {
  it("never holds more than its memory", () => {
    for (const system of SYSTEMS)
      for (const gib of [3, 3.7, 4.6, 6]) {
        if (system === "mlc-llm" && gib < 5) continue;
        const plan = planFor(system, gib);
        expect(residentBytes(plan), `${system}, ${gib} GiB`).toBeLessThanOrEqual(plan.memory * (1 + 1e-9));
      }
  });

  it("sets the buffers of its clusters in flight aside, where clusters are in flight", () => {
    const plan = planFor("powerinfer-2", 3);
    const buffers = pipelineBytes(modelNamed("bamboo-7b"), plan.mechanisms, plan.cluster.neurons, plan.pipeline.depth);
    expect(plan.cache.runtime - systemNamed("powerinfer-2").software.runtimeBytes.value).toBeCloseTo(buffers, 3);
    expect(planFor("llm-in-a-flash", 3).cache.runtime).toBe(systemNamed("llm-in-a-flash").software.runtimeBytes.value);
    expect(planFor("powerinfer-2", null).cache.runtime).toBe(systemNamed("powerinfer-2").software.runtimeBytes.value);
    expect(pipelineBytes(modelNamed("bamboo-7b"), plan.mechanisms, 512, 8) * 2).toBeCloseTo(buffers * (1024 / plan.cluster.neurons) * (8 / plan.pipeline.depth), 3);
  });

  it("keeps 16 clusters in flight: with eight, v1 at 19 GiB waits for its flash", () => {
    const asked: Asked = { system: "powerinfer-2-v1", model: modelNamed("turbosparse-mixtral-47b"), gib: 19, prompt: 64, tokens: 4 };
    const own = run(asked);
    expect(own.plan.pipeline.depth).toBe(16);
    expect(planFor("powerinfer-2", 3).pipeline.depth).toBe(16);
    const shallow = run({ ...asked, plan: { ...own.plan, pipeline: { depth: 8 } } });
    expect(shallow.wallNs).toBeGreaterThan(1.05 * own.wallNs);
  });

  it("keeps fewer clusters in flight of a model so small that they would leave no room for a cache", () => {
    const small = modelNamed("novels/novels-mixture");
    const room = (gib: number): { readonly buffers: number; readonly cache: number; readonly depth: number } => {
      const { cache, pipeline } = planFor("powerinfer-2", gib, small);
      return { buffers: cache.runtime - systemNamed("powerinfer-2").software.runtimeBytes.value, cache: cache.hot + cache.cold, depth: pipeline.depth };
    };
    const outside = 326.8e6 / GIB;
    for (const megabytes of [3, 4, 5]) {
      const { buffers, cache, depth } = room(outside + (megabytes * 1e6) / GIB);
      expect(depth, `${megabytes} MB`).toBeGreaterThanOrEqual(2);
      expect(depth, `${megabytes} MB`).toBeLessThan(16);
      expect(buffers).toBeLessThanOrEqual(cache * (1 + 1e-9));
      // Twice as many would not leave half.
      expect(3 * buffers).toBeGreaterThan(cache);
    }
  });

  it("reads on the best core and computes on others; in memory every fast core computes", () => {
    const reading = planFor("powerinfer-2", 3).compute;
    expect(reading.ioCore).toBe("big");
    expect(reading.threads.big).toBe(device.cpu.clusters.find((c) => c.kind === "big")!.count.value - 1);
    expect(planFor("powerinfer-2", null).compute.ioCore).toBe("none");
    expect(planFor("llm-in-a-flash", 3).compute.ioCore).toBe("none");
  });

  it("puts half of the rows on the NPU at batch 1 and more at larger batches, and none without it", () => {
    const plan = planFor("powerinfer-2", 3);
    expect([1, 2, 3, 8].map((batch) => npuShareAt(plan, batch))).toEqual([0.5, 0.5, 0.7, 0.7]);
    expect(npuShareAt(planFor("powerinfer-2-cpu-only", 3), 1)).toBe(0);
  });

  it("keeps what its cache's mechanism keeps: everything hot for a fixed choice, everything cold for an LRU, nothing for none", () => {
    expect(planFor("powerinfer", 3).cache).toMatchObject({ cold: 0 });
    expect(planFor("llm-in-a-flash", 3).cache).toMatchObject({ hot: 0 });
    expect(planFor("qnn", 3).cache).toMatchObject({ hot: 0, cold: 0 });
    const model = modelNamed("bamboo-7b");
    const all = planFor("powerinfer-2", null, model);
    expect(all.cache.hot).toBeCloseTo(32 * model.ffn * cachedNeuronBytes(model, all.mechanisms), 3);
  });
});

describe("the split of the cache", () => {
  it("pins everything where tokens are independent, and less the more consecutive tokens share", () => {
    const model = modelNamed("turbosparse-mixtral-47b");
    const fractions = [0, 0.2, 0.5].map((overlap) => bestHotFraction(withLocality(model, overlap), 0.35));
    expect(fractions[0]).toBe(1);
    expect(fractions).toEqual([...fractions].sort((a, b) => b - a));
    expect(fractions[2]).toBeLessThan(1);
  });

  it("is the best of the splits that a sweep tries, by expected misses", () => {
    const asked: Asked = { model: withLocality(modelNamed("turbosparse-mixtral-47b"), 0.2), gib: 13, fidelity: "analytic", mechanisms: { prefetchHot: "off" } };
    const own = run(asked);
    const bytes = own.plan.cache.hot + own.plan.cache.cold;
    const misses = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1].map((hot) => run({ ...asked, plan: { ...own.plan, cache: { ...own.plan.cache, hot: bytes * hot, cold: bytes * (1 - hot) } } }).bytesReadPerToken);
    // The planner looks at a sample of layers, each with room of its own; the run at all, with one room.
    expect(own.bytesReadPerToken).toBeLessThanOrEqual(Math.min(...misses) * 1.1);
  });
});
