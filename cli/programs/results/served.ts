/** The sweeps of a store over HTTP: a list, and each as a page shows it. One question at a time: a DuckDB file is open once. */
import { E, TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import { describeError, type AppError } from "../../../sim/base/errors.js";
import type { Asking } from "../../program.js";
import type { Store } from "../../store.js";
import { pageOf } from "../sweep/page.js";
import { storedSweep } from "./stored-sweep.js";
import { batches, begun, begunShown, type Batch } from "./which.js";

const nameOf = ({ key, code }: Batch): string => `${key}-${code}`;

const list = (store: Store): TaskEither<AppError, unknown> => async () => {
  const found = await pipe(TE.Do, TE.bind("all", () => batches(store)), TE.bind("waiting", () => begun(store)))();
  // Nothing there yet is an answer; so is a store that somebody else holds.
  const [note, all] = E.isLeft(found) ? [describeError(found.left), []] : [found.right.waiting.length === 0 ? "" : begunShown(found.right.waiting), found.right.all];
  return E.right({ schema: "neuronlab/sweep-list@1", live: false, note, sweeps: all.map((one) => ({ name: nameOf(one), id: one.id, title: one.title, runs: one.runs, done: one.done, refused: one.refused, failed: one.failed, last: one.last, declared: one.key.slice(0, 8), code: one.code.slice(0, 8) })) });
};

/** What a page was made of: it stands as long as the version does. */
interface Made { readonly version: string; readonly wanted: number }

/** Runs that failed may be made again, so their number alone does not tell. */
const versionOf = ({ runs, failed, last }: Batch): string => `${runs}-${failed}-${last}`;

/** As of a running sweep, but for how long it takes: who makes its runs, and whether anybody does, is not known here. `wanted` is null before its page was made. */
const progressOf = (batch: Batch, made: Made | undefined): object => ({
  schema: "neuronlab/sweep-progress@1", version: versionOf(batch), ended: made?.version === versionOf(batch) && batch.runs >= made.wanted, done: batch.runs, wanted: made?.wanted ?? null, reused: 0, fresh: 0,
  failed: batch.failed, refused: batch.refused, secondsGone: null, secondsLeft: null, last: batch.last,
});

type Answers = (batch: Batch) => TaskEither<AppError, unknown>;

const named = (store: Store, name: string, answer: Answers): TaskEither<AppError, unknown> =>
  pipe(
    batches(store),
    TE.chain((all) => {
      const batch = all.find((one) => nameOf(one) === name);
      return batch === undefined ? TE.right(null) : answer(batch);
    }),
  );

export const servedSweeps = (store: Store): Asking => {
  const made = new Map<string, Made>();
  const progress: Answers = (batch) => TE.right(progressOf(batch, made.get(nameOf(batch))));
  const page: Answers = (batch) => pipe(storedSweep(store, batch), TE.map((sweep) => {
    if (sweep === null) return null;
    made.set(nameOf(batch), { version: versionOf(batch), wanted: sweep.wanted });
    return { ...pageOf(sweep.asked, sweep.described), progress: progressOf(batch, made.get(nameOf(batch))) };
  }));
  let before: Promise<unknown> = Promise.resolve();
  const inTurn = (task: TaskEither<AppError, unknown>): TaskEither<AppError, unknown> => () => {
    const mine = before.then(task);
    before = mine.catch(() => undefined);
    return mine;
  };
  const answered = (rest: string): TaskEither<AppError, unknown> => {
    const [, name, part] = /^([^/]+?)(\/progress)?\.json$/.exec(rest) ?? [];
    return name === undefined ? TE.right(null) : name === "index" && part === undefined ? list(store) : named(store, name, part === undefined ? page : progress);
  };
  return { path: "/sweeps/", json: (rest) => inTurn(answered(rest)) };
};
