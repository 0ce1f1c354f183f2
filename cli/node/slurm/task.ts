/** One task of a job array: its share of a batch's jobs, those left out that an earlier try of the task has made. */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { E, type TaskEither } from "../../../sim/base/fp.js";
import { badInput, describeError, type AppError } from "../../../sim/base/errors.js";
import { findingOf } from "../../finding.js";
import { documentsOf, opener, readJob, tame, type Reply } from "../../job.js";
import type { Served, Sharing } from "../../worker.js";
import { digest } from "../code-version.js";
import { oneByOne } from "../pool.js";
import { jobsFile, jobsOf, onDisk, repliesIn, scriptFile } from "./folder.js";
import { isOf, tasksIn } from "./script.js";

const documentAt = (folder: string, hash: string): unknown => {
  const path = join(folder, "documents", `${hash}.json`);
  return /^[0-9a-f]+$/.test(hash) && existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as unknown) : undefined;
};

const keyOf = (raw: unknown): string | null => (typeof raw === "object" && raw !== null && "key" in raw && typeof raw.key === "string" ? raw.key : null);

export const sharing = ({ folder, task, workers, code }: Sharing, log: (line: string) => void) => (signal: AbortSignal): TaskEither<AppError, Served> => async () => {
  const batch = resolve(folder);
  const wrong = (path: string, message: string): E.Either<AppError, never> => E.left(badInput(batch, [{ path, message }]));
  if (!existsSync(jobsFile(batch)) || !existsSync(scriptFile(batch))) return wrong("--jobs", "is no folder of a job array; neuronlab sweep FILE --executor slurm writes one");
  const tasks = tasksIn(readFileSync(scriptFile(batch), "utf8"));
  if (tasks === null || task >= tasks) return wrong("--task", `should be between 0 and ${(tasks ?? 1) - 1}, got ${task}`);
  const shared = onDisk(batch, () => ({ jobs: jobsOf(batch), known: repliesIn(batch) }));
  if (E.isLeft(shared)) return shared;
  const waiting = shared.right.jobs.filter(isOf(task, tasks)).filter((job) => !shared.right.known.has(keyOf(job) ?? ""));
  const open = opener(digest, code);
  const documents = new Map<string, unknown>();
  const run = await oneByOne(workers);
  const count = { made: 0, refused: 0, givenBack: 0, late: 0 };
  const at: { broken: AppError | null } = { broken: null };
  const keep = (key: string, reply: Reply): void => {
    const kept = onDisk(batch, () => appendFileSync(join(batch, "results", `${task}.jsonl`), `${JSON.stringify({ key, reply })}\n`));
    if (E.isLeft(kept)) at.broken ??= kept.left;
  };
  const one = async (raw: unknown): Promise<void> => {
    const key = keyOf(raw);
    if (key === null) return;
    const job = readJob(raw);
    if (E.isRight(job)) for (const hash of documentsOf(job.right)) if (!documents.has(hash)) documents.set(hash, documentAt(dirname(batch), hash));
    const inputs = E.isLeft(job) ? job : open(job.right, documents);
    if (E.isLeft(inputs)) {
      const reason = tame(describeError(inputs.left));
      count.refused++;
      log(`refused a job: ${reason}`);
      keep(key, { refused: `refused by task ${task}: ${reason}` });
      return;
    }
    const began = performance.now();
    const finding = findingOf(await run(inputs.right));
    if (signal.aborted) return;
    keep(key, { finding, seconds: (performance.now() - began) / 1e3 });
    count.made++;
  };
  const stopped = new Promise<void>((stop) => signal.addEventListener("abort", () => stop(), { once: true }));
  const lane = async (): Promise<void> => {
    for (let raw = waiting.shift(); raw !== undefined && !signal.aborted && at.broken === null; raw = waiting.shift()) await one(raw);
  };
  await Promise.race([stopped, Promise.all(Array.from({ length: workers }, lane))]);
  return at.broken === null ? E.right(count) : E.left(at.broken);
};
