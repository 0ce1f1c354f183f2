/**
 * Successive refinement: closed forms choose where to look, runs by cluster choose among what they found, runs by neuron
 * among the last few. Between them stands the bound: a plan whose upper bound lies under the best run so far is not run.
 */
import type { SimulatedRun } from "../domain/run.js";
import type { Cell } from "./candidates.js";
import { settledAxes, type Settled } from "./dominance.js";
import type { Objective } from "./objectives.js";
import { AXES, ORDERED, moved, nearestPoint, type Axis, type Choice, type Point, type Space } from "./space.js";
import { createTrials, type Counts, type Searching, type Trial } from "./trials.js";

/** How much a search may do. Tokens are of a run; the rest are numbers of plans. */
export interface Effort {
  readonly clusterTokens: number;
  readonly finalTokens: number;
  readonly neuronTokens: number;
  /** Plans that go from the closed form to runs by cluster. */
  readonly promoted: number;
  /** Moves of the best plan to a neighbour by runs of clusters. */
  readonly moves: number;
  /** Plans that runs by neuron decide among; 0 leaves the decision to runs by cluster. */
  readonly finalists: number;
}

export const EFFORT: Effort = { clusterTokens: 32, finalTokens: 128, neuronTokens: 16, promoted: 16, moves: 4, finalists: 2 };

export interface RuledOut { readonly settled: ReadonlyArray<Settled>; /** Plans seen in closed form whose upper bound lies under the best run. */ readonly byBound: number; readonly refused: number }

export interface Found {
  readonly best: Trial;
  /** Every plan run by cluster, best first. */
  readonly ranked: ReadonlyArray<Trial>;
  readonly closedForms: ReadonlyArray<Trial>;
  readonly finals: ReadonlyArray<Trial>;
  readonly byNeuron: ReadonlyArray<Trial>;
  readonly counts: Counts;
  readonly ruledOut: RuledOut;
}

/** A gain below this is not worth another round: it is under what one seed differs from the next. */
const GAIN = 5e-4;
const ROUND = 8;
/** Sweeps over all axes from one start; each halves the steps of the one before. */
const SWEEPS = 4;
/** Another value of a whole axis is followed up if its closed form comes so near the best. */
const FOLLOWED = 0.85;
const FOLLOW_UPS = 3;
/** Axes whose values differ in kind: a descent from one seldom finds the valley of another. */
const KINDS_OF_PLAN: ReadonlyArray<Axis> = ["layout", "overlap", "attentionOn", "driver"];

/** Indices of an axis to look at: coarse over all of it, then nearer and nearer to where the point is. */
export const lookAt = (axis: Axis, count: number, at: number, sweep: number): ReadonlyArray<number> => {
  const all = Array.from({ length: count }, (_, i) => i);
  if (!ORDERED.has(axis) || count <= 3) return all.filter((i) => i !== at);
  const step = Math.max(1, Math.ceil(count / 6) >> sweep);
  if (sweep === 0) return all.filter((i) => i !== at && (i - at) % step === 0);
  return [at - 2 * step, at - step, at + step, at + 2 * step].filter((i) => i >= 0 && i < count);
};

const bestOf = (trials: ReadonlyArray<Trial | null>, score: (record: SimulatedRun) => number): Trial | null =>
  trials.reduce<Trial | null>((best, trial) => (trial !== null && (best === null || score(trial.record) > score(best.record)) ? trial : best), null);

const byScore = (score: (record: SimulatedRun) => number) => (a: Trial, b: Trial): number => score(b.record) - score(a.record);

