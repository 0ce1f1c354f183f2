/** What reads and slots cost beside the bytes: new memory, handing over, commands. */
import { describe, expect, it } from "vitest";
import { estimated, BAMBOO_POINTS, testModel } from "../../../arb/neurons.js";
import { run, systemNamed } from "../../../arb/runs.js";
import { loadDevice } from "../../../data/profiles.js";
import type { ModelSpec } from "../../../../sim/domain/model.js";
import type { Plan } from "../../../../sim/domain/plan.js";
import type { SystemSpec } from "../../../../sim/domain/system.js";
import { gatedCosts, type GatedCosts } from "../../../../sim/inference/gated/costs.js";
import { coldSlot, cutOf, hotSlot } from "../../../../sim/inference/gated/cut.js";
import { coldSegment, hotSegment } from "../../../../sim/inference/gated/segments.js";
import { createLayerUse, createWalk } from "../../../../sim/inference/gated/walk.js";
import { layerRates } from "../../../../sim/inference/layer-rates.js";

const LAYERS = 4;
const device = loadDevice("results/host/profile.json");
const system = systemNamed("neuronlab");
const model: ModelSpec = {
  ...testModel({ layers: LAYERS, ffn: 4096, overlap: 0.2, variation: 0.1, activeShare: 0.1, points: BAMBOO_POINTS }), hidden: 2048, heads: 16, kvHeads: 4, activation: "ReLU",
  packing: { group: 1, gateRow: estimated(2304), upRow: estimated(2304), downRow: estimated(4096) },
};
const memory = { _tag: "OffloadFfn", share: 0.5 } as const;
const request = { device: device.name, model: model.name, system: system.name, memory, phase: "decode", prompt: 8, tokens: 4, batch: 1, seed: 1, fidelity: "neuron" } as const;
const { plan } = run({ device, model, system, memory, prompt: 8, tokens: 4 });
const lanes: Plan = { ...plan, mechanisms: { ...plan.mechanisms, submitters: "io-thread" }, io: { ...plan.io, lanes: 4 } };
const apart: Plan = { ...plan, io: { ...plan.io, gates: "apart" } };

const withReads = (readCost: Partial<NonNullable<SystemSpec["software"]["readCost"]>>): SystemSpec => ({ ...system, software: { ...system.software, readCost: { ...system.software.readCost!, ...readCost } } });
const costsOf = (of: SystemSpec, by: Plan = plan): GatedCosts => gatedCosts(device, model, of, by, layerRates(device, model, of, by, request));
const msOf = (of: SystemSpec, by: Plan): number => run({ device, model, system: of, memory, prompt: 8, tokens: 4, plan: by }).msPerToken.mean;

describe("slots that were never used", () => {
  it("are counted once each, whatever leaves and comes back, and not where something is found", () => {
    const cut = { ...cutOf(model, { ...plan, cluster: { ...plan.cluster, neurons: 256 } }), fixedGates: false, hotSlots: 20, coldSlots: 3000 };
    const [hot, cold] = [hotSegment(cut), coldSegment(cut, "segmented")];
    const walk = createWalk(cut, hot, cold);
    const use = createLayerUse(cut);
    /** Bytes of the two segments that a token filled for the first time, and its misses. */
    const token = (first: number, step: number): readonly [hot: number, cold: number, misses: number] => {
      let [gates, units, misses] = [0, 0, 0];
      for (let layer = 0; layer < LAYERS; layer++) {
        const fired = Int32Array.from({ length: 400 }, (_, i) => first + step * i);
        walk.gates(layer, [0], use);
        walk.fired(layer, [0], fired, fired.length, use);
        gates += use.firstFresh.reduce((sum, bytes) => sum + bytes, 0);
        units += use.secondFresh.reduce((sum, bytes) => sum + bytes, 0);
        misses += use.misses;
        walk.end(layer);
      }
      return [gates, units, misses];
    };
    const unit = coldSlot(cut);
    expect(token(0, 2)).toEqual([20 * hotSlot(cut), 1600 * unit, 1600]);
    // The same again: all found, of up and down.
    expect(token(0, 2)).toEqual([0, 0, 0]);
    // Others: room for 1,400 of them; the rest takes what others leave.
    expect(token(1, 2)).toEqual([0, 1400 * unit, 1600]);
    expect(token(800, 3)[1]).toBe(0);
    expect(token(800, 3)[0]).toBe(0);
  });

  it("cost what the system takes to give memory", () => {
    const of = (supply: number): GatedCosts => costsOf({ ...system, software: { ...system.software, memorySupply: estimated(supply) } });
    expect(of(0.5).copyNs(1000, 600) - of(2).copyNs(1000, 600)).toBeCloseTo(1200 - 300, 6);
    expect(of(0.5).copyNs(1000, 0)).toBe(of(2).copyNs(1000, 0));
  });
});

describe("a read that is handed to another thread", () => {
  it("costs the one who hands it over, and one of its own does not", () => {
    const [none, some] = [withReads({ handing: { ...system.software.readCost!.handing!, value: 0 } }), withReads({ handing: { ...system.software.readCost!.handing!, value: 1e5 } })];
    expect(msOf(some, lanes) / msOf(none, lanes)).toBeGreaterThan(1.2);
    expect(msOf(some, apart)).toBe(msOf(none, apart));
  });
});

describe("making reads of their own", () => {
  it("takes the threads' time and is none of their computing, as in the engine's spans", () => {
    const of = (ns: number) => run({ device, model, system: withReads({ own: { ...system.software.readCost!.own, value: ns } }), memory, prompt: 8, tokens: 4, plan: apart });
    const [none, some] = [of(0), of(1e5)];
    const computingMs = ({ cpuUtilisation, wallNs }: typeof none): number => (cpuUtilisation * wallNs) / 1e6;
    expect(some.wallNs / none.wallNs).toBeGreaterThan(1.2);
    expect(computingMs(some) / computingMs(none)).toBeCloseTo(1, 2);
  });
});

describe("a command", () => {
  it("costs the device the same for small reads and large ones", () => {
    const of = (ns: number): GatedCosts => costsOf(withReads({ command: { ...system.software.readCost!.command!, value: ns } }));
    for (const bytes of [4096, 131072]) expect((of(5000).deviceNs(640, 640 * bytes) - of(0).deviceNs(640, 640 * bytes)) / 640 / 5000).toBeCloseTo(1, 1);
  });
});
