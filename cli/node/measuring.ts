/** What runs that are measured on this machine are known by, and the care that only one of them is made at a time. */
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { dirname, join } from "node:path";
import { E, TE, pipe, type Either, type TaskEither } from "../../sim/base/fp.js";
import { badInput, disk, unsupported, type AppError } from "../../sim/base/errors.js";
import { nativePath } from "../../engine/index.js";
import type { Measuring } from "../program.js";
import { reasonOf } from "./files.js";
import { makeFolders } from "./store/folders.js";

const SHORT = 32;
const WHOLE_BYTES = 16 << 20;
const BLOCK_BYTES = 64 << 10;
const BLOCKS = WHOLE_BYTES / BLOCK_BYTES;

const hashOf = async (path: string): Promise<string> => {
  const hash = createHash("sha256");
  const file = await open(path);
  try {
    const { size } = await file.stat();
    hash.update(`${size}\0`);
    const block = Buffer.alloc(BLOCK_BYTES);
    for (let i = 0; i < (size <= WHOLE_BYTES ? Math.ceil(size / BLOCK_BYTES) : BLOCKS); i++) {
      const at = size <= WHOLE_BYTES ? i * BLOCK_BYTES : Math.floor(((size - BLOCK_BYTES) * i) / (BLOCKS - 1));
      const { bytesRead } = await file.read(block, 0, BLOCK_BYTES, at);
      hash.update(block.subarray(0, bytesRead));
    }
    return hash.digest("hex").slice(0, SHORT);
  } finally {
    await file.close();
  }
};

/** A file that the user named. */
const contentHash = (path: string): TaskEither<AppError, string> => async () => {
  try {
    return E.right(await hashOf(path));
  } catch (fault) {
    const code = (fault as NodeJS.ErrnoException).code;
    return E.left(code === "ENOENT" || code === "EISDIR" ? badInput(path, [{ path: "(whole)", message: reasonOf(fault) }]) : disk(path, reasonOf(fault)));
  }
};

const nativeModule: Measuring["nativeModule"] = pipe(
  TE.fromIOEither(nativePath),
  TE.chain((path) => TE.tryCatch(async () => ({ path, hash: createHash("sha256").update(await readFile(path)).digest("hex").slice(0, SHORT) }), (fault) => disk(path, reasonOf(fault)))),
);

const isAlive = (process_: number): boolean => {
  try {
    process.kill(process_, 0);
    return true;
  } catch (fault) {
    return (fault as NodeJS.ErrnoException).code === "EPERM";
  }
};

/** A file with the number of the process that measures. One that was left behind by a process that is gone does not count. */
const taken = (path: string): Either<AppError, void> => {
  try {
    makeFolders(dirname(path));
    for (let tries = 0; tries < 3; tries++) {
      try {
        const file = openSync(path, "wx");
        writeSync(file, `${process.pid}\n`);
        closeSync(file);
        return E.right(undefined);
      } catch (fault) {
        if ((fault as NodeJS.ErrnoException).code !== "EEXIST") throw fault;
        const holder = Number.parseInt(readFileSync(path, "utf8"), 10);
        if (Number.isInteger(holder) && isAlive(holder)) return E.left(unsupported("another sweep of the engine", `is being made on this machine (process ${holder}), and the two would disturb each other; let it end (${path})`));
        rmSync(path, { force: true });
      }
    }
    return E.left(disk(path, "is taken again and again"));
  } catch (fault) {
    return E.left(disk(path, reasonOf(fault)));
  }
};

export const measuring = (thisHost: string): Measuring => {
  const lock = join(dirname(thisHost), "measuring.lock");
  return {
    nativeModule,
    contentHash,
    load: loadavg,
    alone: (work) => async () => {
      const got = taken(lock);
      if (E.isLeft(got)) return got;
      try {
        return await work();
      } finally {
        rmSync(lock, { force: true });
      }
    },
  };
};
