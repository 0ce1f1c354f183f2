/** Cells for tests of the planner, and the real simulator as a search is handed it. */
import { E } from "../../sim/base/fp.js";
import { describeError } from "../../sim/base/errors.js";
import type { Plan } from "../../sim/domain/plan.js";
import { simulate } from "../../sim/inference/simulate.js";
import { defaultPlan } from "../../sim/planner/default-plan.js";
import type { Cell } from "../../sim/planner/candidates.js";
import { EFFORT, tune, type Tuned, type Tuning } from "../../sim/planner/tune.js";
import { searchSerially, type Run } from "../../sim/planner/trials.js";
import { deviceNamed, GIB, modelNamed, systemNamed } from "./runs.js";

export const cellOf = (device: string, model: string, gib: number, more: Partial<Cell["request"]> = {}): Cell => {
  const system = deviceNamed(device).npu === null ? "powerinfer-2-cpu-only" : "powerinfer-2";
  return {
    device: deviceNamed(device), model: modelNamed(model), system: systemNamed(system),
    request: { device, model, system, memory: { _tag: "Bytes", bytes: Math.floor(gib * GIB) }, phase: "decode", prompt: 64, tokens: 128, batch: 1, seed: 1, fidelity: "cluster", ...more },
  };
};

export const simulated: Run = (ask) => simulate(ask);

/** A search small enough for a test. */
export const SMALL = { ...EFFORT, clusterTokens: 8, finalTokens: 16, neuronTokens: 2, promoted: 8, moves: 2 };

export const tunedIn = (cell: Cell, more: Partial<Tuning> = {}): Tuned => {
  const tuned = searchSerially(simulated, tune({ cell, planner: "ours", objective: "tokens/s", atLeast: null, effort: SMALL, explain: false, ...more }));
  if (E.isLeft(tuned)) throw new Error(describeError(tuned.left));
  return tuned.right;
};

export const defaultIn = (cell: Cell): Plan => {
  const plan = defaultPlan(cell.device, cell.model, cell.system, cell.request);
  if (E.isLeft(plan)) throw new Error(describeError(plan.left));
  return plan.right;
};
