/**
 * A journal is a file of JSON lines beside the store, one for each command that makes runs. Appending is one write, so a program that is killed
 * leaves whole lines and at most one torn at the end, which is not read. Lines are given to the disk at most a second after they were written.
 */
import { closeSync, existsSync, fdatasync, openSync, readFileSync, readdirSync, rmSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { E, type Either, type TaskEither } from "../../../sim/base/fp.js";
import { disk, type AppError } from "../../../sim/base/errors.js";
import type { Journal, Line } from "../../store.js";
import { reasonOf } from "../files.js";
import { isAlive } from "../lock.js";
import { makeFolders } from "./folders.js";

export const folderOf = (store: string): string => `${store}.journals`;

const SYNC_EVERY_MS = 1000;

/** Who writes: the process is asked after before a journal without an end is put away. */
const nameOf = (id: string): string => `${id}--${process.pid}--${hostname().replaceAll(/[^\w.]/g, "_")}.jsonl`;

/** Of another machine nobody here can tell: such a journal is put away when it has its end. */
const mayGrow = (file: string): boolean => {
  const [, pid, host] = file.replace(/\.jsonl$/, "").split("--");
  return host !== hostname().replaceAll(/[^\w.]/g, "_") || isAlive(Number(pid));
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

const groupOf = (text: string): ReadonlyArray<Line> => {
  try {
    return JSON.parse(text) as ReadonlyArray<Line>;
  } catch {
    return []; // Torn by the end of its writer.
  }
};

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
