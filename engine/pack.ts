/** A GGUF file to the layout that runs from flash. */
import type { TaskEither } from "../sim/base/fp.js";
import type { AppError } from "../sim/base/errors.js";
import { call, present, untilDone, type Hooks } from "./call.js";

export const DOWN_FORMS = ["auto", "exact", "q8_0", "q4_0", "f16", "f32"] as const;
export const ARRANGEMENTS = ["bundles", "matrices"] as const;

export interface PackRequest {
  readonly model: string;
  readonly out: string;
  readonly down: (typeof DOWN_FORMS)[number];
  /** Neurons of a group, the granule of reads; null: the one that costs least flash time. */
  readonly group: number | null;
  readonly arrangement: (typeof ARRANGEMENTS)[number];
  /** null: one for each core. */
  readonly threads: number | null;
}

export interface PackStep { readonly phase: "dense" | "ffn" | "commit"; readonly done: number; readonly total: number }

export interface PackReport {
  readonly bytes: number;
  readonly denseBytes: number;
  readonly ffnBytes: number;
  /** Bytes of weights in the FFNs; the rest of these is padding. */
  readonly payloadBytes: number;
  readonly padding: number;
  readonly layers: number;
  readonly group: number;
  readonly downForm: "rows" | "tiles";
  readonly down: string;
  /** Root mean square change of down relative to itself; absent where it is the source's, bit for bit. */
  readonly requantisation?: number;
  readonly fingerprint: string;
  readonly seconds: number;
}

/** null when it was cancelled: nothing was left behind. */
export type Pack = (request: PackRequest, hooks: Hooks<PackStep>) => TaskEither<AppError, PackReport | null>;

export const pack: Pack = (request, hooks) => untilDone(hooks, (told) => call<PackReport, PackStep>(request, (binding, cancel, steps) => binding.pack(present({ ...request }), cancel, steps as (step: unknown) => void), told));
