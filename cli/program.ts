/**
 * A program is what a command does: a description of effects over one record of functions. Tests pass a record of
 * fakes (test/fakes/capabilities.ts); cli/node/ has the real ones. Outputs leave as values, in an Answer.
 */
import { A, E, RTE, T, TE, pipe, sequenceS, type Either, type IO, type ReaderTaskEither, type TaskEither } from "../sim/base/fp.js";
import { together, type AppError } from "../sim/base/errors.js";
import type { Engine } from "../engine/index.js";
import type { Execute } from "./executor.js";
import type { Outcome, RunInputs } from "./simulation.js";
import type { Store } from "./store.js";
import type { Workers } from "./worker.js";

/** What a program wants written; a picture is bytes. */
export type OutputFile = { readonly path: string; readonly text: string } | { readonly path: string; readonly bytes: Uint8Array };

export const contentOf = (file: OutputFile): string | Uint8Array => ("text" in file ? file.text : file.bytes);

export type ProfileKind = "device" | "model" | "system";

/** The profile of the machine that this runs on, once it was probed. */
export const THIS_HOST = "this-host";

/** A JSON document and the name that messages call it by. */
export interface Loaded { readonly where: string; readonly raw: unknown }

export type { Outcome, RunInputs };

/** What is known of this machine without starting another program. */
export interface MachineFacts {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryBytes: number;
  /** Name and release of the operating system's kernel. */
  readonly kernel: string;
}

export interface HostFacts extends MachineFacts {
  readonly node: string;
  readonly freeMemoryBytes: number;
  readonly freeDiskBytes: number | null;
  readonly resultsWritable: boolean;
  /** Version lines of tools, null where a tool is absent. */
  readonly cargo: string | null;
  readonly simpy: string | null;
  readonly ns3: string | null;
  /** Null also where it finds no cluster; `sbatchAt` is its path all the same. */
  readonly sbatch: string | null;
  readonly sbatchAt: string | null;
  /** Null where it cannot be loaded. */
  readonly bullmq: string | null;
  readonly nativeEngine: string | null;
}

/**
 * A program to be run: its path and words; held to `memory` bytes by the operating system where that is not null. Files of `cold` are not in the page
 * cache when it starts; those of `warm` are, as far as the limit lets them.
 */
export interface Asked { readonly command: ReadonlyArray<string>; readonly memory: number | null; readonly cold: ReadonlyArray<string>; readonly warm: ReadonlyArray<string>; readonly signal?: AbortSignal }

/** What the system counted of a program (bytes, seconds, faults; null where it does not count). */
export interface Spent {
  /** Of its memory group; null without a limit. `killed`: processes ended for want of memory. */
  readonly limit: number | null;
  readonly peak: number | null;
  readonly killed: number;
  readonly peakResident: number | null;
  readonly minorFaults: number | null;
  readonly majorFaults: number | null;
  /** From storage. */
  readonly bytesRead: number | null;
  /** Cores that everything else on this machine kept busy meanwhile, and cores that a virtual machine's host gave to others. */
  readonly othersBusy: number | null;
  readonly stolen: number | null;
  readonly seconds: number;
  /** Of its cold or warm files, in the page cache when it started. */
  readonly cachedBefore: number | null;
}

/** How a program ended; `spent` is null where nobody counted, or the report was lost. */
export interface Ended { readonly exit: number | null; readonly signal: string | null; readonly stdout: string; readonly stderr: string; readonly spent: Spent | null }

export type MemoryLimits = { readonly kind: "v1" | "v2" } | { readonly kind: "none"; readonly reason: string };

/** One llama-bench. `repacks`: whether it copies weights into another layout as it loads them; null where only its maker knows. */
export interface RivalBuild { readonly program: string; readonly repacks: boolean | null }

export interface Rival {
  /** As it says itself; null where it does not say. */
  readonly version: string | null;
  readonly origin: "built here" | "on the PATH" | "named";
  /** The build for models that are held in memory, and the one that can page; they may be the same. */
  readonly inMemory: RivalBuild;
  readonly paging: RivalBuild;
  /** The words that make it map its file instead of reading it. */
  readonly mapped: ReadonlyArray<string>;
}

