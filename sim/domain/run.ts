/**
 * One run: what was asked and what came of it. The engine and the simulator emit the same record, told apart by
 * `origin`, so that a table or a figure can show both and never mix them.
 */
import type { PredictorAccount } from "./predictor-account.js";
import type { SlowStorage } from "./slow-storage.js";
import { encodePlan, type Plan } from "./plan.js";
import type { Decision } from "./adaptation.js";
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
  /** Storage that becomes slower in mid-run. */
  readonly slowStorage?: SlowStorage;
  /** Measure, and change the plan between tokens. */
  readonly adapt?: true;
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

/** `critical`: whether it lies on the critical path; null in a measured run, where nobody knows what waited for what. `token` and `layer` are -1 where there is none. */
export interface SpanRow { readonly lane: string; readonly what: Activity; readonly startNs: number; readonly endNs: number; readonly token: number; readonly layer: number; readonly critical: boolean | null }

export interface TokenRow {
  readonly latencyNs: number;
  readonly bytesRead: number;
  /** Neurons needed from the cache and those of them that were not there (active neurons only). */
  readonly lookups: number;
  readonly misses: number;
}

/** What is known of a run, however it was made. */
interface AnyRun {
  readonly schema: "neuronlab/run@1";
  readonly plan: Plan;
  /** Of the phase asked for; aggregate over the batch in decode. */
  readonly tokensPerSec: number;
  readonly wallNs: number;
  readonly msPerToken: Latency;
  readonly tokens: ReadonlyArray<TokenRow>;
  readonly bytesReadPerToken: number;
  /** Of the active neurons that a token needs, on whatever unit: share found in memory. 1 when all is resident. */
  readonly cacheHitRate: number;
  /** Per token, of the rows that the CPU computes by prediction; null where all are computed. */
  readonly predictor: PredictorAccount | null;
  /** Wall time by activity, ns per token; sums to the mean token time. Simulated: the critical path. Measured: the mean over compute threads of what each did. */
  readonly breakdown: ReadonlyArray<{ readonly activity: Activity; readonly nsPerToken: number }>;
  /** Wall time in which no unit computes while a read is under way, as a share of the wall time. */
  readonly exposedIoShare: number;
  readonly lanes: ReadonlyArray<LaneUse>;
  /** Share of the compute threads' time spent computing. */
  readonly cpuUtilisation: number;
  /** What was decided between tokens; null where nothing was to adapt. */
  readonly adaptation: ReadonlyArray<Decision> | null;
  /** In-run checks that failed; empty in a sound run. */
  readonly violations: ReadonlyArray<string>;
  readonly spans: ReadonlyArray<SpanRow>;
}

export interface SimulatedRun extends AnyRun {
  readonly origin: "simulated";
  readonly inputs: RunRequest;
  /** Misses over ALL neurons computed, the dense hot rows included: the paper's Table 5 and Figure 14 read so (docs/model.md). */
  readonly missOfComputed: Latency;
  readonly dramBytesPerToken: number;
  /** DRAM bytes over wall time, bytes/ns. */
  readonly dramBandwidth: number;
  readonly energy: { readonly joulesPerToken: number; readonly peakWatts: number; readonly meanWatts: number; readonly byPart: ReadonlyArray<{ readonly part: string; readonly joules: number }>; readonly hottestC: number };
  /** tokens/s: `upper` if every part overlapped perfectly, `lower` if nothing overlapped. */
  readonly bound: { readonly lower: number; readonly upper: number };
  /** Parts ordered by how much of the critical path they hold; the first limits the run next. */
  readonly limits: ReadonlyArray<{ readonly part: string; readonly share: number }>;
}

/** What was asked of the engine; nothing was modelled, so there is no fidelity. */
export interface MeasuredRequest extends Omit<RunRequest, "fidelity" | "mechanisms" | "plan" | "activations" | "trace"> { readonly fidelity: null }

/** What made a measured run. */
export interface EngineFacts {
  readonly architecture: string;
  /** Where and how FFNs were computed. */
  readonly ffn: string;
  /** `lossless`, or what departs from the file's numbers. */
  readonly labels: ReadonlyArray<string>;
  readonly kernels: string;
  readonly policy: string;
  readonly granularity: string;
  /** What served the reads, with the reason where it is not what was asked for; null where nothing was read. */
  readonly reads: string | null;
  /** The device whose flash the disk was slowed down to, and the share of reads that the real disk delivered later than it would have. */
  readonly shaped: { readonly device: string; readonly reads: number; readonly lateShare: number } | null;
  /** Cores that compute threads were bound to; null where they were not. */
  readonly cores: ReadonlyArray<number> | null;
  /** Tokens before the first whose spans were kept, and spans that had no room where they were recorded. */
  readonly spansBegin: number;
  readonly spansLost: number;
  /** Most bytes that the process held in memory; null where the system does not say. */
  readonly peakResident: number | null;
}

/** What a machine does not measure is null. */
export interface MeasuredRun extends AnyRun {
  readonly origin: "measured";
  readonly inputs: MeasuredRequest;
  readonly engine: EngineFacts;
  readonly missOfComputed: null;
  readonly dramBytesPerToken: null;
  readonly dramBandwidth: null;
  readonly energy: null;
  readonly bound: null;
  readonly limits: null;
}

export type RunRecord = SimulatedRun | MeasuredRun;

/** A request as a file has it: a plan's sizes carry their units, there as in the plan's own file. */
export const encodeRequest = (request: RunRequest | MeasuredRequest): unknown => (!("plan" in request) || request.plan === undefined ? request : { ...request, plan: encodePlan(request.plan) });

export const titleOf = ({ inputs, origin }: RunRecord): string => `${inputs.model} on ${inputs.device} with ${inputs.system} (${origin} ${inputs.phase})`;

/** The whole record as its file has it. */
export const encodeRecord = (record: RunRecord): unknown => ({ ...record, inputs: encodeRequest(record.inputs), plan: encodePlan(record.plan) });
