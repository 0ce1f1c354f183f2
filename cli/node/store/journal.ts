/**
 * A journal is a file of JSON lines beside the store, one for each command that makes runs. Appending is one write, so a program that is killed
 * leaves whole lines and at most one torn at the end, which is not read. Lines are given to the disk at most a second after they were written.
 */
import { closeSync, existsSync, fdatasync, fstatSync, openSync, readFileSync, readSync, readdirSync, rmSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { basename, join } from "node:path";
import { E, type Either, type TaskEither } from "../../../sim/base/fp.js";
import { disk, type AppError } from "../../../sim/base/errors.js";
import type { Journal, Line, StoredRun } from "../../store.js";
import { reasonOf } from "../files.js";
import { isAlive } from "../lock.js";
import { makeFolders } from "./folders.js";

export const folderOf = (store: string): string => `${store}.journals`;

const SYNC_EVERY_MS = 1000;

/** Between looks at the journals of others: a run that one of them has finished in this time may be begun once more. */
const LOOK_EVERY_MS = 20;

/** Who writes: the process is asked after before a journal without an end is put away. */
const nameOf = (id: string): string => `${id}--${process.pid}--${hostname().replaceAll(/[^\w.]/g, "_")}.jsonl`;

/** Of another machine nobody here can tell: such a journal is put away when it has its end. */
const mayGrow = (file: string): boolean => {
  const [, pid, host] = file.replace(/\.jsonl$/, "").split("--");
  return host !== hostname().replaceAll(/[^\w.]/g, "_") || isAlive(Number(pid));
};

const groupOf = (text: string): ReadonlyArray<Line> => {
  try {
    return JSON.parse(text) as ReadonlyArray<Line>;
  } catch {
    return []; // Torn by the end of its writer.
  }
};

/** The whole lines of a file that stand behind `from`; one that is under way is left for later. */
const wholeLines = (path: string, from: number): Buffer => {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - from));
    const read = bytes.subarray(0, readSync(file, bytes, 0, bytes.length, from));
    return read.subarray(0, read.lastIndexOf("\n") + 1);
  } finally {
    closeSync(file);
  }
};

/** Journals of others, each read on from where the last look ended. */
const looking = (folder: string, own: string): Journal["elsewhere"] => {
  const before = new Map<string, { readonly at: number; readonly ended: boolean }>();
  let [lookedAt, writers] = [-Infinity, 0];
  /** Nothing of one that another command has taken in and put away just now. */
  const readOn = (name: string): ReadonlyArray<Line> => {
    const { at, ended } = before.get(name) ?? { at: 0, ended: false };
    const read = E.tryCatch(() => wholeLines(join(folder, name), at), reasonOf);
    if (E.isLeft(read)) return [];
    const lines = read.right.toString("utf8").split("\n").filter((text) => text !== "").flatMap(groupOf);
    before.set(name, { at: at + read.right.length, ended: ended || lines.at(-1)?.line === "end" });
    return lines;
  };
  return () => {
    if (performance.now() - lookedAt < LOOK_EVERY_MS) return { writers, runs: [] };
    lookedAt = performance.now();
    const names = (existsSync(folder) ? readdirSync(folder) : []).filter((name) => name.endsWith(".jsonl") && name !== own);
    const runs = names.flatMap(readOn).flatMap((line): ReadonlyArray<StoredRun> => (line.line === "run" ? [line] : []));
    writers = names.filter((name) => before.get(name)?.ended === false && mayGrow(name)).length;
    return { writers, runs };
  };
};

export const openJournal = (store: string, id: string): TaskEither<AppError, Journal> => async () => {
  const path = join(folderOf(store), nameOf(id));
  try {
    makeFolders(folderOf(store));
    const file = openSync(path, "ax");
    let unsynced = false;
    let fault: unknown = null;
    const sync = (): Promise<void> => new Promise((done) => {
      if (!unsynced) return done();
      unsynced = false;
      fdatasync(file, (failed) => {
        fault ??= failed;
        done();
      });
    });
    const timer = setInterval(() => void sync(), SYNC_EVERY_MS);
    timer.unref();
    const write = (text: string): void => {
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      unsynced = true;
    };
    const guarded = (work: () => void): Either<AppError, void> => {
      try {
        if (fault !== null) throw fault;
        work();
        return E.right(undefined);
      } catch (failed) {
        fault ??= failed;
        return E.left(disk(path, reasonOf(failed)));
      }
    };
    return E.right({
      // One buffer for lines that belong together; the end of the line is the last thing written.
      append: (lines) => guarded(() => write(`${JSON.stringify(lines)}\n`)),
      elsewhere: looking(folderOf(store), basename(path)),
      close: async () => {
        clearInterval(timer);
        const ended = guarded(() => write(`${JSON.stringify([{ line: "end" } satisfies Line])}\n`));
        await sync();
        closeSync(file);
        return E.isRight(ended) && fault !== null ? E.left(disk(path, reasonOf(fault))) : ended;
      },
    });
  } catch (failed) {
    return E.left(disk(path, reasonOf(failed)));
  }
};

export interface ReadJournal {
  readonly path: string;
  readonly lines: ReadonlyArray<Line>;
  /** Nobody will append any more. */
  readonly finished: boolean;
}

export const readJournals = (store: string): ReadonlyArray<ReadJournal> => {
  const folder = folderOf(store);
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => name.endsWith(".jsonl")).sort().map((name) => {
    const path = join(folder, name);
    const grows = mayGrow(name);
    const lines = readFileSync(path, "utf8").split("\n").filter((text) => text !== "").flatMap(groupOf);
    return { path, lines, finished: !grows || lines.at(-1)?.line === "end" };
  });
};

export const removeJournal = ({ path }: ReadJournal): void => rmSync(path, { force: true });
