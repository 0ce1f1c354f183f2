/** What a worker is asked to do, and what it tells when it ends. cli/node has the real ones. */
import type { TaskEither } from "../sim/base/fp.js";
import type { AppError } from "../sim/base/errors.js";
import type { QueueAt } from "./executor.js";

export interface Serving {
  readonly queue: QueueAt;
  /** Runs at the same time. */
  readonly workers: number;
  /** So long nothing may be heard of a worker before its runs are given to others. */
  readonly lockMs: number;
  /** Ends after so long without work; null: never. */
  readonly idleMs: number | null;
}

/** One task of an array: the jobs of a folder that are its share. */
export interface Sharing { readonly folder: string; readonly task: number; readonly workers: number; readonly code: string }

/** Runs made, jobs refused, runs given back unfinished, and runs that others had been given meanwhile. */
export interface Served { readonly made: number; readonly refused: number; readonly givenBack: number; readonly late: number }

export interface Workers {
  readonly serve: (how: Serving) => (signal: AbortSignal) => TaskEither<AppError, Served>;
  readonly share: (how: Sharing) => (signal: AbortSignal) => TaskEither<AppError, Served>;
}
