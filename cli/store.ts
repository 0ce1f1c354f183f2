/** What a store of results keeps, and what may be asked of it. cli/node/store has the real one. */
import type { Either, TaskEither } from "../sim/base/fp.js";
import type { AppError } from "../sim/base/errors.js";
import type { Coordinates } from "../sim/sweep/constraint.js";

/** Who made runs, with what, where and when. Every run leads to one. */
export interface Manifest {
  readonly id: string;
  readonly sweep: string;
  /** As it was typed. */
  readonly command: string;
  /** Hash of the program's code as far as results depend on it. */
  readonly code: string;
  readonly version: string;
  /** Of the checkout; null outside of one. `dirty`: files differed from it. */
  readonly commit: string | null;
  readonly dirty: boolean | null;
  readonly node: string;
  readonly host: { readonly name: string; readonly cpu: string; readonly cores: number; readonly memoryBytes: number; readonly kernel: string };
  readonly workers: number;
  /** Where runs are measured on this machine: the engine's compiled code, and what else kept it busy when they began. */
  readonly measuring?: { readonly native: string; readonly load: ReadonlyArray<number> };
  readonly seed: number;
  readonly startedAt: string;
}

/** A sweep as it was declared; `key` is the hash of that. */
export interface StoredSweep { readonly key: string; readonly id: string; readonly title: string; readonly declaration: unknown }

/** `refused`: the honest answer is no (it does not fit, or cannot run). `failed`: it could not be found out. */
export type RunState = "done" | "refused" | "failed";

export interface StoredRun {
  readonly key: string;
  readonly manifest: string;
  readonly state: RunState;
  /** Of a run that is not done. */
  readonly reason: string | null;
  /** The exit code that such a failure has by itself; 0 for a run that is done. */
  readonly exit: number;
  readonly request: unknown;
  /** Hashes of documents. */
  readonly device: string;
  readonly model: string;
  readonly system: string;
  readonly plan: string | null;
  /** Where a text was written, the document that has it. */
  readonly text?: string | null;
  readonly metrics: Readonly<Record<string, number | null>>;
  /** What holds most of the critical path. */
  readonly limit: string | null;
  readonly seconds: number;
  readonly finishedAt: string;
}

/** A run's place in a sweep; a run may have a place in several. */
export interface Member { readonly sweep: string; readonly point: number; readonly repetition: number; readonly coordinates: Coordinates; readonly run: string }

export interface StoredDocument { readonly hash: string; readonly kind: "device" | "model" | "system" | "plan" | "text"; readonly name: string; readonly content: unknown }

export type Line =
  | ({ readonly line: "manifest" } & Manifest)
  | ({ readonly line: "sweep" } & StoredSweep)
  | ({ readonly line: "document" } & StoredDocument)
  | ({ readonly line: "run" } & StoredRun)
  | ({ readonly line: "member" } & Member)
  /** Whoever wrote this journal writes no more. */
  | { readonly line: "end" };

/** Where finished runs go, each before the next begins. Lines that are appended together are read together or not at all. */
export interface Journal {
  readonly append: (lines: ReadonlyArray<Line>) => Either<AppError, void>;
  /** A look into the journals of others: how many commands write to the same store now, and the runs there that no look has told yet. */
  readonly elsewhere: () => { readonly writers: number; readonly runs: ReadonlyArray<StoredRun> };
  readonly close: TaskEither<AppError, void>;
}

export type Cell = string | number | boolean | null;
export interface Rows { readonly columns: ReadonlyArray<string>; readonly rows: ReadonlyArray<ReadonlyArray<Cell>> }

export const EXPORTS = ["csv", "parquet", "jsonl"] as const;
export type ExportFormat = (typeof EXPORTS)[number];

export interface Store {
  readonly path: string;
  /** Those of the runs that are known, journals included. */
  readonly known: (keys: ReadonlyArray<string>) => TaskEither<AppError, ReadonlyMap<string, StoredRun>>;
  /** The same, but makes no store where there is none. */
  readonly peek: (keys: ReadonlyArray<string>) => TaskEither<AppError, ReadonlyMap<string, StoredRun>>;
  readonly journal: (id: string) => TaskEither<AppError, Journal>;
  /** Takes in what journals have; the number of runs that were new. */
  readonly absorb: TaskEither<AppError, number>;
  /** Reads; nothing that writes is let through. Journals are taken in before. */
  readonly ask: (sql: string, values?: ReadonlyArray<string>) => TaskEither<AppError, Rows>;
  /** The rows of a question as a file, whole or not at all. */
  readonly exported: (sql: string, values: ReadonlyArray<string>, format: ExportFormat, file: string) => TaskEither<AppError, void>;
}
