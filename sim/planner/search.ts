/**
 * Successive refinement: closed forms choose where to look, runs by cluster choose among what they found, runs by neuron
 * among the last few. Between them stands the bound: a plan whose upper bound lies under the best run so far is not run.
 */
import { bestFirst, bestOf, descend, GAIN } from "./descent.js";
import type { Settled } from "./dominance.js";
import type { Objective } from "./objectives.js";
import { AXES, ORDERED, moved, type Axis, type Point, type Space } from "./space.js";
import type { Searching, Trial, Trials } from "./trials.js";

/** How much a search may do. Tokens are of a run; the rest are numbers of plans. */
export interface Effort {
  readonly clusterTokens: number;
  readonly finalTokens: number;
  readonly neuronTokens: number;
  /** Plans that go from the closed form to runs by cluster. */
  readonly promoted: number;
  /** Moves of the best plan to a neighbour by runs of clusters. */
  readonly moves: number;
  /** Plans that are run at length at the end; the two best, where they tie, by neuron too. 1 leaves the decision to the short runs. */
  readonly finalists: number;
}

export interface Found {
  readonly best: Trial;
  /** Every plan run by cluster, best first. */
  readonly ranked: ReadonlyArray<Trial>;
  readonly byNeuron: ReadonlyArray<Trial>;
  /** Plans seen in closed form and not run whose upper bound lies under the best run. */
  readonly ruledOut: number;
}

const ROUND = 8;
/** Another value of a whole axis is followed up if its closed form comes so near the best. */
const FOLLOWED = 0.85;
const FOLLOW_UPS = 3;
/** The closed form is off by a few percent, and not by the same for small clusters and large ones: those that it puts further behind are left. */
const NEAR = 0.95;
/** Runs by cluster as near as this to the best are told apart by runs by neuron. */
const TIED = 0.997;
/** Axes whose values differ in kind: a descent from one seldom finds the valley of another. */
export const KINDS_OF_PLAN: ReadonlyArray<Axis> = ["layout", "gates", "cache", "overlap", "attentionOn", "driver"];
/** Axes along which the closed form errs by most: the best plan at each of their values is run, wherever it stands in the order. */
const SPREAD: ReadonlyArray<Axis> = [...KINDS_OF_PLAN, "clusterNeurons", "depth"];
/** Two axes that share one budget, the bytes in flight: a step on one alone can lose what both together gain. */
const PAIR: readonly [Axis, Axis] = ["clusterNeurons", "depth"];

export interface Question {
  readonly trials: Trials;
  readonly space: Space;
  readonly objective: Objective;
  readonly settled: ReadonlyArray<Settled>;
  readonly starts: ReadonlyArray<Point>;
  readonly effort: Effort;
  /** Where the starts are known to be good: the first sweep is already a fine one. */
  readonly nearby?: boolean;
}

/** The best of each value of an axis, of plans in order. */
const representatives = (ordered: ReadonlyArray<Trial>, axes: ReadonlyArray<Axis>): ReadonlyArray<Trial> =>
  axes.flatMap((axis) => {
    const met = new Set<number>();
    return ordered.filter(({ point }) => !met.has(point[axis]) && met.add(point[axis]));
  });

/** One step on any axis, every value of an axis without order, and steps on both axes of the pair. */
const besidesOf = (space: Space, free: ReadonlyArray<Axis>, point: Point): ReadonlyArray<Point> => {
  const has = (axis: Axis, i: number): boolean => i >= 0 && i < space[axis].length && i !== point[axis];
  const single = free.flatMap((axis) => (ORDERED.has(axis) ? [point[axis] - 1, point[axis] + 1] : space[axis].map((_, i) => i)).filter((i) => has(axis, i)).map((i) => moved(point, axis, i)));
  const [one, other] = PAIR;
  const steps = [-1, 1] as const;
  const both = free.includes(one) && free.includes(other) ? steps.flatMap((a) => steps.filter((b) => has(one, point[one] + a) && has(other, point[other] + b)).map((b) => moved(moved(point, one, point[one] + a), other, point[other] + b))) : [];
  return [...single, ...both];
};

const isTrial = (trial: Trial | null): trial is Trial => trial !== null;

