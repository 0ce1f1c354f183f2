/** What threads do under one lock, and what waking one takes, on a device that was probed. */
import { describe, expect, it } from "vitest";
import { estimated, BAMBOO_POINTS, testModel } from "../../../arb/neurons.js";
import { run, systemNamed } from "../../../arb/runs.js";
import { loadDevice } from "../../../data/profiles.js";
import type { DeviceProfile } from "../../../../sim/domain/device.js";
import type { CostRow } from "../../../../sim/domain/measurements.js";
import type { ModelSpec } from "../../../../sim/domain/model.js";
import type { SystemSpec } from "../../../../sim/domain/system.js";

const probed = loadDevice("results/host/profile.json");
const system = systemNamed("neuronlab");
const LAYERS = 4;
const model: ModelSpec = {
  ...testModel({ layers: LAYERS, ffn: 4096, overlap: 0.2, variation: 0.1, activeShare: 0.1, points: BAMBOO_POINTS }), hidden: 2048, heads: 16, kvHeads: 4, activation: "ReLU",
  packing: { group: 1, gateRow: estimated(2304), upRow: estimated(2304), downRow: estimated(4096) },
};

/** The same device with another time of one cost. */
const withCost = (cost: CostRow["cost"], time: number): DeviceProfile => ({
  ...probed,
  measurements: { ...probed.measurements!, costs: probed.measurements!.costs.map((row) => (row.cost === cost ? { ...row, time } : row)) },
});

/** The same system whose threads sleep as soon as they have nothing to do. */
const sleeping: SystemSpec = { ...system, software: { ...system.software, fixedCost: { ...system.software.fixedCost!, spin: null } } };

/** A token in ms, with everything in memory, and the neurons that it looks up. */
const token = (device: DeviceProfile, of: SystemSpec = system): { readonly ms: number; readonly lookUps: number } => {
  const { msPerToken, tokens } = run({ device, model, system: of, memory: { _tag: "All" }, prompt: 8, tokens: 4 });
  return { ms: msPerToken.mean, lookUps: tokens.reduce((sum, { lookups }) => sum + lookups, 0) / tokens.length };
};

describe("two threads", () => {
  it("look neurons up one after the other, not side by side", () => {
    const [none, long] = [token(withCost("hit", 0)), token(withCost("hit", 50e3))];
    expect(none.lookUps).toBeGreaterThan(100);
    const each = ((long.ms - none.ms) * 1e6) / long.lookUps;
    expect(each / 50e3).toBeGreaterThan(0.9);
    expect(each / 50e3).toBeLessThan(1.05);
  });

  it("that sleep at once are woken once a layer, while the other does alone what is to be done", () => {
    const wakeNs = 2e6;
    const [awake, asleep] = [token(withCost("dispatch-parked", 0), sleeping), token(withCost("dispatch-parked", wakeNs), sleeping)];
    const waking = (LAYERS * wakeNs) / 1e6;
    expect(asleep.ms).toBeGreaterThan(waking + 0.5 * awake.ms);
    expect(asleep.ms).toBeLessThan(waking + 1.5 * awake.ms);
  });

  it("that spin pay for no waking while there is nothing to read", () => {
    const [awake, waking] = [token(withCost("dispatch-parked", 0)), token(withCost("dispatch-parked", 2e6))];
    expect(waking.ms).toBe(awake.ms);
  });

  it("that spin pay once a layer where there is", () => {
    const wakeNs = 2e6;
    const of = (time: number): number => run({ device: withCost("dispatch-parked", time), model, system, memory: { _tag: "OffloadFfn", share: 0.7 }, prompt: 8, tokens: 4 }).msPerToken.mean;
    expect(of(wakeNs) - of(0)).toBeGreaterThan((LAYERS * wakeNs) / 1e6);
  });
});
