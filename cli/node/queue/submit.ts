/**
 * Runs made by workers behind a queue. Only so many are in the queue at once; findings come as events, and whatever was not heard of for a while is
 * asked after, so that a lost event, a lost server or a lost job costs time and nothing else.
 */
import { QueueEvents, Queue, type Job as QueueJob } from "bullmq";
import type { Redis } from "ioredis";
import { E, type TaskEither } from "../../../sim/base/fp.js";
import { decode } from "../../../sim/base/decode.js";
import { describeError, disk, unsupported, type AppError } from "../../../sim/base/errors.js";
import type { Executed, Feed, Wanted, Where } from "../../executor.js";
import { findingOf, type Finding } from "../../finding.js";
import { replyCodec, tame, type Parcel } from "../../job.js";
import { connected } from "./connection.js";
import { ledgerOf } from "./ledger.js";
import { PREFIX, documentKey, jobId, presentIn, queueName, shortCode, type Present } from "./names.js";

/** Jobs in the queue at once: enough for many machines, little enough for a small server. */
const WINDOW = 1024;

/** After so many milliseconds without a word of a job it is asked after; so often it is looked who is there. */
const QUIET_MS = 3000;
const LOOK_MS = 1000;

/** Seconds that findings and documents stay where nobody fetches them: a sweep that was killed can be gone on with. */
const KEPT_S = 7 * 24 * 3600;

/** Ends the waiting, whatever is being waited for. */
class Ended extends Error {
  constructor(readonly why: AppError | null) {
    super("ended");
  }
}

interface Back { readonly id: string; readonly finding: Finding; readonly seconds: number }

/** What a worker gave back, which is somebody else's word until it is decoded. */
const readReply = (shown: string, raw: unknown): { readonly finding: Finding; readonly seconds: number } => {
  const read = decode(replyCodec, "the answer of a worker")(raw);
  if (E.isLeft(read)) return { finding: findingOf(E.left(disk(shown, tame(describeError(read.left))))), seconds: 0 };
  return "refused" in read.right ? { finding: findingOf(E.left(disk(shown, tame(read.right.refused)))), seconds: 0 } : read.right;
};

const failedReason = (said: string): string => (/stalled more than/.test(said) ? "the workers that had this run were lost, one after the other; it may be what ends them (memory?)" : tame(said));

const parsed = (raw: unknown): unknown => {
  if (typeof raw !== "string") return raw;
  try {
    return JSON.parse(raw) as unknown;
  } catch {
    return raw;
  }
};

/** Of a job that has ended: nobody gave a finding. */
const isFailed = (job: QueueJob): boolean => typeof job.failedReason === "string" && job.failedReason !== "";

/** Whether anybody can make the runs, told when it changes. */
const watching = (shown: string, name: string, code: string, log: (line: string) => void) => {
  let said = "";
  const say = (line: string): void => {
    if (line !== said) log(line);
    said = line;
  };
  const start = `start some with: neuronlab worker --redis redis://… (this server, this version of neuronlab)`;
  return (present: ReadonlyArray<Present> | null): string | null => {
    if (present === null) return null; // The server does not say.
    const ours = present.filter((one) => one.code === shortCode(code));
    const others = present.filter((one) => one.code !== shortCode(code));
    const strangers = others.length === 0 ? "" : `; ${others.slice(0, 3).map(({ worker, code: theirs }) => `${tame(worker)} has code ${theirs}`).join(", ")}${others.length > 3 ? ` and ${others.length - 3} more` : ""}, another version, and is not asked`;
    if (ours.length > 0) {
      say(`${ours.length} worker${ours.length === 1 ? "" : "s"} of code ${shortCode(code)} on queue ${name} at ${shown}${strangers}`);
      return null;
    }
    const nobody = `no worker of code ${shortCode(code)} on queue ${name} at ${shown}${strangers}`;
    say(`${nobody}; ${start}`);
    return nobody;
  };
};

