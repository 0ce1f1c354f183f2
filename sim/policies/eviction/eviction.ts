/**
 * The contract of eviction policies over equal-sized things (neurons). `request` tells whether the thing was resident; on
 * a miss the policy may take it in, and names through `onEvict` each thing it drops, never more than makes the rest fit.
 * At no time are more than `slots` things resident.
 */
export interface EvictionSetting {
  readonly slots: number;
  /** Things are numbered from 0 to here. */
  readonly things: number;
  /** How often each thing is wanted, from the model's statistics. Read by policies that keep a fixed choice. */
  readonly heat: ArrayLike<number>;
  /** Tokens that a sliding window covers. */
  readonly windowTokens: number;
  /** All requests to come, in order. Read by policies that replay with hindsight; the requests must then match it. */
  readonly future: ArrayLike<number>;
  readonly onEvict: (thing: number) => void;
  /** Residents that must stay for now, because they are being read or computed with; none where it is left out. With all of them held, a miss takes nothing in and changes nothing. */
  readonly held?: Held;
}

export interface Held {
  readonly count: () => number;
  readonly has: (thing: number) => boolean;
}

export const NOTHING_HELD: Held = { count: () => 0, has: () => false };

export interface EvictionState {
  readonly request: (thing: number) => boolean;
  /** The token is over: all of its requests were made. */
  readonly endToken: () => void;
  readonly isResident: (thing: number) => boolean;
  readonly size: () => number;
}

export interface EvictionPolicy {
  readonly name: string;
  /** Whether a thing requested is resident right after, given any slot at all. */
  readonly admitsAlways: boolean;
  /** Whether more slots never miss more, whatever the requests (Mattson's stack property). */
  readonly moreNeverMissesMore: boolean;
  readonly start: (setting: EvictionSetting) => EvictionState;
}
