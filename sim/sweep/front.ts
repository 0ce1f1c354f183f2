/** Several aims at once: the points that no other beats in all of them, and how much of the space they cover. */

export interface Aim { readonly metric: string; readonly better: "larger" | "smaller" }

/** Values turned so that larger is better. */
export const turned = (values: ReadonlyArray<number>, aims: ReadonlyArray<Aim>): ReadonlyArray<number> => values.map((v, i) => (aims[i]!.better === "larger" ? v : -v));

const dominates = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): boolean => a.every((v, i) => v >= b[i]!) && a.some((v, i) => v > b[i]!);

/** Indices of the undominated among points of which larger is better; of equal ones the first. */
export const paretoFront = (points: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<number> =>
  points.flatMap((one, i) => (points.some((other, j) => dominates(other, one) || (j < i && other.every((v, k) => v === one[k]))) ? [] : [i]));

/**
 * Volume of the space that the points dominate above `reference`, of which larger is better: slices along the last axis (Zitzler's
 * hypervolume by slicing objectives; exact, fast enough for a few aims and some hundred points).
 */
export const hypervolume = (points: ReadonlyArray<ReadonlyArray<number>>, reference: ReadonlyArray<number>): number => {
  const last = reference.length - 1;
  const above = points.filter((p) => p.every((v, i) => v > reference[i]!));
  if (above.length === 0) return 0;
  if (last === 0) return Math.max(...above.map((p) => p[0]!)) - reference[0]!;
  const heights = [...new Set(above.map((p) => p[last]!))].sort((a, b) => b - a);
  return heights.reduce((sum, height, i) => {
    const thickness = height - (heights[i + 1] ?? reference[last]!);
    return sum + thickness * hypervolume(above.filter((p) => p[last]! >= height).map((p) => p.slice(0, last)), reference.slice(0, last));
  }, 0);
};

/** Hypervolume of a front as a share of the box from the worst of all points to the best in each aim. 1: one point is the best in everything. */
export const coveredShare = (points: ReadonlyArray<ReadonlyArray<number>>): number => {
  const worst = points[0]!.map((_, i) => Math.min(...points.map((p) => p[i]!)));
  const best = points[0]!.map((_, i) => Math.max(...points.map((p) => p[i]!)));
  const spread = best.map((b, i) => b - worst[i]!);
  // An aim in which all are equal takes no part.
  const kept = spread.flatMap((s, i) => (s > 0 ? [i] : []));
  if (kept.length === 0) return 1;
  return hypervolume(points.map((p) => kept.map((i) => (p[i]! - worst[i]!) / spread[i]!)), kept.map(() => 0));
};
