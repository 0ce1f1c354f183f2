/**
 * How firmly constants are held by their first estimates: by what calibration cells say of one another. Each cell is left out in turn and predicted
 * from the others, of the fit as it is linear around where it ended (so a constant at its limit counts as one that could go on). Pure.
 */
import { solve } from "../calibration/fit.js";

/** A fit where it ended: derivatives of all cells' residuals by the logarithm of each constant, and how far each is from its first estimate. */
export interface Ended {
  /** By constant, then row. */
  readonly jacobian: ReadonlyArray<Float64Array>;
  readonly residuals: Float64Array;
  /** Rows of a cell: its whole and its parts, weighted as the fit weighs them. */
  readonly rows: number;
  /** Logarithms of fitted over first estimate. */
  readonly moved: Float64Array;
  /** What a residual of a constant that moved by one is, for each unit of hold. */
  readonly scales: Float64Array;
}

/** One way of holding, and how far off cells are that it was not fitted to: the mean length of a cell's residuals (logarithms). */
export interface Held { readonly hold: number; readonly leftOut: number }

/** Tried in this order; of two that are as good the firmer one stays. */
export const HOLDS = [0.8, 0.4, 0.2, 0.1, 0.05] as const;

export const leftOutError = ({ jacobian, residuals, rows, moved, scales }: Ended, hold: number): number => {
  const n = jacobian.length;
  const matrix = new Float64Array(n * n);
  const gradient = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) matrix[i * n + j] = jacobian[i]!.reduce((sum, value, row) => sum + value * jacobian[j]![row]!, 0);
    const weight = (hold * scales[i]!) ** 2;
    matrix[i * n + i]! += weight + 1e-12;
    gradient[i] = -jacobian[i]!.reduce((sum, value, row) => sum + value * residuals[row]!, 0) - weight * moved[i]!;
  }
  const step = solve(matrix, gradient);
  const left = residuals.map((value, row) => value + jacobian.reduce((sum, column, i) => sum + column[row]! * step[i]!, 0));
  let [sum, cells] = [0, 0];
  for (let from = 0; from + rows <= residuals.length; from += rows, cells++) {
    // What the cell pulls towards itself: its part of the hat matrix, taken out.
    const rest = new Float64Array(rows * rows);
    for (let a = 0; a < rows; a++) {
      const pull = solve(matrix, Float64Array.from(jacobian, (column) => column[from + a]!));
      for (let b = 0; b < rows; b++) rest[b * rows + a] = Number(a === b) - jacobian.reduce((total, column, i) => total + column[from + b]! * pull[i]!, 0);
    }
    sum += Math.hypot(...solve(rest, left.slice(from, from + rows)));
  }
  return sum / Math.max(1, cells);
};

/** The ways of holding from the best to the worst. */
export const byLeavingOut = (ended: Ended): ReadonlyArray<Held> => HOLDS.map((hold): Held => ({ hold, leftOut: leftOutError(ended, hold) })).sort((a, b) => a.leftOut - b.leftOut);
