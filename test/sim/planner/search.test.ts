import { describe, expect, it, vi } from "vitest";
import { E } from "../../../sim/base/fp.js";
import type { SimulatedRun } from "../../../sim/domain/run.js";
import { choiceOf, planAt, type Cell } from "../../../sim/planner/candidates.js";
import { lookAt } from "../../../sim/planner/descent.js";
import { settledAxes } from "../../../sim/planner/dominance.js";
import { objectiveOf } from "../../../sim/planner/objectives.js";
import { search, type Found } from "../../../sim/planner/search.js";
import { choiceAt, everyPoint, nearestPoint, spaceOf, type Choice, type Space } from "../../../sim/planner/space.js";
import { createTrials, searchSerially, type Run, type Searching } from "../../../sim/planner/trials.js";
import { gridOf, regretOf } from "../../../experiments/planner-regret/study.js";
import { aRecord } from "../../fakes/capabilities.js";
import { cellOf, defaultIn, simulated, SMALL } from "../../arb/tuning.js";

// Whole searches: seconds on a machine of its own, more beside others.
vi.setConfig({ testTimeout: 240_000 });

const cell = cellOf("oneplus-12", "bamboo-7b", 3);
const space = spaceOf(cell.device, cell.model, cell.system);

/** A simulator that is a table: speed falls with the distance from a plan that nobody begins near. */
const table = (of: (choice: Choice, request: Parameters<Run>[0]["request"]) => { readonly speed: number; readonly upper: number }): { readonly run: Run; readonly ran: Array<string> } => {
  const ran: Array<string> = [];
  const run: Run = ({ request }) => {
    const choice = choiceOf(request.plan!, 1);
    ran.push(`${request.fidelity} ${choice.clusterNeurons}/${choice.depth}/${choice.mid}`);
    const { speed, upper } = of(choice, request);
    const record: SimulatedRun = { ...aRecord(request), plan: request.plan!, tokensPerSec: speed, bound: { lower: 0, upper } };
    return E.right(record);
  };
  return { run, ran };
};

const found = (run: Run, within: Space = space, from: Cell = cell, reversed = false): Found | null => {
  const trials = createTrials(from, within);
  const asked = search({ trials, space: within, objective: objectiveOf("tokens/s"), settled: settledAxes(from.device, within, "tokens/s"), starts: [nearestPoint(within, choiceOf(defaultIn(from), 1))], effort: SMALL });
  return reversed ? backwards(run, asked) : searchSerially(run, asked);
};

/** A pool whose last run is done first. */
const backwards = <A>(run: Run, asked: Searching<A>): A => {
  let next = asked.next();
  while (next.done !== true) next = asked.next([...next.value].reverse().map(run).reverse());
  return next.value;
};

const hill = (choice: Choice): number =>
  10 / (1 + Math.abs(Math.log2(choice.clusterNeurons / 256)) + Math.abs(Math.log2(choice.depth / 4)) + Math.abs(choice.mid - 2) + Math.abs(choice.hot - 0.35) + (choice.attentionOn === "npu" ? 0 : 1) + (choice.overlap === "matrix" ? 0 : 1));

