/**
 * Least squares for the calibrated constants: Levenberg-Marquardt on the logarithms of the constants, residuals being
 * logarithms of simulated over reported. Derivatives by finite differences; every evaluation is a batch of independent runs,
 * so that a pool can make them. The result tells how well each constant is determined.
 */
import { TE, type TaskEither } from "../../sim/base/fp.js";
import type { AppError } from "../../sim/base/errors.js";

export interface Parameter { readonly id: string; readonly start: number; readonly low: number; readonly high: number }

/** Residuals (already weighted) for each of several parameter vectors. */
export type Evaluate = (vectors: ReadonlyArray<Float64Array>) => TaskEither<AppError, ReadonlyArray<Float64Array>>;

export interface Determined {
  readonly id: string;
  readonly value: number;
  /** 95 % interval by the linearised fit, clipped to the limits. */
  readonly from: number;
  readonly to: number;
  /** How much the sum of squares would rise if the constant were 10 % off, relative to its value at the fit: under 0.01 means the points hardly see it. */
  readonly rise10: number;
  readonly atLimit: boolean;
}

export interface FitResult { readonly values: Float64Array; readonly determined: ReadonlyArray<Determined>; readonly sumOfSquares: number; readonly evaluations: number; readonly rounds: number;
  /** Whether it ended because nothing made it better, and not because it had made all its rounds. */
  readonly isConverged: boolean;
  /** Where it ended: all residuals, and their derivatives by the logarithm of each constant. */
  readonly residuals: Float64Array;
  readonly jacobian: ReadonlyArray<Float64Array>;
}

const STEP = 0.03;
const sumOfSquares = (residuals: Float64Array): number => residuals.reduce((sum, r) => sum + r * r, 0);

/** Solves A x = b for a small symmetric positive definite A (Cholesky); A is row-major n × n and is not changed. */
export const solve = (a: Float64Array, b: Float64Array): Float64Array => {
  const n = b.length;
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= l[i * n + k]! * l[j * n + k]!;
      l[i * n + j] = i === j ? Math.sqrt(Math.max(sum, 1e-12)) : sum / l[j * n + j]!;
    }
  }
  const x = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let sum = b[i]!;
    for (let k = 0; k < i; k++) sum -= l[i * n + k]! * x[k]!;
    x[i] = sum / l[i * n + i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    let sum = x[i]!;
    for (let k = i + 1; k < n; k++) sum -= l[k * n + i]! * x[k]!;
    x[i] = sum / l[i * n + i]!;
  }
  return x;
};

const normalMatrix = (jacobian: ReadonlyArray<Float64Array>): Float64Array => {
  const n = jacobian.length;
  const matrix = new Float64Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) matrix[i * n + j] = jacobian[i]!.reduce((sum, r, k) => sum + r * jacobian[j]![k]!, 0);
  return matrix;
};

interface State { readonly logs: Float64Array; readonly residuals: Float64Array; readonly damping: number; readonly evaluations: number; readonly round: number; readonly jacobian: ReadonlyArray<Float64Array>; readonly isDone: boolean }

const DAMPINGS = [0.1, 1, 10];

