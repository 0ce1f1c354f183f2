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
import { fault as internalFault, type AppError } from "../../sim/base/errors.js";
import type { Feed } from "../executor.js";
import { findingOf } from "../finding.js";
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

type One = (inputs: RunInputs) => Promise<Outcome>;

const oneInProcess = async (): Promise<One> => {
  const { simulate } = await import("../../sim/inference/simulate.js");
  return async (inputs) => {
    await nextTurn();
    return simulate(inputs);
  };
};

const oneInThread = async (threads: number): Promise<One> => {
  const pool = await poolOf(threads);
  return (inputs) => pool.run(inputs);
};

/** A run that throws, or takes its thread with it, is a fault of that run: the others go on. */
const guarded = async (one: One, inputs: RunInputs): Promise<Outcome> => {
  try {
    return await one(inputs);
  } catch (thrown) {
    return E.left(internalFault(thrown instanceof Error ? thrown.message : String(thrown)));
  }
};

/** Runs one by one, as somebody else hands them out. Always in threads where there are any: this process has to answer meanwhile. */
export const oneByOne = async (threads: number): Promise<(inputs: RunInputs) => Promise<Outcome>> => {
  const one = existsSync(workerFile) ? await oneInThread(threads) : await oneInProcess();
  return (inputs) => guarded(one, inputs);
};

/** As many at once as there are workers; whatever settles lets the next begin. */
export const runFeed = <K>(feed: Feed<K>, { workers, answering = false, signal }: { readonly workers: number | null; readonly answering?: boolean; readonly signal: AbortSignal }): TaskEither<AppError, void> => async () => {
  const threads = workers ?? coreCount();
  const one = (threads <= 1 && !answering) || !existsSync(workerFile) ? await oneInProcess() : await oneInThread(threads);
  await new Promise<void>((done, failed) => {
    const at = { under: 0, ended: false };
    const end = (how: () => void): void => {
      at.ended = true;
      signal.removeEventListener("abort", aborted);
      how();
    };
    const aborted = (): void => end(done);
    const run = async ({ of, inputs }: { readonly of: K; readonly inputs: RunInputs }): Promise<void> => {
      const began = performance.now();
      const outcome = await guarded(one, inputs);
      at.under--;
      if (at.ended) return;
      if (feed.settled(of, findingOf(outcome), (performance.now() - began) / 1e3)) pump();
      else end(done);
    };
    const pump = (): void => {
      while (at.under < threads) {
        const job = feed.next();
        if (job === null) break;
        at.under++;
        run(job).catch((thrown: unknown) => end(() => failed(thrown instanceof Error ? thrown : new Error(String(thrown)))));
      }
      if (at.under === 0) end(done);
    };
    signal.addEventListener("abort", aborted);
    if (signal.aborted) end(done);
    else pump();
  });
  return E.right(undefined);
};
