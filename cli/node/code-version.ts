/**
 * The code that results depend on, as a hash of the compiled simulator's files. A commit would change with every line of the documentation and say
 * nothing of a tree that was edited after it; what is hashed here is what runs. Commit and state of the checkout go into the manifest, for people.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { E, type TaskEither } from "../../sim/base/fp.js";
import type { AppError } from "../../sim/base/errors.js";
import type { CodeFacts } from "../program.js";

/** 128 bits of SHA-256: no two inputs of this world share them. */
export const digest = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 32);

/** Beside this file: compiled, or the sources where tests run from them. */
const SIMULATOR = fileURLToPath(new URL("../../sim", import.meta.url));

/** What makes points of a declaration is no part of it: what it makes of them stands in a run's key as it is. */
const APART: ReadonlySet<string> = new Set(["sweep"]);

const codeFiles = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !APART.has(name)).flatMap((entry) => (entry.isDirectory() ? codeFiles(join(folder, entry.name)) : /(?<!\.d)\.[jt]s$/.test(entry.name) ? [join(folder, entry.name)] : []));

let hashed: string | null = null;

const codeHash = (): string => {
  if (hashed !== null) return hashed;
  const hash = createHash("sha256");
  for (const file of codeFiles(SIMULATOR).map((path) => relative(SIMULATOR, path)).sort()) hash.update(`${file}\0`).update(readFileSync(join(SIMULATOR, file))).update("\0");
  hashed = hash.digest("hex").slice(0, 32);
  return hashed;
};

const git = (home: string, words: ReadonlyArray<string>): Promise<string | null> =>
  new Promise((done) => {
    execFile("git", ["-C", home, ...words], { timeout: 10_000, maxBuffer: 16e6 }, (error, stdout) => done(error === null ? stdout.trim() : null));
  });

export const codeFacts = (home: string): TaskEither<AppError, CodeFacts> => async () => {
  // Only a checkout of this program counts, not a folder of somebody else's that it was installed in.
  const ours = existsSync(join(home, ".git"));
  const [commit, status] = ours ? await Promise.all([git(home, ["rev-parse", "HEAD"]), git(home, ["status", "--porcelain"])]) : [null, null];
  return E.right({ hash: codeHash(), commit, dirty: status === null ? null : status !== "" });
};
