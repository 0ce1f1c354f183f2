/** What a plan can be the best in. Larger scores are better; `most` is the score that a run's bounds do not let it pass. */
import { residentBytes } from "../domain/plan.js";
import type { SimulatedRun } from "../domain/run.js";

export const OBJECTIVES = ["tokens/s", "p99", "J/token", "memory"] as const;
export type ObjectiveName = (typeof OBJECTIVES)[number];

/** The four figures of a finished run that objectives and the front are made of. */
export interface Worth { readonly tokensPerSec: number; readonly p99Ms: number; readonly joulesPerToken: number; readonly memoryBytes: number }

export const worthOf = (record: SimulatedRun): Worth => ({
  tokensPerSec: record.tokensPerSec,
  p99Ms: record.msPerToken.p99,
  joulesPerToken: record.energy.joulesPerToken,
  memoryBytes: residentBytes(record.plan),
});

export interface Objective {
  readonly name: ObjectiveName;
  readonly unit: string;
  readonly score: (record: SimulatedRun) => number;
  /** From the bounds of a run (of any fidelity): no run of its plan that asks the same of the phone scores higher. */
  readonly most: (record: SimulatedRun) => number;
}

/** A slow plan that meets the floor before a fast one that does not; below it, the faster the better. */
const withFloor = (floor: number, tokensPerSec: number, bytes: number): number => (tokensPerSec >= floor ? 1 + 1e9 / bytes : tokensPerSec / floor);

/** Joules that no schedule saves: the idle phone for the shortest time that the bounds allow, and every byte moved. */
const fewestJoules = (record: SimulatedRun): number => {
  const part = (name: string): number => record.energy.byPart.find((p) => p.part === name)?.joules ?? 0;
  return part("idle phone") * Math.min(1, record.tokensPerSec / record.bound.upper) + part("DRAM") + part("flash");
};

/** `floor` (tokens/s) is for the objective memory: the least speed that is still good enough. */
export const objectiveOf = (name: ObjectiveName, floor = 0): Objective => {
  switch (name) {
    case "tokens/s":
      return { name, unit: "tokens/s", score: (r) => r.tokensPerSec, most: (r) => r.bound.upper };
    case "p99":
      // Of less than a hundred tokens the 99th percentile is the largest, and that is no less than the mean.
      return { name, unit: "ms", score: (r) => 1e3 / r.msPerToken.p99, most: (r) => (r.bound.upper * 1e3) / (r.tokensPerSec * r.msPerToken.mean) };
    case "J/token":
      return { name, unit: "J/token", score: (r) => 1 / r.energy.joulesPerToken, most: (r) => (r.tokensPerSec * r.wallNs * 1e-9) / fewestJoules(r) };
    case "memory":
      return { name, unit: "bytes", score: (r) => withFloor(floor, r.tokensPerSec, residentBytes(r.plan)), most: (r) => withFloor(floor, r.bound.upper, residentBytes(r.plan)) };
  }
};
