/** What `validate host` runs and how it compares: cells drawn by a seed, errors, order, the fit of constants, the page. */
import { JSDOM } from "jsdom";
import { describe, expect, it } from "vitest";
import { E, TE } from "../../sim/base/fp.js";
import { cellsOf, PER_MODEL, referenceOf, shapes, turnsOf, type Cell } from "../../experiments/validate/cells.js";
import { compared, driftOf, kendallTau, middleOf, reasonOf, selfErrorOf, summaryOf, type Outcome } from "../../experiments/validate/compare.js";
import { CONSTANTS, fitSystem, withConstants } from "../../experiments/validate/fit.js";
import { planOf } from "../../experiments/validate/plan.js";
import { reportValidation } from "../../experiments/validate/report.js";
import { written } from "../../experiments/validate/words.js";
import { decode } from "../../sim/base/decode.js";
import { encodePlan, planCodec } from "../../sim/domain/plan.js";
import { systemCodec, type SystemSpec } from "../../sim/domain/system.js";
import { cutOf, wholeSegments } from "../../sim/inference/gated/cut.js";
import { estimated, testModel } from "../arb/neurons.js";
import { systemNamed } from "../arb/runs.js";

const names = shapes(false).map(({ name }) => name);
const cells = cellsOf(names, 1, false, 2);
const values = <K extends keyof Cell>(key: K): ReadonlySet<Cell[K]> => new Set(cells.map((cell) => cell[key]));

describe("the cells", () => {
  it("are at least forty plans over three models, a third of them to fit to, with every choice met", () => {
    expect(cells.length).toBeGreaterThanOrEqual(40);
    expect(values("model").size).toBe(3);
    expect(cells.filter(({ role }) => role === "calibration").length / cells.length).toBeCloseTo(1 / 3, 2);
    expect(values("loading")).toEqual(new Set(["two-phase", "bundle", "rows", "expert", "stream"]));
    expect(values("overlap")).toEqual(new Set(["cluster", "matrix", "none"]));
    expect(values("submitters")).toEqual(new Set(["compute-threads", "io-thread"]));
    expect(values("threads")).toEqual(new Set([1, 2]));
    expect([Math.min(...values("budget")), Math.max(...values("budget"))]).toEqual([0.1, 1]);
    expect([values("depth").size, values("cluster").size]).toEqual([4, 4]);
    expect(new Set(cells.map(({ id }) => id)).size).toBe(cells.length);
  });

  it("are the same for the same seed and others for another; each model has both roles even in the quick form", () => {
    expect(cellsOf(names, 1, false, 2)).toEqual(cells);
    expect(cellsOf(names, 2, false, 2)).not.toEqual(cells);
    const quick = cellsOf(names, 1, true, 2);
    expect(quick).toHaveLength(3 * PER_MODEL.quick);
    for (const name of names) expect(new Set(quick.filter(({ model }) => model === name).map(({ role }) => role)).size).toBe(2);
    expect(cellsOf(names, 1, false, 1).every(({ threads }) => threads === 1)).toBe(true);
  });

  it("become plans that the decoder takes, with the budget that they name", () => {
    const model = testModel({ layers: 2, ffn: 2048 });
    for (const cell of cells) {
      const plan = planOf(cell, model);
      expect(E.isRight(decode(planCodec, "plan")(encodePlan(plan)))).toBe(true);
      const whole = wholeSegments(cutOf(model, plan));
      expect((plan.cache.hot + plan.cache.cold) / (whole.hot + whole.cold)).toBeCloseTo(cell.budget, 5);
      expect(plan.memory).toBeGreaterThan(plan.cache.fixed + plan.cache.hot + plan.cache.cold);
    }
  });

  it("run all once before any runs again, with the reference between them", () => {
    const turns = turnsOf(cells, 2, 1);
    const [own, references] = [turns.filter(({ reference }) => !reference), turns.filter(({ reference }) => reference)];
    expect(new Set(own.slice(0, cells.length).map(({ cell }) => cell)).size).toBe(cells.length);
    expect(own.slice(0, cells.length).every(({ repetition }) => repetition === 0)).toBe(true);
    expect(own.map(({ cell }) => cell)).not.toEqual([...cells, ...cells].map(({ id }) => id));
    expect(references.length).toBeGreaterThan(cells.length / 8);
    expect(new Set(references.map(({ cell }) => cell))).toEqual(new Set([referenceOf(cells)]));
    expect([turns[0]!.reference, turns.at(-1)!.reference]).toEqual([true, true]);
  });
});

