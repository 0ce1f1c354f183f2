/** A plan that changes while a model generates: what is asked for, and what is told of it. */

/** How gate rows are read that are not in memory, from the fewest bytes to the fewest reads. */
export type GateReads = "apart" | "joined" | "bundles";

/** The modelled storage becomes so many times slower after so many tokens: all of it, or only bytes or commands. */
export interface SlowStorage { readonly of: "all" | "bytes" | "reads"; readonly factor: number; readonly token: number }

/** Windows of so many tokens; what a profile says of the storage, and of compute threads' time around a read. */
export interface AdaptRequest { readonly every: number; readonly commandNs: number; readonly byteNs: number; readonly ownNs: number; readonly handedNs: number }

export interface StorageRates { readonly commandNs: number; readonly byteNs: number }

/** Times in ns and sizes in bytes, a token. */
export interface DecisionReport {
  readonly token: number;
  readonly verdict: "changed" | "tried" | "kept" | "returned" | "corrected";
  readonly cause: "storage" | "kernels" | "both" | "trial";
  readonly measured: { readonly wallNs: number; readonly computeNs: number; readonly readingNs: number; readonly waitedShare: number; readonly reads: number; readonly bytes: number; readonly readsPerSec: number; readonly bytesPerSec: number; readonly hitRate: number };
  readonly predicted: { readonly readingNs: number; readonly computeNs: number | null };
  readonly rates: { readonly from: StorageRates; readonly to: StorageRates };
  readonly gates: { readonly from: GateReads; readonly to: GateReads };
  readonly saves: { readonly least: number; readonly most: number } | null;
}