export const fit = (parameters: ReadonlyArray<Parameter>, evaluate: Evaluate, rounds: number, log: (line: string) => void): TaskEither<AppError, FitResult> => {
  const lows = Float64Array.from(parameters, (p) => Math.log(p.low));
  const highs = Float64Array.from(parameters, (p) => Math.log(p.high));
  const clip = (logs: Float64Array): Float64Array => logs.map((v, i) => Math.min(highs[i]!, Math.max(lows[i]!, v)));
  const values = (logs: Float64Array): Float64Array => logs.map(Math.exp);

  const derivatives = (state: State): TaskEither<AppError, ReadonlyArray<Float64Array>> => {
    // Step inwards from a limit, so that both ends of the difference are allowed.
    const steps = parameters.map((_, i) => (state.logs[i]! + STEP > highs[i]! ? -STEP : STEP));
    const vectors = parameters.map((_, i) => values(state.logs.map((v, k) => (k === i ? v + steps[i]! : v))));
    return TE.map((all: ReadonlyArray<Float64Array>) => all.map((r, i) => r.map((v, k) => (v - state.residuals[k]!) / steps[i]!)))(evaluate(vectors));
  };

  const round = (state: State): TaskEither<AppError, State> =>
    TE.chain((jacobian: ReadonlyArray<Float64Array>) => {
      const n = parameters.length;
      const matrix = normalMatrix(jacobian);
      const gradient = Float64Array.from(jacobian, (column) => -column.reduce((sum, v, k) => sum + v * state.residuals[k]!, 0));
      const trials = DAMPINGS.map((scale) => {
        const damped = matrix.slice();
        for (let i = 0; i < n; i++) damped[i * n + i]! += state.damping * scale * Math.max(1e-6, matrix[i * n + i]!) + 1e-9;
        const move = solve(damped, gradient);
        return clip(state.logs.map((v, i) => v + Math.max(-0.5, Math.min(0.5, move[i]!))));
      });
      return TE.map((all: ReadonlyArray<Float64Array>): State => {
        const before = sumOfSquares(state.residuals);
        let best = -1;
        let bestSum = before;
        all.forEach((r, i) => {
          const sum = sumOfSquares(r);
          if (sum < bestSum) {
            best = i;
            bestSum = sum;
          }
        });
        const evaluations = state.evaluations + n + trials.length;
        log(`round ${state.round + 1}: sum of squares ${before.toFixed(3)} -> ${bestSum.toFixed(3)}`);
        if (best < 0) return { ...state, jacobian, evaluations, round: state.round + 1, damping: state.damping * 20, isDone: state.damping > 5 };
        return { logs: trials[best]!, residuals: all[best]!, jacobian, damping: Math.max(1e-3, state.damping * DAMPINGS[best]! * 0.3), evaluations, round: state.round + 1, isDone: before - bestSum < 1e-4 * before };
      })(evaluate(trials.map(values)));
    })(derivatives(state));

  const iterate = (state: State): TaskEither<AppError, State> => (state.isDone || state.round >= rounds ? TE.right(state) : TE.chain(iterate)(round(state)));

  const start = Float64Array.from(parameters, (p) => Math.log(p.start));
  return TE.chain((first: ReadonlyArray<Float64Array>) =>
    TE.chain((end: State) =>
      TE.map((jacobian: ReadonlyArray<Float64Array>): FitResult => ({
        values: values(end.logs),
        determined: determine(parameters, end, jacobian, lows, highs),
        sumOfSquares: sumOfSquares(end.residuals),
        evaluations: end.evaluations + parameters.length,
        rounds: end.round,
        isConverged: end.isDone,
        residuals: end.residuals,
        jacobian,
      }))(derivatives(end)))(iterate({ logs: clip(start), residuals: first[0]!, damping: 0.1, evaluations: 1, round: 0, jacobian: [], isDone: false })))(evaluate([values(clip(start))]));
};

const determine = (parameters: ReadonlyArray<Parameter>, state: State, jacobian: ReadonlyArray<Float64Array>, lows: Float64Array, highs: Float64Array): ReadonlyArray<Determined> => {
  const n = parameters.length;
  const matrix = normalMatrix(jacobian);
  for (let i = 0; i < n; i++) matrix[i * n + i]! += 1e-9;
  const sum = sumOfSquares(state.residuals);
  const variance = sum / Math.max(1, state.residuals.length - n);
  return parameters.map((p, i) => {
    const unit = new Float64Array(n);
    unit[i] = 1;
    const deviation = Math.sqrt(Math.max(0, variance * solve(matrix, unit)[i]!));
    const log = state.logs[i]!;
    return {
      id: p.id,
      value: Math.exp(log),
      from: Math.exp(Math.max(lows[i]!, log - 1.96 * deviation)),
      to: Math.exp(Math.min(highs[i]!, log + 1.96 * deviation)),
      rise10: (matrix[i * n + i]! * Math.log(1.1) ** 2) / sum,
      atLimit: log <= lows[i]! + 1e-6 || log >= highs[i]! - 1e-6,
    };
  });
};