const outcome = (total: number, more: Partial<Outcome> = {}): Outcome => ({ total, compute: total / 2, io: total / 2, stall: total / 4, bytesPerToken: 1000, hitRate: 0.5, missesPerToken: 10, ...more });

describe("the comparison", () => {
  it("signs errors by speed, and says whether misses and bytes are the same", () => {
    const fast = compared(cells[0]!, outcome(10), outcome(8), [outcome(12)]);
    expect([fast.predicted, fast.measured, fast.signedError, fast.unfitted, fast.exact]).toEqual([100, 1e3 / 12, expect.closeTo(0.2, 9), expect.closeTo(0.5, 9), true]);
    expect(compared(cells[0]!, outcome(10), outcome(8), [outcome(12, { missesPerToken: 11 })]).exact).toBe(false);
    expect(compared(cells[0]!, outcome(10), outcome(8), [outcome(12, { bytesPerToken: 1001 })]).exact).toBe(false);
  });

  it("takes the middle of several runs, and names the component that is off", () => {
    expect(middleOf([outcome(3), outcome(1), outcome(2)]).total).toBe(2);
    // Of an even number neither the faster nor the slower: their mean, in every part.
    const [one, other] = [outcome(2), outcome(4)];
    expect(middleOf([outcome(9), other, outcome(1), one])).toEqual(Object.fromEntries(Object.entries(one).map(([part, value]) => [part, (value + other[part as keyof Outcome]) / 2])));
    expect(reasonOf(compared(cells[0]!, outcome(10, { io: 9 }), outcome(10), [outcome(14, { compute: 5, stall: 3, io: 3 })]))).toBe("reads under way: 9.0 ms predicted, 3.0 ms measured");
    expect(driftOf([outcome(10), outcome(20)])).toEqual({ runs: 2, tokensPerSec: [100, 50], slowest: 50, fastest: 100 });
  });

  it("takes every other run of a plan for a prediction of the rest", () => {
    expect(selfErrorOf([outcome(10)])).toBeNull();
    expect(selfErrorOf([outcome(10), outcome(12)])).toBeCloseTo(0.2, 12);
    expect(selfErrorOf([outcome(10), outcome(15), outcome(20), outcome(9)])).toBeCloseTo(12 / 15 - 1, 12);
  });

  it("ranks by Kendall's tau: 1 for the same order, -1 for the reverse, ties apart", () => {
    expect(kendallTau([[1, 10], [2, 20], [3, 30]])).toBe(1);
    expect(kendallTau([[1, 30], [2, 20], [3, 10]])).toBe(-1);
    expect(kendallTau([[1, 1], [2, 3], [3, 2], [4, 4]])).toBeCloseTo(4 / 6, 12);
    // By scipy.stats.kendalltau([12, 2, 1, 12, 2], [1, 4, 7, 1, 0]).
    expect(kendallTau([[12, 1], [2, 4], [1, 7], [12, 1], [2, 0]])).toBeCloseTo(-0.4714045207910316, 12);
  });
});

describe("the fit", () => {
  it("finds a constant again that made the measurements, from calibration cells alone, and leaves facts that are not to be fitted", async () => {
    const system = systemNamed("neuronlab");
    const cost = (s: SystemSpec, cell: number): Outcome => outcome(10 / s.software.denseEfficiency.value + cell * (s.software.fixedCost?.layer.value ?? 0) * 1e-4, { compute: 8 / s.software.denseEfficiency.value, io: 5 });
    const truth: SystemSpec = { ...system, software: { ...system.software, denseEfficiency: { ...system.software.denseEfficiency, value: 0.5 } } };
    const measured = [1, 2, 3, 4, 5, 6].map((cell) => ({ ...cost(truth, cell), hasSpareCore: true }));
    const fitted = await fitSystem(system, measured, (systems) => TE.right(systems.map((s) => [1, 2, 3, 4, 5, 6].map((cell) => cost(s, cell)))), 8, () => undefined)();
    if (E.isLeft(fitted)) throw new Error("it failed");
    expect(fitted.right.system.software.denseEfficiency.value).toBeCloseTo(0.5, 1);
    expect(fitted.right.system.software.denseEfficiency.kind).toBe("calibrated");
    const printed: SystemSpec = { ...system, software: { ...system.software, denseEfficiency: { ...system.software.denseEfficiency, kind: "measured" } } };
    const held = await fitSystem(printed, measured, (systems) => TE.right(systems.map((s) => [1, 2, 3, 4, 5, 6].map((cell) => cost(s, cell)))), 2, () => undefined)();
    expect(E.isRight(held) && held.right.system.software.denseEfficiency).toEqual(printed.software.denseEfficiency);
    expect(E.isRight(held) && held.right.constants.map(({ id }) => id)).not.toContain("dense");
  });
});