/** The code that a result depends on: a hash of it, and where it stands in its history. */
export interface CodeFacts { readonly hash: string; readonly commit: string | null; readonly dirty: boolean | null }

/** What a measurement of this machine is known by, and what it needs. */
export interface Measuring {
  /** The engine's compiled code. None: the honest answer is no. */
  readonly nativeModule: TaskEither<AppError, { readonly path: string; readonly hash: string }>;
  /** Of what a file holds: whole up to 16 MiB, beyond that its length and 256 blocks of 64 KiB from its beginning to its end. */
  readonly contentHash: (path: string) => TaskEither<AppError, string>;
  /** Processes that wanted to run, mean over one, five and fifteen minutes. */
  readonly load: IO<ReadonlyArray<number>>;
  /** While nobody else on this machine does such work; refused where somebody does. */
  readonly alone: <A>(work: TaskEither<AppError, A>) => TaskEither<AppError, A>;
}

export interface FileFacts { readonly bytes: number; readonly modifiedMs: number }

/** Reads that the disk below a file gives: bytes a second of large direct reads in order, and 4 KiB direct reads a second at random places, 32 in flight. */
export interface DiskFacts { readonly filesystem: string | null; readonly sequential: number | null; readonly random: number | null; readonly how: string }

/**
 * What is served below a path, which ends in a slash. Of several folders the first that has a file gives it. `must`: the user named the folder under
 * this flag, so it has to be there.
 */
export interface Mount { readonly path: string; readonly folders: ReadonlyArray<{ readonly name: string; readonly folder: string; readonly must?: string }> }

/** JSON that is made when somebody asks for it, by the rest of the path; null where there is none. */
export interface Asking { readonly path: string; readonly json: (rest: string) => TaskEither<AppError, unknown> }

/** Files that are being served; `until` ends that when the signal comes. */
export interface Serving { readonly url: string; readonly until: (signal: AbortSignal) => TaskEither<never, void> }

