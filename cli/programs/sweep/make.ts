/** Makes the runs that are not known yet, and keeps each as soon as it is finished. */
import { E, TE, pipe, type Either, type TaskEither } from "../../../sim/base/fp.js";
import { describeError, fault, type AppError } from "../../../sim/base/errors.js";
import { stream } from "../../../sim/base/random.js";
import { scheduleOf, type Order, type Place } from "../../../sim/sweep/schedule.js";
import type { Executed, Feed, Wanted, Where } from "../../executor.js";
import type { Finding } from "../../finding.js";
import type { Capabilities, CodeFacts, Program } from "../../program.js";
import type { Journal, Line, Manifest, Store, StoredRun } from "../../store.js";
import { jobsOf, linesOf, type Jobs, type Maker } from "./jobs.js";
import type { Declared } from "./load.js";

/** `key` is that of the declaration, `code` of what results depend on. */
export interface Sweeping { readonly key: string; readonly code: string }

export interface Wishes { readonly workers: number | null; /** Who makes the simulator's runs, once it is known what they are. */ readonly where: (sweep: Sweeping) => Where; readonly failFast: boolean; readonly retryFailed: boolean; readonly command: string; readonly store: Store; readonly watch?: (seen: Seen) => void }

/** How the runs of a sweep are made: by the simulator, or by the engine on this machine. */
export interface Way<W extends { readonly of: Place }, F> {
  readonly jobs: (maker: Maker) => Jobs<W, F>;
  readonly run: (feed: Feed<Place, W, F>, options: { readonly where: Where; readonly signal: AbortSignal }) => TaskEither<AppError, Executed>;
  readonly order: Order;
  /** What results depend on beside their inputs. */
  readonly code: TaskEither<AppError, CodeFacts>;
  readonly measuring: NonNullable<Manifest["measuring"]> | null;
}

export const simulated = (declared: Declared) => (capabilities: Capabilities): Way<Wanted<Place>, Finding> => ({ jobs: (maker) => jobsOf(declared, maker), run: (feed, { where, signal }) => capabilities.execute(where, feed, signal), order: "points", code: capabilities.code, measuring: null });

/** A run at its place; runs of one point in the order of repetitions. */
export interface Settled { readonly place: Place; readonly run: StoredRun }

/** Where a sweep stands, for whoever looks on; `settled` goes on growing. */
export interface Seen { readonly settled: ReadonlyArray<Settled>; readonly fresh: number; readonly wanted: number; readonly ended: boolean }

export interface Made {
  readonly settled: ReadonlyArray<Settled>;
  /** Runs that were made now, and those that an earlier call made. */
  readonly fresh: number;
  readonly reused: number;
  /** Runs that are wanted and were not made: --fail-fast, an interrupt, or --retry-failed with others still to be made. */
  readonly left: number;
  /** Where results stay until the store is free; null where they are in it. */
  readonly pending: string | null;
  /** Of whoever made them. */
  readonly notes: ReadonlyArray<string>;
}

const inOrder = (a: Settled, b: Settled): number => a.place.point - b.place.point || a.place.repetition - b.place.repetition;

/** Every run that may be wanted: repetitions up to where the stopping rule must end. */
const placesOf = ({ declaration, points }: Declared): ReadonlyArray<Place> => {
  const most = declaration.stop?.atMost ?? declaration.repetitions;
  return points.kept.flatMap((_, point) => Array.from({ length: most }, (__, repetition) => ({ point, repetition })));
};

export const manifestOf = (declared: Declared, wishes: Pick<Wishes, "command" | "workers">, way: Pick<Way<never, never>, "code" | "measuring">): Program<Manifest> => (capabilities) =>
  pipe(
    way.code,
    TE.map((code): Manifest => {
      const { cores, cpu, memoryBytes, kernel } = capabilities.machine;
      const startedAt = capabilities.clock().toISOString();
      const host = { name: capabilities.hostName, cpu, cores, memoryBytes, kernel };
      return {
        id: `${startedAt.replaceAll(/[^\dT]/g, "")}-${capabilities.digest(`${declared.key}/${startedAt}/${capabilities.hostName}/${capabilities.processId}`).slice(0, 8)}`,
        sweep: declared.key, command: wishes.command, code: code.hash, version: capabilities.version, commit: code.commit, dirty: code.dirty, node: capabilities.nodeVersion,
        host, workers: way.measuring === null ? (wishes.workers ?? cores) : 1, ...(way.measuring === null ? {} : { measuring: way.measuring }), seed: declared.declaration.seed, startedAt,
      };
    }),
  );

export const make = <W extends { readonly of: Place }, F>(declared: Declared, wishes: Wishes, way: Way<W, F>): Program<Made> => (capabilities) =>
  pipe(
    manifestOf(declared, wishes, way)(capabilities),
    TE.chain((manifest) => {
      const jobs = way.jobs({ digest: capabilities.digest, code: manifest.code, manifest: manifest.id, now: capabilities.clock });
      return pipe(
        wishes.store.known([...new Set(placesOf(declared).map(jobs.keyOf))]),
        TE.chain((known) => pipe(
          wishes.store.journal(manifest.id),
          TE.chain((journal) => made(declared, wishes, way, manifest, jobs, known, journal)(capabilities)),
        )),
      );
    }),
  );

