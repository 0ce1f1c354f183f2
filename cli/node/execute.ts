/** The executors, each loaded when it is asked for: a sweep on this machine needs no queue. */
import { TE, pipe } from "../../sim/base/fp.js";
import type { Execute } from "../executor.js";
import type { Workers } from "../worker.js";
import { runFeed } from "./pool.js";

export const executing = (log: (line: string) => void): Execute => (where, feed, signal) => {
  switch (where._tag) {
    case "Pool":
      return pipe(runFeed(feed, { workers: where.workers, answering: where.answering === true, signal }), TE.map(() => ({ notes: [] })));
    case "Queue":
      return async () => await (await import("./queue/submit.js")).submitting(where, log)(feed, signal)();
    case "Slurm":
      return async () => await (await import("./slurm/submit.js")).arraying(where.slurm, log)(feed, signal)();
  }
};

export const workersWith = (log: (line: string) => void): Workers => ({
  serve: (how) => (signal) => async () => await (await import("./queue/serve.js")).serving(how, log)(signal)(),
  share: (how) => (signal) => async () => await (await import("./slurm/task.js")).sharing(how, log)(signal)(),
});
