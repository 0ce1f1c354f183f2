/** What batches of reads take, against what a probe of a real disk timed at each number of reads under way. */
import { describe, expect, it } from "vitest";
import { estimated, BAMBOO_POINTS, testModel } from "../../../arb/neurons.js";
import { run, systemNamed } from "../../../arb/runs.js";
import { loadDevice } from "../../../data/profiles.js";
import type { ModelSpec } from "../../../../sim/domain/model.js";
import type { Plan } from "../../../../sim/domain/plan.js";
import { gatedCosts, type GatedCosts } from "../../../../sim/inference/gated/costs.js";
import { layerRates } from "../../../../sim/inference/layer-rates.js";

const device = loadDevice("results/host/profile.json");
const system = systemNamed("neuronlab");
const model: ModelSpec = {
  ...testModel({ layers: 4, ffn: 4096, overlap: 0.2, variation: 0.1, activeShare: 0.1, points: BAMBOO_POINTS }), hidden: 2048, heads: 16, kvHeads: 4, activation: "ReLU",
  packing: { group: 1, gateRow: estimated(2304), upRow: estimated(2304), downRow: estimated(4096) },
};
const request = { device: device.name, model: model.name, system: system.name, memory: { _tag: "OffloadFfn", share: 0.5 }, phase: "decode", prompt: 8, tokens: 4, batch: 1, seed: 1, fidelity: "cluster" } as const;
const { plan } = run({ device, model, system, memory: request.memory, prompt: 8, tokens: 4 });

const costsWith = (io: Partial<Plan["io"]>, pipeline: Partial<Plan["pipeline"]> = {}): GatedCosts => {
  const changed: Plan = { ...plan, io: { ...plan.io, ...io }, pipeline: { ...plan.pipeline, ...pipeline } };
  return gatedCosts(device, model, system, changed, layerRates(device, model, system, changed, request));
};

const timed = device.measurements!.reads.filter((row) => row.backend === "io_uring" && row.direct && row.pattern === "random" && row.block === 4096 && row.range === 4 * 2 ** 30 && row.core === 0);

describe("a batch of reads", () => {
  const costs = costsWith({ lanes: 64 });
  const wakeNs = costs.flightNs(64, 64 * 4096);

  it("takes as long as a read that has so many beside it was timed to take", () => {
    const compared = timed.filter((row) => row.inFlight <= 32);
    expect(compared.length).toBeGreaterThanOrEqual(5);
    for (const { inFlight, latency } of compared) {
      const ns = costs.deviceNs(inFlight, inFlight * 4096) + costs.flightNs(inFlight, inFlight * 4096) - wakeNs;
      expect(Math.abs(ns / latency - 1), `${inFlight} at a time: ${ns} ns, timed ${latency}`).toBeLessThan(0.25);
    }
  });

  it("is served at the rate that was timed where no more can be under way, whatever the ring has room for", () => {
    for (const { inFlight, rate } of timed.filter((row) => row.inFlight <= 64)) {
      const each = costs.deviceNs(inFlight, inFlight * 4096, inFlight) / inFlight;
      expect(Math.abs((each * rate) / 4096 - 1), `${inFlight} at a time: ${each} ns`).toBeLessThan(0.25);
    }
  });

  it("takes as long alone whatever could be under way beside it, and a short ring is never faster than a long one", () => {
    for (const reads of [1, 3, 8]) {
      const total = (window: number): number => costs.deviceNs(reads, reads * 4096, window) + costs.flightNs(reads, reads * 4096, window);
      for (const window of [reads, 2 * reads, 16, 64, Infinity]) expect(total(window) / total(reads), `${reads} of ${window}`).toBeCloseTo(1, 9);
    }
    for (const [few, many] of [[1, 4], [4, 16], [16, 64]] as const) expect(costsWith({ lanes: few }).deviceNs(100, 100 * 4096)).toBeGreaterThan(costsWith({ lanes: many }).deviceNs(100, 100 * 4096));
  });

  it("keeps the flash at work for longer where a pipeline lets few reads through", () => {
    const flashNs = (depth: number): number => {
      const { lanes, bytesReadPerToken } = run({ device, model, system, memory: request.memory, prompt: 8, tokens: 4, plan: { ...plan, io: { ...plan.io, lanes: 64 }, cluster: { ...plan.cluster, neurons: 256 }, pipeline: { ...plan.pipeline, depth } } });
      expect(bytesReadPerToken).toBeGreaterThan(0);
      return lanes.find(({ lane }) => lane === "flash")!.busyNs;
    };
    expect(flashNs(1)).toBeGreaterThan(1.1 * flashNs(16));
    expect(flashNs(64)).toBeLessThanOrEqual(flashNs(16) * (1 + 1e-9));
  });

  it("holds a shallow pipeline back, and a deep one not", () => {
    const speed = (depth: number): number => run({ device, model, system, memory: request.memory, prompt: 8, tokens: 4, plan: { ...plan, pipeline: { ...plan.pipeline, depth } } }).tokensPerSec;
    expect(speed(1)).toBeLessThan(speed(2));
    expect(speed(2)).toBeLessThan(0.98 * speed(16));
    expect(speed(16)).toBeLessThanOrEqual(speed(64) * (1 + 1e-9));
  });
});
