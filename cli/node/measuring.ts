/** What runs that are measured on this machine are known by, and the care that only one of them is made at a time. */
import { createHash } from "node:crypto";
import { open, readFile } from "node:fs/promises";
import { hostname, loadavg } from "node:os";
import { dirname, join } from "node:path";
import { E, TE, pipe, type TaskEither } from "../../sim/base/fp.js";
import { badInput, disk, unsupported, type AppError } from "../../sim/base/errors.js";
import { nativePath } from "../../engine/index.js";
import type { Measuring } from "../program.js";
import { reasonOf } from "./files.js";
import { alone, holderShown, type Holder } from "./lock.js";

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

const refused = (holder: Holder): AppError => unsupported("another sweep of the engine", `is being made on this machine (${holderShown(holder)}), and the two would disturb each other; let it end`);

/** The home folder may be one of several machines; each measures for itself. */
export const measuring = (thisHost: string): Measuring => ({
  nativeModule,
  contentHash,
  load: loadavg,
  alone: alone(join(dirname(thisHost), `measuring-${hostname()}.lock`), refused),
});
