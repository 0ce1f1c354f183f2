/** A running sweep over HTTP, for this machine alone: how far it is, and on demand all that is known so far. */
import { TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import type { AppError } from "../../../sim/base/errors.js";
import type { Place } from "../../../sim/sweep/schedule.js";
import type { Capabilities, Program } from "../../program.js";
import { builtSite } from "../built-site.js";
import { describeSweep } from "./describe.js";
import type { Declared } from "./load.js";
import { make, type Made, type Seen, type Settled, type Way, type Wishes } from "./make.js";
import { pageOf } from "./page.js";

/** A page that was looked at so shortly ago is given the end too, before the command ends and answers no more. */
const LOOKED_AT_MS = 3000;
const LAST_WORD_MS = 3000;

/** Runs are there in the order in which they ended. */
const inOrder = (settled: ReadonlyArray<Settled>): ReadonlyArray<Settled> => [...settled].sort((a, b) => a.place.point - b.place.point || a.place.repetition - b.place.repetition);

interface Watched { readonly watch: (seen: Seen) => void; readonly json: (rest: string) => TaskEither<AppError, unknown>; readonly lastWord: () => Promise<void> }

const watched = (declared: Declared, { now }: Pick<Capabilities, "now">): Watched => {
  const began = now();
  let seen: Seen = { settled: [], fresh: 0, wanted: declared.points.kept.length * declared.declaration.repetitions, ended: false };
  let version = 0;
  let made: { readonly version: number; readonly page: object } | null = null;
  let [lookedAt, endTold] = [-Infinity, false];
  let told: () => void = () => undefined;
  const progress = (): object => {
    const [done, gone] = [seen.settled.length, (now() - began) / 1e3];
    const left = seen.wanted - done;
    lookedAt = now();
    return {
      schema: "neuronlab/sweep-progress@1", version, ended: seen.ended, done, wanted: seen.wanted, reused: done - seen.fresh, fresh: seen.fresh,
      failed: seen.settled.filter(({ run }) => run.state === "failed").length, refused: seen.settled.filter(({ run }) => run.state === "refused").length,
      secondsGone: gone, secondsLeft: left === 0 || seen.ended ? 0 : seen.fresh === 0 ? null : (left * gone) / seen.fresh,
    };
  };
  const page = (): object => {
    if (made?.version !== version) made = { version, page: pageOf(declared, describeSweep(declared, { settled: inOrder(seen.settled), left: seen.wanted - seen.settled.length })) };
    if (seen.ended) {
      endTold = true;
      told();
    }
    return { ...made.page, progress: progress() };
  };
  return {
    watch: (next) => {
      seen = next;
      version++;
    },
    json: (rest) => TE.right(rest === "index.json" ? { schema: "neuronlab/sweep-list@1", live: true, note: "", sweeps: [] } : rest === "progress.json" ? progress() : rest === "live.json" ? page() : null),
    lastWord: async () => {
      if (endTold || now() - lookedAt > LOOKED_AT_MS) return;
      await new Promise<void>((done) => {
        const timer = setTimeout(done, LAST_WORD_MS);
        told = () => {
          clearTimeout(timer);
          // The answer that is under way has to leave first.
          setTimeout(done, 200);
        };
      });
    },
  };
};

/** A page is asked for while runs go on. */
const answering = (where: Wishes["where"]): Wishes["where"] => (sweep) => {
  const found = where(sweep);
  return found._tag === "Pool" ? { ...found, answering: true } : found;
};

/** As `make`, with a page for as long as it takes. */
export const makeLive = <W extends { readonly of: Place }, F>(declared: Declared, wishes: Wishes, way: Way<W, F>, port: number): Program<Made> => (capabilities) =>
  pipe(
    builtSite("sweep --live")(capabilities),
    TE.chain((site) => {
      const state = watched(declared, capabilities);
      return pipe(
        capabilities.serve([{ path: "/sweeps/", json: state.json }, { path: "/", folders: [{ name: "site", folder: site }] }], port, "--live"),
        TE.chainFirstIOK(({ url }) => capabilities.log(`live: ${url}sweeps.html`)),
        TE.chain(({ until }) => async () => {
          const end = new AbortController();
          const closed = until(end.signal)();
          const made = await make(declared, { ...wishes, watch: state.watch, where: answering(wishes.where) }, way)(capabilities)();
          await state.lastWord();
          end.abort();
          await closed;
          return made;
        }),
      );
    }),
  );
