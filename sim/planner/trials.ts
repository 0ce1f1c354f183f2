/**
 * What a search has tried: each plan at each fidelity once. A search is a generator that yields rounds of runs and is handed
 * their outcomes: whoever drives it brings the simulator, in one thread or in many, and the rounds are the same.
 */
import { E, type Either } from "../base/fp.js";
import type { AppError } from "../base/errors.js";
import { encodePlan, type Plan } from "../domain/plan.js";
import type { Fidelity, SimulatedRun } from "../domain/run.js";
import { planAt, type Cell } from "./candidates.js";
import { choiceAt, type Point, type Space } from "./space.js";

export interface Trial { readonly point: Point; readonly plan: Plan; readonly fidelity: Fidelity; readonly record: SimulatedRun }

/** One run to be made: a cell whose request has a plan, a fidelity and a number of tokens. */
export type Ask = Cell;
/** The runs of one round; their outcomes come back in the same order. */
export type Round = ReadonlyArray<Ask>;
export type Run = (ask: Ask) => Either<AppError, SimulatedRun>;
export type Outcomes = ReadonlyArray<Either<AppError, SimulatedRun>>;
export type Searching<A> = Generator<Round, A, Outcomes>;

export interface Counts { readonly analytic: number; readonly cluster: number; readonly neuron: number }
export const sumOf = ({ analytic, cluster, neuron }: Counts): number => analytic + cluster + neuron;

export interface Trials {
  /** Runs what was not run yet, in one round; null where a point is no plan: cores or memory that are not there. */
  readonly at: (points: ReadonlyArray<Point>, fidelity: Fidelity, tokens: number) => Searching<ReadonlyArray<Trial | null>>;
  /** Everything run at a fidelity, in the order of asking. */
  readonly all: (fidelity: Fidelity) => ReadonlyArray<Trial>;
  readonly counts: () => Counts;
  /** Points that were no plans. */
  readonly refused: () => number;
}

/** A plan to be run in a cell. Its KV cache has room for the tokens that the cell asks for, however few are run. */
export const askOf = (cell: Cell, plan: Plan, fidelity: Fidelity, tokens: number): Ask => ({ ...cell, request: { ...cell.request, memory: { _tag: "Bytes", bytes: plan.memory }, tokens, fidelity, plan } });

export const createTrials = (cell: Cell, space: Space): Trials => {
  const done = new Map<string, Trial | null>();
  const counts = { analytic: 0, cluster: 0, neuron: 0 };
  const kept: Record<Fidelity, Array<Trial>> = { analytic: [], cluster: [], neuron: [] };
  const refused = new Set<string>();
  function* at(points: ReadonlyArray<Point>, fidelity: Fidelity, tokens: number): Searching<ReadonlyArray<Trial | null>> {
    const plans = points.map((point) => planAt(cell, choiceAt(space, point)));
    // Different points can be one plan: where all is resident, nothing about reads matters.
    const keys = plans.map((plan, i) => (E.isRight(plan) ? `${fidelity}/${tokens}/${JSON.stringify(encodePlan(plan.right))}` : `refused/${JSON.stringify(points[i])}`));
    const asked = new Map<string, { readonly point: Point; readonly plan: Plan }>();
    plans.forEach((plan, i) => {
      if (E.isLeft(plan)) {
        refused.add(keys[i]!);
        done.set(keys[i]!, null);
      } else if (!done.has(keys[i]!) && !asked.has(keys[i]!)) asked.set(keys[i]!, { point: points[i]!, plan: plan.right });
    });
    const outcomes = asked.size === 0 ? [] : yield [...asked.values()].map(({ plan }) => askOf(cell, plan, fidelity, tokens));
    [...asked].forEach(([key, { point, plan }], i) => {
      const outcome = outcomes[i]!;
      counts[fidelity]++;
      const trial = E.isRight(outcome) ? { point, plan, fidelity, record: outcome.right } : null;
      if (trial !== null) kept[fidelity].push(trial);
      done.set(key, trial);
    });
    return keys.map((key) => done.get(key) ?? null);
  }
  return { at, all: (fidelity) => kept[fidelity], counts: () => ({ ...counts }), refused: () => refused.size };
};

/** Plans as they are, beside any search; null where one cannot run. */
export function* runPlans(cell: Cell, plans: ReadonlyArray<Plan>, fidelity: Fidelity, tokens: number): Searching<ReadonlyArray<SimulatedRun | null>> {
  const outcomes = plans.length === 0 ? [] : yield plans.map((plan) => askOf(cell, plan, fidelity, tokens));
  return outcomes.map((outcome) => (E.isRight(outcome) ? outcome.right : null));
}

/** Runs a search in one thread. A pool does the same round by round. */
export const searchSerially = <A>(run: Run, search: Searching<A>): A => {
  let next = search.next();
  while (next.done !== true) next = search.next(next.value.map(run));
  return next.value;
};
