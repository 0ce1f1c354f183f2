/**
 * A worker: takes jobs from the queue of its own version, opens each as data, runs it in threads of its own and gives the finding back. What it was
 * doing when it is killed is given to another once its lock has run out; what it has under way when it is interrupted, it gives back itself.
 */
import { hostname } from "node:os";
import { UnrecoverableError, WaitingError, Worker, type Job as QueueJob } from "bullmq";
import type { Redis } from "ioredis";
import { E, type TaskEither } from "../../../sim/base/fp.js";
import { describeError, type AppError } from "../../../sim/base/errors.js";
import { findingOf } from "../../finding.js";
import { documentsOf, opener, readJob, tame, type Job, type Reply } from "../../job.js";
import type { Outcome, RunInputs } from "../../program.js";
import type { Served, Serving } from "../../worker.js";
import { digest } from "../code-version.js";
import { oneByOne } from "../pool.js";
import { connected } from "./connection.js";
import { PREFIX, documentKey, queueName, shortCode } from "./names.js";

/** Workers that may be lost over one run before it is told as failed: it may be what ends them. */
const STALLS = 2;

/** Documents that were fetched are kept: the runs of a sweep share them. */
const fetching = (client: Redis, name: string) => {
  const kept = new Map<string, unknown>();
  return async (job: Job): Promise<ReadonlyMap<string, unknown>> => {
    for (const hash of documentsOf(job)) {
      if (kept.has(hash)) continue;
      const text = await client.get(documentKey(name, hash));
      if (text === null) continue;
      if (kept.size >= 256) kept.clear();
      try {
        kept.set(hash, JSON.parse(text) as unknown);
      } catch {
        // Told as a document that is not there.
      }
    }
    return kept;
  };
};

interface Hands { readonly opened: (raw: unknown) => Promise<E.Either<AppError, RunInputs>>; readonly run: (inputs: RunInputs) => Promise<Outcome> }

const handsOf = async (client: Redis, { queue, workers }: Serving): Promise<Hands> => {
  const [open, fetched] = [opener(digest, queue.code), fetching(client, queue.name)];
  return {
    opened: async (raw) => {
      const job = readJob(raw);
      return E.isLeft(job) ? job : open(job.right, await fetched(job.right));
    },
    run: await oneByOne(workers),
  };
};

export const serving = (how: Serving, log: (line: string) => void) => (signal: AbortSignal): TaskEither<AppError, Served> => async () => {
  const { queue, workers, lockMs, idleMs } = how;
  const first = await connected(queue.redis)();
  if (E.isLeft(first)) return first;
  const client = first.right;
  const { opened, run } = await handsOf(client, how);
  const name = `${hostname().replaceAll(/[^\w.-]/g, "_")}.${process.pid}`;
  const count = { made: 0, refused: 0, givenBack: 0, late: 0 };
  const at = { under: 0, idleSince: performance.now(), lost: false, ending: false };
  const stopped = new Promise<"stopped">((stop) => {
    if (signal.aborted) stop("stopped");
    else signal.addEventListener("abort", () => stop("stopped"), { once: true });
  });

  const answer = async (job: QueueJob<unknown, Reply>, token: string | undefined): Promise<Reply> => {
    const inputs = await opened(job.data);
    if (E.isLeft(inputs)) {
      count.refused++;
      const reason = tame(describeError(inputs.left));
      log(`refused a job: ${reason}`);
      throw new UnrecoverableError(`refused by ${name}: ${reason}`);
    }
    const began = performance.now();
    const outcome = await Promise.race([run(inputs.right), stopped]);
    if (outcome === "stopped") {
      await job.moveToWait(token);
      count.givenBack++;
      throw new WaitingError();
    }
    return { finding: findingOf(outcome), seconds: (performance.now() - began) / 1e3 };
  };
  const processed = async (job: QueueJob<unknown, Reply>, token?: string): Promise<Reply> => {
    at.under++;
    try {
      return await answer(job, token);
    } finally {
      at.under--;
      at.idleSince = performance.now();
    }
  };

  const worker = new Worker<unknown, Reply>(queueName(queue), processed, {
    connection: client, prefix: PREFIX, name, concurrency: workers, autorun: false, skipVersionCheck: true,
    lockDuration: lockMs, stalledInterval: lockMs, maxStalledCount: STALLS, drainDelay: 2,
  });
  worker.on("completed", () => void count.made++);
  worker.on("error", (fault) => {
    // The lock ran out while it was running, and another has it, or has finished it.
    if (/Missing (lock|key)|could not renew lock|not in the active state/i.test(fault.message)) {
      count.late++;
      log(`was too slow for a run, which others were given: ${tame(fault.message)}`);
    }
  });
  client.on("close", () => {
    if (!at.lost && !at.ending) log(`lost ${queue.redis.shown}; trying to come back`);
    at.lost = true;
  });
  client.on("ready", () => {
    if (at.lost) log(`back at ${queue.redis.shown}`);
    at.lost = false;
  });
  log(`worker ${name}: code ${shortCode(queue.code)}, queue ${queue.name} at ${queue.redis.shown}, ${workers} run${workers === 1 ? "" : "s"} at a time; Ctrl-C ends it`);
  const running = worker.run().catch((fault: unknown) => log(tame(fault instanceof Error ? fault.message : String(fault))));
  const idle = new Promise<void>((done) => {
    if (idleMs === null) return;
    const timer = setInterval(() => {
      if (at.under > 0 || performance.now() - at.idleSince < idleMs) return;
      clearInterval(timer);
      done();
    }, 100);
    timer.unref();
    void stopped.then(() => clearInterval(timer));
  });
  await Promise.race([stopped, idle]);
  at.ending = true;
  // A server that is away cannot be told good-bye.
  await Promise.race([worker.close(at.lost), new Promise((late) => setTimeout(late, 5000))]);
  client.disconnect();
  await Promise.race([running, new Promise((late) => setTimeout(late, 1000))]);
  return E.right(count);
};
