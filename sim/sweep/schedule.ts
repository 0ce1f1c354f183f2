/** Which runs are to be made next. A point's further repetitions depend on its own results alone, so the set of runs is the same in any order. */
import { wantsMore, type StoppingRule } from "./interval.js";

export interface Place { readonly point: number; readonly repetition: number }

export interface Schedule {
  /** A run to be made; null while there is none, which may change when another settles. */
  readonly next: () => Place | null;
  /** The metric that the rule looks at; null where the run has none. */
  readonly settle: (place: Place, value: number | null) => void;
  /** Runs of which it is known that they are wanted: made, under way or waiting. */
  readonly wanted: () => number;
}

/** `known` is what an earlier call found out; undefined where a run is still to be made. */
export const scheduleOf = (points: number, repetitions: number, rule: StoppingRule | null, known: (place: Place) => { readonly value: number | null } | undefined): Schedule => {
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
  return {
    next: () => waiting[head] === undefined ? null : waiting[head++]!,
    settle: ({ point, repetition }, value) => {
      values[point]![repetition] = value;
      grow(point);
    },
    wanted: () => wanted,
  };
};
