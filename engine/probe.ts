/** This device, measured: the profile that the simulator reads. */
import type { TaskEither } from "../sim/base/fp.js";
import type { AppError } from "../sim/base/errors.js";
import { call, present, untilDone, type Hooks } from "./call.js";

/** trial: the form of a profile in a second, with numbers that say nothing. */
export const DEPTHS = ["quick", "full", "trial"] as const;
export const PROBE_PARTS = ["kernels", "threads", "memory", "flash"] as const;

export interface ProbeRequest {
  readonly depth: (typeof DEPTHS)[number];
  /** Folder of the scratch file, on the storage to measure. */
  readonly dir: string;
  /** Bytes of the scratch file; null: what the depth asks for. */
  readonly scratch: number | null;
  /** null: all. */
  readonly only: (typeof PROBE_PARTS)[number] | null;
  /** Of the profile. */
  readonly name: string;
  /** What was typed: part of every number's source. */
  readonly command: string;
}

/** Planned seconds, done and in all; and those that are probably left. */
export interface ProbeStep { readonly part: (typeof PROBE_PARTS)[number]; readonly done: number; readonly total: number; readonly left: number }

export interface ProbeReport {
  /** JSON of a device profile; with `only`, of the tables alone. */
  readonly profile: string;
  /** What disturbed it. */
  readonly notes: ReadonlyArray<string>;
  readonly seconds: number;
}

/** null when it was cancelled: the scratch file is gone in any case. */
export type Probe = (request: ProbeRequest, hooks: Hooks<ProbeStep>) => TaskEither<AppError, ProbeReport | null>;

export const probe: Probe = (request, hooks) => untilDone(hooks, (told) => call<ProbeReport, ProbeStep>({ model: request.dir, out: request.dir }, (binding, cancel, steps) => binding.probe(present({ ...request }), cancel, steps as (step: unknown) => void), told));
