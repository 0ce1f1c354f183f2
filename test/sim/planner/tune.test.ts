import { describe, expect, it, vi } from "vitest";
import { E } from "../../../sim/base/fp.js";
import { decode } from "../../../sim/base/decode.js";
import { rowsOf, sizesOf } from "../../../sim/domain/model.js";
import { encodePlan, planCodec, residentBytes, type Plan } from "../../../sim/domain/plan.js";
import { simulate } from "../../../sim/inference/simulate.js";
import { choiceOf, planAt } from "../../../sim/planner/candidates.js";
import { spaceOf } from "../../../sim/planner/space.js";
import { dominates } from "../../../sim/planner/front.js";
import { tune } from "../../../sim/planner/tune.js";
import { searchSerially } from "../../../sim/planner/trials.js";
import { deviceNamed, systemNamed } from "../../arb/runs.js";
import { cellOf, SMALL, simulated, tunedIn } from "../../arb/tuning.js";

// Whole searches: seconds on a machine of its own, more beside others.
vi.setConfig({ testTimeout: 240_000 });

const cell = cellOf("oneplus-12", "bamboo-7b", 3, { tokens: 16 });
const tuned = tunedIn(cell, { explain: true });
const speedOf = (planner: string): number => tuned.rivals.find((rival) => rival.planner === planner)!.worth.tokensPerSec;

describe("a tuning", () => {
  it("beats the default plan and both of the paper's planners", () => {
    expect(tuned.rivals.map((rival) => rival.planner)).toEqual(["default", "powerinfer-2-v1", "powerinfer-2"]);
    for (const rival of tuned.rivals) expect(tuned.record.tokensPerSec, rival.planner).toBeGreaterThan(rival.worth.tokensPerSec);
  });

  it("its file, read again, runs exactly as fast as was said", () => {
    const read = decode(planCodec, "plan")(JSON.parse(JSON.stringify(encodePlan(tuned.plan))));
    if (E.isLeft(read)) throw new Error(JSON.stringify(read.left));
    const again = simulate({ ...cell, request: { ...cell.request, memory: { _tag: "Bytes", bytes: read.right.memory }, plan: read.right } });
    expect(E.isRight(again) && again.right.tokensPerSec).toBe(tuned.record.tokensPerSec);
  });

  it("gives an entry for each batch size of 1-4, and decides at its own as before", () => {
    const rows = tuned.plan.compute.npuRows;
    expect(rows.map((row) => row.batch)).toEqual([1, 2, 3, 4]);
    const batch2 = tunedIn(cellOf("oneplus-12", "bamboo-7b", 3, { tokens: 16, batch: 2 }));
    expect(batch2.plan.compute.npuRows.map((row) => row.batch)).toEqual([1, 2, 3, 4]);
    expect(batch2.record.inputs.batch).toBe(2);
  });

  it("says what each decision is worth: none that differs from the default is worth less than nothing by more than a percent", () => {
    const { decisions } = tuned.reasons!;
    expect(decisions.length).toBeGreaterThan(0);
    for (const decision of decisions) if (decision.worth !== null) expect(decision.worth, decision.axis).toBeGreaterThan(-0.01);
    expect(Math.max(...decisions.map((d) => d.worth ?? 0))).toBeGreaterThan(0.005);
  });

  it("knows a next best, a front that it lies on, and how the answer moves with its weakest facts", () => {
    const { nextBest, front, sensitivity } = tuned.reasons!;
    expect(nextBest!.behind).toBeGreaterThan(-0.01);
    expect(nextBest!.differs.length).toBeGreaterThan(0);
    expect(front.length).toBeGreaterThan(2);
    expect(Math.min(...front.map((p) => p.memoryBytes))).toBeLessThan(0.8 * residentBytes(tuned.plan));
    expect(sensitivity.length).toBeGreaterThan(2);
    const sizes = sensitivity.map((s) => Math.max(Math.abs(s.low.change), Math.abs(s.high.change)));
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
    for (const one of sensitivity.slice(0, 3)) expect(Math.min(one.low.betterPlan!, one.high.betterPlan!)).toBeGreaterThanOrEqual(0);
    for (const one of sensitivity) expect(["estimated", "calibrated"]).toContain(one.kind);
  });

  it("compares on the front what was run alike: as long as the chosen plan, which is on it or beaten in everything", () => {
    // Short runs are shorter than the cell's: only then do the lengths differ.
    expect(SMALL.clusterTokens).toBeLessThan(cell.request.tokens);
    const { front } = tuned.reasons!;
    expect(new Set(front.map(({ record }) => record.inputs.tokens))).toEqual(new Set([tuned.record.inputs.tokens]));
    expect(front.some(({ record }) => record === tuned.record) || front.some((point) => dominates(point, tuned.worth))).toBe(true);
    for (const { worth } of tuned.rivals) expect(front.some((point) => dominates(point, worth) || point.tokensPerSec === worth.tokensPerSec)).toBe(true);
  });

  it("counts its runs, and looks at a sliver of its space", () => {
    const { analytic, cluster, neuron } = tuned.evaluations;
    expect(Math.min(analytic, cluster)).toBeGreaterThan(0);
    expect(neuron === 0).toBe(tuned.reasons!.byNeuron === null);
    expect(analytic + cluster + neuron).toBeLessThan(1e-3 * tuned.spaceSize);
  });
});

