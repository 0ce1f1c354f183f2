/** How fast the engine is: the tests of llama-bench, on a model that is loaded once. */
import type { TaskEither } from "../sim/base/fp.js";
import type { AppError } from "../sim/base/errors.js";
import type { Part } from "./binding.js";
import { call, present, untilDone, type Hooks } from "./call.js";
import { flattened, type GenerateRequest, type MemoryPhases, type PhaseReport, type ReadsReport, type RunSetting } from "./generate.js";

export interface BenchRequest extends RunSetting {
  /** Tokens of each prompt test; they come first. */
  readonly prompts: ReadonlyArray<number>;
  /** Tokens of each generation test. */
  readonly generations: ReadonlyArray<number>;
  /** Of each test. */
  readonly repetitions: number;
  /** Whether each test is run once unmeasured. */
  readonly warmUp: boolean;
  /** Of the tokens. */
  readonly seed: number;
  /** A predictor's file: while generating it and not the gates decides which neurons are computed. null: lossless. */
  readonly predictor: string | null;
}

/** 0: the model is loaded; then repetitions of all tests so far. */
export interface BenchStep { readonly done: number }

export interface BenchTestReport {
  /** One of these two is 0. */
  readonly prompt: number;
  readonly generation: number;
  /** When it began: milliseconds since 1970. */
  readonly started: number;
  /** Nanoseconds of each repetition. */
  readonly samples: ReadonlyArray<number>;
  /** All of them together. */
  readonly spent: PhaseReport;
}

export interface BenchReport {
  readonly architecture: string;
  readonly file: "gguf" | "packed";
  readonly parameters: number;
  readonly weightBytes: number;
  /** How most weights are stored. */
  readonly weights: string;
  readonly ffn: "dense in memory" | "sparse in memory" | "from flash";
  readonly labels: ReadonlyArray<string>;
  readonly kernels: string;
  readonly threads: number;
  readonly loadNs: number;
  readonly tests: ReadonlyArray<BenchTestReport>;
  readonly reads?: ReadsReport;
  readonly memory?: number;
  readonly fixed: ReadonlyArray<Part>;
  readonly ffnBytes: number;
  readonly hot: number;
  readonly cold: number;
  readonly phases?: MemoryPhases;
  readonly peakResident?: number;
}

/** null when it was cancelled. */
export type Bench = (request: BenchRequest, hooks: Hooks<BenchStep>) => TaskEither<AppError, BenchReport | null>;

/** What only a text needs, and what gives tokens of its own does not look at. */
export const NO_TEXT: Pick<GenerateRequest, "prompt" | "tokens" | "temperature" | "topK" | "topP" | "stopAtEnd" | "predictor" | "audit" | "slow" | "adapt" | "trace"> = { prompt: "", tokens: 1, predictor: null, audit: false, slow: null, adapt: null, temperature: 0, topK: 0, topP: 1, stopAtEnd: false, trace: false };

export const bench: Bench = ({ prompts, generations, repetitions, warmUp, predictor, ...setting }, hooks) =>
  untilDone(hooks, (told) =>
    call<BenchReport, BenchStep>(
      { model: setting.model, out: setting.model },
      (binding, cancel, steps) => binding.bench({ run: present(flattened({ ...setting, ...NO_TEXT, predictor })), prompts, generations, repetitions, warmUp }, cancel, steps as (step: unknown) => void),
      told,
    ));
