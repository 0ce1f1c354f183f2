/** One turn of one program: the words that start it, and what it left: a row, or why there is none. */
import { E, pipe, TE, type Either, type TaskEither } from "../../../sim/base/fp.js";
import { parseJson } from "../../../sim/base/decode.js";
import { badInput, fault, type AppError } from "../../../sim/base/errors.js";
import type { Capabilities, Ended, Rival, RivalBuild, Spent } from "../../program.js";
import { testOf, type Row } from "../bench/rows.js";
import { wordsOf, type BenchArgs } from "../bench/words.js";
import { readRun } from "../llama-bench/report.js";
import { nameOf, testIn, type Cell, type Usage, type Who } from "./cell.js";

/** What one turn gave: a row, or the reason of a gap. */
export type Turn = Either<string, Row>;

/** A llama-bench to be run, and the words that are not about the test. */
export interface Candidate { readonly build: RivalBuild; readonly words: ReadonlyArray<string> }

export interface Command {
  readonly who: Who;
  readonly words: ReadonlyArray<string>;
  /** The model's file, for the page cache. */
  readonly file: string;
}

export const ourCommand = (self: ReadonlyArray<string>, args: BenchArgs, cell: Cell): Command => ({ who: { program: "neuronlab" }, words: [...self, ...wordsOf(args, cell)], file: cell.request.model });

/** Of these two models llama.cpp runs the first as it is, and the second as the best that it can do. */
export const theirFile = (cell: Cell, who: Who): string => (who.program === "llama.cpp" && who.against === "best case" && cell.pair !== null ? cell.pair : cell.rivalModel);

export const theirCommand = (who: Who, cell: Cell, { build, words }: Candidate): Command => {
  const { prompts, generations, repetitions, warmUp } = cell.request;
  const file = theirFile(cell, who);
  const test = ["-m", file, "-p", String(prompts[0] ?? 0), "-n", String(generations[0] ?? 0), "-r", String(repetitions), "-t", String(cell.threads), "-o", "json"];
  return { who, file, words: [build.program, ...test, ...words, ...(warmUp ? [] : ["--no-warmup"])] };
};

/** Ways to run llama.cpp that could be its strongest here; the first is the one that is known to run. */
export const candidatesOf = (rival: Rival, given: BenchArgs["baseline-args"], memory: number | null, fileBytes: number): ReadonlyArray<Candidate> => {
  // In memory the copy that repacking makes is what makes it fast. Under a limit the copy cannot be paged out: below the model's size only
  // the mapped file runs, above it nobody knows beforehand which is the faster.
  const paged = { build: rival.paging, words: rival.mapped };
  const whole = { build: rival.inMemory, words: [] };
  const ways = memory === null ? [whole] : rival.paging.program === rival.inMemory.program || memory < fileBytes ? [paged] : [paged, whole];
  // What is typed later wins in llama-bench only where it is not a list; so a flag that is given leaves ours out.
  return ways.flatMap(({ build, words }) => (given ?? [[]]).map((more) => ({ build, words: more.includes(words[0] ?? "") || (words[0] === "-lm" && more.includes("--load-mode")) || (words[0] === "-mmp" && more.includes("--mmap")) ? more : [...words, ...more] })));
};

const usageOf = (spent: Spent | null): Usage => ({
  process_peak_rss: spent?.peakResident ?? null,
  process_minor_faults: spent?.minorFaults ?? null,
  process_major_faults: spent?.majorFaults ?? null,
  process_bytes_read: spent?.bytesRead ?? null,
  process_seconds: spent?.seconds ?? null,
  disturbed_cores: spent === null || spent.othersBusy === null ? null : spent.othersBusy + (spent.stolen ?? 0),
});

/** A packed file is ours alone. */
const perhapsPacked = (who: Who, cell: Cell): string => (who.program === "llama.cpp" && who.against === "same file" && cell.rivalModel === cell.request.model ? "; if that is a packed file, name its GGUF file with --llama-model" : "");

const rowsFrom = (who: Who, stdout: string): Either<AppError, ReadonlyArray<Row>> => {
  if (who.program === "llama.cpp") return readRun("llama-bench", stdout);
  const read = parseJson("neuronlab bench", stdout);
  return E.isRight(read) && Array.isArray(read.right) ? E.right(read.right as ReadonlyArray<Row>) : E.left(fault(`neuronlab bench printed no list of rows: ${stdout.slice(0, 200)}`));
};

/** Ours says what is wrong in its first line, and the parts of it below; llama.cpp talks on until it fails. */
const gist = (who: Who, said: string): string => (who.program === "neuronlab" ? said.split("\n")[0]! : said.split("\n").slice(-3).join(" "));

/** Exit code with which our own program says that its input is wrong: an error of the user's and no gap. */
const WRONG_INPUT = 2;

export const turnOf = ({ who }: Command, cell: Cell, ended: Ended): Either<AppError, Turn> => {
  const said = ended.stderr.trim();
  if ((ended.spent?.killed ?? 0) > 0) return E.right(E.left("killed by the operating system for want of memory"));
  if (who.program === "neuronlab" && ended.exit === WRONG_INPUT) return E.left(badInput("neuronlab bench", [{ path: "(its words)", message: said }]));
  if (ended.exit !== 0) return E.right(E.left(`ended with ${ended.exit === null ? (ended.signal ?? "no code") : `exit code ${ended.exit}`}${said === "" ? "" : `: ${gist(who, said)}`}${perhapsPacked(who, cell)}`));
  return pipe(
    rowsFrom(who, ended.stdout),
    E.chain((rows): Either<AppError, Turn> => {
      const [row] = rows;
      if (rows.length > 1 && who.program === "llama.cpp") return E.left(badInput("neuronlab bench", [{ path: "--baseline-args", message: `make ${rows.length} tests of one; give one value to each setting` }]));
      return row === undefined || testOf(row) !== testIn(cell) ? E.left(fault(`${nameOf(who)} did not measure ${testIn(cell)}: ${ended.stdout.slice(0, 200)}`)) : E.right(E.right({ ...row, ...usageOf(ended.spent), limited: ended.spent }));
    }),
  );
};

export const takeTurn = (capabilities: Capabilities, cell: Cell, command: Command): TaskEither<AppError, Turn> =>
  pipe(
    capabilities.interruptible((signal) =>
      capabilities.runProgram({ command: command.words, memory: cell.request.memory, cold: cell.cache === "cold" ? [command.file] : [], warm: cell.cache === "warm" ? [command.file] : [], signal })),
    TE.chainEitherK((ended) => turnOf(command, cell, ended)),
  );
