/**
 * The plans that are kept in results/tuned: the paper's two phones and three newer ones, the 47B and a 7B, three budgets each.
 * The budgets of a pair are the least that its default plan runs in, rounded up, what the phone gives one app or the model
 * needs, rounded down, and the middle.
 */
import { E, type Either } from "../../sim/base/fp.js";
import type { AppError } from "../../sim/base/errors.js";
import type { ModelSpec } from "../../sim/domain/model.js";
import { encodePlan } from "../../sim/domain/plan.js";
import { fitMemory } from "../../sim/planner/fit.js";
import { EFFORT, tune, type Tuned } from "../../sim/planner/tune.js";
import type { Searching } from "../../sim/planner/trials.js";
import { runHere } from "./run-here.js";
import { cellAt, GIB, systemFor, type Shelf, type Studied, type Study, type StudyFile } from "../study.js";

const DEVICES = ["oneplus-12", "oneplus-ace-2", "oneplus-13", "oneplus-15r", "galaxy-s24-ultra"] as const;
const MODELS = ["turbosparse-mixtral-47b", "bamboo-7b"] as const;

export interface Published { readonly id: string; readonly device: string; readonly model: string; readonly gib: number; readonly tuned: Tuned }

/** Stands in the README: of the smaller model, which most machines have room for. */
export const SHOWN = { plan: "oneplus-12--bamboo-7b--3.1GiB", model: "bamboo-7b" } as const;

/** Budgets are whole tenths of a GiB. */
const tenths = (round: (n: number) => number, bytes: number): number => round((bytes / GIB) * 10) / 10;

/** Least, middle and most, GiB. */
export const budgetsOf = (shelf: Shelf, deviceName: string, modelName: string): Either<AppError, readonly [number, number, number]> => {
  const [device, model] = [shelf.device(deviceName), shelf.model(modelName)];
  if (E.isLeft(device)) return device;
  if (E.isLeft(model)) return model;
  const system = shelf.system(systemFor(device.right));
  if (E.isLeft(system)) return system;
  const usable = device.right.dram.usable.value;
  const fit = fitMemory(device.right, model.right, system.right, system.right.mechanisms, cellAt(device.right, model.right, system.right, usable).request);
  if (E.isLeft(fit)) return fit;
  const { fixed, predictors, scales, kv, runtime, ffnAll } = fit.right;
  const others = fixed + predictors + scales + kv + runtime;
  // A model that fits whole is of no interest above its own size: the largest budget leaves a tenth of its FFN on flash.
  const least = tenths(Math.ceil, others + 0.01 * ffnAll);
  const most = tenths(Math.floor, Math.min(usable, others + 0.9 * ffnAll));
  return E.right([least, tenths(Math.round, ((least + most) / 2) * GIB), most]);
};

const number = (value: number, digits: number): string => value.toFixed(digits);
const signed = (share: number): string => `${share >= 0 ? "+" : ""}${(100 * share).toFixed(1)} %`;

const readme = (all: ReadonlyArray<Published>, models: ReadonlyArray<ModelSpec>): string => {
  const rows = all.map(({ id, device, model, gib, tuned }) => {
    const byDefault = tuned.rivals.find((r) => r.planner === "default")?.worth.tokensPerSec ?? null;
    const of = (planner: string): string => {
      const speed = tuned.rivals.find((r) => r.planner === planner)?.worth.tokensPerSec;
      return speed === undefined ? "–" : number(speed, 2);
    };
    return `| ${device} | ${model} | ${gib} GiB | ${byDefault === null ? "no room" : number(byDefault, 2)} | ${of("powerinfer-2-v1")} | ${of("powerinfer-2")} | **${number(tuned.worth.tokensPerSec, 2)}** | ${byDefault === null ? "–" : signed(tuned.worth.tokensPerSec / byDefault - 1)} | ${tuned.record.limits[0]?.part ?? "–"} | [plan](${id}.json) |`;
  });
  return `${[
    "# Tuned plans",
    "Written by `neuronlab tune --published`; do not edit. `neuronlab tune --published --check` makes them again and compares them byte for byte. Each is the plan of most tokens/s that the search of [docs/planner.md](../../docs/planner.md) finds, for decode of 128 tokens after 64, batch 1, seed 1; speeds are simulated, at fidelity `cluster`. How far the search is from the best of an exhaustive sweep: [regret.md](regret.md).",
    "*Default* is the plan that the system runs when nothing is tuned; *v1* and *v3* are the paper's planners as far as they are described (`--planner powerinfer-2-v1`, `--planner powerinfer-2`). The budgets of a pair are the least that its default plan runs in, the most that the phone gives one app (or that leaves a tenth of the FFN on flash, where that is less), and the middle.",
    ["| device | model | memory | default | v1 | v3 | tuned, tokens/s | gain | limited by | |", "|---|---|---:|---:|---:|---:|---:|---:|---|---|", ...rows].join("\n"),
    "## Run one",
    runHere(SHOWN.plan, models, models.find(({ name }) => name === SHOWN.model)!),
  ].join("\n\n")}\n`;
};

export const published: Study = function* (shelf, log): Searching<Either<AppError, Studied>> {
  const all: Array<Published> = [];
  const models: Array<ModelSpec> = [];
  for (const name of MODELS) {
    const model = shelf.model(name);
    if (E.isLeft(model)) return model;
    models.push(model.right);
  }
  for (const deviceName of DEVICES)
    for (const modelName of MODELS) {
      const budgets = budgetsOf(shelf, deviceName, modelName);
      if (E.isLeft(budgets)) return budgets;
      const device = shelf.device(deviceName);
      const model = shelf.model(modelName);
      if (E.isLeft(device)) return device;
      if (E.isLeft(model)) return model;
      const system = shelf.system(systemFor(device.right));
      if (E.isLeft(system)) return system;
      for (const gib of budgets.right) {
        const id = `${deviceName}--${modelName}--${gib}GiB`;
        log(`tuning ${id}`);
        const tuned = yield* tune({ cell: cellAt(device.right, model.right, system.right, Math.floor(gib * GIB)), planner: "ours", objective: "tokens/s", atLeast: null, effort: EFFORT, explain: false });
        if (E.isLeft(tuned)) return tuned;
        all.push({ id, device: deviceName, model: modelName, gib, tuned: tuned.right });
      }
    }
  const files: ReadonlyArray<StudyFile> = [...all.map(({ id, tuned }) => ({ path: `${id}.json`, text: `${JSON.stringify(encodePlan(tuned.plan), null, 2)}\n` })), { path: "README.md", text: readme(all, models) }];
  const json = all.map(({ id, tuned }) => ({ id, tokensPerSec: tuned.worth.tokensPerSec, default: tuned.rivals.find((r) => r.planner === "default")?.worth.tokensPerSec ?? null }));
  return E.right({ files, text: json.map((row) => `${row.id}  ${row.tokensPerSec.toFixed(2)} tokens/s${row.default === null ? "" : `, default ${row.default.toFixed(2)}, ${signed(row.tokensPerSec / row.default - 1)}`}`).join("\n"), json: { tuned: json } });
};