describe("how firmly a fit holds", () => {
  /** Cells whose whole is linear in the logarithm of one constant, and says nothing else: the fit is a mean, pulled back by the hold. */
  it("is what cells that were left out say, and is fitted with", async () => {
    const system = systemNamed("neuronlab");
    const start = system.software.denseEfficiency.value;
    const noise = [0.3, -0.25, 0.28, -0.3, 0.22, -0.2];
    const cost = (dense: number, by: number): Outcome => outcome((100 / dense) * Math.exp(by), { compute: 20, io: 20 });
    const measured = noise.map((by) => ({ ...cost(start, by), hasSpareCore: true }));
    const fitted = await fitSystem(system, measured, (systems) => TE.right(systems.map((s) => noise.map(() => cost(s.software.denseEfficiency.value, 0)))), 30, () => undefined)();
    if (E.isLeft(fitted)) throw new Error("it failed");
    const { hold } = fitted.right.holds[0]!;
    expect(hold).toBe(0.8);
    const pulled = (held: number): number => start * Math.exp(-noise.reduce((sum, by) => sum + by, 0) / (noise.length + (held / Math.log(2)) ** 2));
    expect(fitted.right.system.software.denseEfficiency.value / pulled(hold)).toBeCloseTo(1, 4);
    expect(pulled(0.1) / pulled(hold)).not.toBeCloseTo(1, 3);
  });

  it("constants that were fitted to one engine's runs are put on another as far as it has them, and nothing else of it", () => {
    const engine = systemNamed("neuronlab");
    const fact = (value: number, kind: "calibrated" | "estimated") => ({ value, kind, source: "test", note: "" });
    const older: SystemSpec = { ...engine, name: "older", software: { ...engine.software, denseEfficiency: fact(0.7, "calibrated"), memorySupply: fact(0.5, "calibrated"), cacheUpkeep: fact(9, "estimated"), fixedCost: { ...engine.software.fixedCost!, layer: fact(7e3, "calibrated"), spin: null } } };
    const moved = withConstants(engine, older);
    expect(moved).toEqual({ ...engine, software: { ...engine.software, denseEfficiency: fact(0.7, "calibrated"), fixedCost: { ...engine.software.fixedCost!, layer: fact(7e3, "calibrated") } } });
    expect([moved.software.memorySupply, moved.software.fixedCost!.spin!.value]).toEqual([null, 50e3]);
  });
});

describe("what a fit looks at", () => {
  const shareFound = async (part: "compute" | "io", hasSpareCore: boolean): Promise<number> => {
    const system = systemNamed("neuronlab");
    const cost = (dense: number): Outcome => outcome(100, { compute: 20, io: 20, [part]: 20 / dense });
    const measured = Array.from({ length: 6 }, () => ({ ...cost(0.4), hasSpareCore }));
    const fitted = await fitSystem(system, measured, (systems) => TE.right(systems.map((s) => Array.from({ length: 6 }, () => cost(s.software.denseEfficiency.value)))), 8, () => undefined)();
    if (E.isLeft(fitted)) throw new Error("it failed");
    return fitted.right.system.software.denseEfficiency.value;
  };

  it.each(["compute", "io"] as const)("%s counts by itself: a share that shows nowhere else is found", async (part) => {
    expect(await shareFound(part, true)).toBeLessThan(0.5);
  });

  it("reads count where no core is spare too, and computing, which has others' work in it there, does not", async () => {
    expect(await shareFound("io", false)).toBeLessThan(0.5);
    expect(await shareFound("compute", false)).toBeCloseTo(0.95, 6);
  });
});

describe("constants that are fitted", () => {
  it.each(CONSTANTS)("$id: a system with the least or the greatest value that a fit may give is one that the decoder takes", ({ of, put, low, high }) => {
    const system = systemNamed("neuronlab");
    for (const value of [low, high]) {
      const fitted = put(system, { ...(of(system) ?? estimated(1)), value });
      expect(decode(systemCodec, "system.json")(written("", fitted))).toEqual(E.right(fitted));
    }
  });
});

