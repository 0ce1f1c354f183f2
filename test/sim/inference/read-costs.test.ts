/** What a missing neuron costs on flash, worked by hand from the profile's curve. */
import { describe, expect, it } from "vitest";
import { sizesOf } from "../../../sim/domain/model.js";
import type { Plan } from "../../../sim/domain/plan.js";
import type { Mechanisms } from "../../../sim/domain/system.js";
import { coreRatio, randomReadNs } from "../../../sim/hardware/flash.js";
import { readCosts, slotBytes } from "../../../sim/inference/read-costs.js";
import { deviceNamed, modelNamed, run } from "../../arb/runs.js";

const device = deviceNamed("oneplus-12");
const model = modelNamed("bamboo-7b");
const planWith = (mechanisms: Partial<Mechanisms>): Plan => {
  const { plan } = run({ model, gib: 3, tokens: 1, fidelity: "analytic" });
  return { ...plan, mechanisms: { ...plan.mechanisms, ...mechanisms } };
};
const read = (pages: number, rangeBytes: number, submitters: number, ratio: number): number => randomReadNs(device.flash, { blockBytes: pages * 4096, rangeBytes, coreRatio: ratio, submitters });

describe("reads of one missing neuron", () => {
  it("in two phases: one page for the gate, one for up and down at the second phase's ratio", () => {
    const plan = planWith({});
    const costs = readCosts(device, model, plan);
    const range = 8192 * model.ffn;
    const ratio = coreRatio(device, "big");
    expect([costs.firstBytes, costs.secondBytes, slotBytes(model, plan)]).toEqual([4096, 4096, 8192]);
    expect(costs.firstNs).toBeCloseTo(read(1, range, 1, ratio), 9);
    expect(costs.secondNs).toBeCloseTo(read(1, range, 1, ratio) * device.flash.secondPhaseRatio.value, 9);
  });

  it("range over one expert's neurons of one layer, not over the file: for the 47B as for the 7B", () => {
    const plan = planWith({});
    const mixtral = modelNamed("turbosparse-mixtral-47b");
    expect(readCosts(device, mixtral, plan).firstNs).toBe(readCosts(device, model, plan).firstNs);
    expect(readCosts(device, { ...model, ffn: 8 * model.ffn }, plan).firstNs).toBeGreaterThan(1.1 * readCosts(device, model, plan).firstNs);
    expect(readCosts(device, { ...model, layers: 2 * model.layers }, plan).firstNs).toBe(readCosts(device, model, plan).firstNs);
  });

  it("by rows: three rows, each touching one page or, where it lies across a border, two", () => {
    const plan = planWith({ loading: "rows", scalesResident: "no", submitters: "io-thread" });
    const row = sizesOf(model).rowBytesWithScales;
    const across = (row - 1) / 4096;
    const range = 3 * row * model.ffn;
    const ratio = coreRatio(device, "big");
    const costs = readCosts(device, model, plan);
    expect(across).toBeGreaterThan(0.5);
    expect(costs.firstBytes).toBeCloseTo(3 * 4096 * (1 + across), 6);
    expect(costs.firstNs).toBeCloseTo(3 * ((1 - across) * read(1, range, 1, ratio) + across * read(2, range, 1, ratio)), 6);
  });
});

describe("pipeline depth", () => {
  it("lets exactly so many flash-backed clusters lie between their first and last stage", () => {
    for (const depth of [1, 2, 3]) {
      const { plan } = run({ model, gib: 3, tokens: 1, fidelity: "analytic" });
      const record = run({ model, gib: 3, tokens: 1, trace: true, plan: { ...plan, cluster: { neurons: 512 }, pipeline: { depth }, cache: { ...plan.cache, runtime: plan.cache.runtime } } });
      // A cluster's reads are its gate read and its up+down read: between the two it is in flight. Count gate reads begun
      // before a cluster's own up+down read has ended: with depth d there are never more than d open clusters.
      const layer = record.spans.filter((span) => span.layer === 0 && span.lane === "flash");
      let open = 0;
      let most = 0;
      for (const span of [...layer].sort((a, b) => a.startNs - b.startNs)) {
        if (span.what === "read gate") most = Math.max(most, ++open);
        if (span.what === "read up+down") open--;
      }
      expect([depth, most]).toEqual([depth, depth]);
    }
  });
});
