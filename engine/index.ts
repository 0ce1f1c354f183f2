/**
 * The engine's one TypeScript face. Its calls run off the main thread, tell what they do while they do it, and end soon
 * after their signal is aborted. Failures are values; only a fault of ours in this file would throw.
 */
import { TE, pipe, type TaskEither } from "../sim/base/fp.js";
import type { AppError } from "../sim/base/errors.js";
import type { Part } from "./binding.js";
import { call, present, untilDone, type Hooks } from "./call.js";
import { synth, verify, type Synth, type Verify } from "./synth.js";

export type { Part } from "./binding.js";
export type { Hooks } from "./call.js";
export { ACTIVATIONS, ARCHITECTURES, WEIGHTS, type PlantedRow, type SynthReport, type SynthRequest, type SynthStep, type VerifyReport, type VerifyRequest } from "./synth.js";

export const DOWN_FORMS = ["auto", "exact", "q8_0", "q4_0", "f16"] as const;
export const ARRANGEMENTS = ["bundles", "matrices"] as const;
export const POLICIES = ["lru", "window", "static-hot", "clock", "lfu", "s3-fifo", "sieve", "arc"] as const;
export const GRANULARITIES = ["tensor", "expert", "matrix", "cluster", "neuron"] as const;
export const OVERLAPS = ["none", "matrix", "cluster"] as const;
export const FFNS = ["auto", "dense", "sparse"] as const;

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

/** Sizes in bytes. */
export interface GenerateRequest {
  /** A GGUF file, or one that `pack` made. */
  readonly model: string;
  readonly prompt: string;
  /** At most so many. */
  readonly tokens: number;
  /** What the whole process may hold; null: everything in memory. */
  readonly memory: number | null;
  /** Sizes of the segments, cut to what there is; null: as much as that. */
  readonly segments: { readonly hot: number; readonly cold: number } | null;
  /** null: one for each core. */
  readonly threads: number | null;
  readonly io: { readonly backend: "lanes" | "io_uring"; readonly reads: number };
  readonly depth: number;
  readonly cluster: number;
  readonly policy: (typeof POLICIES)[number];
  readonly granularity: (typeof GRANULARITIES)[number];
  readonly overlap: (typeof OVERLAPS)[number];
  readonly ffn: (typeof FFNS)[number];
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly seed: number;
  readonly stopAtEnd: boolean;
}

export type GenerateStep =
  | { readonly what: "loaded" }
  | { readonly what: "prompt"; readonly done: number; readonly of: number }
  /** Whole characters; all such texts together are the report's. */
  | { readonly what: "text"; readonly text: string };

/** Times in nanoseconds of the wall clock. */
export interface PhaseReport {
  readonly ns: number;
  /** The part inside the FFNs, reads that were waited for included. */
  readonly ffnNs: number;
  /** Time in reads, the mean over lanes; much of it overlaps with computing. */
  readonly diskNs: number;
  readonly diskBytes: number;
  /** Clusters of gate rows. */
  readonly gateLookUps: number;
  readonly gateMisses: number;
  /** Units of up and down. */
  readonly lookUps: number;
  readonly misses: number;
}

export interface GenerateReport {
  readonly architecture: string;
  readonly file: "gguf" | "packed";
  readonly ffn: "dense in memory" | "sparse in memory" | "from flash";
  /** `lossless`, or what departs from the file's numbers. */
  readonly labels: ReadonlyArray<string>;
  readonly kernels: string;
  readonly threads: number;
  readonly loadNs: number;
  readonly promptTokens: number;
  readonly promptRate: number;
  readonly prompt: PhaseReport;
  /** Forward passes a second; absent where one token or none was generated. */
  readonly decodeRate?: number;
  readonly decode: PhaseReport;
  readonly tokens: ReadonlyArray<number>;
  /** The first is chosen from the prompt's logits, so its time is that of the choice alone. */
  readonly tokenNs: ReadonlyArray<number>;
  readonly text: string;
  readonly stop: "length" | "end" | "context" | "cancelled";
  /** Share of neurons that fired in generated tokens, where that is counted. */
  readonly fired?: number;
  readonly reads?: { readonly backend: string; readonly count: number; readonly p50Ns: number; readonly p99Ns: number; readonly peakBufferBytes: number };
  readonly memory?: number;
  readonly fixed: ReadonlyArray<Part>;
  readonly ffnBytes: number;
  readonly hot: number;
  readonly cold: number;
  readonly peakResident?: number;
  readonly seed: number;
}

export interface Engine {
  /** null when it was cancelled: nothing was left behind. */
  readonly pack: (request: PackRequest, hooks: Hooks<PackStep>) => TaskEither<AppError, PackReport | null>;
  /** A cancelled run has the report of what it did; null when it had not got as far as a report. */
  readonly generate: (request: GenerateRequest, hooks: Hooks<GenerateStep>) => TaskEither<AppError, GenerateReport | null>;
  readonly synth: Synth;
  readonly verify: Verify;
}

const pack: Engine["pack"] = (request, hooks) => untilDone(hooks, (told) => call<PackReport, PackStep>(request, (binding, cancel, steps) => binding.pack(present({ ...request }), cancel, steps as (step: unknown) => void), told));

/** Steps travel apart from the outcome and may come after it: what is still missing of the text is told from the report. */
const generate: Engine["generate"] = (request, hooks) => {
  const { segments, io, ...rest } = request;
  let [told, over] = [0, false];
  const tell = (step: GenerateStep): void => {
    if (over) return;
    if (step.what === "text") told += step.text.length;
    hooks.onStep(step);
  };
  return pipe(
    call<GenerateReport, GenerateStep>(
      { model: request.model, out: request.model },
      (binding, cancel, steps) => binding.generate(present({ ...rest, hot: segments?.hot ?? null, cold: segments?.cold ?? null, backend: io.backend, reads: io.reads }), cancel, steps as (step: unknown) => void),
      { ...hooks, onStep: tell },
    ),
    TE.map((report) => {
      over = true;
      if (report !== null && told < report.text.length) hooks.onStep({ what: "text", text: report.text.slice(told) });
      return report;
    }),
  );
};

export const engine: Engine = { pack, generate, synth, verify };
