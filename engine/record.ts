/** Which experts and neurons a text uses, to a trace. */
import { TE, pipe, type TaskEither } from "../sim/base/fp.js";
import type { AppError } from "../sim/base/errors.js";
import { call, present, untilDone, type Hooks } from "./call.js";
import { withoutBudget, type SynthStep } from "./synth.js";

export interface RecordRequest {
  /** A GGUF file. */
  readonly model: string;
  readonly out: string;
  readonly prompt: string;
  /** Tokens of the pieces that the text is read in, each from an empty context; null: it is one. */
  readonly window: number | null;
  /** Of the continuation, at most. */
  readonly tokens: number;
  readonly stopAtEnd: boolean;
  /** 0 takes the likeliest token. */
  readonly temperature: number;
  readonly seed: number;
  /** null: one for each core. */
  readonly threads: number | null;
}

export interface RecordReport {
  /** `general.name` of the file; may be empty. */
  readonly name: string;
  readonly architecture: string;
  readonly activation: "silu" | "relu" | "drelu";
  readonly layers: number;
  readonly hidden: number;
  readonly neurons: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly experts: number;
  readonly expertsUsed: number;
  readonly vocabulary: number;
  readonly promptTokens: number;
  readonly generated: number;
  readonly text: string;
  /** Share of the neurons of used experts that fired; absent in a model whose neurons are all active. */
  readonly share?: number;
  readonly bytes: number;
}

/** null when it was cancelled: nothing was left behind. */
export type Recorder = (request: RecordRequest, hooks: Hooks<SynthStep>) => TaskEither<AppError, RecordReport | null>;

export const record: Recorder = (request, hooks) =>
  untilDone(hooks, (told) =>
    pipe(
      call<RecordReport, SynthStep>(request, (binding, cancel, steps) => binding.record(present({ ...request }), cancel, steps as (step: unknown) => void), told),
      TE.mapLeft(withoutBudget),
    ));
