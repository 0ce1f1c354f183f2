/**
 * Files in and out. Writing goes to a temporary file in the same folder and then renames, so that a reader sees the old
 * file or the new one and never a half. Several files are all written before the first is renamed, and the renames run
 * in one turn of the event loop, where no signal handler can come between.
 */
import { renameSync, rmSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { E, TE, pipe, type TaskEither } from "../../sim/base/fp.js";
import { parseJson } from "../../sim/base/decode.js";
import { disk, badInput, type AppError } from "../../sim/base/errors.js";
import { contentOf, type Loaded, type OutputFile } from "../program.js";

const codeOf = (fault: unknown): string => (fault as NodeJS.ErrnoException | null)?.code ?? "";

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "is a folder, not a file",
  ENOTDIR: "lies below something that is not a folder",
  ENOSPC: "the disk is full",
  EROFS: "the disk is read-only",
};

export const reasonOf = (fault: unknown): string => REASONS[codeOf(fault)] ?? (fault instanceof Error ? fault.message : String(fault));

/** Text of a file, null when there is none. */
export const readStored = (path: string): TaskEither<AppError, string | null> => async () => {
  try {
    return E.right(await readFile(path, "utf8"));
  } catch (fault) {
    return codeOf(fault) === "ENOENT" ? E.right(null) : E.left(disk(path, reasonOf(fault)));
  }
};

/** A JSON file that the user named. That it is absent is the user's to mend, a faulty disk is not. */
export const readJson = (path: string): TaskEither<AppError, Loaded> =>
  pipe(
    readStored(path),
    TE.chain((source) => TE.fromEither(source === null ? E.left(badInput(path, [{ path: "(whole)", message: "there is no such file" }])) : parseJson(path, source))),
    TE.map((raw) => ({ where: path, raw })),
  );

/** What writing needs from the machine; a test hands in one that fails. */
export interface WriteSteps {
  readonly makeFolder: (path: string) => Promise<unknown>;
  readonly writeContent: (path: string, content: string | Uint8Array) => Promise<void>;
  readonly rename: (from: string, to: string) => void;
  readonly remove: (path: string) => void;
}

const onDisk: WriteSteps = {
  makeFolder: (path) => mkdir(path, { recursive: true }),
  writeContent: (path, content) => writeFile(path, content, { encoding: "utf8", flag: "wx" }),
  rename: renameSync,
  remove: (path) => rmSync(path, { force: true }),
};

let serial = 0;

/** While it runs, an interrupt removes what is unfinished and then takes its usual course. */
const guarded = async <A>(cleanUp: () => void, work: () => Promise<A>): Promise<A> => {
  const signals = ["SIGINT", "SIGTERM"] as const;
  const handlers = signals.map((signal) => {
    const handler = (): void => {
      cleanUp();
      process.removeListener(signal, handler);
      process.kill(process.pid, signal);
    };
    process.on(signal, handler);
    return [signal, handler] as const;
  });
  try {
    return await work();
  } finally {
    for (const [signal, handler] of handlers) process.removeListener(signal, handler);
  }
};

export const writeFilesWith = (steps: WriteSteps) => (files: ReadonlyArray<OutputFile>): TaskEither<AppError, void> => async () => {
  const waiting = new Map<string, string>();
  let at = "";
  const cleanUp = (): void => {
    for (const temporary of waiting.keys()) steps.remove(temporary);
  };
  return guarded(cleanUp, async () => {
    try {
      for (const file of files) {
        at = resolve(file.path);
        await steps.makeFolder(dirname(at));
        const temporary = join(dirname(at), `.${basename(at)}.${process.pid}-${serial++}.tmp`);
        waiting.set(temporary, at);
        await steps.writeContent(temporary, contentOf(file));
      }
      for (const [temporary, target] of waiting) {
        at = target;
        steps.rename(temporary, target);
        waiting.delete(temporary);
      }
      return E.right(undefined);
    } catch (fault) {
      cleanUp();
      return E.left(disk(at, reasonOf(fault)));
    }
  });
};

export const writeFiles = writeFilesWith(onDisk);