/** The best plan in closed form, and how far each descent came: what runs are then made of. */
function* sketch({ trials, space, objective, settled, starts, effort, nearby }: Question, free: ReadonlyArray<Axis>): Searching<Trial | null> {
  const { score, most } = objective;
  const slope = { trials, space, axes: free, score, tokens: effort.clusterTokens };
  const settle = (point: Point): Point => settled.reduce((p, { axis, index }) => moved(p, axis, index), point);
  let best: Trial | null = null;
  for (const start of starts) best = bestOf([best, yield* descend(slope, settle(start), nearby === true ? 2 : 0)], score);
  if (best === null || nearby === true) return best;
  // Another kind of plan may be better once everything else has been fitted to it.
  const from: Trial = best;
  const others = KINDS_OF_PLAN.filter((axis) => free.includes(axis)).flatMap((axis) => space[axis].map((_, i) => moved(from.point, axis, i)));
  const follow = (yield* trials.at(others, "analytic", effort.clusterTokens)).filter(isTrial)
    .filter((t) => t !== from && most(t.record) > score(from.record) && score(t.record) >= FOLLOWED * score(from.record))
    .sort(bestFirst(score)).slice(0, FOLLOW_UPS);
  for (const other of follow) best = bestOf([best, yield* descend({ ...slope, axes: free.filter((axis) => ORDERED.has(axis)) }, other.point, 1)], score);
  return best;
}

/** The best plan by runs; null where no point is a plan. */
export function* search(question: Question): Searching<Found | null> {
  const { trials, space, objective, settled, starts, effort } = question;
  const { score, most } = objective;
  const tokens = effort.clusterTokens;
  const free = AXES.filter((axis) => space[axis].length > 1 && !settled.some((s) => s.axis === axis));
  const mine = trials.all("analytic").length;
  const sketched = yield* sketch(question, free);
  if (sketched === null) return null;

  // The tokens drawn may ask for a little less than tokens do on average, so bounds of closed forms are widened by what was seen.
  let slack = 1;
  let best: Trial | null = null;
  const tried = new Set<Trial>();
  const isRuledOut = (closed: Trial): boolean => best !== null && most(closed.record) * slack < score(best.record);
  function* runAll(candidates: ReadonlyArray<Trial>): Searching<void> {
    for (let from = 0; from < candidates.length; from += ROUND) {
      const round = candidates.slice(from, from + ROUND).filter((candidate) => !isRuledOut(candidate));
      const ran = yield* trials.at(round.map((t) => t.point), "cluster", tokens);
      ran.forEach((trial, i) => {
        if (trial === null) return;
        tried.add(trial);
        slack = Math.max(slack, most(trial.record) / most(round[i]!.record));
        best = bestOf([best, trial], score);
      });
    }
  }
  // A search beside others looks at its own plans only: theirs serve another objective, or another memory.
  const seen = (): ReadonlyArray<Trial> => (question.nearby === true ? [...new Set([sketched, ...trials.all("analytic").slice(mine)])] : trials.all("analytic"));
  const ordered = [...seen()].sort(bestFirst(score));
  const begun = question.nearby === true ? [] : (yield* trials.at(starts.map((start) => settled.reduce((p, { axis, index }) => moved(p, axis, index), start)), "analytic", tokens)).filter(isTrial);
  const spread = question.nearby === true ? [] : representatives(ordered, SPREAD.filter((axis) => free.includes(axis))).filter((t) => score(t.record) > FOLLOWED * score(sketched.record));
  yield* runAll([...new Set([...ordered.slice(0, effort.promoted), ...begun, ...spread])]);
  for (let move = 0; move < effort.moves && best !== null; move++) {
    const from: Trial = best;
    const [here, ...near] = yield* trials.at([from.point, ...besidesOf(space, free, from.point)], "analytic", tokens);
    yield* runAll(near.filter(isTrial).filter((t) => score(t.record) > NEAR * score(here!.record)).sort(bestFirst(score)));
    if (score((best as Trial).record) <= score(from.record) * (1 + GAIN)) break;
  }
  if (best === null) return null;
  const top = score((best as Trial).record);
  const ranked = [...tried].sort(bestFirst(score));
  const ran = new Set(ranked.map((t) => t.point));
  const ruledOut = seen().filter((t) => !ran.has(t.point) && most(t.record) * slack < top).length;

  // A few tokens may flatter a plan: the last ones, and the best of those that the search began from, are run at length.
  const isBegun = (trial: Trial): boolean => begun.some((t) => t.point === trial.point);
  const last = [...new Set([...ranked.slice(0, Math.max(1, effort.finalists)), ...ranked.filter(isBegun).slice(0, 1)])];
  const finals = (yield* trials.at(last.map((t) => t.point), "cluster", effort.finalTokens)).filter(isTrial).sort(bestFirst(score));
  const tied = effort.finalists < 2 ? [] : finals.filter((t) => score(t.record) >= TIED * score(finals[0]!.record)).slice(0, 2);
  const byNeuron = (yield* trials.at((tied.length < 2 ? [] : tied).map((t) => t.point), "neuron", effort.neuronTokens)).filter(isTrial);
  const winner = bestOf(byNeuron, score);
  const chosen = finals.find((t) => winner !== null && t.point === winner.point) ?? finals[0] ?? null;
  return chosen === null ? null : { best: chosen, ranked, byNeuron, ruledOut };
}
