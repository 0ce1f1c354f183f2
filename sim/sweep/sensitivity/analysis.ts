/** Finished points of a designed sweep to what each axis is worth: by metric, and anew for every combination of the axes beside the design. */
import { stream } from "../../base/random.js";
import { axesOf, type Dimension } from "../axis.js";
import type { Coordinates } from "../constraint.js";
import type { Declaration } from "../declaration.js";
import { designed, sizeOf, type Points } from "../points.js";
import { blockOf, rowsOf, type Design } from "./design.js";
import { morrisOf, type Effects } from "./morris.js";
import { indicesOf, type Decomposition, type Indices } from "./sobol-indices.js";

interface Common {
  readonly metric: string;
  /** Values of the axes beside the design. */
  readonly group: Coordinates;
  /** Runs of the design that gave no value: ruled out, refused, failed, or not made yet. */
  readonly holes: number;
  readonly runs: number;
}
export type Sensitivity =
  | (Common & { readonly method: "morris"; readonly trajectories: number; readonly levels: number; readonly axes: ReadonlyArray<{ readonly axis: string } & Effects> })
  | (Common & { readonly method: "sobol" } & Omit<Decomposition, "axes"> & { readonly axes: ReadonlyArray<{ readonly axis: string } & Indices> });

const isDesigned = (dimension: Dimension): dimension is Extract<Dimension, { readonly _tag: "Designed" }> => dimension._tag === "Designed";

/** Where a point stands: its row of the design, and its number among the combinations of all else. */
const placed = (number: number, rows: number, inner: number): { readonly row: number; readonly group: number } => ({ row: Math.floor(number / inner) % rows, group: Math.floor(number / (inner * rows)) * inner + (number % inner) });

const judged = (design: Design, places: ReadonlyArray<ReadonlyArray<number>>, values: ReadonlyArray<number | null>, names: ReadonlyArray<string>, common: Common, seed: number): Sensitivity => {
  const random = stream(seed, `sweep/bootstrap/${common.metric}/${Object.values(common.group).join("/")}`);
  if (design._tag === "Morris") return { ...common, method: "morris", trajectories: design.trajectories, levels: design.levels, axes: morrisOf(places, values, names.length, random).map((effects, i) => ({ axis: names[i]!, ...effects })) };
  const { axes, ...all } = indicesOf(values, names.length, random);
  return { ...common, ...all, method: "sobol", axes: axes.map((indices, i) => ({ axis: names[i]!, ...indices })) };
};

/** None where no design was declared. `valueAt` gives a metric at a kept point, null where no run says. */
export const sensitivities = (declaration: Declaration, points: Points, metrics: ReadonlyArray<string>, valueAt: (point: number, metric: string) => number | null): ReadonlyArray<Sensitivity> => {
  const at = declaration.axes.findIndex(isDesigned);
  const dimension = declaration.axes[at];
  if (dimension === undefined || !isDesigned(dimension)) return [];
  const names = axesOf(dimension).map(({ name }) => name);
  const rows = rowsOf(dimension.design, names.length);
  const inner = declaration.axes.slice(at + 1).reduce((product, one) => product * sizeOf(one), 1);
  const places = designed(dimension, declaration.seed, String(at));
  const groups = new Map<number, { readonly group: Coordinates; readonly points: Array<number | null> }>();
  points.kept.forEach((coordinates, point) => {
    const { row, group } = placed(points.numbers[point]!, rows, inner);
    const known = groups.get(group) ?? { group: Object.fromEntries(Object.entries(coordinates).filter(([name]) => !names.includes(name))), points: Array.from({ length: rows }, (): number | null => null) };
    groups.set(group, known);
    known.points[row] = point;
  });
  return metrics.flatMap((metric) => [...groups.values()].map(({ group, points: of }) => {
    const values = of.map((point) => (point === null ? null : valueAt(point, metric)));
    return judged(dimension.design, places, values, names, { metric, group, holes: values.filter((value) => value === null).length, runs: rows }, declaration.seed);
  }));
};

/** Design as a table of axes says it. */
export const designShown = (design: Design, axes: number): string =>
  design._tag === "Morris" ? `${design.trajectories} trajectories of ${blockOf(design, axes)}, ${design.levels} levels, Morris` : `${design.points} points × ${blockOf(design, axes)}, Sobol indices`;
