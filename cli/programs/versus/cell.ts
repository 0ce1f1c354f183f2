/** What is compared: one test of one model with one number of threads, one limit and one state of the page cache. Pure. */
import type { Configuration } from "../bench/words.js";
import { testOf, type Row } from "../bench/rows.js";

/**
 * Of the files that are run. warm: read through before the process starts, as far as the limit keeps them, and each test is run once unmeasured; a
 * process makes all repetitions. cold: not in memory when the process starts, nothing is run unmeasured, and a process makes one repetition.
 */
export type PageCache = "cold" | "warm";

export interface Cell extends Configuration { readonly cache: PageCache }

/** llama.cpp runs the same weights, or a dense model of the same size, which it is made for. */
export type Against = "same file" | "best case";

export type Who = { readonly program: "neuronlab" } | { readonly program: "llama.cpp"; readonly against: Against };

/** What the system counted of one process. */
export interface Usage {
  readonly process_peak_rss: number | null;
  readonly process_minor_faults: number | null;
  readonly process_major_faults: number | null;
  readonly process_bytes_read: number | null;
  readonly process_seconds: number | null;
  /** Cores that were busy with other work, or stolen, while it ran: a figure of the machine and not of the process. */
  readonly disturbed_cores: number | null;
}

/** One side of a cell over all rounds. */
export interface Measured { readonly who: Who; readonly rounds: ReadonlyArray<Row> }

export interface Gap { readonly who: Who; readonly round: number; readonly reason: string }

/** How a llama-bench was run, and what else was tried. */
export interface Baseline {
  readonly against: Against;
  readonly program: string;
  readonly repacks: boolean | null;
  /** All words but those for the test and the output. */
  readonly words: ReadonlyArray<string>;
  /** Candidates beside it: tokens a second of one repetition, or why there are none. */
  readonly tried: ReadonlyArray<{ readonly repacks: boolean | null; readonly words: ReadonlyArray<string>; readonly rate: number | null; readonly reason: string | null }>;
}

export interface Finished { readonly cell: Cell; readonly measured: ReadonlyArray<Measured>; readonly gaps: ReadonlyArray<Gap>; readonly baselines: ReadonlyArray<Baseline> }

export const nameOf = (who: Who): string => (who.program === "neuronlab" ? "neuronlab" : who.against === "same file" ? "llama.cpp" : "llama.cpp, best case");

export const isSame = (one: Who, other: Who): boolean => nameOf(one) === nameOf(other);

/** Each test by itself: what a process used is then what that test used. */
export const cellsOf = (configurations: ReadonlyArray<Configuration>, caches: (memory: number | null) => ReadonlyArray<PageCache>): ReadonlyArray<Cell> =>
  configurations.flatMap((one) =>
    [...one.request.prompts.map((prompt) => ({ prompts: [prompt], generations: [] })), ...one.request.generations.map((generation) => ({ prompts: [], generations: [generation] }))].flatMap((test) =>
      caches(one.request.memory).map((cache): Cell => {
        // A cold text has nothing before it: what reading a file takes is a part of it, of theirs and of ours.
        const cold = cache === "cold" ? { repetitions: 1, warmUp: false, preload: false } : {};
        return { ...one, cache, request: { ...one.request, ...test, ...cold } };
      })));

export const testIn = ({ request }: Cell): string => testOf({ n_prompt: request.prompts[0] ?? 0, n_gen: request.generations[0] ?? 0 });
