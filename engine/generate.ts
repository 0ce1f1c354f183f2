/** A model and a prompt to a text. */
import { TE, pipe, type TaskEither } from "../sim/base/fp.js";
import type { AppError } from "../sim/base/errors.js";
import type { AdaptRequest, DecisionReport, GateReads, SlowStorage } from "./adapting.js";
import type { Part } from "./binding.js";
import { call, present, type Hooks } from "./call.js";

export const POLICIES = ["lru", "window", "static-hot", "clock", "lfu", "s3-fifo", "sieve", "arc"] as const;
export const GRANULARITIES = ["tensor", "expert", "matrix", "cluster", "neuron"] as const;
export const OVERLAPS = ["none", "matrix", "cluster"] as const;
export const FFNS = ["auto", "dense", "sparse"] as const;
export const KV_FORMATS = ["f16", "f32"] as const;

/** Points are rows of numbers: block and rate, or block, range and rate; bytes, and bytes a second. */
export interface FlashShape {
  readonly sequential: ReadonlyArray<number>;
  readonly random: ReadonlyArray<number>;
  readonly queues: number;
  readonly contentionFloor: number;
  readonly contentionSubmitters: number;
  readonly latencyNs: number;
  readonly secondPhaseRatio: number;
  /** Of the core that issues reads, relative to the device's best. */
  readonly coreRatio: number;
}

/** How a model runs, whatever is asked of it. Sizes in bytes. */
export interface RunSetting {
  /** A GGUF file, or one that `pack` made. */
  readonly model: string;
  /** What the whole process may hold; null: everything in memory. */
  readonly memory: number | null;
  /** Sizes of the segments, cut to what there is; null: as much as that. */
  readonly segments: { readonly hot: number; readonly cold: number } | null;
  /** null: one for each core. */
  readonly threads: number | null;
  /** Cores to bind compute threads to, one for each; null binds none. */
  readonly cores: ReadonlyArray<number> | null;
  /** The core of the threads that only read; null: any. */
  readonly ioCore: number | null;
  /** Another device's flash, which this disk is slowed down to; null: as it is. */
  readonly shape: FlashShape | null;
  readonly io: { readonly backend: "lanes" | "io_uring"; readonly reads: number };
  readonly depth: number;
  readonly cluster: number;
  readonly policy: (typeof POLICIES)[number];
  readonly granularity: (typeof GRANULARITIES)[number];
  readonly overlap: (typeof OVERLAPS)[number];
  /** How gate rows that are not in memory are read, where units are neurons and every gate decides. */
  readonly gates: GateReads;
  /** Whether what the segments have room for is read from the file before the first token. */
  readonly preload: boolean;
  readonly ffn: (typeof FFNS)[number];
  /** How keys and values are kept: f32 has no vector kernels, and is for comparing with another program; absent: f16. */
  readonly kv?: (typeof KV_FORMATS)[number];
  /** A file with a model of another shape than this is refused; null: any will do. */
  readonly planned: PlannedModel | null;
}

/** The shape of the model that a plan was made for, as far as sizes in a plan follow from it: files of one model pad the vocabulary in different ways. An absent number is not known, and not compared. */
export interface PlannedModel { readonly name: string; readonly layers: number; readonly hidden: number; readonly neurons: number; readonly experts: number; readonly used?: number }

export interface GenerateRequest extends RunSetting {
  readonly prompt: string;
  /** At most so many. */
  readonly tokens: number;
  /** A predictor's file: it decides which neurons are computed in decode, so the text is no longer the model's own; null: lossless. */
  readonly predictor: string | null;
  /** Whether what the predictor misses is counted. */
  readonly audit: boolean;
  /** The modelled storage becomes slower; null: it stays as it is. */
  readonly slow: SlowStorage | null;
  /** Measures, and changes what can be changed between tokens; null: nothing changes. */
  readonly adapt: AdaptRequest | null;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly seed: number;
  readonly stopAtEnd: boolean;
  /** Whether the report is to have a timeline; it takes some megabytes of the memory, and a little time. */
  readonly trace: boolean;
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
  /** Of these, those on their way before attention, because the experts were known. */
  readonly gatesAnnounced: number;
  /** Units of up and down. */
  readonly lookUps: number;
  readonly misses: number;
}

