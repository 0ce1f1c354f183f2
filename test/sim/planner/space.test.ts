import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { describeError } from "../../../sim/base/errors.js";
import { E } from "../../../sim/base/fp.js";
import { decode } from "../../../sim/base/decode.js";
import { encodePlan, planCodec, residentBytes } from "../../../sim/domain/plan.js";
import { choiceOf, planAt } from "../../../sim/planner/candidates.js";
import { AXES, choiceAt, everyPoint, hasCores, nearestPoint, sizeOf, spaceOf, type Point, type Space } from "../../../sim/planner/space.js";
import { askOf } from "../../../sim/planner/trials.js";
import { cellOf, defaultIn, simulated } from "../../arb/tuning.js";

const CELLS = [cellOf("oneplus-12", "bamboo-7b", 3), cellOf("oneplus-15r", "turbosparse-mixtral-47b", 9), cellOf("orange-pi-5", "prosparse-llama-2-7b", 3), cellOf("oneplus-13", "bamboo-7b", 8)];
const spaceIn = ({ device, model, system }: (typeof CELLS)[number]): Space => spaceOf(device, model, system);
const pointIn = (space: Space): fc.Arbitrary<Point> => fc.record(Object.fromEntries(AXES.map((axis) => [axis, fc.nat(space[axis].length - 1)]))) as unknown as fc.Arbitrary<Point>;
const small = (space: Space): Space => ({ ...Object.fromEntries(AXES.map((axis) => [axis, space[axis].slice(0, 1)])), driver: space.driver, mid: space.mid, little: space.little, depth: space.depth } as unknown as Space);

describe("the space of plans", () => {
  it.each(CELLS)("is as large as its points with cores for them are many", (cell) => {
    const space = small(spaceIn(cell));
    const points = [...everyPoint(space)];
    expect(new Set(points.map((point) => JSON.stringify(point))).size).toBe(points.length);
    expect(points.filter((point) => hasCores(cell.device, choiceAt(space, point))).length).toBe(sizeOf(cell.device, space));
  });

  it("each point is a plan that runs as its file has it, within its memory, or a team that the device lacks", () => {
    for (const cell of CELLS) {
      const space = spaceIn(cell);
      fc.assert(fc.property(pointIn(space), (point) => {
        const choice = choiceAt(space, point);
        const plan = planAt(cell, choice);
        if (E.isLeft(plan)) {
          expect(hasCores(cell.device, choice) ? describeError(plan.left) : "no cores").toBe("no cores");
          return;
        }
        expect(residentBytes(plan.right)).toBeLessThanOrEqual(plan.right.memory + 1);
        expect(plan.right.memory).toBeLessThanOrEqual(cell.request.memory._tag === "Bytes" ? cell.request.memory.bytes : 0);
        const read = decode(planCodec, "plan")(JSON.parse(JSON.stringify(encodePlan(plan.right))));
        expect(read).toEqual(plan);
        const ran = simulated(askOf(cell, plan.right, "analytic", 8));
        if (E.isLeft(ran)) expect(describeError(ran.left)).toBe("a run");
      }), { numRuns: 40 });
    }
  });

  it("a plan's own choice leads back to the plan", () => {
    for (const cell of CELLS) {
      const space = spaceIn(cell);
      fc.assert(fc.property(pointIn({ ...space, keep: [1] }), (drawn) => {
        const point = { ...drawn, keep: space.keep.length - 1 };
        const plan = planAt(cell, choiceAt(space, point));
        if (E.isLeft(plan)) return;
        const again = planAt(cell, choiceAt(space, nearestPoint(space, choiceOf(plan.right, 1))));
        if (E.isLeft(again)) throw new Error(describeError(again.left));
        // All resident, the segments are what they are whatever the point says of them.
        expect({ ...again.right, cache: null }).toEqual({ ...plan.right, cache: null });
        expect(Math.abs(again.right.cache.hot - plan.right.cache.hot)).toBeLessThanOrEqual(1);
      }), { numRuns: 40 });
    }
  });

  it("the default plan lies near a point of it", () => {
    for (const cell of CELLS) {
      const space = spaceIn(cell);
      const plan = defaultIn(cell);
      const near = choiceAt(space, nearestPoint(space, choiceOf(plan, 1)));
      expect([near.driver.ioCore, near.mid, near.clusterNeurons, near.depth, near.overlap, near.layout]).toEqual([plan.compute.ioCore, plan.compute.threads.mid, plan.cluster.neurons, plan.pipeline.depth, plan.mechanisms.overlap, { loading: plan.mechanisms.loading, scalesResident: plan.mechanisms.scalesResident }]);
    }
  });
});