/** Cells that take 10, 11, ... ms and were measured 5 % slower; `factor`: how much longer others constants say that they take. */
const reported = (factor: number | null) => {
  const system = systemNamed("neuronlab");
  const runs = (i: number) => [outcome(10.5 + i), outcome(11 + i)];
  const results = cells.map((cell, i) => compared(cell, outcome(10 + i), outcome(12 + i), runs(i)));
  const fit = { system, constants: [{ id: "dense", value: 0.9, from: 0.8, to: 1, rise10: 1, atLimit: false, what: "a share", before: 0.95 }], evaluations: 3, rounds: 2, isConverged: true, sumOfSquares: 0.1, holds: [{ hold: 0.2, leftOut: 0.05 }, { hold: 0.1, leftOut: 0.07 }] };
  const elsewhere = factor === null ? null : { from: "other/system.json", cells: cells.map((cell, i) => compared(cell, outcome(factor * (10.75 + i)), outcome(12 + i), runs(i))) };
  const report = reportValidation({ document: new JSDOM("").window.document, png: null })({ seed: 1, quick: false, tokens: 24, device: "a test", models: names.map((name) => ({ name, model: testModel() })), cells: results, drift: { cell: "silu-01", ...driftOf([outcome(10)]) }, fit, isOfAnotherEngine: false, elsewhere });
  return { system, results, report };
};

describe("the report", () => {
  it("says how far constants are off that were fitted elsewhere, in all cells and in the check cells; and nothing where none were named", () => {
    const { report } = reported(1.25);
    expect((report.json as { readonly elsewhere: unknown }).elsewhere).toMatchObject({ from: "other/system.json", summary: { cells: cells.length, medianAbsError: expect.closeTo(0.2, 9) as unknown, worstAbsError: expect.closeTo(0.2, 9) as unknown }, check: { cells: 32 } });
    const line = `with the constants of other/system.json, fitted to none of these cells: ${cells.length} cells, median 20.0 %`;
    expect(report.text).toContain(line);
    const page = report.files.find(({ path }) => path === "README.md")!;
    expect("text" in page && page.text).toContain(`- ${line}`);
    expect(JSON.stringify(reported(null).report)).not.toContain("elsewhere");
  });

  it("says so where the runs are of another engine than the one that is here", () => {
    const pageOf = (isOfAnotherEngine: boolean): string => {
      const { system, results } = reported(null);
      const fit = { system, constants: [], evaluations: 3, rounds: 2, isConverged: true, sumOfSquares: 0.1, holds: [{ hold: 0.2, leftOut: 0.05 }] };
      const report = reportValidation({ document: new JSDOM("").window.document, png: null })({ seed: 1, quick: false, tokens: 24, device: "a test", models: [], cells: results, drift: { cell: "silu-01", ...driftOf([outcome(10)]) }, fit, isOfAnotherEngine, elsewhere: null });
      const page = report.files.find(({ path }) => path === "README.md")!;
      return "text" in page ? page.text : "";
    };
    expect(pageOf(true)).toContain("These runs are of an earlier engine");
    expect(pageOf(false)).not.toContain("earlier engine");
  });

  it("has cells and a summary of the check cells, a page, a picture, and a system that the decoder takes", async () => {
    const { system, results, report } = reported(null);
    const json = report.json as { readonly cells: ReadonlyArray<Readonly<Record<string, unknown>>>; readonly summary: Readonly<Record<string, number>> };
    expect(json.cells[0]).toMatchObject({ id: "silu-01", predicted: 100, measured: 1e3 / 10.75, role: cells[0]!.role });
    expect(json.summary).toEqual({ medianAbsError: expect.any(Number), meanAbsError: expect.any(Number), worstAbsError: expect.any(Number), kendallTau: 1 });
    expect(json.summary["meanAbsError"]).toBeCloseTo(summaryOf(results.filter(({ role }) => role === "check")).meanAbsError, 12);
    const files = new Map(report.files.map((file) => [file.path, "text" in file ? file.text : ""]));
    expect([...files.keys()]).toEqual(["README.md", "cells.json", "system.json", "validation.svg"]);
    expect(files.get("README.md")).toContain("check cells: 32 cells");
    // 11 over 10.5 ms is the greatest difference between two runs, 0.5 over 41.5 the least.
    expect(files.get("README.md")).toMatch(/the machine against itself: of 2 runs of a check cell every other one, taken for a prediction of the rest, is off by [12]\.\d % at the median, [12]\.\d % in the mean/);
    expect(files.get("README.md")).toContain("0.2: 5.0 %, 0.1: 7.0 %");
    expect(files.get("validation.svg")).toMatch(/^<svg [^>]*xmlns=/);
    expect((files.get("validation.svg")!.match(/<circle/g) ?? []).length).toBe(cells.length + 5);
    expect(decode(systemCodec, "system.json")(JSON.parse(files.get("system.json")!))).toMatchObject({ _tag: "Right", right: { software: { cacheUpkeep: { value: system.software.cacheUpkeep!.value } } } });
  });
});
