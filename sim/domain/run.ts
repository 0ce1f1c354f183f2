/**
 * One run: what was asked and what came of it. The engine and the simulator emit the same record, told apart by
 * `origin`, so that a table or a figure can show both and never mix them.
 */
import type { PredictorAccount } from "./predictor-account.js";
import { encodePlan, type Plan } from "./plan.js";
import type { Mechanisms } from "./system.js";

export type Fidelity = "analytic" | "cluster" | "neuron";
export type Phase = "prefill" | "decode";

/** How much memory the run gets: a size, or the share of the FFN that must stay on flash. */
export type MemoryRequest = { readonly _tag: "Bytes"; readonly bytes: number } | { readonly _tag: "OffloadFfn"; readonly share: number } | { readonly _tag: "All" };

export interface RunRequest {
  readonly device: string;
  readonly model: string;
  readonly system: string;
  readonly memory: MemoryRequest;
  readonly phase: Phase;
  /** Tokens of the prompt (prefill), or already in the context (decode). */
  readonly prompt: number;
  /** Tokens to generate in decode; ignored in prefill. */
  readonly tokens: number;
  /** Sequences decoded together. */
  readonly batch: number;
  readonly seed: number;
  readonly fidelity: Fidelity;
  /** Mechanisms switched against the system's own. */
  readonly mechanisms?: Partial<Mechanisms>;
  /** A plan to run instead of the system's default. */
  readonly plan?: Plan;
  /** The file of the activation trace that stands in the place of the model's statistics. */
  readonly activations?: string;
  /** Keep all spans for a timeline. */
  readonly trace?: boolean;
}

/** Where time goes. The critical path is cut into these; they sum to the wall time exactly. */
export const ACTIVITIES = ["attention", "predictor", "gate", "up+down", "dense FFN", "head", "launch", "merge", "cache", "read gate", "read up+down", "read bundle", "read rows", "stream", "page fault", "wait"] as const;
export type Activity = (typeof ACTIVITIES)[number];
/** The activities that are reads; all others but "wait" are compute. */
export const READS: ReadonlyArray<Activity> = ["read gate", "read up+down", "read bundle", "read rows", "stream", "page fault"];

export interface Latency { readonly mean: number; readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number }

export interface LaneUse { readonly lane: string; readonly busyNs: number; readonly servers: number }

export interface SpanRow { readonly lane: string; readonly what: Activity; readonly startNs: number; readonly endNs: number; readonly token: number; readonly layer: number; readonly critical: boolean }

export interface TokenRow {
  readonly latencyNs: number;
  readonly bytesRead: number;
  /** Neurons needed from the cache and those of them that were not there (active neurons only). */
  readonly lookups: number;
  readonly misses: number;
}

export interface RunRecord {
  readonly schema: "neuronlab/run@1";
  readonly origin: "simulated" | "measured";
  readonly inputs: RunRequest;
  readonly plan: Plan;
  /** Of the phase asked for; aggregate over the batch in decode. */
  readonly tokensPerSec: number;
  readonly wallNs: number;
  readonly msPerToken: Latency;
  readonly tokens: ReadonlyArray<TokenRow>;
  readonly bytesReadPerToken: number;
  /** Of the active neurons that a token needs, on whatever unit: share found in memory. 1 when all is resident. */
  readonly cacheHitRate: number;
  /** Misses over ALL neurons computed, the dense hot rows included: the paper's Table 5 and Figure 14 read so (docs/model.md). */
  readonly missOfComputed: Latency;
  /** Per token, of the rows that the CPU computes by prediction; null where all are computed. */
  readonly predictor: PredictorAccount | null;
  /** Critical path by activity, ns per token; sums to the mean token time. */
  readonly breakdown: ReadonlyArray<{ readonly activity: Activity; readonly nsPerToken: number }>;
  /** Wall time in which no unit computes while a read is under way, as a share of the wall time. */
  readonly exposedIoShare: number;
  readonly lanes: ReadonlyArray<LaneUse>;
  /** Share of the compute threads' time spent computing. */
  readonly cpuUtilisation: number;
  readonly dramBytesPerToken: number;
  /** DRAM bytes over wall time, bytes/ns. */
  readonly dramBandwidth: number;
  readonly energy: { readonly joulesPerToken: number; readonly peakWatts: number; readonly meanWatts: number; readonly byPart: ReadonlyArray<{ readonly part: string; readonly joules: number }>; readonly hottestC: number };
  /** tokens/s: `upper` if every part overlapped perfectly, `lower` if nothing overlapped. */
  readonly bound: { readonly lower: number; readonly upper: number };
  /** Parts ordered by how much of the critical path they hold; the first limits the run next. */
  readonly limits: ReadonlyArray<{ readonly part: string; readonly share: number }>;
  /** In-run checks that failed; empty in a sound run. */
  readonly violations: ReadonlyArray<string>;
  readonly spans: ReadonlyArray<SpanRow>;
}

/** A request as a file has it: a plan's sizes carry their units, there as in the plan's own file. */
export const encodeRequest = (request: RunRequest): unknown => (request.plan === undefined ? request : { ...request, plan: encodePlan(request.plan) });

/** The whole record as its file has it. */
export const encodeRecord = (record: RunRecord): unknown => ({ ...record, inputs: encodeRequest(record.inputs), plan: encodePlan(record.plan) });