export interface Capabilities {
  readonly profileNames: (kind: ProfileKind) => TaskEither<AppError, ReadonlyArray<string>>;
  /** By name, or by path to a user's own file. */
  readonly readProfile: (kind: ProfileKind, name: string) => TaskEither<AppError, Loaded>;
  readonly readJson: (path: string) => TaskEither<AppError, Loaded>;
  /** The bytes of a file that the user named. */
  readonly readBytes: (path: string) => TaskEither<AppError, Uint8Array>;
  /** The texts of all files below a folder that the user named, by their paths there, in order. */
  readonly readFolder: (path: string) => TaskEither<AppError, ReadonlyArray<{ readonly path: string; readonly text: string }>>;
  /** The text of a file, null when there is none. */
  readonly readStored: (path: string) => TaskEither<AppError, string | null>;
  readonly fileFacts: (path: string) => TaskEither<AppError, FileFacts>;
  /** Measured now, on a file that exists; takes some seconds. */
  readonly diskFacts: (file: string) => TaskEither<AppError, DiskFacts>;
  /** `workers` null means one for each core. Results do not depend on it. `silent`: no bar, for the rounds of a search. */
  readonly runMany: (inputs: ReadonlyArray<RunInputs>, options: { readonly workers: number | null; readonly silent?: boolean }) => TaskEither<AppError, ReadonlyArray<Outcome>>;
  /** The same for runs that are not all known beforehand, here or elsewhere. */
  readonly execute: Execute;
  /** The other side of it: making runs that somebody else asked for. */
  readonly workers: Workers;
  /** A variable of the environment; null where it is not set. */
  readonly environment: (name: string) => string | null;
  /** JSON, or a module that exports it. */
  readonly readDeclaration: (path: string) => TaskEither<AppError, Loaded>;
  readonly store: (path: string) => Store;
  readonly digest: (text: string) => string;
  readonly code: TaskEither<AppError, CodeFacts>;
  /** The time of day, and what this machine calls itself: for manifests only, never in a result. */
  readonly clock: IO<Date>;
  readonly hostName: string;
  readonly processId: number;
  readonly nodeVersion: string;
  /** The native engine, loaded when it is first called. */
  readonly engine: Engine;
  readonly measuring: Measuring;
  readonly runProgram: (asked: Asked) => TaskEither<AppError, Ended>;
  /** Whether this system can hold a program to a limit of memory; found by trying. */
  readonly memoryLimits: TaskEither<AppError, MemoryLimits>;
  /** llama-bench: the program of that name or path; without one, what is built here, or else lies on the PATH. */
  readonly rival: (named: string | null) => TaskEither<AppError, Rival>;
  /** The words that start this program again. */
  readonly self: ReadonlyArray<string>;
  /** Of this program. */
  readonly version: string;
  /** Work that Ctrl-C asks to end instead of cutting it off. */
  readonly interruptible: <A>(work: (signal: AbortSignal) => TaskEither<AppError, A>) => TaskEither<AppError, A>;
  /** Files and answers over HTTP, for this machine alone; mounts with longer paths come first, port 0 is any that is free. `flag` is where the user said it. */
  readonly serve: (mounts: ReadonlyArray<Mount | Asking>, port: number, flag?: string) => TaskEither<AppError, Serving>;
  /** A bar on a terminal's stderr; silent elsewhere. */
  readonly gauge: (total: number, unit: string) => { readonly at: (done: number) => void; readonly end: () => void };
  /** All files or, when one cannot be written, no half of one. */
  readonly write: (files: ReadonlyArray<OutputFile>) => TaskEither<AppError, void>;
  readonly print: (text: string) => IO<void>;
  readonly log: (text: string) => IO<void>;
  readonly machine: MachineFacts;
  readonly host: TaskEither<AppError, HostFacts>;
  /** Milliseconds since some fixed moment; only for messages, never in a result. */
  readonly now: IO<number>;
  /** The GGUF files of models that came along with the program, by path; predictors are none. */
  readonly shippedModels: TaskEither<AppError, ReadonlyArray<string>>;
  /** Where the profile of this machine lies, or will. */
  readonly thisHost: string;
  /** The folder with devices/, models/, systems/ and results/. */
  readonly home: string;
}

export type Program<A> = ReaderTaskEither<Capabilities, AppError, A>;

/** Tries every part, and tells the faults of all. */
const validation = RTE.getApplicativeReaderTaskValidation(T.ApplicativeSeq, { concat: together });
export const gather = sequenceS(validation);
export const gatherEach: <X, B>(one: (of: X) => Program<B>) => (all: ReadonlyArray<X>) => Program<ReadonlyArray<B>> = A.traverse(validation);

/** A program that cannot fail: what became of it. */
export const tried = <B>(program: Program<B>): Program<Either<AppError, B>> => (capabilities) => async () => E.right(await program(capabilities)());

/** What a command gives back. `exit` 70 is for a finding against ourselves: stored results that do not match; others for what failed of several things that were tried. */
export interface Answer {
  readonly stdout: string;
  readonly files?: ReadonlyArray<OutputFile>;
  readonly notes?: ReadonlyArray<string>;
  readonly exit?: 0 | 2 | 3 | 70 | 74;
}

export type Format = "table" | "json";

export const inFormat = (format: Format, says: { readonly text: string; readonly json: unknown }): string => (format === "json" ? JSON.stringify(says.json, null, 2) : says.text);

/** The only write of a command: files first, then notes, then the answer itself. Yields the exit code. */
export const deliver = (answer: Answer): Program<number> => (capabilities) =>
  pipe(
    answer.files === undefined || answer.files.length === 0 ? TE.right(undefined) : capabilities.write(answer.files),
    TE.map(() => {
      for (const note of answer.notes ?? []) capabilities.log(note)();
      if (answer.stdout !== "") capabilities.print(`${answer.stdout}\n`)();
      return answer.exit ?? 0;
    }),
  );
