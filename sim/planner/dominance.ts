/**
 * Decisions that need no search: values that no other value of their axis can beat, whatever the rest of the plan is. Each
 * is a statement about the simulator's own equations, so it holds for every run of it and says nothing of other machines.
 */
import type { DeviceProfile } from "../domain/device.js";
import { contentionRatio, sequentialReadBandwidth } from "../hardware/flash.js";
import type { ObjectiveName } from "./objectives.js";
import { type Axis, type Space } from "./space.js";

export interface Settled { readonly axis: Axis; readonly index: number; readonly why: string }

const largest = (values: ReadonlyArray<number>): number => values.reduce((best, value, i) => (value > values[best]! ? i : best), 0);

export const settledAxes = (device: DeviceProfile, space: Space, objective: ObjectiveName): ReadonlyArray<Settled> => [
  // The engine's lanes are reads under way, of which more may be faster.
  ...(space.lanes.includes(1) ? [{
    axis: "lanes" as const,
    index: largest(space.lanes.map((lanes) => contentionRatio(device.flash, lanes))),
    why: "one reader keeps the flash's queue full, and further ones only contend for it: reads get slower with each, and nothing gets faster",
  }] : []),
  {
    axis: "streamBlock",
    index: largest(space.streamBlock.map((bytes) => sequentialReadBandwidth(device.flash, bytes))),
    why: "sequential reads are the faster the larger their blocks, up to where the rate has levelled off",
  },
  ...(objective === "memory" ? [] : [{ axis: "keep" as const, index: largest(space.keep), why: "memory that the budget allows and the plan leaves empty can only add misses" }]),
];
