/** Why a plan is as it is: what each of its decisions is worth, and the best plan of another kind. */
import type { Plan } from "../domain/plan.js";
import { showBytes } from "../base/units.js";
import { bestFirst, type Score } from "./descent.js";
import { AXES, choiceAt, moved, type Axis, type Choice, type Point, type Space } from "./space.js";
import { KINDS_OF_PLAN } from "./search.js";
import type { Searching, Trial, Trials } from "./trials.js";

/** A decision as people say it. */
export const AXIS_NAMES: Readonly<Record<Axis, string>> = {
  layout: "layout", gates: "missing gate rows", cache: "cold segment evicts", hot: "hot share of the FFN cache", npuShare: "rows on the NPU", attentionOn: "attention on", driver: "reader and big cores", mid: "mid threads", little: "little threads",
  clusterNeurons: "neurons of a cluster", depth: "clusters in flight", overlap: "overlap", prefetchHot: "prefetch of hot rows", lanes: "readers", streamBlock: "block of sequential reads", keep: "share of the allowed cache used",
};

const percent = (share: number): string => `${Number((100 * share).toFixed(1))} %`;

export const showChoice = (choice: Choice, axis: Axis): string => {
  switch (axis) {
    case "layout":
      return `${choice.layout.loading}, scales ${choice.layout.scalesResident === "yes" ? "in memory" : "beside their rows"}`;
    case "hot":
    case "npuShare":
    case "keep":
      return percent(choice[axis]);
    case "driver":
      return `${choice.driver.submitters === "compute-threads" ? "threads that compute read" : choice.driver.ioCore === "none" ? "threads beside them read" : `a ${choice.driver.ioCore} core reads`}, ${choice.driver.big} big ${choice.driver.big === 1 ? "thread" : "threads"}`;
    case "streamBlock":
      return showBytes(choice.streamBlock);
    case "gates":
    case "cache":
    case "attentionOn":
    case "mid":
    case "little":
    case "clusterNeurons":
    case "depth":
    case "overlap":
    case "prefetchHot":
    case "lanes":
      return String(choice[axis]);
  }
};

export interface Decision {
  readonly axis: Axis;
  readonly chosen: string;
  readonly byDefault: string;
  /** What the score loses if this decision alone is made as the default plan makes it; null where that is no plan. */
  readonly worth: number | null;
}

/** Each decision that differs from the default plan's, put back alone. */
export function* decisionsOf(trials: Trials, space: Space, chosen: Point, byDefault: Point, score: Score, tokens: number): Searching<ReadonlyArray<Decision>> {
  const differing = AXES.filter((axis) => chosen[axis] !== byDefault[axis]);
  const [here, ...back] = yield* trials.at([chosen, ...differing.map((axis) => moved(chosen, axis, byDefault[axis]))], "cluster", tokens);
  return differing.map((axis, i): Decision => {
    const trial = back[i] ?? null;
    return {
      axis,
      chosen: showChoice(choiceAt(space, chosen), axis),
      byDefault: showChoice(choiceAt(space, byDefault), axis),
      worth: trial === null || here === null || here === undefined ? null : 1 - score(trial.record) / score(here.record),
    };
  }).sort((a, b) => (b.worth ?? -1) - (a.worth ?? -1));
}

/** Axes that say how much and not how: two plans that differ in nothing else are one proposal. */
const AMOUNTS: ReadonlySet<Axis> = new Set<Axis>(["hot", "keep"]);
/** Proposals that differ from the chosen plan in little are wrong where it is: one for each reader and cluster size comes first. */
const SURPRISING: ReadonlyArray<Axis> = ["driver", "clusterNeurons"];

/** The best plans of a search for who can run them and see: the best at each reader and cluster size, then any that differ from one another in more than amounts. Without the chosen one. */
export const proposalsOf = (ranked: ReadonlyArray<Trial>, chosen: Trial, score: Score, most: number): ReadonlyArray<Plan> => {
  const kept: Array<Trial> = [chosen];
  const sorted = [...ranked].sort(bestFirst(score));
  for (const axes of [SURPRISING, AXES.filter((axis) => !AMOUNTS.has(axis))])
    for (const trial of sorted)
      if (kept.length < most && kept.every(({ point }) => axes.some((axis) => trial.point[axis] !== point[axis]))) kept.push(trial);
  return kept.slice(1).sort(bestFirst(score)).map(({ plan }) => plan);
};

export interface NextBest { readonly plan: Plan; readonly behind: number; readonly differs: ReadonlyArray<{ readonly axis: Axis; readonly here: string; readonly there: string }> }

/** The best of the plans that differ in kind from the chosen one, and not in a step of some size. */
export const nextBestOf = (ranked: ReadonlyArray<Trial>, space: Space, chosen: Trial, score: Score): NextBest | null => {
  const here = ranked.find((t) => t.point === chosen.point) ?? chosen;
  const isOther = (t: Trial): boolean => KINDS_OF_PLAN.some((axis) => t.point[axis] !== chosen.point[axis]);
  const other = [...ranked].sort(bestFirst(score)).find(isOther) ?? [...ranked].sort(bestFirst(score)).find((t) => t.plan !== here.plan && t.point !== chosen.point);
  if (other === undefined) return null;
  const [ours, theirs] = [choiceAt(space, chosen.point), choiceAt(space, other.point)];
  return {
    plan: other.plan,
    behind: 1 - score(other.record) / score(here.record),
    differs: AXES.filter((axis) => other.point[axis] !== chosen.point[axis]).map((axis) => ({ axis, here: showChoice(ours, axis), there: showChoice(theirs, axis) })),
  };
};
