/** Axis by axis downhill in closed form: coarse over each axis first, then with halved steps. */
import type { SimulatedRun } from "../domain/run.js";
import { ORDERED, moved, type Axis, type Point, type Space } from "./space.js";
import type { Searching, Trial, Trials } from "./trials.js";

/** A gain below this is not worth another round: it is under what one seed differs from the next. */
export const GAIN = 5e-4;
/** Sweeps over all axes from one start; each halves the steps of the one before. */
const SWEEPS = 4;

export type Score = (record: SimulatedRun) => number;

/** Indices of an axis to look at: coarse over all of it, then nearer and nearer to where the point is. */
export const lookAt = (axis: Axis, count: number, at: number, sweep: number): ReadonlyArray<number> => {
  const all = Array.from({ length: count }, (_, i) => i);
  if (!ORDERED.has(axis) || count <= 3) return all.filter((i) => i !== at);
  const step = Math.max(1, Math.ceil(count / 6) >> sweep);
  if (sweep === 0) return all.filter((i) => i !== at && (i - at) % step === 0);
  return [at - 2 * step, at - step, at + step, at + 2 * step].filter((i) => i >= 0 && i < count);
};

/** The first of the best. */
export const bestOf = (trials: ReadonlyArray<Trial | null>, score: Score): Trial | null =>
  trials.reduce<Trial | null>((best, trial) => (trial !== null && (best === null || score(trial.record) > score(best.record)) ? trial : best), null);

export const bestFirst = (score: Score) => (a: Trial, b: Trial): number => score(b.record) - score(a.record);

export interface Slope { readonly trials: Trials; readonly space: Space; readonly axes: ReadonlyArray<Axis>; readonly score: Score; readonly tokens: number }

/** From a point to where no axis alone helps; null where there is no plan on the way. */
export function* descend({ trials, space, axes, score, tokens }: Slope, from: Point, firstSweep = 0): Searching<Trial | null> {
  let best: Trial | null = (yield* trials.at([from], "analytic", tokens))[0]!;
  for (let sweep = firstSweep; sweep < SWEEPS; sweep++) {
    const before = best === null ? -Infinity : score(best.record);
    for (const axis of axes) {
      const at: Point = best === null ? from : best.point;
      const seen = yield* trials.at(lookAt(axis, space[axis].length, at[axis], sweep).map((i) => moved(at, axis, i)), "analytic", tokens);
      best = bestOf([best, ...seen], score);
    }
    if (best === null || (sweep > firstSweep && score(best.record) <= before * (1 + GAIN))) break;
  }
  return best;
}
