/**
 * Files in and out. Writing goes to a temporary file in the same folder and then renames, so that a reader sees the old
 * file or the new one and never a half. Several files are all written before the first is renamed, and the renames run
 * in one turn of the event loop, where no signal handler can come between. A rename would put a plain file in the place
 * of a pipe, a device or a link, so links are followed first. What already stands open, such as /dev/stdout, is written
 * to as it stands, whatever it leads to: a rename would leave `> file` writing to a file that has no name any more. Pipes
 * and character devices are opened and written to. These take what they get at once, so they come after all temporary
 * files and before the first rename.
 */
import { constants, renameSync, rmSync, rmdirSync, writeFile as writeToDescriptor } from "node:fs";
import { lstat, mkdir, open, readFile, readdir, readlink, realpath, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { promisify } from "node:util";
import { E, TE, identity, pipe, type TaskEither } from "../../sim/base/fp.js";
import { parseJson } from "../../sim/base/decode.js";
import { disk, badInput, type AppError } from "../../sim/base/errors.js";
import { contentOf, type FileFacts, type Loaded, type OutputFile } from "../program.js";
import { tolerant } from "./streams.js";

const codeOf = (fault: unknown): string => (fault as NodeJS.ErrnoException | null)?.code ?? "";

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "is a folder, not a file",
  ENOTDIR: "lies below something that is not a folder",
  ENOSPC: "the disk is full",
  EROFS: "the disk is read-only",
  EBADF: "is not open for writing",
};

export const reasonOf = (fault: unknown): string => REASONS[codeOf(fault)] ?? (fault instanceof Error ? fault.message : String(fault));

const textOf = (path: string): TaskEither<unknown, string> => TE.tryCatch(() => readFile(path, "utf8"), identity);

/** Text of a file, null when there is none. */
export const readStored = (path: string): TaskEither<AppError, string | null> =>
  pipe(
    textOf(path),
    TE.orElse((fault): TaskEither<AppError, string | null> => (codeOf(fault) === "ENOENT" ? TE.right(null) : TE.left(disk(path, reasonOf(fault))))),
  );

/** Faults of reading that another path would mend. */
const WRONG_PATH: ReadonlySet<string> = new Set(["ENOENT", "EISDIR"]);

/** That a file is absent or a folder is the user's to mend, a faulty disk is not. */
const unread = (path: string) => (fault: unknown): AppError => (WRONG_PATH.has(codeOf(fault)) ? badInput(path, [{ path: "(whole)", message: reasonOf(fault) }]) : disk(path, reasonOf(fault)));

/** A file that the user named. */
export const readBytes = (path: string): TaskEither<AppError, Uint8Array> => pipe(TE.tryCatch(async (): Promise<Uint8Array> => new Uint8Array(await readFile(path)), identity), TE.mapLeft(unread(path)));

/** Every file below a folder that the user named, as text; paths have slashes, and their order is that of their characters. */
export const readFolder = (folder: string): TaskEither<AppError, ReadonlyArray<{ readonly path: string; readonly text: string }>> =>
  pipe(
    TE.tryCatch(() => readdir(folder, { recursive: true, withFileTypes: true }), identity),
    TE.mapLeft((fault): AppError => (["ENOENT", "ENOTDIR"].includes(codeOf(fault)) ? badInput(folder, [{ path: "(whole)", message: codeOf(fault) === "ENOENT" ? "there is no such folder" : "is a file, not a folder" }]) : disk(folder, reasonOf(fault)))),
    TE.map((entries) => entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name)).map((path) => ({ path, below: relative(folder, path).split(sep).join("/") })).sort((a, b) => (a.below < b.below ? -1 : 1))),
    TE.chain((files) => TE.sequenceSeqArray(files.map(({ path, below }) => pipe(textOf(path), TE.mapLeft(unread(path)), TE.map((text) => ({ path: below, text })))))),
  );

/** A JSON file that the user named. */
export const readJson = (path: string): TaskEither<AppError, Loaded> =>
  pipe(
    textOf(path),
    TE.mapLeft(unread(path)),
    TE.chain((source) => TE.fromEither(parseJson(path, source))),
    TE.map((raw) => ({ where: path, raw })),
  );

/** Of a plain file that the user named. */
export const fileFacts = (path: string): TaskEither<AppError, FileFacts> =>
  pipe(
    TE.tryCatch(async () => {
      const found = await stat(path);
      if (!found.isFile()) throw Object.assign(new Error("is not a plain file"), { code: found.isDirectory() ? "EISDIR" : "" });
      return { bytes: found.size, modifiedMs: Math.trunc(found.mtimeMs) };
    }, identity),
    TE.mapLeft(unread(path)),
  );

const statOrNull = async (path: string) => {
  try {
    return await stat(path);
  } catch (fault) {
    if (codeOf(fault) === "ENOENT") return null;
    throw fault;
  }
};

/** Where a link leads that has nothing at its end yet; the path itself when it is no link. */
const endOfLink = async (path: string, left = 40): Promise<string> => {
  try {
    if (left > 0 && (await lstat(path)).isSymbolicLink()) return await endOfLink(resolve(dirname(path), await readlink(path)), left - 1);
  } catch (fault) {
    if (codeOf(fault) !== "ENOENT") throw fault;
  }
  return path;
};