export const submitting = ({ queue: at, owner, patience }: Extract<Where, { readonly _tag: "Queue" }>, log: (line: string) => void) => <K>(feed: Feed<K>, signal: AbortSignal): TaskEither<AppError, Executed> => async () => {
  const { redis: { shown }, name, code } = at;
  const first = await connected(at.redis)();
  if (E.isLeft(first)) return first;
  const client: Redis = first.right;
  const options = { connection: client, prefix: PREFIX, skipVersionCheck: true };
  const queue = new Queue<unknown, unknown>(queueName(at), options);
  const events = new QueueEvents(queueName(at), options);
  // The client comes back, and the ledger asks.
  queue.on("error", () => undefined);
  events.on("error", () => undefined);

  const ledger = ledgerOf<{ readonly of: K; readonly parcel: Parcel }>();
  const arrived: Array<Back> = [];
  const bell = { ring: (): void => undefined };
  let end: (why: Ended) => void = () => undefined;
  const ended = new Promise<never>((_, reject) => (end = reject));
  ended.catch(() => undefined);
  /** A command waits for the server; nobody waits for a server for ever. */
  const held = <A>(work: Promise<A>): Promise<A> => Promise.race([work, ended]);
  const aborted = (): void => end(new Ended(null));
  signal.addEventListener("abort", aborted);
  if (signal.aborted) aborted();

  const arrive = (id: string, raw: unknown): void => {
    if (ledger.wantedAt(id) === null) return;
    arrived.push({ id, ...readReply(`${shown}, job ${id.slice(-32, -24)}`, raw) });
    bell.ring();
  };
  const failed = (id: string, said: string): void => arrive(id, { refused: failedReason(said) });
  events.on("completed", ({ jobId: id, returnvalue }) => arrive(id, parsed(returnvalue)));
  events.on("failed", ({ jobId: id, failedReason: said }) => failed(id, said));

  const connection = { lost: false, ending: false, since: performance.now() };
  client.on("close", () => {
    if (!connection.lost && !connection.ending) log(`lost ${shown}; trying to come back`);
    connection.lost = true;
  });
  client.on("ready", () => {
    if (connection.lost) log(`back at ${shown}`);
    connection.lost = false;
    for (const id of ledger.ids()) ledger.saw(id, -Infinity); // Who knows what it still has.
    bell.ring();
  });

  /** What became of these: there and unfinished, finished, or gone. */
  const asked = async (ids: ReadonlyArray<string>): Promise<ReadonlyArray<{ readonly id: string; readonly job: QueueJob | undefined }>> =>
    await held(Promise.all(ids.map(async (id) => ({ id, job: await queue.getJob(id) }))));

  const documentsThere = async (parcels: ReadonlyArray<Parcel>): Promise<void> => {
    const documents = new Map(parcels.flatMap((parcel) => [...parcel.documents]));
    await held(Promise.all([...documents].map(async ([hash, content]) => {
      const key = documentKey(name, hash);
      if ((await client.expire(key, KEPT_S)) === 0) await client.set(key, JSON.stringify(content), "EX", KEPT_S);
    })));
  };
  const put = async (ids: ReadonlyArray<string>): Promise<void> => {
    const parcels = ids.flatMap((id) => {
      const wanted = ledger.wantedAt(id);
      return wanted === null ? [] : [{ id, parcel: wanted.parcel }];
    });
    if (parcels.length === 0) return;
    await documentsThere(parcels.map(({ parcel }) => parcel));
    await held(queue.addBulk(parcels.map(({ id, parcel }) => ({ name: "run", data: parcel.job, opts: { jobId: id, removeOnComplete: { age: KEPT_S }, removeOnFail: { age: KEPT_S } } }))));
    for (const { id } of parcels) ledger.added(id, performance.now());
  };
  /** Of an earlier call: what is finished is taken, what failed is made again. */
  const handed = async (ids: ReadonlyArray<string>): Promise<void> => {
    const before = await asked(ids);
    const stale = before.flatMap(({ job }) => (job !== undefined && job.finishedOn !== undefined && (isFailed(job) || readReply(shown, job.returnvalue).finding.state === "failed") ? [job] : []));
    await held(Promise.all(stale.map((job) => job.remove())));
    for (const { id, job } of before) if (job?.finishedOn !== undefined && !stale.includes(job)) arrive(id, job.returnvalue);
    await put(before.filter(({ job }) => job === undefined || stale.includes(job)).map(({ id }) => id));
    for (const id of ids) ledger.added(id, performance.now());
  };
  const lookedAfter = async (ids: ReadonlyArray<string>): Promise<void> => {
    const gone: Array<string> = [];
    for (const { id, job } of await asked(ids)) {
      if (job === undefined) gone.push(id);
      else if (job.finishedOn === undefined) ledger.saw(id, performance.now());
      else if (isFailed(job)) failed(id, job.failedReason);
      else arrive(id, job.returnvalue);
    }
    const missing = gone.filter((id) => ledger.wantedAt(id) !== null);
    if (missing.length > 0) log(`${shown} has lost ${missing.length} jobs; they are handed in again`);
    await put(missing);
  };

  const present = async (): Promise<ReadonlyArray<Present> | null> => {
    try {
      return presentIn(String(await client.client("LIST")), name);
    } catch {
      return null;
    }
  };
  const watch = watching(shown, name, code, log);
  const looking = setInterval(() => {
    void (async () => {
      const nobody = connection.lost ? `${shown} did not come back` : watch(await present());
      if (nobody === null) connection.since = performance.now();
      else if (performance.now() - connection.since > patience * 1e3)
        end(new Ended(connection.lost ? unsupported(shown, `did not come back within ${patience} s`) : unsupported("no worker", `${nobody}, for ${patience} s`)));
      bell.ring();
    })().catch(() => undefined);
  }, LOOK_MS);

  const removals = new Set<Promise<unknown>>();
  /** Kept by now, so the queue need not keep it; what cannot be taken out goes by itself after a week. */
  const remove = (id: string): void => {
    const going: Promise<unknown> = queue.remove(id).catch(() => undefined).finally(() => removals.delete(going));
    removals.add(going);
  };
  /** False when the sweep wants no more. */
  const settle = (): boolean => {
    for (const { id, finding, seconds } of arrived.splice(0)) {
      const places = ledger.take(id);
      if (places.length > 0) remove(id);
      for (const { of } of places) if (!feed.settled(of, finding, seconds)) return false;
    }
    return true;
  };
  const more = (): ReadonlyArray<string> => {
    const ids: Array<string> = [];
    while (ledger.size() < WINDOW) {
      const wanted: Wanted<K> | null = feed.next();
      if (wanted === null) break;
      const parcel = wanted.parcel();
      const id = jobId(owner, parcel.key);
      if (ledger.hand(id, { of: wanted.of, parcel }, performance.now())) ids.push(id);
    }
    return ids;
  };
  const work = async (): Promise<void> => {
    await held(events.waitUntilReady());
    watch(await held(present()));
    for (;;) {
      const rung = new Promise<void>((ring) => (bell.ring = ring));
      if (!settle()) throw new Ended(null);
      const ids = more();
      if (ids.length > 0) await handed(ids);
      const quiet = ledger.quiet(performance.now(), QUIET_MS);
      if (!connection.lost && quiet.length > 0) await lookedAfter(quiet);
      if (arrived.length > 0) continue;
      if (ledger.size() === 0) return;
      await held(rung);
    }
  };

  let why: Ended | null = null;
  try {
    await work();
  } catch (fault) {
    if (!(fault instanceof Ended)) throw fault;
    why = fault;
  } finally {
    clearInterval(looking);
    signal.removeEventListener("abort", aborted);
    // What nobody has begun is taken back; a finding that comes later stays for the next call.
    const farewell = async (): Promise<void> => {
      const takeBack = async (id: string): Promise<void> => {
        if ((await queue.getJob(id))?.finishedOn === undefined) await queue.remove(id);
      };
      if (!connection.lost) await Promise.all([...removals, ...ledger.ids().map((id) => takeBack(id).catch(() => undefined))]);
    };
    connection.ending = true;
    await Promise.race([farewell().catch(() => undefined), new Promise((late) => setTimeout(late, 5000))]);
    client.disconnect();
    for (const closing of [events.close(), queue.close()]) closing.catch(() => undefined);
  }
  return why === null || why.why === null ? E.right({ notes: [] }) : E.left(why.why);
};
