/**
 * Runs made by a job array of Slurm: what is wanted is written as a batch and submitted; findings are gathered as they come. Called again, it gathers
 * what an earlier call has submitted, waits for what is still under way, and submits what is missing.
 */
import { execFile } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { E, type TaskEither } from "../../../sim/base/fp.js";
import { disk, unsupported, type AppError } from "../../../sim/base/errors.js";
import type { Executed, Feed, SlurmJob, Wanted } from "../../executor.js";
import { findingOf } from "../../finding.js";
import { tame, type Reply } from "../../job.js";
import { reasonOf } from "../files.js";
import { alone, holderShown, type Holder } from "../lock.js";
import { batchesIn, keysOf, noteSubmitted, numberOf, removeBatch, removeIfDone, repliesIn, scriptFile, submittedAs, writeBatch } from "./folder.js";
import { scriptOf } from "./script.js";

/** Milliseconds between looks at the results; squeue is asked every fifth time. */
const LOOK_MS = 1000;
const ASK_EVERY = 5;

type Said = { readonly exit: number | "absent"; readonly stdout: string; readonly stderr: string };

const said = (program: string, words: ReadonlyArray<string>): Promise<Said> =>
  new Promise((done) => {
    execFile(program, [...words], { timeout: 60_000, maxBuffer: 16e6 }, (fault, stdout, stderr) => done({ exit: fault === null ? 0 : fault.code === "ENOENT" ? "absent" : 1, stdout, stderr }));
  });

/** Whether any task of an array waits or runs; null where Slurm does not say. */
const isUnderWay = async (id: string): Promise<boolean | null> => {
  const asked = await said("squeue", ["--noheader", "--jobs", id, "--format", "%T"]);
  if (asked.exit === 0) return asked.stdout.trim() !== "";
  return /Invalid job id/i.test(asked.stderr) ? false : null;
};

type Ran = E.Either<AppError, Executed>;

/** Beside the folder, which goes when all is gathered. Two that gather would take each other's batches away, or submit runs twice. */
const heldBy = (folder: string): string => `${folder}.held`;

const refused = (folder: string) => (holder: Holder): AppError =>
  disk(folder, `is in use by ${holderShown(holder)}, which submits and gathers the same sweep; let it end, and the same command takes what it has made${holder.elsewhere ? `; should that process be gone, remove ${heldBy(folder)}` : ""}`);

