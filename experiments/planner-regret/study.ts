/**
 * How far the search is from the best plan there is: on a grid small enough to run every one of its plans, the search and the
 * sweep side by side, with the same runs. Regret is what the found plan lacks of the best, as a share of the best.
 */
import { E, type Either } from "../../sim/base/fp.js";
import { stuck, type AppError } from "../../sim/base/errors.js";
import { stream } from "../../sim/base/random.js";
import { choiceOf, planAt, type Cell } from "../../sim/planner/candidates.js";
import { defaultPlan } from "../../sim/planner/default-plan.js";
import { settledAxes } from "../../sim/planner/dominance.js";
import { objectiveOf } from "../../sim/planner/objectives.js";
import { PAPER_PLANNERS, paperPlan } from "../../sim/planner/paper-planners.js";
import { search, type Effort } from "../../sim/planner/search.js";
import { choiceAt, everyPoint, nearestPoint, spaceOf, type Space } from "../../sim/planner/space.js";
import { askOf, createTrials, runPlans, sumOf, type Ask, type Counts, type Searching } from "../../sim/planner/trials.js";
import { cellAt, GIB, systemFor, type Studied, type Study } from "../study.js";

/** Tokens of each run, of the search and of the sweep alike. */
const TOKENS = 12;
const EFFORT: Effort = { clusterTokens: TOKENS, finalTokens: TOKENS, neuronTokens: 1, promoted: 16, moves: 4, finalists: 1 };
/** Draws of as many plans as the search looked at, for the regret of looking at random. */
const DRAWS = 99;
/** Runs handed over at a time: enough to keep any pool busy, few enough to be forgotten soon. */
const CHUNK = 1024;

const CELLS = [
  { device: "oneplus-12", model: "turbosparse-mixtral-47b", gib: 10 },
  { device: "oneplus-12", model: "bamboo-7b", gib: 3 },
  { device: "oneplus-ace-2", model: "bamboo-7b", gib: 3.1 },
  { device: "oneplus-13", model: "bamboo-7b", gib: 2.5 },
  { device: "oneplus-15r", model: "bamboo-7b", gib: 3 },
  { device: "galaxy-s24-ultra", model: "prosparse-llama-2-13b", gib: 6 },
] as const;

/** Those of the wanted values that an axis has. */
const among = <A>(values: ReadonlyArray<A>, wanted: ReadonlyArray<A>): ReadonlyArray<A> => values.filter((value) => wanted.includes(value));
const last = <A>(values: ReadonlyArray<A>, count: number): ReadonlyArray<A> => values.slice(-count);

/**
 * The part of the space that is swept: on each axis the neighbourhood in which good plans lie, and values beside it. Where
 * there is no NPU, the axes that only it has make room for more of the others.
 */
export const gridOf = (space: Space): Space => {
  const hybrid = space.npuShare.length > 1;
  const most = (ioCore: string): Space["driver"] => last(space.driver.filter((d) => d.ioCore === ioCore), 1);
  return {
    layout: hybrid ? space.layout.filter((l) => l.loading === "two-phase") : space.layout,
    gates: space.gates,
    cache: space.cache,
    hot: among(space.hot, hybrid ? [0.6, 0.8, 0.9, 0.95, 1] : [0.5, 0.7, 0.8, 0.9, 0.95, 1]),
    npuShare: among(space.npuShare, hybrid ? [0.2, 0.35, 0.5] : [0]),
    attentionOn: among(space.attentionOn, hybrid ? ["cpu+npu", "npu"] : ["cpu"]),
    driver: [...most("big"), ...most("mid"), ...most("none")],
    mid: last(space.mid, 3),
    little: [0],
    clusterNeurons: among(space.clusterNeurons, hybrid ? [512, 1024, 2048] : [256, 512, 1024, 2048]),
    depth: among(space.depth, [4, 16, 64]),
    overlap: hybrid ? ["cluster"] : ["cluster", "matrix"],
    prefetchHot: last(space.prefetchHot, 1),
    lanes: [1],
    streamBlock: last(space.streamBlock, 1),
    keep: [1],
  };
};

export interface Regret {
  readonly id: string;
  /** Plans of the grid that the device can run, each of them run. */
  readonly swept: number;
  readonly best: number;
  readonly found: number;
  readonly regret: number;
  /** Runs of the search, closed forms included, and as a share of the sweep's. */
  readonly evaluations: Counts;
  readonly evaluated: number;
  readonly share: number;
  /** Median regret of as many plans drawn at random, and of the default plan (below zero: better than any of the grid). */
  readonly atRandom: number;
  readonly byDefault: number | null;
}

function* sweep(cell: Cell, grid: Space, tokens: number): Searching<ReadonlyArray<number>> {
  const speeds: Array<number> = [];
  let chunk: Array<Ask> = [];
  function* flush(): Searching<void> {
    const outcomes = chunk.length === 0 ? [] : yield chunk;
    chunk = [];
    for (const outcome of outcomes) if (E.isRight(outcome)) speeds.push(outcome.right.tokensPerSec);
  }
  for (const point of everyPoint(grid)) {
    const plan = planAt(cell, choiceAt(grid, point));
    if (E.isLeft(plan)) continue;
    chunk.push(askOf(cell, plan.right, "cluster", tokens));
    if (chunk.length === CHUNK) yield* flush();
  }
  yield* flush();
  return speeds;
}