describe("other objectives", () => {
  it("J/token: no dearer than the fastest plan", () => {
    const thrifty = tunedIn(cell, { objective: "J/token" });
    expect(thrifty.worth.joulesPerToken).toBeLessThan(tuned.worth.joulesPerToken);
    expect(thrifty.worth.tokensPerSec).toBeLessThanOrEqual(1.01 * tuned.worth.tokensPerSec);
  });

  it("memory: less than the budget, and no slower than asked", () => {
    const asked = 0.6 * speedOf("default");
    const small = tunedIn(cell, { objective: "memory", atLeast: asked });
    expect(small.ruledOut.floor).toBe(asked);
    expect(small.worth.memoryBytes).toBeLessThan(0.9 * tuned.worth.memoryBytes);
    expect(small.worth.tokensPerSec).toBeGreaterThan(0.97 * asked);
  });

  it("memory: a speed that no plan has is an answer of no, with the speed that there is", () => {
    const answer = searchSerially(simulated, tune({ cell, planner: "ours", objective: "memory", atLeast: 1e5, effort: SMALL, explain: false }));
    expect(E.isLeft(answer) && answer.left).toMatchObject({ _tag: "Unsupported", what: "at least 100000 tokens/s", reason: expect.stringMatching(/the fastest plan that was found within the memory makes \d/) as unknown });
  });

  it("p99: the slowest token is no slower than the fastest plan's by more than a percent", () => {
    const steady = tunedIn(cell, { objective: "p99" });
    expect(steady.worth.p99Ms).toBeLessThan(1.01 * tuned.worth.p99Ms);
  });
});

describe("the engine of this repository, whose true gates decide", () => {
  const host = cellOf("oneplus-12", "bamboo-7b", 3, { tokens: 16 });
  const own = { ...host, system: systemNamed("neuronlab"), request: { ...host.request, system: "neuronlab" } };
  const found = tunedIn(own, { explain: true });

  it("is tuned within what the engine has, and beats the default plan; the paper's planners have nothing to say of it", () => {
    expect(found.rivals.map((rival) => rival.planner)).toEqual(["default"]);
    expect(found.record.tokensPerSec).toBeGreaterThan(1.02 * found.rivals[0]!.worth.tokensPerSec);
    expect(found.plan.mechanisms.computation).toBe("gated");
    expect(found.plan.compute).toMatchObject({ ioCore: "none", attentionOn: "cpu" });
    expect(found.plan.cluster.neurons % 256).toBe(0);
  });

  it("its file, read again, runs exactly as fast as was said", () => {
    const read = decode(planCodec, "plan")(JSON.parse(JSON.stringify(encodePlan(found.plan))));
    if (E.isLeft(read)) throw new Error(JSON.stringify(read.left));
    const again = simulate({ ...own, request: { ...own.request, memory: { _tag: "Bytes", bytes: read.right.memory }, plan: read.right } });
    expect(E.isRight(again) && again.right.tokensPerSec).toBe(found.record.tokensPerSec);
  });

  it("proposes other plans of the space, which differ from it and from one another in more than amounts, best first, each one that runs", () => {
    const { proposals } = found;
    expect(proposals).toHaveLength(5);
    const kindOf = (plan: Plan): string => JSON.stringify({ ...choiceOf(plan, 1), hot: 0, keep: 0 });
    expect(new Set([found.plan, ...proposals].map(kindOf)).size).toBe(6);
    const speeds = proposals.map((plan) => {
      const run = simulate({ ...own, request: { ...own.request, memory: { _tag: "Bytes", bytes: plan.memory }, plan } });
      if (E.isLeft(run)) throw new Error(JSON.stringify(run.left));
      return run.right.tokensPerSec;
    });
    // Among them, where readers and cluster sizes stand that the planner thinks less of.
    const pairOf = (plan: Plan): string => `${plan.mechanisms.submitters} ${plan.cluster.neurons}`;
    expect(new Set([found.plan, ...proposals].map(pairOf)).size).toBeGreaterThanOrEqual(4);
    // They were ranked by runs of the search's own length.
    for (const [i, speed] of speeds.entries()) expect(speed).toBeLessThan(1.03 * (i === 0 ? found.record.tokensPerSec : speeds[i - 1]!));
    expect(speeds.at(-1)!).toBeGreaterThan(0.5 * found.record.tokensPerSec);
  });

  it("gives no segment more than there is of it: a hot share of 1 is gates first", () => {
    const space = spaceOf(own.device, own.model, own.system);
    const { gateRow, upDownRow } = rowsOf(own.model);
    const choice = choiceOf(found.plan, 1);
    for (const [gib, hot] of [[2.5, 0], [2.5, 1], [4, 0], [4, 0.5], [4, 1]] as const) {
      const plan = planAt({ ...own, device: deviceNamed("oneplus-12"), request: { ...own.request, memory: { _tag: "Bytes", bytes: Math.min(gib * 2 ** 30, own.device.dram.usable.value) } } }, { ...choice, hot });
      if (E.isLeft(plan)) throw new Error(JSON.stringify(plan.left));
      const { cache } = plan.right;
      const all = sizesOf(own.model).neurons;
      expect(cache.hot).toBeLessThanOrEqual(all * gateRow);
      expect(cache.cold).toBeLessThanOrEqual(all * upDownRow);
      if (hot === 1) expect(cache.hot === Math.floor(all * gateRow) || cache.cold === 0, `${gib} GiB`).toBe(true);
    }
    expect(space.gates).toContain(found.plan.io.gates);
  });

  it("has all FFNs in memory whole where there is room, whatever share is hot", () => {
    const roomy = { ...own, request: { ...own.request, memory: { _tag: "Bytes" as const, bytes: Math.floor(own.device.dram.usable.value) } } };
    const choice = choiceOf(found.plan, 1);
    const all = sizesOf(own.model).neurons * (rowsOf(own.model).gateRow + rowsOf(own.model).upDownRow);
    for (const hot of [0, 0.5, 1]) {
      const plan = planAt(roomy, { ...choice, hot });
      expect(E.isRight(plan) && [plan.right.cache.hot, plan.right.cache.cold, plan.right.mechanisms.offload]).toEqual([Math.ceil(all), 0, "no"]);
    }
  });

  it("is refused for a planner of the paper", () => {
    const answer = searchSerially(simulated, tune({ cell: own, planner: "powerinfer-2", objective: "tokens/s", atLeast: null, effort: SMALL, explain: false }));
    expect(E.isLeft(answer) && answer.left._tag).toBe("Unsupported");
  });
});

