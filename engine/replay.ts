/** Traces of keys through the caches of the engine, nothing read: what each policy finds with so many slots. */
import { TE, pipe, type TaskEither } from "../sim/base/fp.js";
import type { AppError } from "../sim/base/errors.js";
import { call, present, untilDone, type Hooks } from "./call.js";
import { POLICIES } from "./generate.js";

/** Those that a run can have, and the one that must know what is to come. */
export const REPLAY_POLICIES = [...POLICIES, "belady"] as const;

/** Stands in a trace where a token ends; never a key. */
export const END_TOKEN = 2 ** 32 - 1;

/** What the caches number: 31 bits, less what their logs of uses take beside the keys. As in engine/crates/cache/src/kind.rs. */
export const MOST_KEYS = 2 ** 31 - 4096;

/** What became of a place of the trace: a miss, a hit, or no look-up because a token ended there. */
export const OUTCOMES = { miss: 0, hit: 1, endToken: 2 } as const;

export interface ReplayRequest {
  /** Each goes with each number of slots, from empty. */
  readonly policies: ReadonlyArray<(typeof REPLAY_POLICIES)[number]>;
  /** Keys that may be resident at a time; with none every look-up misses. */
  readonly slots: ReadonlyArray<number>;
  /** Keys of the trace are below this. */
  readonly keys: number;
  /** Keys in the order of their look-ups, and END_TOKEN where a token ends, which only `window` needs. Copied before the event loop turns again. */
  readonly trace: Uint32Array;
  /** How often each key is wanted, one number a key: what `static-hot` goes by; null for the others. Copied likewise. */
  readonly heat: Float64Array | null;
  /** Tokens that `window` covers. */
  readonly windowTokens: number;
  /** Whether what became of each place of the trace is reported: a byte a place and row. */
  readonly outcomes: boolean;
}

/** Places of the trace, all rows together. */
export interface ReplayStep { readonly done: number; readonly total: number }

/** Hits and misses are all look-ups. */
export interface ReplayRow {
  readonly policy: (typeof REPLAY_POLICIES)[number];
  readonly slots: number;
  readonly hits: number;
  readonly misses: number;
  /** Keys that left, at the end of a token or to make room. */
  readonly evictions: number;
  /** Misses after which the policy did not take the key in, or had no slot at all. */
  readonly declined: number;
  /** On the processor, from the first look-up to the last. */
  readonly seconds: number;
  /** On the processor before that: tables made, heat sorted, what is to come foreseen. */
  readonly preparationSeconds: number;
  /** For each place of the trace one of OUTCOMES, where that was asked for. */
  readonly outcomes?: Uint8Array;
}

/** Policies in the order of the request, each with its slots in their order. */
export interface ReplayReport { readonly rows: ReadonlyArray<ReplayRow> }

/** null when it was cancelled. */
export type Replay = (request: ReplayRequest, hooks: Hooks<ReplayStep>) => TaskEither<AppError, ReplayReport | null>;

/** Mistakes are told of this. */
const WHERE = "engine.replay";

const withoutBudget = (error: AppError): AppError => (error._tag === "DoesNotFit" ? { ...error, hint: "fewer keys, a shorter trace, or fewer rows with outcomes take less" } : error);

export const replay: Replay = (request, hooks) =>
  untilDone(hooks, (told) =>
    pipe(
      call<ReplayReport, ReplayStep>({ model: WHERE, out: WHERE }, (binding, cancel, steps) => binding.replay(present({ ...request }), cancel, steps as (step: unknown) => void), told),
      TE.mapLeft(withoutBudget),
    ));
