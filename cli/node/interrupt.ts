/**
 * Work that has something to put away when it is interrupted: Ctrl-C asks it to end, and once it has, the signal takes its
 * usual course. A second Ctrl-C takes it at once.
 */
import type { TaskEither } from "../../sim/base/fp.js";
import type { AppError } from "../../sim/base/errors.js";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

export const interruptible = <A>(work: (signal: AbortSignal) => TaskEither<AppError, A>): TaskEither<AppError, A> => async () => {
  const abort = new AbortController();
  let came: (typeof SIGNALS)[number] | null = null;
  const handlers = SIGNALS.map((name) => {
    const handler = (): void => {
      came = name;
      for (const [other, theirs] of handlers) process.removeListener(other, theirs);
      abort.abort();
    };
    process.on(name, handler);
    return [name, handler] as const;
  });
  try {
    return await work(abort.signal)();
  } finally {
    for (const [name, handler] of handlers) process.removeListener(name, handler);
    if (came !== null) process.kill(process.pid, came);
  }
};