const median = (values: ReadonlyArray<number>): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

const randomRegret = (id: string, speeds: ReadonlyArray<number>, best: number, looks: number): number => {
  const random = stream(1, `regret/${id}`);
  return median(Array.from({ length: DRAWS }, () => {
    let luckiest = 0;
    for (let i = 0; i < looks; i++) luckiest = Math.max(luckiest, speeds[Math.floor(random.uniform() * speeds.length)]!);
    return 1 - luckiest / best;
  }));
};

/** One cell: every plan of the grid run, and the search on the same grid. */
export function* regretOf(id: string, cell: Cell, grid: Space, tokens = TOKENS): Searching<Either<AppError, Regret>> {
  const plans = [defaultPlan(cell.device, cell.model, cell.system, cell.request), ...PAPER_PLANNERS.map((planner) => paperPlan(planner, cell))].flatMap((plan) => (E.isRight(plan) ? [plan.right] : []));
  if (plans.length === 0) return E.left(stuck(0, [`no plan to begin with in ${id}`]));
  const trials = createTrials(cell, grid);
  const starts = plans.map((plan) => nearestPoint(grid, choiceOf(plan, cell.request.batch)));
  const found = yield* search({ trials, space: grid, objective: objectiveOf("tokens/s"), settled: settledAxes(cell.device, grid, "tokens/s"), starts, effort: { ...EFFORT, clusterTokens: tokens, finalTokens: tokens } });
  if (found === null) return E.left(stuck(0, [`no plan was found in ${id}`]));
  const speeds = yield* sweep(cell, grid, tokens);
  const best = Math.max(...speeds);
  const [byDefault] = yield* runPlans(cell, plans.slice(0, 1), "cluster", tokens);
  const evaluations = trials.counts();
  const evaluated = sumOf(evaluations);
  return E.right({
    id, swept: speeds.length, best, found: found.best.record.tokensPerSec, regret: 1 - found.best.record.tokensPerSec / best, evaluations, evaluated, share: evaluated / speeds.length,
    atRandom: randomRegret(id, speeds, best, evaluated), byDefault: byDefault === null || byDefault === undefined ? null : 1 - byDefault.tokensPerSec / best,
  });
}

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

const summaryOf = (all: ReadonlyArray<Regret>): { readonly median: number; readonly worst: number; readonly largestShare: number } =>
  ({ median: median(all.map((r) => r.regret)), worst: Math.max(...all.map((r) => r.regret)), largestShare: Math.max(...all.map((r) => r.share)) });

const page = (all: ReadonlyArray<Regret>): string => {
  const { median: middle, worst, largestShare } = summaryOf(all);
  return `${[
    "# Regret of the search",
    "Written by `neuronlab tune --regret`; do not edit. Each cell is a device, a model and a budget. *Swept*: every plan of a grid cut from the space (experiments/planner-regret/study.ts), each run by cluster for 12 tokens. *Looked at*: all that the search did on the same grid, closed forms and runs together. *Regret*: what the found plan lacks of the grid's best. *At random*: the median regret of as many plans drawn at random; *default*: of the plan that nobody tuned, which need not lie on the grid, so it can be better than it (below zero).",
    `Median regret ${percent(middle)} (aim: 1 %), worst ${percent(worst)} (aim: 3 %), with at most ${percent(largestShare)} of the sweep's runs (aim: 5 %).`,
    [
      "| cell | swept | looked at | of them run | share | best, tokens/s | found | regret | at random | default |",
      "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
      ...all.map((r) => `| ${r.id} | ${r.swept} | ${r.evaluated} | ${r.evaluations.cluster} | ${percent(r.share)} | ${r.best.toFixed(3)} | ${r.found.toFixed(3)} | **${percent(r.regret)}** | ${percent(r.atRandom)} | ${r.byDefault === null ? "–" : percent(r.byDefault)} |`),
    ].join("\n"),
  ].join("\n\n")}\n`;
};

export const regretStudy: Study = function* (shelf, log): Searching<Either<AppError, Studied>> {
  const all: Array<Regret> = [];
  for (const { device: deviceName, model: modelName, gib } of CELLS) {
    const device = shelf.device(deviceName);
    if (E.isLeft(device)) return device;
    const model = shelf.model(modelName);
    if (E.isLeft(model)) return model;
    const system = shelf.system(systemFor(device.right));
    if (E.isLeft(system)) return system;
    const cell = cellAt(device.right, model.right, system.right, Math.floor(gib * GIB));
    const id = `${deviceName}, ${modelName}, ${gib} GiB`;
    log(`sweeping ${id}`);
    const regret = yield* regretOf(id, cell, gridOf(spaceOf(device.right, model.right, system.right)));
    if (E.isLeft(regret)) return regret;
    log(`regret ${percent(regret.right.regret)}, ${regret.right.evaluated} of ${regret.right.swept} looked at`);
    all.push(regret.right);
  }
  const text = page(all);
  return E.right({ files: [{ path: "regret.md", text }, { path: "regret.json", text: `${JSON.stringify({ schema: "neuronlab/regret@1", tokens: TOKENS, summary: summaryOf(all), cells: all }, null, 1)}\n` }], text, json: { summary: summaryOf(all), cells: all } });
};
