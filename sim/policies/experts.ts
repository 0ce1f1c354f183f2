/**
 * Replays of a routing through a cache of whole experts counted in bytes, whose sizes differ by layer: hit rates by policy. A visit asks for several experts of
 * one layer at once; none of them leaves before the visit is over. Slow and plain: for tables, not for runs (those are sim/neurons/expert-cache.ts).
 */
import type { RandomStream } from "../base/random.js";

export interface ExpertVisit { readonly layer: number; readonly experts: ArrayLike<number> }

/**
 * `lru`: what was used longest ago leaves. `lfu`: what was used in the fewest visits since the beginning, counts being kept when it leaves; among equals the one used
 * longest ago. `belady`: what is wanted again last, everything being taken in. `random`: any.
 */
export const REPLAY_POLICIES = ["lru", "lfu", "belady", "random"] as const;
export type ReplayPolicy = (typeof REPLAY_POLICIES)[number];

export interface ReplaySetting {
  /** An expert of each layer. */
  readonly bytesOf: ArrayLike<number>;
  readonly experts: number;
  readonly capacity: number;
  readonly policy: ReplayPolicy;
  readonly random: RandomStream;
}

export interface Replayed { readonly lookups: number; readonly hits: number; readonly bytesRead: number }

const NEVER = Number.MAX_SAFE_INTEGER;

/** For each visit and place in it, the visit in which the expert is wanted next. */
const nextWanted = (visits: ReadonlyArray<ExpertVisit>, experts: number): ReadonlyArray<Float64Array> => {
  const next = new Map<number, number>();
  const wanted: Array<Float64Array> = [];
  for (let visit = visits.length - 1; visit >= 0; visit--) {
    const { layer, experts: asked } = visits[visit]!;
    wanted[visit] = Float64Array.from(asked, (expert) => next.get(layer * experts + expert) ?? NEVER);
    for (let i = 0; i < asked.length; i++) next.set(layer * experts + asked[i]!, visit);
  }
  return wanted;
};

export const replayExperts = (visits: ReadonlyArray<ExpertVisit>, { bytesOf, experts, capacity, policy, random }: ReplaySetting): Replayed => {
  const keys = bytesOf.length * experts;
  const lastUse = new Float64Array(keys);
  const uses = new Float64Array(keys);
  const wanted = policy === "belady" ? nextWanted(visits, experts) : null;
  const wantedAt = new Float64Array(keys);
  const place = new Int32Array(keys).fill(-1);
  const resident: Array<number> = [];
  const inVisit = new Float64Array(keys).fill(-1);
  let [bytes, lookups, hits, bytesRead, clock] = [0, 0, 0, 0, 0];

  const drop = (key: number): void => {
    const last = resident.pop()!;
    if (last !== key) {
      resident[place[key]!] = last;
      place[last] = place[key]!;
    }
    place[key] = -1;
    bytes -= bytesOf[Math.floor(key / experts)]!;
  };
  /** Whether the first should rather leave than the second. */
  const rather = (one: number, other: number): boolean =>
    policy === "belady" ? wantedAt[one]! > wantedAt[other]! : policy === "lfu" && uses[one] !== uses[other] ? uses[one]! < uses[other]! : lastUse[one]! < lastUse[other]!;
  /** What leaves for an expert of this visit; -1 where all that is there is of the visit itself. */
  const victim = (visit: number): number => {
    const free = (key: number): boolean => inVisit[key] !== visit;
    if (policy === "random") {
      const candidates = resident.filter(free);
      return candidates.length === 0 ? -1 : candidates[Math.floor(random.uniform() * candidates.length)]!;
    }
    let found = -1;
    for (const key of resident) if (free(key) && (found < 0 || rather(key, found))) found = key;
    return found;
  };

  visits.forEach(({ layer, experts: asked }, visit) => {
    for (let i = 0; i < asked.length; i++) {
      const key = layer * experts + asked[i]!;
      lookups++;
      if (place[key]! >= 0) hits++;
      else bytesRead += bytesOf[layer]!;
      lastUse[key] = ++clock;
      uses[key]!++;
      inVisit[key] = visit;
      if (wanted !== null) wantedAt[key] = wanted[visit]![i]!;
    }
    for (let i = 0; i < asked.length; i++) {
      const key = layer * experts + asked[i]!;
      if (place[key]! >= 0) continue;
      for (let leaving = 0; bytes + bytesOf[layer]! > capacity && leaving >= 0; ) {
        leaving = victim(visit);
        if (leaving >= 0) drop(leaving);
      }
      if (bytes + bytesOf[layer]! > capacity) continue;
      place[key] = resident.push(key) - 1;
      bytes += bytesOf[layer]!;
    }
  });
  return { lookups, hits, bytesRead };
};
