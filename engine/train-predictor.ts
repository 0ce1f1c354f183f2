/** A model to predictors of which of its neurons fire. */
import type { TaskEither } from "../sim/base/fp.js";
import type { AppError } from "../sim/base/errors.js";
import { call, present, untilDone, type Hooks } from "./call.js";

export const HIDDENS = ["identity", "relu"] as const;
export const PREDICTOR_WEIGHTS = ["auto", "q8_0", "q4_0", "f16"] as const;

export interface TrainRequest {
  readonly model: string;
  readonly out: string;
  /** A text file; null: the model's own continuations. */
  readonly text: string | null;
  readonly tokens: number;
  /** Hidden numbers; null: a quarter of the model's width. */
  readonly rank: number | null;
  /** Share of the firing neurons to be predicted. */
  readonly recall: number;
  readonly hidden: (typeof HIDDENS)[number];
  readonly weights: (typeof PREDICTOR_WEIGHTS)[number];
  /** How often every token is learnt from. */
  readonly passes: number;
  readonly seed: number;
  /** null: one for each core. */
  readonly threads: number | null;
}

export interface TrainStep { readonly stage: "speak" | "record" | "fit" | "judge"; readonly done: number; readonly total: number }

/** Shares of neurons over the tokens held out; absent where there was nothing to count. */
export interface PredictorShares {
  /** Of those that fired, the predicted. */
  readonly recall?: number;
  /** Of those that did not, the predicted. */
  readonly falsePositives?: number;
  readonly predicted?: number;
  readonly fired?: number;
}

export interface TrainReport {
  readonly bytes: number;
  /** Fingerprint of the model. */
  readonly model: string;
  readonly rank: number;
  readonly weights: string;
  /** Tokens learnt from, tokens that thresholds were set by, tokens that the figures are of. */
  readonly learnt: number;
  readonly calibrated: number;
  readonly heldOut: number;
  readonly layers: ReadonlyArray<{ readonly layer: number; readonly shares: PredictorShares; readonly blindExperts: number }>;
  readonly overall: PredictorShares;
  /** Of the tokens held out, with true gates and with the predictor. */
  readonly losslessPerplexity: number;
  readonly predictedPerplexity: number;
  readonly scored: number;
  /** Recall while the predictor decided in all layers, on inputs that earlier misses had changed. */
  readonly runningRecall?: number;
  readonly recordingSeconds: number;
  readonly fittingSeconds: number;
  readonly seed: number;
}

/** Fits a predictor; null when it was cancelled: nothing was left behind. */
export type TrainPredictor = (request: TrainRequest, hooks: Hooks<TrainStep>) => TaskEither<AppError, TrainReport | null>;

export const trainPredictor: TrainPredictor = (request, hooks) => untilDone(hooks, (told) => call<TrainReport, TrainStep>(request, (binding, cancel, steps) => binding.trainPredictor(present({ ...request }), cancel, steps as (step: unknown) => void), told));
