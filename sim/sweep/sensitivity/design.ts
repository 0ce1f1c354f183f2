/** Designs whose points say how much each axis matters: places in the unit cube, a coordinate for each axis, in an order in which every beginning is of use. */
import type { RandomStream } from "../../base/random.js";
import { morrisPlaces } from "./morris.js";
import { saltelliPlaces } from "./sobol-indices.js";

export type Design =
  /** Trajectories that move one axis at a time over a grid of `levels` places. */
  | { readonly _tag: "Morris"; readonly trajectories: number; readonly levels: number }
  /** Two samples of `points` each, and one more for each axis, in which that axis alone is of the other sample. */
  | { readonly _tag: "Sobol"; readonly points: number };

/** Rows that belong together: a trajectory, or one point of both samples with its mixtures. */
export const blockOf = (design: Design, axes: number): number => (design._tag === "Morris" ? axes + 1 : axes + 2);
export const blocksOf = (design: Design): number => (design._tag === "Morris" ? design.trajectories : design.points);
export const rowsOf = (design: Design, axes: number): number => blocksOf(design) * blockOf(design, axes);

export const placesOf = (design: Design, axes: number, random: RandomStream): ReadonlyArray<ReadonlyArray<number>> =>
  design._tag === "Morris" ? morrisPlaces(design.trajectories, design.levels, axes, random) : saltelliPlaces(design.points, axes);
