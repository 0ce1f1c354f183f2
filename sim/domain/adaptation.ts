/** What adapting measures and decides: numbers, and no behaviour. Times in ns, sizes in bytes, all a token unless it says otherwise. */
import type { GateReads } from "./plan.js";

/** What a storage takes for a command, and for a byte on its way. */
export interface Rates { readonly commandNs: number; readonly byteNs: number }

/** Reads, their bytes, and the compute threads' time around them (of all threads together: the wall time that it takes). */
export interface Work { readonly reads: number; readonly bytes: number; readonly cpuNs: number }

export interface AdaptSetting {
  /** Tokens of a window: what is measured over so many is judged at once. */
  readonly every: number;
  /** What the profile says of the storage. */
  readonly rates: Rates;
  /** The ways between which a run can choose. */
  readonly choices: ReadonlyArray<GateReads>;
  /** What each way reads for one cluster whose gate rows are missing. */
  readonly gates: Readonly<Record<GateReads, Work>>;
  /** What a unit of up and down takes that is read by itself. */
  readonly unit: Work;
}

/** What was counted over the tokens of a window, in all. */
export interface Window {
  readonly tokens: number;
  readonly wallNs: number;
  /** Of the mean compute thread: waiting for reads, or for other threads. */
  readonly waitedNs: number;
  /** With a read under way. */
  readonly readingNs: number;
  readonly reads: number;
  readonly bytes: number;
  /** Clusters of gate rows and units of up and down that were looked for. */
  readonly lookUps: number;
  /** Clusters whose gate rows were missing; units that were; of these, those in such clusters. */
  readonly clusters: number;
  readonly units: number;
  readonly beside: number;
}

/** `changed`: better whatever made the storage slow. `tried`: better if it was one thing, worse if it was another. `kept` and `returned`: how such a change turned out. `corrected`: the rates were wrong, and nothing is to be gained. */
export type Verdict = "changed" | "tried" | "kept" | "returned" | "corrected";
/** What was not as predicted; `trial`: a change is being judged. */
export type Cause = "storage" | "kernels" | "both" | "trial";

export interface Decision {
  /** Decoded before it: it holds from this token on. */
  readonly token: number;
  readonly verdict: Verdict;
  readonly cause: Cause;
  readonly measured: {
    readonly wallNs: number;
    readonly computeNs: number;
    readonly readingNs: number;
    readonly waitedShare: number;
    readonly reads: number;
    readonly bytes: number;
    readonly readsPerSec: number;
    readonly bytesPerSec: number;
    readonly hitRate: number;
  };
  /** By the rates as they were; `computeNs` by the windows before, null where there was none. */
  readonly predicted: { readonly readingNs: number; readonly computeNs: number | null };
  readonly rates: { readonly from: Rates; readonly to: Rates };
  readonly gates: { readonly from: GateReads; readonly to: GateReads };
  /** Of the token's time, what the way after this saves beside the way before: by the rates at worst and at best; of a trial, as it was measured. Null where nothing else was open. */
  readonly saves: { readonly least: number; readonly most: number } | null;
}
