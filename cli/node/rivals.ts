/** Other programs: where llama.cpp's lie, what limits of memory this system can set, and running one to its end. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { E, TE, pipe, type TaskEither } from "../../sim/base/fp.js";
import { parseJson } from "../../sim/base/decode.js";
import { badInput, fault, unsupported, type AppError } from "../../sim/base/errors.js";
import type { Asked, Ended, MemoryLimits, Rival, Spent } from "../program.js";

const scripts = (home: string): string => join(home, "engine", "rivals", "llama.cpp");

interface Plain { readonly exit: number | null; readonly signal: string | null; readonly stdout: string; readonly stderr: string }

/** Resolves when the program is gone; an aborted signal asks it to go. Its standard input stays open for as long as this process lives. */
const run = (command: ReadonlyArray<string>, signal?: AbortSignal): TaskEither<AppError, Plain> => () =>
  new Promise((done) => {
    const [program, ...words] = command;
    const child = spawn(program!, words, { stdio: ["pipe", "pipe", "pipe"] });
    const printed = { stdout: "", stderr: "" };
    const stop = (): void => void child.kill("SIGTERM");
    if (signal?.aborted === true) stop();
    signal?.addEventListener("abort", stop);
    for (const name of ["stdout", "stderr"] as const) child[name].setEncoding("utf8").on("data", (text: string) => (printed[name] += text));
    const end = (outcome: E.Either<AppError, Plain>): void => {
      signal?.removeEventListener("abort", stop);
      done(outcome);
    };
    child.stdin.on("error", () => undefined); // Whoever reads it may be gone first.
    child.on("error", (error) => end(E.left(unsupported(`cannot run ${program}`, error.message))));
    child.on("close", (exit, name) => end(E.right({ exit, signal: name, ...printed })));
  });

const readSpent = async (file: string): Promise<Spent | null> => {
  const text = await readFile(file, "utf8").catch(() => null);
  return text === null ? null : (JSON.parse(text) as Spent);
};

/**
 * Another process of Node starts the program, counts what it uses, and makes, watches and takes away the group that limits it. It lives no longer
 * than this one: when this one is killed, it stops the program and takes the group away.
 */
export const runProgram = (home: string) => ({ command, memory, cold, warm, signal }: Asked): TaskEither<AppError, Ended> => {
  const script = join(scripts(home), "under-limit.mjs");
  if (!existsSync(script)) return pipe(run(command, signal), TE.map((ended) => ({ ...ended, spent: null })));
  return async () => {
    const folder = await mkdtemp(join(tmpdir(), "neuronlab-limit-"));
    const report = join(folder, "report.json");
    const files = [...cold.flatMap((file) => ["--cold", file]), ...warm.flatMap((file) => ["--warm", file])];
    try {
      const ended = await run([process.execPath, script, ...(memory === null ? [] : ["--memory", String(memory)]), ...files, "--tied", "--report", report, "--", ...command], signal)();
      if (E.isLeft(ended)) return ended;
      return E.right({ ...ended.right, spent: await readSpent(report) });
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

interface Manifest { readonly version: string; readonly default: Readonly<Record<string, string>>; readonly noRepack: Readonly<Record<string, string>> }

/** build.mjs, which people call too, begins its line with the program's name and what is wrong, as this program's errors do. */
const SAID_AGAIN = /^llama\.cpp: (?:not built: )?/gm;

const builtHere = (home: string): TaskEither<AppError, Rival> => {
  const script = join(scripts(home), "build.mjs");
  if (!existsSync(script)) return TE.left(unsupported("llama.cpp is not built", `${script} is not in this installation; name a program with --llama-bench`));
  return pipe(
    run([process.execPath, script, "--check"]),
    TE.map((ended) => ({ ...ended, stderr: ended.stderr.replace(SAID_AGAIN, "") })),
    TE.chainEitherK(answered("llama.cpp is not built", "; or name a program with --llama-bench, or put llama-bench on the PATH")),
    TE.map((found): Rival => {
      const manifest = found as Manifest;
      return {
        version: manifest.version, origin: "built here", mapped: ["-lm", "mmap"],
        inMemory: { program: manifest.default["llama-bench"]!, repacks: true }, paging: { program: manifest.noRepack["llama-bench"]!, repacks: false },
      };
    }),
  );
};

/** How older and newer ones are told to map their file. */
const mappedBy = (help: string): ReadonlyArray<string> => (help.includes("--load-mode") ? ["-lm", "mmap"] : help.includes("--mmap") ? ["-mmp", "1"] : []);

/** A llama-bench that somebody else built: it says its version, and by its help which flags it has. */
const foreign = (program: string, origin: Rival["origin"]): TaskEither<AppError, Rival> => async () => {
  const help = await run([program, "--help"])();
  if (E.isLeft(help)) return help;
  const version = await run([program, "--version"])();
  const says = E.isRight(version) && version.right.exit === 0 ? `${version.right.stdout}\n${version.right.stderr}` : "";
  const { stdout, stderr } = help.right;
  if (!`${stdout}${stderr}`.includes("--n-prompt")) return E.left(unsupported(program, "does not answer --help as llama-bench does"));
  const build = { program, repacks: null };
  return E.right({ version: /version: (.+)/.exec(says)?.[1]?.trim() ?? null, origin, inMemory: build, paging: build, mapped: mappedBy(`${stdout}${stderr}`) });
};

export const onPath = (name: string): string | null => (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "").map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;

export const rival = (home: string) => (named: string | null): TaskEither<AppError, Rival> => {
  if (named === null) {
    const found = onPath("llama-bench");
    return pipe(builtHere(home), TE.orElse((absent) => (found === null ? TE.left(absent) : foreign(found, "on the PATH"))));
  }
  const program = named.includes("/") ? resolve(named) : onPath(named);
  return program === null || !existsSync(program) ? TE.left(badInput("neuronlab bench", [{ path: "--llama-bench", message: `there is no such program: ${named}; name llama-bench's path, or its name on the PATH` }])) : foreign(program, "named");
};

/** What starts this program again. */
export const self = (home: string): ReadonlyArray<string> => [process.execPath, join(home, "bin", "neuronlab.js")];