/** Reads that passed the modelled device, and those that the real disk delivered later than it would have. */
export interface ShapedReport { readonly reads: number; readonly late: number; readonly lateNs: number; readonly deviceNs: number }

/** From the first token on; `preloaded` is what filled the neuron cache before it, where that was asked for. */
export interface ReadsReport { readonly preloaded?: { readonly count: number; readonly bytes: number }; readonly backend: string; readonly count: number; readonly p50Ns: number; readonly p99Ns: number; readonly peakBufferBytes: number; readonly shaped?: ShapedReport }

/** Where the time of some passes went: nanoseconds of threads or, of reads, of reads. */
export interface SpentReport {
  readonly passes: number;
  readonly ns: number;
  /** In the order of the timeline's `activities`. */
  readonly byActivity: ReadonlyArray<number>;
  readonly byThread: ReadonlyArray<number>;
  readonly together: number;
  /** Wall time with a read under way, and the part of it in which no thread computed. */
  readonly reading: number;
  readonly exposed: number;
}

export interface TimelineReport {
  readonly activities: ReadonlyArray<string>;
  readonly prompt: SpentReport;
  readonly decode: SpentReport;
  /** For each pass of decode: ns, bytes read, units of up and down looked for, and missed. */
  readonly rows: Float64Array;
  /** For each span: lane (a thread; then all together; then reads), activity, start and end in ns, token (-1: of the prompt), layer (-1: of none). */
  readonly spans: Float64Array;
  /** Passes at the beginning whose spans were dropped, and spans that had no room. */
  readonly forgotten: number;
  readonly lost: number;
}

/** What a phase holds beside what is always held. */
export interface MemoryShare { readonly parts: ReadonlyArray<Part>; readonly hot: number; readonly cold: number }

/** Segments shrink while a prompt streams past, and have its buffers while tokens are generated. */
export interface MemoryPhases { readonly prefill: MemoryShare; readonly decode: MemoryShare }

/** Of the model in the file; as a plan says it. */
export interface ModelShape { readonly layers: number; readonly hidden: number; readonly neurons: number; readonly experts: number; readonly used: number; readonly vocabulary: number }

export interface GenerateReport {
  readonly architecture: string;
  readonly shape: ModelShape;
  readonly file: "gguf" | "packed";
  readonly ffn: "dense in memory" | "sparse in memory" | "predicted in memory" | "from flash" | "predicted from flash";
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
  readonly reads?: ReadsReport;
  readonly memory?: number;
  readonly fixed: ReadonlyArray<Part>;
  readonly ffnBytes: number;
  readonly hot: number;
  readonly cold: number;
  /** Where FFNs are on flash; `hot` and `cold` are those of decode. */
  readonly phases?: MemoryPhases;
  readonly peakResident?: number;
  readonly seed: number;
  /** What was decided between tokens, where that was asked for. */
  readonly adaptation?: ReadonlyArray<DecisionReport>;
  readonly timeline?: TimelineReport;
}

/** A cancelled run has the report of what it did; null when it had not got as far as a report. */
export type Generate = (request: GenerateRequest, hooks: Hooks<GenerateStep>) => TaskEither<AppError, GenerateReport | null>;

/** The border knows no objects in objects. */
export const flattened = ({ segments, io, ...rest }: GenerateRequest): Readonly<Record<string, unknown>> => ({ ...rest, hot: segments?.hot ?? null, cold: segments?.cold ?? null, backend: io.backend, reads: io.reads });

/** Steps travel apart from the outcome and may come after it: what is still missing of the text is told from the report. */
export const generate: Generate = (request, hooks) => {
  let [told, over] = [0, false];
  const tell = (step: GenerateStep): void => {
    if (over) return;
    if (step.what === "text") told += step.text.length;
    hooks.onStep(step);
  };
  return pipe(
    call<GenerateReport, GenerateStep>(
      { model: request.model, out: request.model },
      (binding, cancel, steps) => binding.generate(present(flattened(request)), cancel, steps as (step: unknown) => void),
      { ...hooks, onStep: tell },
    ),
    TE.map((report) => {
      over = true;
      if (report !== null && told < report.text.length) hooks.onStep({ what: "text", text: report.text.slice(told) });
      return report;
    }),
  );
};
