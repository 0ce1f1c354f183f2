/**
 * Many simulations at once. Each is a pure function of its inputs, and the outcomes come back in the order of the
 * inputs, so that the number of workers changes only the time.
 */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Piscina } from "piscina";
import { E, type TaskEither } from "../../sim/base/fp.js";
import type { AppError } from "../../sim/base/errors.js";
import type { Outcome, RunInputs } from "../program.js";
import { progressOf, type Progress } from "./progress.js";

/** Runs from compiled JavaScript; from the source tree (tests) there is none beside this file, and all runs in-process. */
const workerFile = fileURLToPath(new URL("./worker.js", import.meta.url));

export const coreCount = (): number => availableParallelism();

const inProcess = async (inputs: ReadonlyArray<RunInputs>, progress: Progress): Promise<ReadonlyArray<Outcome>> => {
  const { simulate } = await import("../../sim/inference/simulate.js");
  const outcomes: Array<Outcome> = [];
  for (const one of inputs) {
    outcomes.push(simulate(one));
    progress.step();
    await nextTurn();
  }
  return outcomes;
};

/** A search comes in many rounds: threads are started once. Idle ones do not keep the process from ending. */
let kept: { readonly threads: number; readonly pool: Piscina<RunInputs, Outcome> } | null = null;

const poolOf = async (threads: number): Promise<Piscina<RunInputs, Outcome>> => {
  if (kept?.threads === threads) return kept.pool;
  const before = kept;
  const { Piscina: Pool } = await import("piscina");
  kept = { threads, pool: new Pool<RunInputs, Outcome>({ filename: workerFile, minThreads: threads, maxThreads: threads }) };
  await before?.pool.destroy();
  return kept.pool;
};

const inThreads = async (inputs: ReadonlyArray<RunInputs>, threads: number, progress: Progress): Promise<ReadonlyArray<Outcome>> => {
  const pool = await poolOf(threads);
  return await Promise.all(
    inputs.map(async (one) => {
      const outcome = await pool.run(one);
      progress.step();
      return outcome;
    }),
  );
};

const SILENT: Progress = { step: () => undefined, end: () => undefined };

/** A thrown fault is ours and rejects: run.ts reports it with exit code 70. */
export const runMany = (inputs: ReadonlyArray<RunInputs>, options: { readonly workers: number | null; readonly silent?: boolean }): TaskEither<AppError, ReadonlyArray<Outcome>> => async () => {
  const threads = options.workers ?? coreCount();
  const progress = options.silent === true ? SILENT : progressOf(inputs.length);
  try {
    return E.right(threads <= 1 || inputs.length <= 1 || !existsSync(workerFile) ? await inProcess(inputs, progress) : await inThreads(inputs, threads, progress));
  } finally {
    progress.end();
  }
};
