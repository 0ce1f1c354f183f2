/** Models that are made up, and what the engine sees of them. */
import { TE, pipe, type TaskEither } from "../sim/base/fp.js";
import type { AppError } from "../sim/base/errors.js";
import { call, present, untilDone, type Hooks } from "./call.js";

export const ARCHITECTURES = ["smallthinker", "llama"] as const;
export const ACTIVATIONS = ["relu", "drelu", "silu"] as const;
export const WEIGHTS = ["q4_0", "q8_0", "f16", "f32"] as const;

export interface SynthRequest {
  readonly out: string;
  readonly name: string;
  readonly architecture: (typeof ARCHITECTURES)[number];
  readonly activation: (typeof ACTIVATIONS)[number];
  readonly weights: (typeof WEIGHTS)[number];
  readonly hidden: number;
  /** Of an expert, or of the FFN where there is one. */
  readonly neurons: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly experts: number;
  readonly expertsUsed: number;
  readonly vocabulary: number;
  readonly context: number;
  /** Share of the neurons of a token's experts that are active for it. */
  readonly share: number;
  /** even, bamboo, an exponent, or points neurons:activations,… */
  readonly skew: string;
  /** P(active again) = overlap + (1 - overlap) x rate. */
  readonly overlap: number;
  /** Probability that an expert is used for the next token too; null: independent draws. */
  readonly repeat: number | null;
  /** dReLU: share of neurons whose up fires where the gate does. */
  readonly upShare: number;
  /** How many directions of its input the gates of an expert depend on, so that a low-rank predictor can hold them; null: random gates, which depend on all. */
  readonly gateRank: number | null;
  readonly seed: number;
  /** null: one for each core. */
  readonly threads: number | null;
}

/** Tokens null: 512 for each use of an expert, at most 4096. */
export interface VerifyRequest { readonly model: string; readonly tokens: number | null; readonly seed: number; readonly threads: number | null }

/** Bytes written, or tokens run. */
export interface SynthStep { readonly done: number; readonly total: number }

export interface SynthReport { readonly bytes: number; readonly seconds: number }

export interface PlantedRow {
  readonly what: string;
  readonly planted: number;
  /** Mean over layers; absent where nothing was measured. */
  readonly measured?: number;
  /** The least and the greatest layer, where it was measured by layer. */
  readonly low?: number;
  readonly high?: number;
  readonly tolerance: number;
  readonly holds: boolean;
}

/** What the file says was planted and no run of it shows. */
export interface UnverifiedRow { readonly what: string; readonly planted: number }

/** No rows: nothing was planted. */
export interface VerifyReport { readonly tokens: number; readonly rows: ReadonlyArray<PlantedRow>; readonly unverified: ReadonlyArray<UnverifiedRow>; readonly seconds: number }

/** null when it was cancelled: nothing was left behind. */
export type Synth = (request: SynthRequest, hooks: Hooks<SynthStep>) => TaskEither<AppError, SynthReport | null>;
/** null when it was cancelled. */
export type Verify = (request: VerifyRequest, hooks: Hooks<SynthStep>) => TaskEither<AppError, VerifyReport | null>;

export const synth: Synth = (request, hooks) =>
  untilDone(hooks, (told) => call<SynthReport, SynthStep>({ model: request.out, out: request.out }, (binding, cancel, steps) => binding.synth(present({ ...request }), cancel, steps as (step: unknown) => void), told));

/** What helps is no smaller request: all of the model is in memory. */
export const withoutBudget = (error: AppError): AppError => (error._tag === "DoesNotFit" ? { ...error, hint: "the whole model is held in memory for this" } : error);

export const verify: Verify = (request, hooks) =>
  untilDone(hooks, (told) =>
    pipe(
      call<VerifyReport, SynthStep>({ model: request.model, out: request.model }, (binding, cancel, steps) => binding.verify(present({ ...request }), cancel, steps as (step: unknown) => void), told),
      TE.mapLeft(withoutBudget),
    ));
