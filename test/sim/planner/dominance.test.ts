import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { E } from "../../../sim/base/fp.js";
import { planAt } from "../../../sim/planner/candidates.js";
import { settledAxes } from "../../../sim/planner/dominance.js";
import { objectiveOf, type ObjectiveName } from "../../../sim/planner/objectives.js";
import { AXES, choiceAt, moved, spaceOf, type Point } from "../../../sim/planner/space.js";
import { askOf } from "../../../sim/planner/trials.js";
import { cellOf, simulated } from "../../arb/tuning.js";

// Whole searches: seconds on a machine of its own, more beside others.
vi.setConfig({ testTimeout: 240_000 });

const CELLS = [cellOf("oneplus-12", "bamboo-7b", 2.5), cellOf("oneplus-ace-2", "turbosparse-mixtral-47b", 9), cellOf("raspberry-pi-5", "bamboo-7b", 3)];

describe("axes that need no search", () => {
  it("no other value of a settled axis gives a faster run, whatever the rest of the plan is", () => {
    for (const cell of CELLS) {
      const space = spaceOf(cell.device, cell.model, cell.system);
      const settled = settledAxes(cell.device, space, "tokens/s");
      const arbPoint = fc.record(Object.fromEntries(AXES.map((axis) => [axis, fc.nat(space[axis].length - 1)]))) as unknown as fc.Arbitrary<Point>;
      expect(settled.map((s) => s.axis)).toEqual(["lanes", "streamBlock", "keep"]);
      fc.assert(fc.property(arbPoint, fc.constantFrom(...settled), (point, { axis, index }) => {
        const speedAt = (p: Point): number => {
          const plan = planAt(cell, choiceAt(space, p));
          if (E.isLeft(plan)) return NaN;
          const ran = simulated(askOf(cell, plan.right, "analytic", 8));
          return E.isRight(ran) ? ran.right.tokensPerSec : NaN;
        };
        const [asSettled, other] = [speedAt(moved(point, axis, index)), speedAt(point)];
        if (Number.isNaN(other)) return;
        // Sizes are whole bytes: a cache may be a byte smaller.
        expect(asSettled).toBeGreaterThanOrEqual(other * (1 - 2e-3));
      }), { numRuns: 24 });
    }
  });
});

describe("what a plan's score can at most be", () => {
  it.each(["tokens/s", "p99", "J/token", "memory"] as const)("%s: no run is above it", (name: ObjectiveName) => {
    const { score, most } = objectiveOf(name, 3);
    for (const cell of CELLS) {
      const space = spaceOf(cell.device, cell.model, cell.system);
      const arbPoint = fc.record(Object.fromEntries(AXES.map((axis) => [axis, fc.nat(space[axis].length - 1)]))) as unknown as fc.Arbitrary<Point>;
      fc.assert(fc.property(arbPoint, (point) => {
        const plan = planAt(cell, choiceAt(space, { ...point, clusterNeurons: Math.max(point.clusterNeurons, 2) }));
        if (E.isLeft(plan)) return;
        const ran = simulated(askOf(cell, plan.right, "cluster", 3));
        if (E.isRight(ran)) expect(score(ran.right)).toBeLessThanOrEqual(most(ran.right) * (1 + 1e-9));
      }), { numRuns: 8 });
    }
  });
});
