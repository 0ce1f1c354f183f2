/** A file that says who is at work, so that a second one is refused. One that was left behind by a process of this machine that is gone does not count. */
import { closeSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { E, type Either, type TaskEither } from "../../sim/base/fp.js";
import { disk, type AppError } from "../../sim/base/errors.js";
import { reasonOf } from "./files.js";
import { makeFolders } from "./store/folders.js";

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (fault) {
    return (fault as NodeJS.ErrnoException).code === "EPERM";
  }
};

/** `elsewhere`: of another machine, whose processes nobody here can ask after. */
export interface Holder { readonly pid: number; readonly host: string; readonly elsewhere: boolean }

export const holderShown = ({ pid, host, elsewhere }: Holder): string => (elsewhere ? `process ${pid} of ${host}` : `process ${pid}`);

/** The file's words; null where they say nothing, as of a writer that was cut off. */
const holderIn = (path: string): Holder | null => {
  const [pid, host = hostname()] = readFileSync(path, "utf8").trim().split(" ");
  return /^\d+$/.test(pid!) ? { pid: Number(pid), host, elsewhere: host !== hostname() } : null;
};

const taken = (path: string, refused: (holder: Holder) => AppError): Either<AppError, void> => {
  try {
    makeFolders(dirname(path));
    for (let tries = 0; tries < 3; tries++) {
      try {
        const file = openSync(path, "wx");
        writeSync(file, `${process.pid} ${hostname()}\n`);
        closeSync(file);
        return E.right(undefined);
      } catch (fault) {
        if ((fault as NodeJS.ErrnoException).code !== "EEXIST") throw fault;
        const holder = holderIn(path);
        if (holder !== null && (holder.elsewhere || isAlive(holder.pid))) return E.left(refused(holder));
        rmSync(path, { force: true });
      }
    }
    return E.left(disk(path, "is taken again and again"));
  } catch (fault) {
    return E.left(disk(path, reasonOf(fault)));
  }
};

/** Work that nobody else does meanwhile who asks with the same file. */
export const alone = (path: string, refused: (holder: Holder) => AppError) => <A>(work: TaskEither<AppError, A>): TaskEither<AppError, A> => async () => {
  const got = taken(path, refused);
  if (E.isLeft(got)) return got;
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
};
