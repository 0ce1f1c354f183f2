/** How well the simulation does, in a few numbers. */
import { summariseErrors, type ErrorSummary } from "../sim/report/metrics.js";
import type { ResultPoint, Role } from "./experiment.js";

export interface Summary extends ErrorSummary {
  /** The point that is furthest off; null when no point has a value. */
  readonly worst: ResultPoint | null;
  /** Share of the points with a value whose error is no larger than the rounding of what is printed. */
  readonly withinPrint: number | null;
  /** Shares of the points with a value that are off by at most 10 and 25 %. */
  readonly within10: number | null;
  readonly within25: number | null;
}

const absError = (p: ResultPoint): number => (p.signedError === null ? -1 : Math.abs(p.signedError));

/** Worst first; points without a value come before all others, because a missing run is the largest miss. Equal errors keep their order. */
export const worstFirst = (points: ReadonlyArray<ResultPoint>): ReadonlyArray<ResultPoint> => {
  const rank = (p: ResultPoint): number => (p.signedError === null ? Infinity : absError(p));
  return [...points].sort((a, b) => (rank(a) === rank(b) ? 0 : rank(b) - rank(a)));
};

export const summarise = (points: ReadonlyArray<ResultPoint>): Summary => {
  const valued = points.filter((p) => p.signedError !== null);
  const share = (holds: (p: ResultPoint) => boolean): number | null => (valued.length === 0 ? null : valued.filter(holds).length / valued.length);
  return {
    ...summariseErrors(points),
    worst: worstFirst(valued)[0] ?? null,
    withinPrint: share((p) => p.withinPrint),
    within10: share((p) => absError(p) <= 0.1),
    within25: share((p) => absError(p) <= 0.25),
  };
};

export const ofRole = (points: ReadonlyArray<ResultPoint>, role: Role): ReadonlyArray<ResultPoint> => points.filter((p) => p.role === role);