export function* search(cell: Cell, space: Space, objective: Objective, starts: ReadonlyArray<Choice>, effort: Effort): Searching<Found | null> {
  const trials = createTrials(cell, space);
  const settled = settledAxes(cell.device, space, objective.name);
  const free = AXES.filter((axis) => space[axis].length > 1 && !settled.some((s) => s.axis === axis));
  const { score, most } = objective;
  const tokens = effort.clusterTokens;

  function* descend(from: Point, axes: ReadonlyArray<Axis>, firstSweep: number): Searching<Trial | null> {
    let best: Trial | null = (yield* trials.at([from], "analytic", tokens))[0]!;
    for (let sweep = firstSweep; sweep < SWEEPS; sweep++) {
      const before = best === null ? -Infinity : score(best.record);
      for (const axis of axes) {
        const at = best === null ? from : best.point;
        const seen = yield* trials.at(lookAt(axis, space[axis].length, at[axis], sweep).map((i) => moved(at, axis, i)), "analytic", tokens);
        best = bestOf([best, ...seen], score);
      }
      if (best === null || (sweep > firstSweep && score(best.record) <= before * (1 + GAIN))) break;
    }
    return best;
  }

  const settle = (point: Point): Point => settled.reduce((p, { axis, index }) => moved(p, axis, index), point);
  let sketch: Trial | null = null;
  for (const start of starts) sketch = bestOf([sketch, yield* descend(settle(nearestPoint(space, start)), free, 0)], score);
  if (sketch === null) return null;

  // Another kind of plan may be better once everything else has been fitted to it.
  const others = KINDS_OF_PLAN.filter((axis) => free.includes(axis)).flatMap((axis) => space[axis].map((_, i) => moved(sketch!.point, axis, i)));
  const follow = (yield* trials.at(others, "analytic", tokens))
    .filter((t): t is Trial => t !== null && t !== sketch && most(t.record) > score(sketch!.record) && score(t.record) >= FOLLOWED * score(sketch!.record))
    .sort(byScore(score)).slice(0, FOLLOW_UPS);
  for (const other of follow) sketch = bestOf([sketch, yield* descend(other.point, free.filter((axis) => ORDERED.has(axis)), 1)], score);

  // The tokens drawn may ask for a little less than tokens do on average, so bounds of closed forms are widened by what was seen.
  let slack = 1;
  let best: Trial | null = null;
  const closed = (point: Point): Trial | null => trials.all("analytic").find((t) => t.point === point) ?? null;
  const excluded = (analytic: Trial): boolean => best !== null && most(analytic.record) * slack < score(best.record);
  function* runAll(candidates: ReadonlyArray<Trial>): Searching<void> {
    for (let from = 0; from < candidates.length; from += ROUND) {
      const round = candidates.slice(from, from + ROUND).filter((candidate) => !excluded(candidate));
      const ran = yield* trials.at(round.map((t) => t.point), "cluster", tokens);
      ran.forEach((trial, i) => {
        if (trial === null) return;
        slack = Math.max(slack, most(trial.record) / most(round[i]!.record));
        best = bestOf([best, trial], score);
      });
    }
  }
  const sketches = [...trials.all("analytic")].sort(byScore(score));
  yield* runAll(sketches.slice(0, effort.promoted));
  for (let move = 0; move < effort.moves && best !== null; move++) {
    const from: Trial = best;
    const beside = free.flatMap((axis) => (ORDERED.has(axis) ? [from.point[axis] - 1, from.point[axis] + 1] : space[axis].map((_, i) => i))
      .filter((i) => i >= 0 && i < space[axis].length && i !== from.point[axis]).map((i) => moved(from.point, axis, i)));
    const near = (yield* trials.at(beside, "analytic", tokens)).filter((t): t is Trial => t !== null);
    const here = closed(from.point) ?? bestOf(yield* trials.at([from.point], "analytic", tokens), score);
    // The closed form orders neighbours well but for a few percent: those that it puts further behind are left.
    yield* runAll(near.filter((t) => here === null || score(t.record) > 0.98 * score(here.record)).sort(byScore(score)));
    if (best === from || score((best as Trial).record) <= score(from.record) * (1 + GAIN)) break;
  }
  if (best === null) return null;

  const ranked = [...trials.all("cluster")].sort(byScore(score));
  const finalists = ranked.slice(0, Math.max(1, effort.finalists));
  const finals = (yield* trials.at(finalists.map((t) => t.point), "cluster", effort.finalTokens)).filter((t): t is Trial => t !== null);
  const byNeuron = effort.finalists < 2 ? [] : (yield* trials.at(finals.map((t) => t.point), "neuron", effort.neuronTokens)).filter((t): t is Trial => t !== null);
  const winner = bestOf(byNeuron, score);
  const chosen = finals.find((t) => winner !== null && t.point === winner.point) ?? bestOf(finals, score);
  if (chosen === null) return null;
  const top = score((best as Trial).record);
  const byBound = trials.all("analytic").filter((t) => most(t.record) * slack < top).length;
  return { best: chosen, ranked, closedForms: trials.all("analytic"), finals, byNeuron, counts: trials.counts(), ruledOut: { settled, byBound, refused: trials.refused() } };
}
