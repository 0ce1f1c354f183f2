/** Which runs are to be made next. A point's further repetitions depend on its own results alone, so the set of runs is the same in any order. */
import { wantsMore, type StoppingRule } from "./interval.js";

export interface Place { readonly point: number; readonly repetition: number }

/**
 * `points`: a point's repetitions together. `rounds`: each point once, then each once more and backwards, and so on, so that what drifts while runs
 * are made is seen in all points alike. `scattered`: any, by a number from 0 to 1, so that several who make the same runs do not walk side by side.
 */
export type Order = "points" | "rounds" | { readonly scattered: () => number };

export interface Schedule {
  /** A run to be made; null while there is none, which may change when another settles. */
  readonly next: () => Place | null;
  /** The metric that the rule looks at; null where the run has none. */
  readonly settle: (place: Place, value: number | null) => void;
  /** Runs of which it is known that they are wanted: made, under way or waiting. */
  readonly wanted: () => number;
}

const isBefore = (a: Place, b: Place): boolean => (a.repetition !== b.repetition ? a.repetition < b.repetition : a.repetition % 2 === 0 ? a.point < b.point : a.point > b.point);

/** `known` is what an earlier call found out; undefined where a run is still to be made. */
export const scheduleOf = (points: number, repetitions: number, rule: StoppingRule | null, known: (place: Place) => { readonly value: number | null } | undefined, order: Order = "points"): Schedule => {
  const values: Array<Array<number | null | undefined>> = Array.from({ length: points }, () => []);
  const waiting: Array<Place> = [];
  let head = 0;
  let wanted = 0;
  const grow = (point: number): void => {
    const of = values[point]!;
    for (;;) {
      const done = of.filter((value) => value !== undefined);
      if (of.length >= repetitions && (done.length < of.length || !wantsMore(done, repetitions, rule))) return;
      const place = { point, repetition: of.length };
      const before = known(place);
      wanted++;
      of.push(before === undefined ? undefined : before.value);
      if (before === undefined) waiting.push(place);
    }
  };
  for (let point = 0; point < points; point++) grow(point);
  /** The next of the earliest round: upwards in even ones, downwards in odd ones. */
  const nextOfRound = (): Place | null => {
    let first = -1;
    for (let i = 0; i < waiting.length; i++) if (first < 0 || isBefore(waiting[i]!, waiting[first]!)) first = i;
    return first < 0 ? null : waiting.splice(first, 1)[0]!;
  };
  const anyOf = (scattered: () => number): Place | null => {
    const last = waiting.pop();
    if (last === undefined || waiting.length === 0) return last ?? null;
    const at = Math.min(waiting.length, Math.floor(scattered() * (waiting.length + 1)));
    if (at === waiting.length) return last;
    const taken = waiting[at]!;
    waiting[at] = last;
    return taken;
  };
  return {
    next: () => order === "rounds" ? nextOfRound() : order !== "points" ? anyOf(order.scattered) : waiting[head] === undefined ? null : waiting[head++]!,
    settle: ({ point, repetition }, value) => {
      values[point]![repetition] = value;
      grow(point);
    },
    wanted: () => wanted,
  };
};
