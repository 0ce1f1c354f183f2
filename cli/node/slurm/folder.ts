/**
 * The folder of a job array. `batch-N/` has the jobs of one submission, a line a job, dealt to its tasks by line; `documents/` what jobs name by hash;
 * `batch-N/results/` what tasks append, a line a run, so that a task that is killed loses the run it was making.
 */
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { E, type Either } from "../../../sim/base/fp.js";
import { decode } from "../../../sim/base/decode.js";
import { disk, type AppError } from "../../../sim/base/errors.js";
import { replyCodec, type Parcel, type Reply } from "../../job.js";
import { reasonOf } from "../files.js";
import { makeFolders } from "../store/folders.js";

export const jobsFile = (batch: string): string => join(batch, "jobs.jsonl");
export const scriptFile = (batch: string): string => join(batch, "run.sbatch");
const submittedFile = (batch: string): string => join(batch, "submitted");

/** Whole or not at all. */
const written = (path: string, text: string): void => {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
};

export const onDisk = <A>(path: string, work: () => A): Either<AppError, A> => E.tryCatch(work, (fault) => disk(path, reasonOf(fault)));

/** Batches that were written, in their order; one whose writing was cut off has no script and is none. */
export const batchesIn = (folder: string): ReadonlyArray<string> =>
  existsSync(folder) ? readdirSync(folder).filter((name) => /^batch-\d+$/.test(name) && existsSync(scriptFile(join(folder, name)))).sort((a, b) => Number(a.slice(6)) - Number(b.slice(6))).map((name) => join(folder, name)) : [];

export const numberOf = (batch: string): number => Number(/\d+$/.exec(batch)![0]);

/** Jobs, documents and script of a submission; the script last, because a batch that has it is whole. Its number is above `after` and above all that are there. */
export const writeBatch = (folder: string, after: number, parcels: ReadonlyArray<Parcel>, scriptOf: (batch: string) => string): string => {
  const batch = join(folder, `batch-${Math.max(after, ...batchesIn(folder).map(numberOf)) + 1}`);
  rmSync(batch, { recursive: true, force: true });
  makeFolders(join(folder, "documents"));
  makeFolders(join(batch, "results"));
  makeFolders(join(batch, "logs"));
  for (const [hash, content] of new Map(parcels.flatMap((parcel) => [...parcel.documents]))) {
    const path = join(folder, "documents", `${hash}.json`);
    if (!existsSync(path)) written(path, JSON.stringify(content));
  }
  written(jobsFile(batch), parcels.map(({ job }) => `${JSON.stringify(job)}\n`).join(""));
  written(scriptFile(batch), scriptOf(batch));
  return batch;
};

const lines = (path: string): ReadonlyArray<unknown> =>
  readFileSync(path, "utf8").split("\n").flatMap((line): ReadonlyArray<unknown> => {
    try {
      return line === "" ? [] : [JSON.parse(line) as unknown];
    } catch {
      return []; // Torn by the end of its writer.
    }
  });

export const jobsOf = (batch: string): ReadonlyArray<unknown> => lines(jobsFile(batch));

export const keysOf = (batch: string): ReadonlyArray<string> => jobsOf(batch).flatMap((job) => (typeof job === "object" && job !== null && "key" in job && typeof job.key === "string" ? [job.key] : []));

/** What tasks have given back so far, by key; of two the one that is a finding. What is not an answer is left out, and so missing. */
export const repliesIn = (batch: string): ReadonlyMap<string, Reply> => {
  const replies = new Map<string, Reply>();
  const folder = join(batch, "results");
  for (const name of existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith(".jsonl")).sort() : [])
    for (const line of lines(join(folder, name))) {
      if (typeof line !== "object" || line === null) continue;
      const { key, reply } = line as { readonly key?: unknown; readonly reply?: unknown };
      const read = decode(replyCodec, name)(reply);
      if (typeof key !== "string" || E.isLeft(read)) continue;
      const before = replies.get(key);
      if (before === undefined || "refused" in before) replies.set(key, read.right);
    }
  return replies;
};

export const noteSubmitted = (batch: string, id: string): void => written(submittedFile(batch), `${id}\n`);

/** The array's number in Slurm; null where nobody here has submitted it. */
export const submittedAs = (batch: string): string | null => (existsSync(submittedFile(batch)) ? (/^\d+/.exec(readFileSync(submittedFile(batch), "utf8"))?.[0] ?? null) : null);

export const removeBatch = (batch: string): void => rmSync(batch, { recursive: true, force: true });

/** Nothing but documents is left. */
export const removeIfDone = (folder: string): void => {
  if (batchesIn(folder).length === 0) rmSync(folder, { recursive: true, force: true });
};
