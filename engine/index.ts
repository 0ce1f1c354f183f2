/**
 * The engine's one TypeScript face. All calls run off the main thread, tell what they do while they do it, and end soon
 * after their signal is aborted. Failures are values; only a fault of ours in this file would throw.
 */
import { E, TE, pipe, type TaskEither } from "../sim/base/fp.js";
import { badInput, disk, fault, unsupported, type AppError } from "../sim/base/errors.js";
import { loadBinding, type Binding, type Failure, type Outcome, type Part } from "./binding.js";

export type { Part } from "./binding.js";

export const DOWN_FORMS = ["auto", "exact", "q8_0", "q4_0", "f16"] as const;
export const ARRANGEMENTS = ["bundles", "matrices"] as const;
export const POLICIES = ["lru", "window", "static-hot", "clock", "lfu", "s3-fifo", "sieve", "arc"] as const;
export const GRANULARITIES = ["tensor", "expert", "matrix", "cluster", "neuron"] as const;
export const OVERLAPS = ["none", "matrix", "cluster"] as const;
export const FFNS = ["auto", "dense", "sparse"] as const;
export const HIDDENS = ["identity", "relu"] as const;
export const PREDICTOR_WEIGHTS = ["auto", "q8_0", "f16"] as const;

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
  /** A predictor's file: it decides which neurons are computed in decode, so the text is no longer the model's own; null: lossless. */
  readonly predictor: string | null;
  /** Whether what the predictor misses is counted. */
  readonly audit: boolean;
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
  readonly ffn: "dense in memory" | "sparse in memory" | "predicted in memory" | "from flash";
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
  /** Share of neurons that were predicted in generated tokens, where a predictor decided. */
  readonly predicted?: number;
  /** Share of the neurons that would have fired that were predicted, where that was audited. */
  readonly recall?: number;
  readonly reads?: { readonly backend: string; readonly count: number; readonly p50Ns: number; readonly p99Ns: number; readonly peakBufferBytes: number };
  readonly memory?: number;
  readonly fixed: ReadonlyArray<Part>;
  readonly ffnBytes: number;
  readonly hot: number;
  readonly cold: number;
  readonly peakResident?: number;
  readonly seed: number;
}

export interface Hooks<Step> {
  readonly onStep: (step: Step) => void;
  readonly signal?: AbortSignal;
}

export interface Engine {
  /** null when it was cancelled: nothing was left behind. */
  readonly pack: (request: PackRequest, hooks: Hooks<PackStep>) => TaskEither<AppError, PackReport | null>;
  /** Fits a predictor; null when it was cancelled: nothing was left behind. */
  readonly trainPredictor: (request: TrainRequest, hooks: Hooks<TrainStep>) => TaskEither<AppError, TrainReport | null>;
  /** A cancelled run has the report of what it did; null when it had not got as far as a report. */
  readonly generate: (request: GenerateRequest, hooks: Hooks<GenerateStep>) => TaskEither<AppError, GenerateReport | null>;
}

/** Messages of files begin with the file, and so do ours. */
const withoutFile = (message: string, file: string): string => [`cannot pack ${file}: `, `${file}: `].reduce((rest, prefix) => (rest.startsWith(prefix) ? rest.slice(prefix.length) : rest), message);

const MEGABYTE = 1e6;

/** What the process itself holds differs from run to run, by less than these two megabytes. */
const enough = (bytes: number): string => `--memory ${Math.ceil(bytes / MEGABYTE) + 2}MB works`;

const errorOf = (model: string, out: string, failure: Failure): AppError => {
  switch (failure.kind) {
    case "input":
      return badInput(model, [{ path: failure.argument ?? "(whole)", message: withoutFile(failure.message, model) }]);
    case "doesNotFit":
      return failure.needed === undefined || failure.allowed === undefined
        ? unsupported(model, failure.message)
        : { _tag: "DoesNotFit", needed: failure.needed, allowed: failure.allowed, parts: failure.parts, hint: `${enough(failure.needed)}; ${failure.message}` };
    case "unsupported":
      return unsupported(model, failure.message);
    case "disk":
      return disk(failure.message.includes(model) ? model : out, failure.message);
    case "cancelled":
    case "fault":
      return fault(failure.message);
  }
};

/** Hands a call its flag and ties that to the signal for as long as the call runs. */
const call = <Report, Step>({ model, out }: { readonly model: string; readonly out: string }, start: (binding: Binding, cancel: InstanceType<Binding["Cancel"]>, tell: (step: Step) => void) => Promise<Outcome<unknown>>, hooks: Hooks<Step>): TaskEither<AppError, Report | null> =>
  pipe(
    TE.fromIOEither(() => loadBinding()),
    TE.chain((binding) => async () => {
      if (hooks.signal?.aborted === true) return E.right(null);
      const cancel = new binding.Cancel();
      const abort = (): void => cancel.cancel();
      hooks.signal?.addEventListener("abort", abort);
      try {
        const { failure, report } = await start(binding, cancel, hooks.onStep);
        if (failure?.kind === "cancelled") return E.right(null);
        return failure === undefined ? E.right(report as Report) : E.left(errorOf(model, out, failure));
      } catch (thrown) {
        // The border refuses an argument of another type: no caller of these types can hand one over.
        return E.left(fault(`the native engine refused a call: ${thrown instanceof Error ? thrown.message : String(thrown)}`));
      } finally {
        hooks.signal?.removeEventListener("abort", abort);
      }
    }),
  );

/** The border knows absent and not null. */
const present = (of: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => Object.fromEntries(Object.entries(of).filter(([, value]) => value !== null));

/** A call whose steps are worth nothing once its outcome is known. */
const withProgress = <Step, Report>(of: "pack" | "trainPredictor") => (request: PackRequest | TrainRequest, hooks: Hooks<Step>): TaskEither<AppError, Report | null> => {
  let over = false;
  const tell = (step: Step): void => (over ? undefined : hooks.onStep(step));
  return pipe(
    call<Report, Step>(request, (binding, cancel, steps) => binding[of](present({ ...request }), cancel, steps as (step: unknown) => void), { ...hooks, onStep: tell }),
    TE.map((report) => {
      over = true;
      return report;
    }),
  );
};

const pack: Engine["pack"] = withProgress("pack");
const trainPredictor: Engine["trainPredictor"] = withProgress("trainPredictor");

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

export const engine: Engine = { pack, trainPredictor, generate };