export const arraying = (slurm: SlurmJob, log: (line: string) => void) => <K>(feed: Feed<K>, signal: AbortSignal): TaskEither<AppError, Executed> => alone(heldBy(slurm.folder), refused(slurm.folder))(async () => {
  const { folder } = slurm;
  /** By key; several where a sweep has the same run in several places. */
  const waiting = new Map<string, Array<Wanted<K>>>();
  const settle = (key: string, reply: Reply): boolean => {
    const places = waiting.get(key) ?? [];
    waiting.delete(key);
    const [finding, seconds] = "refused" in reply ? [findingOf(E.left(disk(folder, tame(reply.refused)))), 0] : [reply.finding, reply.seconds];
    return places.every(({ of }) => feed.settled(of, finding, seconds));
  };
  const gather = (batch: string): boolean => [...repliesIn(batch)].every(([key, reply]) => (waiting.has(key) ? settle(key, reply) : true));
  const take = (): void => {
    for (let wanted = feed.next(); wanted !== null; wanted = feed.next()) {
      const { key } = wanted.parcel();
      const before = waiting.get(key);
      if (before === undefined) waiting.set(key, [wanted]);
      else before.push(wanted);
    }
  };
  /** Of the last batch that was taken away: a later round has a folder of its own name. */
  let gone = 0;
  const putAway = (batch: string): void => {
    gone = Math.max(gone, numberOf(batch));
    removeBatch(batch);
  };
  const byHand = (batch: string): string => `${waiting.size} runs are left to ${scriptFile(batch)}: submit it on the cluster with sbatch, and when it has ended the same command gathers, and writes another script should a stopping rule want more (the folder must be seen by every node under this path)`;

  /** Until the array has ended or nothing is wanted of it; false when the sweep wants no more. */
  const watched = async (batch: string, id: string): Promise<boolean> => {
    for (let look = 0; ; look++) {
      const over = look % ASK_EVERY === 0 && (await isUnderWay(id)) === false;
      if (!gather(batch)) return false;
      if (over || keysOf(batch).every((key) => !waiting.has(key))) return true;
      await pause(LOOK_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return false;
    }
  };
  const cancelled = async (id: string): Promise<Executed> => {
    await said("scancel", [id]);
    log(`cancelled Slurm job ${id}; what it has made is kept`);
    return { notes: [] };
  };

  /** What earlier calls have left. Runs that failed there are made again, like those of any earlier call. */
  const before = async (): Promise<Executed | null> => {
    for (const batch of batchesIn(folder)) {
      const id = submittedAs(batch);
      if (id !== null && (await isUnderWay(id)) !== false) {
        if (!gather(batch)) return await cancelled(id);
        take();
        if (!slurm.wait) return { notes: [`Slurm job ${id} is under way; ${waiting.size} runs are still wanted; the same command gathers them`] };
        log(`Slurm job ${id} is under way; gathering`);
        if (!(await watched(batch, id))) return await cancelled(id);
      } else {
        const replies = repliesIn(batch);
        for (const [key, reply] of replies) if ("finding" in reply && reply.finding.state !== "failed" && waiting.has(key) && !settle(key, reply)) return { notes: [] };
        const unmade = keysOf(batch).some((key) => waiting.has(key) && !replies.has(key));
        // Somebody may be making it by hand; a second script would have them made twice.
        const here = unmade && id === null ? (await said("sbatch", ["--version"])).exit : 0;
        if (here !== 0) return { notes: [`${here === "absent" ? "there is no sbatch here" : "sbatch finds no cluster here"}; ${byHand(batch)}`] };
      }
      putAway(batch);
      take();
    }
    return null;
  };

  const work = async (): Promise<Ran> => {
    take();
    const early = await before();
    if (early !== null) return E.right(early);
    while (waiting.size > 0) {
      const parcels = [...waiting.values()].map(([wanted]) => wanted!.parcel());
      const batch = writeBatch(folder, gone, parcels, (path) => scriptOf(slurm, parcels.length, path));
      const submitted = await said("sbatch", ["--parsable", scriptFile(batch)]);
      if (submitted.exit === "absent") return E.right({ notes: [`there is no sbatch here; ${byHand(batch)}`] });
      const [id] = /^\d+/.exec(submitted.stdout) ?? [];
      if (submitted.exit !== 0 || id === undefined) return E.left(unsupported("sbatch", `${tame(submitted.stderr || submitted.stdout || "said nothing")}; nothing was submitted: ${byHand(batch)}`));
      noteSubmitted(batch, id);
      log(`Slurm job ${id}: ${parcels.length} runs, ${batch}`);
      if (!slurm.wait) return E.right({ notes: [`submitted ${parcels.length} runs as Slurm job ${id}; the same command gathers them`] });
      if (!(await watched(batch, id))) return E.right(await cancelled(id));
      const missing = keysOf(batch).filter((key) => waiting.has(key)).length;
      if (missing > 0) return E.left(disk(batch, `${missing} of ${parcels.length} runs did not come back from Slurm job ${id} (see logs/ there); the same command submits them again`));
      putAway(batch);
      take();
    }
    removeIfDone(folder);
    return E.right({ notes: [] });
  };
  try {
    return await work();
  } catch (fault) {
    // A folder that cannot be read or written.
    if (fault instanceof Error && "code" in fault) return E.left(disk(folder, reasonOf(fault)));
    throw fault;
  }
});
