/** The sweeps of a store over HTTP: a list, and each as a page shows it. One question at a time: a DuckDB file is open once. */
import { E, TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import { describeError, type AppError } from "../../../sim/base/errors.js";
import type { Asking } from "../../program.js";
import type { Store } from "../../store.js";
import { pageOf } from "../sweep/page.js";
import { storedSweep } from "./stored-sweep.js";
import { batches, type Batch } from "./which.js";

const nameOf = ({ key, code }: Batch): string => `${key}-${code}`;

const list = (store: Store): TaskEither<AppError, unknown> => async () => {
  const found = await batches(store)();
  // Nothing there yet is an answer; so is a store that somebody else holds.
  const [note, all] = E.isLeft(found) ? [describeError(found.left), []] : ["", found.right];
  return E.right({ schema: "neuronlab/sweep-list@1", live: false, note, sweeps: all.map((one) => ({ name: nameOf(one), id: one.id, title: one.title, runs: one.runs, done: one.done, refused: one.refused, failed: one.failed, last: one.last, declared: one.key.slice(0, 8), code: one.code.slice(0, 8) })) });
};

const page = (store: Store, name: string): TaskEither<AppError, unknown> =>
  pipe(
    batches(store),
    TE.chain((all): TaskEither<AppError, unknown> => {
      const batch = all.find((one) => nameOf(one) === name);
      return batch === undefined ? TE.right(null) : pipe(storedSweep(store, batch), TE.map((sweep) => (sweep === null ? null : pageOf(sweep.asked, sweep.described))));
    }),
  );

export const servedSweeps = (store: Store): Asking => {
  let before: Promise<unknown> = Promise.resolve();
  const inTurn = (task: TaskEither<AppError, unknown>): TaskEither<AppError, unknown> => () => {
    const mine = before.then(task);
    before = mine.catch(() => undefined);
    return mine;
  };
  return { path: "/sweeps/", json: (rest) => inTurn(rest === "index.json" ? list(store) : rest.endsWith(".json") ? page(store, rest.slice(0, -".json".length)) : TE.right(null)) };
};
