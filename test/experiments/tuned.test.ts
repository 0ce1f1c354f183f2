/** What lies in results/tuned is what the search gives, and does what its README says. */
import { readdirSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import { E } from "../../sim/base/fp.js";
import { decode } from "../../sim/base/decode.js";
import { describeError, unknownName } from "../../sim/base/errors.js";
import { encodePlan, planCodec, type Plan } from "../../sim/domain/plan.js";
import { EFFORT, tune } from "../../sim/planner/tune.js";
import { askOf, searchSerially } from "../../sim/planner/trials.js";
import { mapPlan } from "../../cli/programs/generate/engine-plan.js";
import { budgetsOf, SHOWN } from "../../experiments/tuned/published.js";
import { filesOf, runHere } from "../../experiments/tuned/run-here.js";
import { cellAt, GIB, systemFor, type Shelf } from "../../experiments/study.js";
import { deviceNamed, modelNamed, systemNamed } from "../arb/runs.js";
import { simulated } from "../arb/tuning.js";
import { rawOf, readText } from "../data/profiles.js";

// Whole searches: seconds on a machine of its own, more beside others.
vi.setConfig({ testTimeout: 240_000 });

const FOLDER = "results/tuned";
const plans = readdirSync(FOLDER).filter((file) => /^[a-z].*--.*\.json$/.test(file)).sort();
const planIn = (file: string): Plan => {
  const read = decode(planCodec, file)(rawOf(`${FOLDER}/${file}`));
  if (E.isLeft(read)) throw new Error(describeError(read.left));
  return read.right;
};
/** Rows of the README's table by file, as cells. */
const rows = new Map(readText(`${FOLDER}/README.md`).split("\n").flatMap((line) => {
  const file = /\[plan\]\((.+\.json)\)/.exec(line)?.[1];
  return file === undefined ? [] : [[file, line.split("|").map((cell) => cell.trim())] as const];
}));

const known = <A>(named: (name: string) => A) => (name: string) => {
  try {
    return E.right(named(name));
  } catch {
    return E.left(unknownName("profile", name, [], null));
  }
};
const shelf: Shelf = { device: known(deviceNamed), model: known(modelNamed), system: known(systemNamed) };

describe("results/tuned", () => {
  it("has plans for five devices, a 47B and a 7B, three budgets each, all in its README", () => {
    expect(plans.length).toBe(30);
    expect([...rows.keys()].sort()).toEqual(plans);
    expect(new Set(plans.map((file) => file.split("--")[0])).size).toBe(5);
  });

  it("says what to type where there is no such file, and how large the files are that this makes", () => {
    const models = ["turbosparse-mixtral-47b", "bamboo-7b"].map(modelNamed);
    expect(readText(`${FOLDER}/README.md`)).toContain(runHere(SHOWN.plan, models, modelNamed(SHOWN.model)));
    // As synth and pack wrote them, of the 7B.
    const made = filesOf(modelNamed("bamboo-7b"));
    expect([made.gguf / 4_075_191_168, made.packed / 6_547_857_408].map((ratio) => Math.abs(ratio - 1) < 0.005)).toEqual([true, true]);
  });

  it("every plan runs as fast as its README says, the budget's decimals aside, and no slower than the default", () => {
    // The 7B's runs are short; one plan of the 47B stands for the others.
    for (const file of plans.filter((name) => name.includes("bamboo-7b") || name.startsWith("oneplus-12--turbosparse-mixtral-47b--19GiB"))) {
      const plan = planIn(file);
      const cell = cellAt(deviceNamed(plan.device), modelNamed(plan.model), systemNamed(plan.system), plan.memory);
      const ran = simulated(askOf(cell, plan, "cluster", 128));
      if (E.isLeft(ran)) throw new Error(`${file}: ${describeError(ran.left)}`);
      const cells = rows.get(file)!;
      expect(cells[7], file).toBe(`**${ran.right.tokensPerSec.toFixed(2)}**`);
      if (cells[4] !== "no room") expect(ran.right.tokensPerSec, file).toBeGreaterThanOrEqual(Number(cells[4]) - 0.005);
    }
  });

  it("the engine is given what it can do of every plan", () => {
    for (const file of plans) {
      const { request } = mapPlan(planIn(file), 2, false);
      expect(request, file).toMatchObject({ memory: planIn(file).memory, granularity: expect.stringMatching(/neuron|cluster/) as unknown, policy: "lru", threads: expect.any(Number) as unknown });
    }
  });

  it("a plan made again is the same, byte for byte", () => {
    const device = deviceNamed("oneplus-12");
    const budgets = budgetsOf(shelf, "oneplus-12", "bamboo-7b");
    if (E.isLeft(budgets)) throw new Error(describeError(budgets.left));
    const gib = budgets.right[2];
    const cell = cellAt(device, modelNamed("bamboo-7b"), systemNamed(systemFor(device)), Math.floor(gib * GIB));
    const tuned = searchSerially(simulated, tune({ cell, planner: "ours", objective: "tokens/s", atLeast: null, effort: EFFORT, explain: false }));
    if (E.isLeft(tuned)) throw new Error(describeError(tuned.left));
    expect(`${JSON.stringify(encodePlan(tuned.right.plan), null, 2)}\n`).toBe(readText(`${FOLDER}/oneplus-12--bamboo-7b--${gib}GiB.json`));
  });
});

describe("the regret that is published", () => {
  const { summary, cells } = rawOf(`${FOLDER}/regret.json`) as { readonly summary: { readonly median: number; readonly worst: number; readonly largestShare: number }; readonly cells: ReadonlyArray<{ readonly regret: number; readonly share: number; readonly evaluated: number; readonly swept: number; readonly atRandom: number }> };

  it("meets its aims in at least six cells", () => {
    expect(cells.length).toBeGreaterThanOrEqual(6);
    expect(summary.median).toBeLessThanOrEqual(0.01);
    expect(summary.worst).toBeLessThanOrEqual(0.03);
    expect(summary.largestShare).toBeLessThanOrEqual(0.05);
    for (const cell of cells) expect(cell.share).toBeCloseTo(cell.evaluated / cell.swept, 12);
  });

  it("is no merit of the grid: as many plans drawn at random do worse", () => {
    for (const cell of cells) expect(cell.atRandom).toBeGreaterThan(cell.regret);
  });
});
