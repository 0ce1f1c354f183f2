/** Running one shown command in a folder, and knowing it again: the same line on the same files is run once. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, lstatSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { wordsOf } from "./words.js";

export interface Place {
  readonly environment: Readonly<Record<string, string>>;
  /** What a path in a text becomes here, such as /mnt/models. */
  readonly paths: ReadonlyArray<readonly [shown: string, here: string]>;
  /** Where what a command wrote is kept for those who show it again. */
  readonly kept: string;
}

export interface Ended { readonly exit: number | null; readonly seconds: number; readonly said: string; readonly again: boolean }

/** A command that has not ended by then hangs; on two busy cores the slowest takes a third of it. */
const LIMIT_MS = 600_000;

const here = (place: Place, text: string): string => place.paths.reduce((line, [shown, path]) => line.replaceAll(shown, path), text);

/** `view` serves until it is ended: once it has printed an address that answers, it is ended as Ctrl-C ends it. What npx makes of that signal is its own. */
const SERVES = /neuronlab view\b/;

const answers = async (address: string): Promise<boolean> => {
  try {
    return (await (await fetch(address)).text()).includes("neuronlab");
  } catch {
    return false;
  }
};

const start = async (place: Place, folder: string, line: string): Promise<Omit<Ended, "again">> => {
  const began = performance.now();
  const child = spawn("bash", ["-c", `${SERVES.test(line) ? "exec " : ""}${line}`], { cwd: folder, env: place.environment, stdio: ["ignore", "pipe", "pipe"], detached: true });
  const ends = (): void => end("SIGKILL");
  process.once("exit", ends);
  const end = (signal: NodeJS.Signals): void => {
    try {
      process.kill(-child.pid!, signal);
    } catch {
      // It has ended by itself.
    }
  };
  let said = "";
  let [asked, answered] = [false, false];
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-20_000);
      const address = SERVES.test(line) && !asked ? /http:\/\/\S+/.exec(said)?.[0] : undefined;
      if (address === undefined) return;
      asked = true;
      void answers(address).then((yes) => {
        if (!yes) said += "\nits address does not answer with a page\n";
        answered = yes;
        end(yes ? "SIGINT" : "SIGKILL");
        return yes;
      });
    });
  const timer = setTimeout(() => end("SIGKILL"), LIMIT_MS);
  const exit = await new Promise<number | null>((done) => {
    child.on("error", (error) => {
      said += error.message;
      done(null);
    });
    child.on("close", (code) => done(code));
  });
  clearTimeout(timer);
  process.off("exit", ends);
  return { exit: answered && exit === null ? 0 : exit, seconds: (performance.now() - began) / 1e3, said };
};

const digest = (file: string): string => {
  const facts = statSync(file, { throwIfNoEntry: false });
  if (facts === undefined) return "none";
  return facts.isFile() ? createHash("sha256").update(readFileSync(file)).digest("hex") : "folder";
};

/** The line and what the files that it names hold now. */
const keyOf = (folder: string, line: string): string => JSON.stringify([line, ...wordsOf(line).filter((word) => !word.startsWith("-")).map((word) => [word, digest(join(folder, word))] as const).filter(([, held]) => held !== "none")]);

const entries = (folder: string): ReadonlyMap<string, number> => new Map(readdirSync(folder).flatMap((name) => {
  const facts = lstatSync(join(folder, name), { throwIfNoEntry: false });
  // Links lead to the checkout that all folders share.
  return facts === undefined || facts.isSymbolicLink() ? [] : [[name, facts.mtimeMs] as const];
}));

/** What ran, for as long as this process does. */
export const runner = (place: Place) => {
  const known = new Map<string, Promise<{ readonly ended: Omit<Ended, "again">; readonly wrote: string }>>();
  const measuring: { last: Promise<unknown> } = { last: Promise.resolve() };
  const make = async (folder: string, line: string, serial: number) => {
    const before = entries(folder);
    const ended = await start(place, folder, here(place, line));
    const wrote = join(place.kept, String(serial));
    mkdirSync(wrote, { recursive: true });
    for (const [name, time] of entries(folder)) if (before.get(name) !== time) cpSync(join(folder, name), join(wrote, name), { recursive: true });
    return { ended, wrote };
  };
  return async (folder: string, line: string): Promise<Ended> => {
    const keys = [keyOf(folder, line)];
    const before = known.get(keys[0]!);
    if (before !== undefined) {
      const { ended, wrote } = await before;
      for (const name of readdirSync(wrote)) {
        rmSync(join(folder, name), { recursive: true, force: true });
        cpSync(join(wrote, name), join(folder, name), { recursive: true });
      }
      return { ...ended, seconds: 0, again: true };
    }
    // What measures the machine, or compares speeds on it, is not disturbed by its like.
    const alone = /neuronlab (?:probe|validate|bench|tour)\b/.test(line);
    const made = alone ? measuring.last.then(() => make(folder, line, known.size)) : make(folder, line, known.size);
    if (alone) measuring.last = made.catch(() => undefined);
    known.set(keys[0]!, made);
    const { ended } = await made;
    known.set(keyOf(folder, line), made);
    return { ...ended, again: false };
  };
};