const made = <W extends { readonly of: Place }, F>(declared: Declared, wishes: Wishes, way: Way<W, F>, manifest: Manifest, jobs: Jobs<W, F>, known: ReadonlyMap<string, StoredRun>, journal: Journal): Program<Made> => (capabilities) => {
  const { declaration, points, key } = declared;
  const settled: Array<Settled> = [];
  const written = new Set<string>();
  const rule = declaration.stop;
  const memberOf = (place: Place, run: StoredRun): Line => ({ line: "member", sweep: key, ...place, coordinates: points.kept[place.point]!, run: run.key });
  const valueOf = (run: StoredRun): number | null => (rule === null ? null : (run.metrics[rule.metric] ?? null));
  /** What other commands have finished since this one began, by key. */
  const elsewhere = new Map<string, StoredRun>();
  const look = (): number => {
    const { writers, runs } = journal.elsewhere();
    for (const run of runs) if (run.state !== "failed") elsewhere.set(run.key, run);
    return writers;
  };
  const order: Order = look() > 0 && way.order === "points" ? { scattered: stream(Number.parseInt(capabilities.digest(manifest.id).slice(0, 8), 16), "sweep/scattered").uniform } : way.order;
  // Those of the beginning go into one line of the journal, later ones as they come.
  let unwritten: Array<Line> | null = [];
  const schedule = scheduleOf(points.kept.length, declaration.repetitions, rule, (place) => {
    const run = known.get(jobs.keyOf(place));
    if (run === undefined || (run.state === "failed" && wishes.retryFailed)) return undefined;
    settled.push({ place, run });
    if (unwritten !== null) unwritten.push(memberOf(place, run));
    else journal.append([memberOf(place, run)]);
    return { value: valueOf(run) };
  }, order);
  const begunWith = settled.length;
  const watch = (ended: boolean): void => wishes.watch?.({ settled, fresh, wanted: schedule.wanted(), ended });
  let broken: AppError | null = null;
  let [fresh, over, stopped] = [0, 0, false];

  /** False where the disk takes no more. */
  const settle = (place: Place, run: StoredRun, lines: ReadonlyArray<Line>): boolean => {
    const appended: Either<AppError, void> = journal.append(lines);
    if (E.isLeft(appended)) {
      broken = appended.left;
      return false;
    }
    settled.push({ place, run });
    schedule.settle(place, valueOf(run));
    gauge.at(++over);
    watch(false);
    return true;
  };
  const keep = (place: Place, finding: F, seconds: number): boolean => {
    const stored = jobs.stored(place, finding, seconds);
    fresh++;
    stopped = !settle(place, stored.run, linesOf(written, key, points.kept[place.point]!, place, stored)) || (wishes.failFast && stored.run.state === "failed");
    return !stopped;
  };
  /** A run that another command has finished meanwhile stands in that one's journal, and here its place alone. */
  const adopt = (place: Place, run: StoredRun): boolean => {
    stopped = !settle(place, run, [memberOf(place, run)]);
    return !stopped;
  };

  /** The next run that needs a simulation; what another has finished, or what cannot even be put into a request, is settled on the way. */
  const next = (): W | null => {
    for (let place = stopped ? null : schedule.next(); place !== null; place = schedule.next()) {
      const name = jobs.keyOf(place);
      if (wishes.retryFailed && known.get(name) === undefined) continue;
      look();
      const theirs = elsewhere.get(name);
      if (theirs !== undefined) {
        if (!adopt(place, theirs)) return null;
        continue;
      }
      const wanted = jobs.wantedAt(place);
      if (E.isRight(wanted)) return wanted.right;
      if (!keep(place, jobs.failed(wanted.left), 0)) return null;
    }
    return null;
  };

  const gauge = capabilities.gauge(schedule.wanted() - begunWith, "runs");
  const begun = journal.append([{ line: "manifest", ...manifest }, { line: "sweep", key, id: declaration.id, title: declaration.title, declaration: declared.raw }, ...unwritten]);
  unwritten = null;
  const fed: TaskEither<AppError, Executed> = E.isLeft(begun) ? TE.left(begun.left) : capabilities.interruptible((signal) => way.run({ next, settled: keep }, { where: wishes.where({ key, code: manifest.code }), signal }));
  return async () => {
    watch(false);
    const ran = await fed();
    gauge.end();
    watch(true);
    const closed = await journal.close();
    if (broken !== null) return E.left(broken);
    if (E.isLeft(ran)) return ran;
    if (E.isLeft(closed)) return closed;
    const absorbed = await wishes.store.absorb();
    if (E.isLeft(absorbed) && absorbed.left._tag !== "Disk") return absorbed;
    if (settled.length > schedule.wanted()) return E.left(fault("more runs were made than were wanted"));
    return E.right({ settled: settled.sort(inOrder), fresh, reused: settled.length - fresh, left: schedule.wanted() - settled.length, pending: E.isLeft(absorbed) ? describeError(absorbed.left) : null, notes: ran.right.notes });
  };
};
