/**
 * What adapting recovers of what a fixed plan loses when its storage becomes slower in mid-run. The fixed plan is the best of a grid for
 * the storage as it was; the oracle's is the best of the same grid for the storage as it became, chosen knowing it; adapting begins
 * with the fixed plan. Recovered is (fixed - adapting) / (fixed - oracle), in time a token after the change, trials included.
 */
import { E, type Either } from "../../sim/base/fp.js";
import { stuck, type AppError } from "../../sim/base/errors.js";
import { GATE_READS, type Plan } from "../../sim/domain/plan.js";
import type { SimulatedRun } from "../../sim/domain/run.js";
import { showSlowStorage, type SlowStorage } from "../../sim/domain/slow-storage.js";
import { defaultPlan } from "../../sim/planner/default-plan.js";
import type { Cell } from "../../sim/planner/candidates.js";
import { askOf, type Ask, type Searching } from "../../sim/planner/trials.js";
import { describeDecision } from "../../sim/report/describe-adaptation.js";
import { cellAt, GIB, type Studied, type Study } from "../study.js";

const BEFORE = 16;
const AFTER = 64;

const CELLS = [
  { device: "oneplus-12", model: "prosparse-llama-2-7b", gib: 2 },
  { device: "oneplus-15r", model: "prosparse-llama-2-7b", gib: 2 },
  { device: "orange-pi-5", model: "prosparse-llama-2-7b", gib: 2 },
  { device: "oneplus-12", model: "prosparse-llama-2-7b", gib: 3 },
] as const;

const SLOWER: ReadonlyArray<SlowStorage> = [
  { of: "bytes", factor: 4, token: BEFORE },
  { of: "reads", factor: 4, token: BEFORE },
  { of: "all", factor: 4, token: BEFORE },
];

/** Shares of the memory for gate rows that a plan could have had instead: of the default's. */
const HOT = [1, 0.75, 0.5];

const gridOf = (plan: Plan): ReadonlyArray<Plan> =>
  HOT.flatMap((share) => GATE_READS.map((gates): Plan => {
    const hot = Math.floor(plan.cache.hot * share);
    return { ...plan, cache: { ...plan.cache, hot, cold: plan.cache.cold + plan.cache.hot - hot }, io: { ...plan.io, gates } };
  }));

const meanMs = ({ tokens }: SimulatedRun, from: number, to: number): number => tokens.slice(from, to).reduce((sum, token) => sum + token.latencyNs, 0) / (to - from) / 1e6;

export interface Recovery {
  readonly id: string;
  readonly slower: string;
  /** How gate rows are read, and the share of the default's hot segment. */
  readonly fixed: string;
  readonly oracle: string;
  /** Milliseconds a token: of the fixed plan before the change, and of each after it. */
  readonly beforeMs: number;
  readonly fixedMs: number;
  readonly oracleMs: number;
  readonly adaptiveMs: number;
  /** Over the last tokens, when all is settled. */
  readonly settledMs: number;
  /** null where the oracle is no better than the fixed plan by the least gain that is worth a change. */
  readonly recovered: number | null;
  readonly decisions: ReadonlyArray<string>;
}

/** A change that gains less is none. */
const WORTH = 0.02;
const SETTLED = 24;

const nameOf = (plan: Plan, base: Plan): string => `${plan.io.gates}, hot ${Math.round((100 * plan.cache.hot) / Math.max(1, base.cache.hot))} %`;

