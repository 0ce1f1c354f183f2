/** What a name means in a store: a sweep's runs by one version of the code, or a single run by the beginning of its key. */
import { E, TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import { badInput, type AppError } from "../../../sim/base/errors.js";
import { nearest } from "../../../sim/base/nearest.js";
import type { Cell, Store } from "../../store.js";

/** A sweep as declared, and the code that its runs are of: the newest unless a name says which. */
export interface Batch {
  readonly id: string;
  readonly key: string;
  readonly title: string;
  readonly code: string;
  readonly runs: number;
  readonly done: number;
  readonly refused: number;
  readonly failed: number;
  readonly last: string;
}

const BATCHES = `SELECT sweeps.id, sweeps.key, sweeps.title, json_extract_string(manifests.content, '$.code') AS code,
  count(*), count(*) FILTER (runs.state = 'done'), count(*) FILTER (runs.state = 'refused'), count(*) FILTER (runs.state = 'failed'), max(runs.finishedAt) AS last
  FROM members JOIN runs ON runs.key = members.run JOIN manifests ON manifests.id = runs.manifest JOIN sweeps ON sweeps.key = members.sweep
  GROUP BY ALL ORDER BY last DESC, sweeps.id, code`;

const batchOf = (row: ReadonlyArray<Cell>): Batch => {
  const [id, key, title, code, runs, done, refused, failed, last] = row;
  return { id: String(id), key: String(key), title: String(title), code: String(code), runs: Number(runs), done: Number(done), refused: Number(refused), failed: Number(failed), last: String(last) };
};

/** Newest first. */
export const batches = (store: Store): TaskEither<AppError, ReadonlyArray<Batch>> => pipe(store.ask(BATCHES), TE.map(({ rows }) => rows.map(batchOf)));

/** A sweep that a command has begun to make, and of which no run has ended yet. */
export interface Begun { readonly id: string; readonly key: string }

export const begun = (store: Store): TaskEither<AppError, ReadonlyArray<Begun>> =>
  pipe(store.ask("SELECT id, key FROM sweeps WHERE key NOT IN (SELECT sweep FROM members) ORDER BY id, key"), TE.map(({ rows }) => rows.map(([id, key]) => ({ id: String(id), key: String(key) }))));

export const begunShown = (all: ReadonlyArray<Begun>): string =>
  `${all.length} ${all.length === 1 ? "sweep has" : "sweeps have"} begun, and no run of ${all.length === 1 ? "it" : "them"} has ended yet: ${all.map(({ id, key }) => `${id} (declared ${key.slice(0, 8)})`).join(", ")}`;

const runsLike = (store: Store, name: string): TaskEither<AppError, ReadonlyArray<string>> =>
  /^[0-9a-f]{6,32}$/.test(name) ? pipe(store.ask("SELECT key FROM runs WHERE starts_with(key, ?) ORDER BY key LIMIT 2", [name]), TE.map(({ rows }) => rows.map(([key]) => String(key)))) : TE.right([]);

export type Which = { readonly _tag: "Sweep"; readonly batch: Batch } | { readonly _tag: "Run"; readonly key: string };

/** What is wrong with a name that means nothing here. */
const unknown = (name: string, all: ReadonlyArray<Batch>, waiting: ReadonlyArray<Begun>): string => {
  const [head, version = ""] = name.split("@") as [string, ...ReadonlyArray<string>];
  const versions = all.filter(({ id }) => id === head);
  if (versions.length > 0) return `${head} is there, and not as @${version}; behind the @ goes the beginning of a code or of a declaration: ${versions.map(({ code, key }) => `code ${code.slice(0, 8)} (declared ${key.slice(0, 8)})`).join(", ")}`;
  if (waiting.some(({ id }) => id === head)) return begunShown(waiting.filter(({ id }) => id === head));
  const ids = [...new Set(all.map(({ id }) => id))];
  const near = nearest(head, ids);
  return `there is no sweep or run ${name};${near === null ? "" : ` did you mean ${near}?`} ${ids.length > 0 ? `known: ${ids.join(", ")}` : waiting.length > 0 ? begunShown(waiting) : "the store is empty"}`;
};

/** "io-lanes", "io-lanes@1f3a" (its code, or else how it was declared), "a1b2c3" (the beginning of a declaration's or a run's key). */
export const which = (store: Store, flag: string) => (name: string): TaskEither<AppError, Which> =>
  pipe(
    TE.Do,
    TE.bind("all", () => batches(store)),
    TE.bind("waiting", () => begun(store)),
    TE.bind("runs", () => runsLike(store, name)),
    TE.chainEitherK(({ all, waiting, runs }): E.Either<AppError, Which> => {
      const [head, version = ""] = name.split("@") as [string, ...ReadonlyArray<string>];
      const named = all.filter((one) => one.id === head || (head.length >= 6 && one.key.startsWith(head)));
      const batch = named.find(({ code }) => code.startsWith(version)) ?? named.find(({ key }) => key.startsWith(version));
      if (batch !== undefined) return E.right({ _tag: "Sweep", batch });
      if (runs.length === 1) return E.right({ _tag: "Run", key: runs[0]! });
      return E.left(badInput("neuronlab results", [{ path: flag, message: runs.length > 1 ? `more than one run begins with ${name}; give more of its key` : unknown(name, all, waiting) }]));
    }),
  );
