import { describe, expect, it } from "vitest";
import { describeError } from "../../../sim/base/errors.js";
import { E } from "../../../sim/base/fp.js";
import type { Plan } from "../../../sim/domain/plan.js";
import { layerCosts } from "../../../sim/planner/layer-costs.js";
import { paperPlan, type PaperPlanner } from "../../../sim/planner/paper-planners.js";
import { askOf } from "../../../sim/planner/trials.js";
import { cellOf, simulated } from "../../arb/tuning.js";

const planOf = (planner: PaperPlanner, cell: Parameters<typeof paperPlan>[1]): Plan => {
  const plan = paperPlan(planner, cell);
  if (E.isLeft(plan)) throw new Error(describeError(plan.left));
  return plan.right;
};
const BOTH = ["powerinfer-2-v1", "powerinfer-2"] as const;

describe("the planners of the paper", () => {
  it.each(BOTH)("%s: its plan runs, on every device and at every budget that the model has room in", (planner) => {
    for (const cell of [cellOf("oneplus-12", "turbosparse-mixtral-47b", 13), cellOf("oneplus-ace-2", "bamboo-7b", 2.5), cellOf("oneplus-15r", "bamboo-7b", 3), cellOf("orange-pi-5", "bamboo-7b", 3), cellOf("oneplus-13", "bamboo-7b", 8)]) {
      const ran = simulated(askOf(cell, planOf(planner, cell), "cluster", 4));
      expect(E.isRight(ran) ? [] : describeError(ran.left), cell.device.name).toEqual([]);
    }
  });

  it("v1 decodes on the CPU alone, and its reads keep up with its compute where any team's do", () => {
    const cell = cellOf("oneplus-12", "bamboo-7b", 4.1);
    const plan = planOf("powerinfer-2-v1", cell);
    expect([plan.compute.attentionOn, plan.compute.npuRows]).toEqual(["cpu", [{ batch: 1, share: 0 }]]);
    expect(plan.note).toContain("reads keep up");
    expect(planOf("powerinfer-2-v1", cellOf("oneplus-12", "bamboo-7b", 2.2)).note).toContain("reads keep up in no assignment");
  });

  it("v1 leaves no faster team unused: more threads compute faster, and it takes as many as a reader leaves", () => {
    const cell = cellOf("oneplus-12", "bamboo-7b", 4.1);
    const { threads } = planOf("powerinfer-2-v1", cell).compute;
    const costs = layerCosts(cell, 1);
    const computeNs = (big: number, mid: number): number => costs.attentionNs({ big, mid, little: 0 }, "cpu") + costs.cpuNs({ big, mid, little: 0 }, 0);
    for (let mid = 0; mid < threads.mid; mid++) expect(computeNs(threads.big, mid)).toBeGreaterThan(computeNs(threads.big, threads.mid));
  });

  it("v3 gives the NPU more rows the larger the batch, never more than are resident or arrive under attention", () => {
    const cell = cellOf("oneplus-12", "turbosparse-mixtral-47b", 16);
    const { compute, cache } = planOf("powerinfer-2", cell);
    const rows = compute.npuRows;
    expect(rows.map((r) => r.batch)).toEqual([1, 2, 3, 4]);
    for (let i = 1; i < rows.length; i++) expect(rows[i]!.share).toBeGreaterThanOrEqual(rows[i - 1]!.share);
    const ffn = 3_670_016 * 3 * 2048;
    for (const row of rows) expect(row.share).toBeLessThanOrEqual(cache.hot / ffn + 1e-9);
    // With one expert the stream under attention adds to what is resident.
    const single = planOf("powerinfer-2", cellOf("oneplus-12", "bamboo-7b", 2.2));
    expect(single.compute.npuRows[0]!.share).toBeGreaterThan(single.cache.hot / (458_752 * 3 * 2048));
  });

  it("v3 without an NPU plans for the CPU", () => {
    const plan = planOf("powerinfer-2", cellOf("oneplus-15r", "bamboo-7b", 3));
    expect([plan.compute.attentionOn, plan.compute.npuRows.every((r) => r.share === 0)]).toEqual(["cpu", true]);
  });
});
