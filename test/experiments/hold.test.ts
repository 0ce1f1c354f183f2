/** How firmly constants are held: leaving a cell out by the hat matrix is leaving it out. */
import { describe, expect, it } from "vitest";
import { HOLDS, byLeavingOut, leftOutError, type Ended } from "../../experiments/validate/hold.js";
import { solve } from "../../experiments/calibration/fit.js";
import { stream } from "../../sim/base/random.js";

const CELLS = 7;
const ROWS = 3;
const N = 3;

/** A linear problem: `residuals` at some place, of cells with noise of their own, whose constants have moved from what was guessed. */
const problem = (noise: number, far: number): Ended => {
  const random = stream(1, `hold ${noise} ${far}`);
  const draw = (): number => 2 * random.uniform() - 1;
  const jacobian = Array.from({ length: N }, () => Float64Array.from({ length: CELLS * ROWS }, draw));
  const away = Float64Array.from({ length: N }, () => 0.3 * draw());
  const residuals = Float64Array.from({ length: CELLS * ROWS }, (_, row) => noise * draw() + jacobian.reduce((sum, column, i) => sum + column[row]! * away[i]!, 0));
  return { jacobian, residuals, rows: ROWS, moved: Float64Array.from(away, (value) => value + far), scales: Float64Array.from([1, 2, 0.5]) };
};

/** The same by doing it: the constants anew without the cell, and the cell from them. */
const byDoing = ({ jacobian, residuals, rows, moved, scales }: Ended, hold: number): number => {
  let sum = 0;
  for (let cell = 0; cell < CELLS; cell++) {
    const kept = [...residuals.keys()].filter((row) => Math.floor(row / rows) !== cell);
    const matrix = new Float64Array(N * N);
    const gradient = new Float64Array(N);
    for (let i = 0; i < N; i++) {
      for (let j = 0; j < N; j++) matrix[i * N + j] = kept.reduce((total, row) => total + jacobian[i]![row]! * jacobian[j]![row]!, i === j ? (hold * scales[i]!) ** 2 : 0);
      gradient[i] = -kept.reduce((total, row) => total + jacobian[i]![row]! * residuals[row]!, (hold * scales[i]!) ** 2 * moved[i]!);
    }
    const step = solve(matrix, gradient);
    sum += Math.hypot(...Array.from({ length: rows }, (_, row) => residuals[cell * rows + row]! + jacobian.reduce((total, column, i) => total + column[cell * rows + row]! * step[i]!, 0)));
  }
  return sum / CELLS;
};

describe("leaving cells out", () => {
  it.each([0.05, 0.4, 3])("is what fitting without each of them gives, held by %d", (hold) => {
    const ended = problem(0.1, 0.2);
    expect(leftOutError(ended, hold)).toBeCloseTo(byDoing(ended, hold), 9);
    expect(leftOutError(ended, hold)).toBeGreaterThan(0);
  });

  it("holds firmly what was guessed well from noisy cells, and loosely what was guessed badly from clean ones", () => {
    const holds = (ended: Ended): ReadonlyArray<number> => byLeavingOut(ended).map(({ hold }) => hold);
    expect(holds(problem(1, 0))[0]).toBe(HOLDS[0]);
    expect(holds(problem(0.001, 1))[0]).toBe(HOLDS.at(-1));
    for (const order of [holds(problem(1, 0)), holds(problem(0.001, 1))]) expect(new Set(order)).toEqual(new Set(HOLDS));
  });
});
