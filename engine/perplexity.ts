/** How well a model predicts a text, counted as llama-perplexity counts it. */
import type { TaskEither } from "../sim/base/fp.js";
import type { AppError } from "../sim/base/errors.js";
import { NO_TEXT } from "./bench.js";
import type { Part } from "./binding.js";
import { call, present, untilDone, type Hooks } from "./call.js";
import { flattened, type GenerateReport, type PhaseReport, type ReadsReport, type RunSetting } from "./generate.js";

export interface PerplexityRequest extends RunSetting {
  readonly text: string;
  /** Tokens that are read from an empty KV cache; the second half of them is scored. */
  readonly window: number;
  /** At most so many; null: all. */
  readonly windows: number | null;
  /** A predictor's file: it decides which neurons are computed, for every token; null: lossless. */
  readonly predictor: string | null;
  /** Whether what the predictor misses is counted. */
  readonly audit: boolean;
}

/** 0 of 0: the model is loaded; then windows scored. */
export interface PerplexityStep { readonly done: number; readonly of: number }

export interface PerplexityReport {
  readonly architecture: string;
  readonly activation: "silu" | "relu" | "drelu";
  readonly file: "gguf" | "packed";
  /** How most weights are stored. */
  readonly weights: string;
  readonly ffn: GenerateReport["ffn"];
  readonly labels: ReadonlyArray<string>;
  readonly kernels: string;
  readonly threads: number;
  /** Of the text. */
  readonly tokens: number;
  readonly windows: number;
  readonly scored: number;
  readonly perplexity: number;
  /** Of the perplexity, scored tokens taken for independent draws. */
  readonly standardError: number;
  /** Mean of -ln p (nats) over what is scored of each window, in the order of the text. */
  readonly windowLosses: ReadonlyArray<number>;
  readonly spent: PhaseReport;
  /** Share of neurons that were predicted, where a predictor decided. */
  readonly predicted?: number;
  /** Share of the neurons that would have fired that were predicted, where that was audited. */
  readonly recall?: number;
  readonly reads?: ReadsReport;
  readonly memory?: number;
  readonly fixed: ReadonlyArray<Part>;
  readonly ffnBytes: number;
  readonly peakResident?: number;
}

/** null when it was cancelled. */
export type Perplexity = (request: PerplexityRequest, hooks: Hooks<PerplexityStep>) => TaskEither<AppError, PerplexityReport | null>;

export const perplexity: Perplexity = ({ text, window, windows, predictor, audit, ...setting }, hooks) =>
  untilDone(hooks, (told) =>
    call<PerplexityReport, PerplexityStep>(
      { model: setting.model, out: setting.model },
      (binding, cancel, steps) => binding.perplexity(present({ run: present(flattened({ ...setting, ...NO_TEXT, seed: 1, predictor, audit })), text, window, windows }), cancel, steps as (step: unknown) => void),
      told,
    ));
