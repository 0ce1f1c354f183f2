/** Other programs: where llama.cpp's lie, what limits of memory this system can set, and running one to its end. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { E, TE, pipe, type TaskEither } from "../../sim/base/fp.js";
import { parseJson } from "../../sim/base/decode.js";
import { fault, unsupported, type AppError } from "../../sim/base/errors.js";
import type { Asked, Ended, Limited, MemoryLimits, Rival } from "../program.js";

const scripts = (home: string): string => join(home, "engine", "rivals", "llama.cpp");

interface Plain { readonly exit: number | null; readonly signal: string | null; readonly stdout: string; readonly stderr: string }

/** Resolves when the program is gone; an aborted signal asks it to go. */
const run = (command: ReadonlyArray<string>, signal?: AbortSignal): TaskEither<AppError, Plain> => () =>
  new Promise((done) => {
    const [program, ...words] = command;
    const child = spawn(program!, words, { stdio: ["ignore", "pipe", "pipe"] });
    const printed = { stdout: "", stderr: "" };
    const stop = (): void => void child.kill("SIGTERM");
    if (signal?.aborted === true) stop();
    signal?.addEventListener("abort", stop);
    for (const name of ["stdout", "stderr"] as const) child[name].setEncoding("utf8").on("data", (text: string) => (printed[name] += text));
    const end = (outcome: E.Either<AppError, Plain>): void => {
      signal?.removeEventListener("abort", stop);
      done(outcome);
    };
    child.on("error", (error) => end(E.left(unsupported(`cannot run ${program}`, error.message))));
    child.on("close", (exit, name) => end(E.right({ exit, signal: name, ...printed })));
  });

const readLimited = async (file: string): Promise<Limited | null> => {
  const text = await readFile(file, "utf8").catch(() => null);
  return text === null ? null : (JSON.parse(text) as Limited);
};

/** Under a limit another process of Node makes the group, watches it and takes it away. */
export const runProgram = (home: string) => ({ command, memory, cold, signal }: Asked): TaskEither<AppError, Ended> => {
  if (memory === null) return pipe(run(command, signal), TE.map((ended) => ({ ...ended, limited: null })));
  return async () => {
    const folder = await mkdtemp(join(tmpdir(), "neuronlab-limit-"));
    const report = join(folder, "report.json");
    try {
      const ended = await run([process.execPath, join(scripts(home), "under-limit.mjs"), "--memory", String(memory), ...cold.flatMap((file) => ["--cold", file]), "--report", report, "--", ...command], signal)();
      if (E.isLeft(ended)) return ended;
      return E.right({ ...ended.right, limited: await readLimited(report) });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
};

const answered = (what: string, remedy: string) => (ended: Plain): E.Either<AppError, unknown> =>
  ended.exit === 0 ? E.mapLeft(() => fault(`${what} printed no JSON`))(parseJson(what, ended.stdout)) : E.left(unsupported(what, `${ended.stderr.trim()}${remedy}`));

export const memoryLimits = (home: string): TaskEither<AppError, MemoryLimits> => {
  const script = join(scripts(home), "under-limit.mjs");
  if (!existsSync(script)) return TE.right({ kind: "none", reason: `${script} is not in this installation` });
  return pipe(run([process.execPath, script, "--detect"]), TE.chainEitherK(answered("memory limits", "")), TE.map((found) => found as MemoryLimits));
};

export const rival = (home: string): TaskEither<AppError, Rival> => {
  const script = join(scripts(home), "build.mjs");
  if (!existsSync(script)) return TE.left(unsupported("llama.cpp is not built", `${script} is not in this installation; name a program with --llama-bench`));
  return pipe(
    run([process.execPath, script, "--check"]),
    TE.chainEitherK(answered("llama.cpp is not built", "; or name a program with --llama-bench")),
    TE.map((found) => {
      const manifest = found as { readonly version: string; readonly default: Readonly<Record<string, string>>; readonly noRepack: Readonly<Record<string, string>> };
      return { version: manifest.version, default: manifest.default["llama-bench"]!, noRepack: manifest.noRepack["llama-bench"]! };
    }),
  );
};

/** What starts this program again. */
export const self = (home: string): ReadonlyArray<string> => [process.execPath, join(home, "bin", "neuronlab.js")];
