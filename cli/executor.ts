/**
 * Who makes the runs of a sweep. A sweep hands out runs and takes findings; it does not know whether they were made in threads here, by workers
 * behind a queue, or by a cluster's own scheduler. cli/node has the real ones.
 */
import type { TaskEither } from "../sim/base/fp.js";
import type { AppError } from "../sim/base/errors.js";
import type { Finding } from "./finding.js";
import type { Parcel } from "./job.js";
import type { RunInputs } from "./simulation.js";

/** A run that is wanted: as it is run here, and as it is sent elsewhere. */
export interface Wanted<K> { readonly of: K; readonly inputs: RunInputs; readonly parcel: () => Parcel }

/** Runs made as they are asked for. `next` gives one, or null while there is none to be made; it is asked again whenever a run has settled. */
export interface Feed<K, W extends { readonly of: K } = Wanted<K>, F = Finding> {
  readonly next: () => W | null;
  /** Once for each run. A fault of ours in one run is that run's finding. False ends the feed: what is under way is given up. */
  readonly settled: (of: K, finding: F, seconds: number) => boolean;
}

/** A server of Redis or Valkey. `shown` is how it is called in messages: without its password. */
export interface RedisAt {
  readonly shown: string;
  readonly host: string;
  readonly port: number;
  readonly username: string | null;
  readonly password: string | null;
  readonly db: number;
  readonly tls: boolean;
  /** A certificate, in PEM, that the server's own must be signed by; null: by one that this system trusts. */
  readonly ca: string | null;
}

/** `name`: workers serve the queue of the same name; each version of the code has its own behind it. */
export interface QueueAt { readonly redis: RedisAt; readonly name: string; readonly code: string }

export interface SlurmJob {
  /** Where jobs, script and results lie; every node must see it under this path. */
  readonly folder: string;
  /** Starts this program there. */
  readonly self: ReadonlyArray<string>;
  /** At most so many array tasks, and of those so many at once; null leaves that to the cluster. */
  readonly tasks: number;
  readonly atOnce: number | null;
  /** Further options of sbatch, a line each. */
  readonly options: ReadonlyArray<string>;
  /** Of one task. */
  readonly cores: number;
  readonly wait: boolean;
}

export type Where =
  /** `answering`: this process serves meanwhile, so a single worker is a thread of its own too. */
  | { readonly _tag: "Pool"; readonly workers: number | null; readonly answering?: boolean }
  /** `owner` keeps what one store has asked for apart from what others have; `patience`, in seconds: how long nobody may be there. */
  | { readonly _tag: "Queue"; readonly queue: QueueAt; readonly owner: string; readonly patience: number }
  | { readonly _tag: "Slurm"; readonly slurm: SlurmJob };

/** How it ended: what the user should know beside the findings. */
export interface Executed { readonly notes: ReadonlyArray<string> }

/** An aborted signal gives up what is under way. */
export type Execute = <K>(where: Where, feed: Feed<K>, signal: AbortSignal) => TaskEither<AppError, Executed>;
