/** Runs a search on the pool: round by round, each outcome in its place, so that workers change only the time. */
import { E, type TaskEither } from "../../sim/base/fp.js";
import type { AppError } from "../../sim/base/errors.js";
import type { Searching } from "../../sim/planner/trials.js";
import type { Capabilities } from "../program.js";

/** Rounds as long as this show a bar of their own. */
const LONG = 256;

/** A round of closed forms is over before it would have reached another thread. */
export const drive = <A>(search: Searching<A>, { runMany }: Pick<Capabilities, "runMany">, workers: number | null): TaskEither<AppError, A> => async () => {
  let next = search.next();
  while (next.done !== true) {
    const round = next.value;
    const isShort = round.every(({ request }) => request.fidelity === "analytic");
    const outcomes = await runMany(round, { workers: isShort ? 1 : workers, silent: round.length < LONG })();
    if (E.isLeft(outcomes)) return outcomes;
    next = search.next(outcomes.right);
  }
  return E.right(next.value);
};