/** The number of the open descriptor that a path stands for, through any links: 1 for /dev/stdout; null for all others. */
const descriptorOf = async (path: string, left = 40): Promise<number | null> => {
  const ours = /^\/(?:dev|proc\/(self|\d+))\/fd\/(\d+)$/.exec(path);
  if (ours !== null && [undefined, "self", String(process.pid)].includes(ours[1])) return Number(ours[2]);
  try {
    if (left > 0 && (await lstat(path)).isSymbolicLink()) return await descriptorOf(resolve(dirname(path), await readlink(path)), left - 1);
  } catch (fault) {
    if (codeOf(fault) !== "ENOENT" && codeOf(fault) !== "ENOTDIR") throw fault;
  }
  return null;
};

/** Where content goes: to a path by renaming, or straight into what is there. */
type Target = { readonly _tag: "Renamed"; readonly path: string } | { readonly _tag: "Path"; readonly path: string } | { readonly _tag: "Descriptor"; readonly number: number };

const targetOf = async (path: string): Promise<Target> => {
  const descriptor = await descriptorOf(path);
  if (descriptor !== null) return { _tag: "Descriptor", number: descriptor };
  const there = await statOrNull(path);
  if (there === null) return { _tag: "Renamed", path: await endOfLink(path) };
  if (there.isFile()) return { _tag: "Renamed", path: await realpath(path) };
  if (there.isFIFO() || there.isCharacterDevice()) return { _tag: "Path", path };
  throw there.isDirectory() ? Object.assign(new Error(), { code: "EISDIR" }) : new Error("is neither a file, nor a pipe, nor a character device");
};

/** Folders that have to be made before `folder` is there, outermost first. Node's own recursive mkdir spins for ever below /proc. */
const missingFolders = async (folder: string): Promise<ReadonlyArray<string>> => {
  const there = await statOrNull(folder);
  if (there === null) return [...(await missingFolders(dirname(folder))), folder];
  if (!there.isDirectory()) throw Object.assign(new Error(), { code: "ENOTDIR" });
  return [];
};

/** When writing, ENOENT comes from a place such as /proc that takes no new files. */
const writeReasonOf = (fault: unknown): string => (codeOf(fault) === "ENOENT" ? "nothing can be made there" : reasonOf(fault));

/** What writing needs from the machine; a test hands in one that fails. */
export interface WriteSteps {
  /** One folder, in one that is there. */
  readonly makeFolder: (path: string) => Promise<unknown>;
  readonly writeContent: (path: string, content: string | Uint8Array) => Promise<void>;
  /** Into what is there or stands open, from where it is. */
  readonly writeInto: (to: Exclude<Target, { readonly _tag: "Renamed" }>, content: string | Uint8Array) => Promise<void>;
  readonly rename: (from: string, to: string) => void;
  readonly remove: (path: string) => void;
  /** Only an empty one; fails on any other. */
  readonly removeFolder: (path: string) => void;
}

const writeInto: WriteSteps["writeInto"] = async (to, content) => {
  try {
    if (to._tag === "Path") {
      const file = await open(to.path, constants.O_WRONLY);
      try {
        await file.writeFile(content);
      } finally {
        await file.close();
      }
    } else if (to.number === 1 || to.number === 2) {
      const stream = tolerant(to.number === 1 ? process.stdout : process.stderr);
      await new Promise<void>((done, fail) => stream.write(content, (fault) => (fault instanceof Error ? fail(fault) : done())));
    } else await promisify(writeToDescriptor)(to.number, content);
  } catch (fault) {
    if (codeOf(fault) !== "EPIPE") throw fault;
  }
};

const onDisk: WriteSteps = {
  writeInto,
  makeFolder: (path) => mkdir(path),
  writeContent: (path, content) => writeFile(path, content, { encoding: "utf8", flag: "wx" }),
  rename: renameSync,
  remove: (path) => rmSync(path, { force: true }),
  removeFolder: rmdirSync,
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
  const waiting = new Map<string, { readonly named: string; readonly target: string }>();
  const made: Array<string> = [];
  let at = "";
  const cleanUp = (): void => {
    for (const temporary of waiting.keys()) steps.remove(temporary);
    for (const folder of made.toReversed()) {
      try {
        steps.removeFolder(folder);
      } catch {
        // Something else is in it by now, so it stays.
      }
    }
  };
  const makeFolders = async (folder: string): Promise<void> => {
    for (const missing of await missingFolders(folder)) {
      try {
        await steps.makeFolder(missing);
        made.push(missing);
      } catch (fault) {
        if (codeOf(fault) !== "EEXIST" || (await statOrNull(missing))?.isDirectory() !== true) throw fault;
      }
    }
  };
  return guarded(cleanUp, async () => {
    try {
      const placed: Array<{ readonly file: OutputFile; readonly named: string; readonly target: Target }> = [];
      for (const file of files) {
        at = resolve(file.path);
        placed.push({ file, named: at, target: await targetOf(at) });
      }
      for (const { file, named, target } of placed) {
        if (target._tag !== "Renamed") continue;
        at = named;
        await makeFolders(dirname(target.path));
        const temporary = join(dirname(target.path), `.${basename(target.path)}.${process.pid}-${serial++}.tmp`);
        waiting.set(temporary, { named, target: target.path });
        await steps.writeContent(temporary, contentOf(file));
      }
      for (const { file, named, target } of placed) {
        if (target._tag === "Renamed") continue;
        at = named;
        await steps.writeInto(target, contentOf(file));
      }
      for (const [temporary, { named, target }] of waiting) {
        at = named;
        steps.rename(temporary, target);
        waiting.delete(temporary);
      }
      return E.right(undefined);
    } catch (fault) {
      cleanUp();
      return E.left(codeOf(fault) === "EISDIR" ? badInput(at, [{ path: "(whole)", message: `${reasonOf(fault)}; name a file in it` }]) : disk(at, writeReasonOf(fault)));
    }
  });
};

export const writeFiles = writeFilesWith(onDisk);