describe("what cannot be tuned", () => {
  it("a budget that is too small is told with the least that works, whatever cores the device has, and that works", () => {
    for (const device of ["oneplus-15r", "raspberry-pi-5"])
      for (const system of ["powerinfer-2-cpu-only", "neuronlab"]) {
        const base = cellOf(device, "bamboo-7b", 1, { tokens: 4, system });
        const at = (bytes: number) => searchSerially(simulated, tune({ cell: { ...base, system: systemNamed(system), request: { ...base.request, memory: { _tag: "Bytes", bytes } } }, planner: "ours", objective: "tokens/s", atLeast: null, effort: { ...SMALL, clusterTokens: 2, finalTokens: 2, promoted: 1, moves: 1, finalists: 1 }, explain: false }));
        const small = at(0.5e9);
        const told = E.isLeft(small) && small.left._tag === "DoesNotFit" ? /the smallest budget that would work is (\d+)MB/.exec(small.left.hint) : null;
        expect(told, `${system} on ${device}: ${JSON.stringify(small)}`).not.toBeNull();
        expect(E.isRight(at(Number(told![1]) * 1e6)), `${system} on ${device} in ${told![1]}MB`).toBe(true);
      }
  });

  it("a budget without room for the default plan may have room for a leaner layout", () => {
    const tight = cellOf("oneplus-12", "turbosparse-mixtral-47b", 6.2, { tokens: 4 });
    const lean = tunedIn(tight, { effort: { ...SMALL, promoted: 2, moves: 0, clusterTokens: 2, finalTokens: 2, finalists: 1 } });
    expect(lean.rivals).toEqual([]);
    expect(lean.plan.mechanisms.scalesResident).toBe("no");
  });

  it.each([
    ["no room at all", cellOf("oneplus-12", "turbosparse-mixtral-47b", 1), "DoesNotFit"],
    ["a model without predictors", cellOf("oneplus-12", "qwen2-7b", 4), "Unsupported"],
    ["a system with other mechanisms", { ...cellOf("oneplus-12", "bamboo-7b", 4), system: systemNamed("llama.cpp") }, "Unsupported"],
  ])("%s is an answer", (_what, asked, tag) => {
    const answer = searchSerially(simulated, tune({ cell: asked, planner: "ours", objective: "tokens/s", atLeast: null, effort: SMALL, explain: false }));
    expect(E.isLeft(answer) && answer.left._tag).toBe(tag);
  });
});
