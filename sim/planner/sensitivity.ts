/** How the answer moves when the weakest facts of the profiles are a fifth off: in closed form, at the plan and around it. */
import type { Kind } from "../domain/fact.js";
import type { Cell } from "./candidates.js";
import { descend } from "./descent.js";
import type { Objective } from "./objectives.js";
import type { Axis, Point, Space } from "./space.js";
import { askOf, createTrials, type Ask, type Searching, type Trial } from "./trials.js";
import { E } from "../base/fp.js";
import { weakFacts, withFactOff } from "./weak-facts.js";

const OFF = 0.2;
/** Facts that are shown, and of them those around which the plan is sought anew. */
const SHOWN = 6;
const SOUGHT = 3;
/** What moves the answer by less than this is left out. */
const VISIBLE = 1e-3;

export interface MovedBy {
  /** (score with the fact off − score) / score, the plan as it is. */
  readonly change: number;
  /** What a plan sought anew under the changed fact gains on this one; null where it was not sought. */
  readonly betterPlan: number | null;
}
export interface Sensitivity { readonly profile: "device" | "model"; readonly fact: string; readonly kind: Kind; readonly low: MovedBy; readonly high: MovedBy }

interface Doubt { readonly profile: "device" | "model"; readonly fact: string; readonly kind: Kind; readonly cells: readonly [Cell, Cell] }

const doubtsOf = (cell: Cell): ReadonlyArray<Doubt> => [
  ...weakFacts(cell.device).map(({ path, kind }): Doubt => ({ profile: "device", fact: path, kind, cells: [{ ...cell, device: withFactOff(cell.device, path, 1 - OFF) }, { ...cell, device: withFactOff(cell.device, path, 1 + OFF) }] })),
  ...weakFacts(cell.model).map(({ path, kind }): Doubt => ({ profile: "model", fact: path, kind, cells: [{ ...cell, model: withFactOff(cell.model, path, 1 - OFF) }, { ...cell, model: withFactOff(cell.model, path, 1 + OFF) }] })),
];

/** `chosen` is the plan's own trial in closed form. */
export function* sensitivityOf(cell: Cell, space: Space, axes: ReadonlyArray<Axis>, objective: Objective, chosen: Trial, tokens: number): Searching<ReadonlyArray<Sensitivity>> {
  const { score } = objective;
  const doubts = doubtsOf(cell);
  const asks = doubts.flatMap(({ cells }) => cells.map((off): Ask => askOf(off, chosen.plan, "analytic", tokens)));
  const outcomes = asks.length === 0 ? [] : yield asks;
  const here = score(chosen.record);
  const change = (i: number): number => {
    const outcome = outcomes[i]!;
    return E.isRight(outcome) ? score(outcome.right) / here - 1 : 0;
  };
  const moved = doubts.map((doubt, i) => ({ doubt, low: change(2 * i), high: change(2 * i + 1) }))
    .filter(({ low, high }) => Math.max(Math.abs(low), Math.abs(high)) >= VISIBLE)
    .sort((a, b) => Math.max(Math.abs(b.low), Math.abs(b.high)) - Math.max(Math.abs(a.low), Math.abs(a.high)))
    .slice(0, SHOWN);
  const found: Array<Sensitivity> = [];
  for (const [rank, { doubt, low, high }] of moved.entries()) {
    const better = rank < SOUGHT ? [yield* betterBy(doubt.cells[0], space, axes, objective, chosen.point, tokens), yield* betterBy(doubt.cells[1], space, axes, objective, chosen.point, tokens)] : [null, null];
    found.push({ profile: doubt.profile, fact: doubt.fact, kind: doubt.kind, low: { change: low, betterPlan: better[0]! }, high: { change: high, betterPlan: better[1]! } });
  }
  return found;
}

/** The gain of the best plan nearby, were the changed facts the true ones. */
function* betterBy(cell: Cell, space: Space, axes: ReadonlyArray<Axis>, { score }: Objective, point: Point, tokens: number): Searching<number | null> {
  const trials = createTrials(cell, space);
  const [here] = yield* trials.at([point], "analytic", tokens);
  const best = yield* descend({ trials, space, axes, score, tokens }, point, 2);
  return here === null || here === undefined || best === null ? null : score(best.record) / score(here.record) - 1;
}