export function* recoveryOf(id: string, cell: Cell, slow: SlowStorage, tokens = BEFORE + AFTER): Searching<Either<AppError, Recovery>> {
  const base = defaultPlan(cell.device, cell.model, cell.system, cell.request);
  if (E.isLeft(base)) return base;
  const grid = gridOf(base.right);
  const asked = (plan: Plan, more: object): Ask => {
    const ask = askOf(cell, plan, "cluster", tokens);
    return { ...ask, request: { ...ask.request, slowStorage: slow, ...more } };
  };
  const fixed = yield grid.map((plan) => asked(plan, {}));
  const runs = fixed.flatMap((outcome, i) => (E.isRight(outcome) ? [{ plan: grid[i]!, run: outcome.right }] : []));
  const best = (of: (run: SimulatedRun) => number) => runs.reduce((found, one) => (of(one.run) < of(found.run) ? one : found));
  if (runs.length === 0) return E.left(stuck(0, [`no plan runs in ${id}`]));
  const after = (run: SimulatedRun): number => meanMs(run, slow.token, tokens);
  const [chosen, knowing] = [best((run) => meanMs(run, 0, slow.token)), best(after)];
  const [adaptive] = yield [asked(chosen.plan, { adapt: true })];
  if (adaptive === undefined || E.isLeft(adaptive)) return adaptive ?? E.left(stuck(0, [`nothing came of ${id}`]));
  const [fixedMs, oracleMs, adaptiveMs] = [after(chosen.run), after(knowing.run), after(adaptive.right)];
  return E.right({
    id, slower: showSlowStorage(slow), fixed: nameOf(chosen.plan, base.right), oracle: nameOf(knowing.plan, base.right),
    beforeMs: meanMs(chosen.run, 0, slow.token), fixedMs, oracleMs, adaptiveMs, settledMs: meanMs(adaptive.right, tokens - SETTLED, tokens),
    recovered: fixedMs - oracleMs < WORTH * fixedMs ? null : (fixedMs - adaptiveMs) / (fixedMs - oracleMs),
    decisions: (adaptive.right.adaptation ?? []).map(describeDecision),
  });
}

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

const page = (all: ReadonlyArray<Recovery>): string =>
  `${[
    "# What adapting recovers",
    `Written by \`neuronlab tune --adaptation\`; do not edit. Storage becomes slower after ${BEFORE} tokens, ${AFTER} more are decoded, by the simulator at fidelity cluster, as this repository's engine decodes. *Fixed* is the plan of a grid (ways of reading gate rows × the hot segment at 100, 75 and 50 % of the default's) that is best before the change, *oracle* the one of the same grid that is best after it, chosen knowing it. *Adapting* begins with the fixed plan; its time has its trials in it, and *settled* is its last ${SETTLED} tokens. *Recovered* is (fixed - adapting) / (fixed - oracle); where the oracle gains less than ${percent(WORTH)} there is nothing to recover, and what adapting costs stands there instead.`,
    [
      "| cell | slower | fixed | before, ms | fixed, ms | oracle | oracle, ms | adapting, ms | settled, ms | recovered |",
      "|---|---|---|---:|---:|---|---:|---:|---:|---:|",
      ...all.map((r) => `| ${r.id} | ${r.slower} | ${r.fixed} | ${r.beforeMs.toFixed(0)} | ${r.fixedMs.toFixed(0)} | ${r.oracle} | ${r.oracleMs.toFixed(0)} | ${r.adaptiveMs.toFixed(0)} | ${r.settledMs.toFixed(0)} | ${r.recovered === null ? `nothing to; costs ${((100 * r.adaptiveMs) / r.fixedMs - 100).toFixed(1)} %` : `**${percent(r.recovered)}**`} |`),
    ].join("\n"),
    "What was decided:",
    all.map((r) => [`- ${r.id}, ${r.slower}`, ...r.decisions.map((line) => `  - ${line}`)].join("\n")).join("\n"),
  ].join("\n\n")}\n`;

export const adaptationStudy: Study = function* (shelf, log): Searching<Either<AppError, Studied>> {
  const system = shelf.system("neuronlab");
  if (E.isLeft(system)) return system;
  const all: Array<Recovery> = [];
  for (const { device: deviceName, model: modelName, gib } of CELLS) {
    const [device, model] = [shelf.device(deviceName), shelf.model(modelName)];
    if (E.isLeft(device)) return device;
    if (E.isLeft(model)) return model;
    const cell = cellAt(device.right, model.right, system.right, Math.floor(gib * GIB));
    const id = `${deviceName}, ${modelName}, ${gib} GiB`;
    for (const slow of SLOWER) {
      log(`${id}, ${showSlowStorage(slow)}`);
      const found = yield* recoveryOf(id, cell, slow);
      if (E.isLeft(found)) return found;
      all.push(found.right);
    }
  }
  const text = page(all);
  return E.right({ files: [{ path: "adaptation.md", text }, { path: "adaptation.json", text: `${JSON.stringify({ schema: "neuronlab/adaptation@1", before: BEFORE, after: AFTER, cells: all }, null, 1)}\n` }], text, json: { cells: all } });
};
