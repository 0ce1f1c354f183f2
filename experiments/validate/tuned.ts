/**
 * Whether the planner's plan is better on the machine itself: on each model, in one budget, the engine's own choices, what the planner proposes, and every plan
 * that `validate host` draws for that model, all with the same room for FFN weights. The proposals and the engine's own choices are tried, and the fastest is the tuned plan: the
 * simulator proposes, the machine decides. It, the one that the simulator alone would have taken, and the best of the drawn ones then run in turn, anew. Pure.
 */
import type { ModelSpec } from "../../sim/domain/model.js";
import type { Plan } from "../../sim/domain/plan.js";
import { cutOf, wholeSegments } from "../../sim/inference/gated/cut.js";
import { median, medianInterval, type Interval } from "../median-interval.js";
import type { Cell, Turn } from "./cells.js";
import { planOf } from "./plan.js";

/** Of the drawn plans, those that are run again. */
export const FINALISTS = 3;
/** Share of the FFN's bytes that the budget has room for, about: the engine says what is left beside what it must hold. */
export const SHARE = 0.5;

export const defaultId = (model: string): string => `${model} default`;
/** Of what the planner proposes, from the plan that the simulator takes for the best on. */
export const proposalId = (model: string, place: number): string => `${model} proposal ${place + 1}`;
/** Each proposal is tried so often before one is chosen. */
export const TRIES = 3;

/** The drawn cells of a model with the room that a run of the engine had; a model's own cells differ in it. */
export const withRoom = (cells: ReadonlyArray<Cell>, model: ModelSpec, had: Plan): ReadonlyArray<{ readonly cell: Cell; readonly plan: Plan }> =>
  cells.filter((cell) => cell.model === model.name).map((cell) => {
    const drawn = planOf(cell, model);
    const whole = wholeSegments(cutOf(model, drawn));
    const moved = { ...cell, budget: Math.min(1, (had.cache.hot + had.cache.cold) / (whole.hot + whole.cold)) };
    return { cell: moved, plan: planOf(moved, model) };
  });

/** Everyone once; the order is turned for every other model, so that a drift of the machine favours nobody. */
export const screening = (ids: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<Turn> =>
  ids.flatMap((ofModel, i) => (i % 2 === 0 ? ofModel : [...ofModel].reverse())).map((cell) => ({ cell, repetition: 0, reference: false }));

/** Proposals in turn, forwards and backwards, as repetitions below 0: they choose, and count for nothing afterwards. */
export const tries = (ids: ReadonlyArray<ReadonlyArray<string>>, rounds: number): ReadonlyArray<Turn> => finals(ids, rounds).map((turn) => ({ ...turn, repetition: -turn.repetition }));

/** One over the other in the tries, round by round: the middle ratio. */
export const triedRatioOf = (id: string, usual: string, runs: ReadonlyArray<Timed>): number => {
  const at = (of: string): ReadonlyMap<number, number> => new Map(runs.flatMap(({ cell, repetition, ms }) => (cell === of && repetition < 0 ? [[repetition, ms] as const] : [])));
  const [own, theirs] = [at(id), at(usual)];
  return median([...own].flatMap(([repetition, ms]) => (theirs.has(repetition) ? [theirs.get(repetition)! / ms] : [])));
};

/** The fastest of those that were tried, beside the usual one in the same rounds; of two alike the one named first. */
export const chosenOf = (ids: ReadonlyArray<string>, usual: string, runs: ReadonlyArray<Timed>): string =>
  [...ids].sort((a, b) => triedRatioOf(b, usual, runs) - triedRatioOf(a, usual, runs) || ids.indexOf(a) - ids.indexOf(b))[0]!;

/** The last ones in turn, forwards and backwards. Repetition 0 was the screening, which counts for nothing here: it chose. */
export const finals = (ids: ReadonlyArray<ReadonlyArray<string>>, rounds: number): ReadonlyArray<Turn> =>
  Array.from({ length: rounds }, (_, round) => ids.flatMap((ofModel) => (round % 2 === 0 ? ofModel : [...ofModel].reverse())).map((cell) => ({ cell, repetition: round + 1, reference: false }))).flat();

/** A run as it counts here: who, when, and ms a token. */
export interface Timed extends Pick<Turn, "cell" | "repetition"> { readonly ms: number }

export const speedsOf = (id: string, runs: ReadonlyArray<Timed>): ReadonlyArray<number> => runs.filter((run) => run.cell === id && run.repetition > 0).map(({ ms }) => 1e3 / ms);
export const speedOf = (id: string, runs: ReadonlyArray<Timed>): number => median(speedsOf(id, runs));

/** The fastest of some in the screening. */
export const finalistsOf = (ids: ReadonlyArray<string>, runs: ReadonlyArray<Timed>): ReadonlyArray<string> => {
  const ms = (id: string): number => runs.find((run) => run.cell === id && run.repetition === 0)?.ms ?? Infinity;
  return [...ids].sort((a, b) => ms(a) - ms(b) || (a < b ? -1 : 1)).slice(0, FINALISTS);
};

export interface Margin extends Interval { readonly ratio: number; readonly pairs: ReadonlyArray<number> }

/** One over the other, round by round: what slows the machine for minutes slows both. */
export const marginOf = (ours: string, theirs: string, runs: ReadonlyArray<Timed>): Margin => {
  const rounds = [...new Set(runs.filter(({ repetition }) => repetition > 0).map(({ repetition }) => repetition))].sort((a, b) => a - b);
  const at = (id: string, round: number): number | undefined => runs.find((run) => run.cell === id && run.repetition === round)?.ms;
  const pairs = rounds.flatMap((round) => {
    const [a, b] = [at(ours, round), at(theirs, round)];
    return a === undefined || b === undefined ? [] : [b / a];
  });
  return { ratio: median(pairs), pairs, ...medianInterval(pairs) };
};

export interface OfModel {
  readonly model: string;
  readonly memory: number;
  readonly room: number;
  /** `searched`: what the simulator alone takes for the best. */
  readonly plans: { readonly tuned: Plan; readonly searched: Plan; readonly byDefault: Plan };
  /** Tokens/s that the simulator expects. */
  readonly expected: { readonly tuned: number; readonly searched: number; readonly byDefault: number };
  /** Medians of the rounds, tokens/s. */
  readonly measured: { readonly tuned: number; readonly searched: number; readonly byDefault: number };
  /** What was tried, over the default in the same rounds, and which of it is the tuned plan. */
  readonly tried: ReadonlyArray<{ readonly id: string; readonly overDefault: number }>;
  readonly chosen: string;
  readonly drawn: ReadonlyArray<{ readonly cell: Cell; readonly screened: number; readonly measured: number | null }>;
  readonly best: string;
  readonly overDefault: Margin;
  readonly searchedOverDefault: Margin;
  readonly overBest: Margin;
}

/** Whether nothing that was proposed was faster than the engine's own choices. */
export const staysAsItWas = ({ chosen, model }: Pick<OfModel, "chosen" | "model">): boolean => chosen === defaultId(model);

/** Of an interval that is to decide something: what four rounds give. */
const LEAST_CONFIDENCE = 0.87;
export const isSure = ({ confidence }: Pick<Margin, "confidence">): boolean => confidence >= LEAST_CONFIDENCE;

/** Aimed at: better than the default plan, interval and all, and no more than 5 % behind the best of the drawn ones. */
export const BEHIND = 0.05;
export const beatsDefault = ({ overDefault }: OfModel): boolean => isSure(overDefault) && overDefault.low > 1;
export const nearBest = ({ overBest }: OfModel): boolean => overBest.ratio >= 1 - BEHIND;
