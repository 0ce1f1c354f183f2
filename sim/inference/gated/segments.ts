/** The hot and the cold segment of the engine, with the policies that it gives them; what a layer uses stays until its end. */
import type { Plan } from "../../domain/plan.js";
import { arc } from "../../policies/eviction/arc.js";
import { clock } from "../../policies/eviction/clock.js";
import type { EvictionPolicy, EvictionState } from "../../policies/eviction/eviction.js";
import { lfu } from "../../policies/eviction/lfu.js";
import { lru } from "../../policies/eviction/lru.js";
import { s3Fifo } from "../../policies/eviction/s3-fifo.js";
import { sieve } from "../../policies/eviction/sieve.js";
import { staticHot } from "../../policies/eviction/static-hot.js";
import { window } from "../../policies/eviction/window.js";
import type { Cut } from "./cut.js";

/** Tokens of the engine's sliding window. (engine/crates/offload/src/lib.rs) */
export const WINDOW_TOKENS = 5;

export interface Segment {
  readonly slots: number;
  /** Looks for a thing and takes it in on a miss, where its policy and what is in use allow that; it is in use then. */
  readonly use: (thing: number) => boolean;
  /** The same for what is not in use after it: what a prompt leaves behind. */
  readonly keep: (thing: number) => void;
  readonly isResident: (thing: number) => boolean;
  /** Slots that have ever held something: the others' memory has never been used. */
  readonly touched: () => number;
  /** Nothing is in use any more. */
  readonly release: () => void;
  readonly endToken: () => void;
}

const createSegment = (policy: EvictionPolicy, slots: number, things: number, heat: Float64Array): Segment => {
  const inUse = new Uint8Array(things);
  const used: Array<number> = [];
  let [held, touched] = [0, 0];
  const state: EvictionState = policy.start({
    slots, things, heat, windowTokens: WINDOW_TOKENS, future: [], onEvict: () => void held--,
    held: { count: () => used.length, has: (thing) => inUse[thing] === 1 },
  });
  const request = (thing: number): boolean => {
    const found = state.request(thing);
    if (!found && state.isResident(thing)) touched = Math.max(touched, ++held);
    return found;
  };
  return {
    slots,
    touched: () => touched,
    use: (thing) => {
      const found = request(thing);
      if (inUse[thing] === 0 && (found || state.isResident(thing))) {
        inUse[thing] = 1;
        used.push(thing);
      }
      return found;
    },
    keep: (thing) => void request(thing),
    isResident: state.isResident,
    release: () => {
      for (const thing of used) inUse[thing] = 0;
      used.length = 0;
    },
    endToken: state.endToken,
  };
};

/** The first of each layer are the hottest: files lie in the order of their source, which knows no other. */
const heatOf = (things: number, perExpert: number): Float64Array => Float64Array.from({ length: things }, (_, thing) => -(thing % perExpert));

/** The eviction policy that each word of a plan means. Systems that keep pages or nothing are refused before this is asked. */
const POLICY: Readonly<Record<Plan["mechanisms"]["cache"], EvictionPolicy>> = {
  segmented: lru, "neuron-lru": lru, "expert-lru": lru, window, "static-hot": staticHot, clock, lfu, "s3-fifo": s3Fifo, sieve, arc, "page-cache": lru, none: lru,
};

const everything = (slots: number): Segment => ({ slots, use: () => true, keep: () => undefined, isResident: () => true, touched: () => slots, release: () => undefined, endToken: () => undefined });

export const hotSegment = (cut: Cut): Segment => cut.loaded ? everything(cut.hotSlots) : createSegment(cut.fixedGates ? staticHot : lru, cut.hotSlots, cut.gateKeys, heatOf(cut.gateKeys, cut.clusters));
export const coldSegment = (cut: Cut, cache: Plan["mechanisms"]["cache"]): Segment => cut.loaded ? everything(cut.coldSlots) : createSegment(cut.fixedUnits ? staticHot : POLICY[cache], cut.coldSlots, cut.unitKeys, heatOf(cut.unitKeys, cut.units));