describe("the search", () => {
  it("climbs a hill whose top is far from where it begins, on all axes at once", () => {
    const best = choiceAt(space, found(table((c) => ({ speed: hill(c), upper: 20 })).run)!.best.point);
    expect([best.clusterNeurons, best.depth, best.mid, best.hot, best.attentionOn, best.overlap]).toEqual([256, 4, 2, 0.35, "npu", "matrix"]);
  });

  it("runs no plan whose upper bound lies under the best run, and counts those", () => {
    // Small clusters come close behind in closed form, and what bounds them says that nothing can come of it.
    const isSmall = (line: string): boolean => line.startsWith("cluster ") && Number(line.split(/[ /]/)[1]) < 1024;
    const speed = (c: Choice, fidelity: string): number => (c.clusterNeurons >= 1024 ? 5 : fidelity === "analytic" ? 4.95 : 3);
    const honest = table((c, { fidelity }) => ({ speed: speed(c, fidelity), upper: c.clusterNeurons < 1024 ? 4.96 : 9 }));
    const open = table((c, { fidelity }) => ({ speed: speed(c, fidelity), upper: 9 }));
    expect(found(honest.run)!.ruledOut).toBeGreaterThan(0);
    expect(honest.ran.filter(isSmall)).toEqual([]);
    // Without that bound they are run: it was the bound that kept them out.
    expect(found(open.run)!.ruledOut).toBe(0);
    expect(open.ran.filter(isSmall).length).toBeGreaterThan(0);
  });

  it("finds the same, run for run, in whatever order a round's runs are done", () => {
    const [one, other] = [table((c) => ({ speed: hill(c), upper: 12 })), table((c) => ({ speed: hill(c), upper: 12 }))];
    const [forwards, reversed] = [found(one.run)!, found(other.run, space, cell, true)!];
    expect(reversed.best.plan).toEqual(forwards.best.plan);
    expect([...other.ran].sort()).toEqual([...one.ran].sort());
  });

  it("asks for no run twice", () => {
    const { run, ran } = table((c) => ({ speed: hill(c), upper: 12 }));
    const seen = new Set<string>();
    const once: Run = (ask) => {
      const key = JSON.stringify([ask.request.fidelity, ask.request.tokens, ask.request.plan]);
      expect(seen.has(key)).toBe(false);
      seen.add(key);
      return run(ask);
    };
    found(once);
    expect(seen.size).toBe(ran.length);
  });

  it("lets runs by neuron decide between the last", () => {
    const byNeuron: Array<string> = [];
    const neuronsDisagree = table((c, { fidelity, plan }) => {
      if (fidelity !== "neuron") return { speed: hill(c), upper: 12 };
      byNeuron.push(JSON.stringify(plan));
      return { speed: byNeuron.length, upper: 12 };
    });
    const chosen = JSON.stringify(found(neuronsDisagree.run)!.best.plan);
    expect(byNeuron).toHaveLength(2);
    expect(chosen).toBe(byNeuron.at(-1));
    expect(chosen).not.toBe(byNeuron[0]);
  });

  it("looks coarsely over an ordered axis first and then nearer and nearer", () => {
    expect(lookAt("hot", 21, 10, 0)).toEqual([2, 6, 14, 18]);
    expect(lookAt("hot", 21, 10, 1)).toEqual([6, 8, 12, 14]);
    expect(lookAt("hot", 21, 0, 3)).toEqual([1, 2]);
    expect(lookAt("overlap", 3, 1, 2)).toEqual([0, 2]);
  });
});

describe("regret, on a grid small enough for every test run", () => {
  const asked = cellOf("oneplus-12", "bamboo-7b", 3);
  const whole = gridOf(spaceOf(asked.device, asked.model, asked.system));
  const grid: Space = { ...whole, hot: whole.hot.slice(1, 4), npuShare: whole.npuShare.slice(0, 2), attentionOn: ["cpu+npu"], clusterNeurons: [512, 1024], layout: whole.layout.slice(0, 2), driver: whole.driver.slice(0, 2), mid: whole.mid.slice(0, 2), depth: [4, 16] };

  it("is at most one percent, and the grid is none where any plan would do", () => {
    const regret = searchSerially(simulated, regretOf("test", asked, grid, 4));
    if (E.isLeft(regret)) throw new Error(JSON.stringify(regret.left));
    const { swept, regret: lost, best, found: reached } = regret.right;
    expect(swept).toBe([...everyPoint(grid)].filter((point) => E.isRight(planAt(asked, choiceAt(grid, point)))).length);
    expect(reached).toBeLessThanOrEqual(best);
    expect(lost).toBeLessThanOrEqual(0.01);
    const plans = [...everyPoint(grid)].flatMap((point) => {
      const plan = planAt(asked, choiceAt(grid, point));
      return E.isRight(plan) ? [plan.right] : [];
    });
    const some = plans.filter((_, i) => i % 16 === 0).map((plan) => simulated({ ...asked, request: { ...asked.request, tokens: 4, plan } }));
    expect(Math.min(...some.map((ran) => (E.isRight(ran) ? ran.right.tokensPerSec : Infinity)))).toBeLessThan(0.9 * best);
  });
});
