/** A stored sweep described as the command that made it did: its declaration decoded anew, its runs at their places. */
import { E, TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import type { AppError } from "../../../sim/base/errors.js";
import { decode } from "../../../sim/base/decode.js";
import { sweepCodec } from "../../../sim/sweep/declaration.js";
import { pointsOf } from "../../../sim/sweep/points.js";
import { scheduleOf, type Place } from "../../../sim/sweep/schedule.js";
import type { RunState, Store } from "../../store.js";
import { describeSweep, type Asked, type Described } from "../sweep/describe.js";
import type { Finished } from "../sweep/summary.js";
import { METRIC_NAMES, placesOf } from "./questions.js";
import type { Batch } from "./which.js";

export interface StoredSweep { readonly asked: Asked; readonly wanted: number; readonly described: Described }

const finishedRuns = (store: Store, batch: Batch): TaskEither<AppError, ReadonlyArray<Finished>> =>
  pipe(
    store.ask(`SELECT point, repetition, run, state, reason, "limit", ${METRIC_NAMES.join(", ")} FROM (${placesOf(batch)}) ORDER BY point, repetition, run`),
    TE.map(({ rows }) => rows.map(([point, repetition, key, state, reason, limit, ...values]): Finished => ({
      place: { point: Number(point), repetition: Number(repetition) },
      run: { key: String(key), state: String(state) as RunState, reason: reason as string | null, limit: limit as string | null, metrics: Object.fromEntries(METRIC_NAMES.map((name, i) => [name, values[i] as number | null])) },
    }))),
  );

/** Runs that the declaration wants, as far as what is known decides: a stopping rule asks for more as long as results differ too much. */
const wantedOf = ({ declaration: { repetitions, stop }, points }: Asked, settled: ReadonlyArray<Finished>): number => {
  const nameOf = ({ point, repetition }: Place): string => `${point}/${repetition}`;
  const known = new Map(settled.map(({ place, run }) => [nameOf(place), { value: stop === null ? null : (run.metrics[stop.metric] ?? null) }]));
  return scheduleOf(points.kept.length, repetitions, stop, (place) => known.get(nameOf(place))).wanted();
};

/** null where the declaration is of a later version than this program. */
export const storedSweep = (store: Store, batch: Batch): TaskEither<AppError, StoredSweep | null> =>
  pipe(
    TE.Do,
    TE.bind("declared", () => store.ask("SELECT declaration FROM sweeps WHERE key = ?", [batch.key])),
    TE.bind("settled", () => finishedRuns(store, batch)),
    TE.map(({ declared, settled }) => {
      const read = decode(sweepCodec, batch.id)(JSON.parse(String(declared.rows[0]![0])) as unknown);
      if (E.isLeft(read)) return null;
      const asked: Asked = { declaration: read.right, points: pointsOf(read.right), key: batch.key };
      const wanted = wantedOf(asked, settled);
      return { asked, wanted, described: describeSweep(asked, { settled, left: Math.max(0, wanted - settled.length) }) };
    }),
  );
