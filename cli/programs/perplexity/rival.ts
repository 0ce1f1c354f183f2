/** llama.cpp's own llama-perplexity on the same text: where it lies, its words, and what it printed. */
import { dirname, join } from "node:path";
import { E, TE, pipe, type Either, type TaskEither } from "../../../sim/base/fp.js";
import type { AppError } from "../../../sim/base/errors.js";
import type { PerplexityReport, PerplexityRequest } from "../../../engine/index.js";
import type { Capabilities, Ended } from "../../program.js";

export interface Program { readonly version: string; readonly path: string }

/** `standardError` is null where the program ended before it had printed it. */
export interface RivalPerplexity { readonly version: string; readonly perplexity: number; readonly standardError: number | null; readonly windows: number }

export interface Asked { readonly model: string; readonly text: string; readonly window: number; readonly windows: number | null; readonly threads: number; readonly kv: PerplexityRequest["kv"] | null }

/** It is built with llama-bench, and lies beside it. */
export const locate = (named: string | null, capabilities: Capabilities): TaskEither<AppError, Program> =>
  named === null ? pipe(capabilities.rival(null), TE.map(({ version, inMemory }) => ({ version: version ?? "of no version", path: join(dirname(inMemory.program), "llama-perplexity") }))) : TE.right({ version: "yours", path: named });

/** Its flash attention rounds to F16 whatever the cache is kept in. */
const keptAs = (kv: Asked["kv"]): ReadonlyArray<string> => (kv ? ["--cache-type-k", kv, "--cache-type-v", kv, ...(kv === "f32" ? ["--flash-attn", "off"] : [])] : []);

const wordsOf = ({ model, text, window, windows, threads, kv }: Asked): ReadonlyArray<string> => ["-m", model, "-f", text, "-c", String(window), "-t", String(threads), ...(windows === null ? [] : ["--chunks", String(windows)]), ...keptAs(kv)];

const NUMBER = "([-+0-9.e]+|-?nan|-?inf)";
const ESTIMATE = new RegExp(`Final estimate: PPL = ${NUMBER} \\+/- ${NUMBER}`);
const CHUNKS = /calculating perplexity over (\d+) chunks/;

/** After the last window it prints what it prints in the end, without the error. */
const afterAll = (printed: string, windows: number): string | null => new RegExp(`\\[${windows}\\]${NUMBER},`).exec(printed)?.[1] ?? null;

/** A reason where it gave no number. */
const resultOf = (version: string, { exit, signal, stdout, stderr }: Ended): Either<string, RivalPerplexity> => {
  const printed = `${stdout}\n${stderr}`;
  const last = stderr.trim().split("\n").slice(-3).join(" ");
  if (exit !== 0) return E.left(`llama-perplexity ended with ${exit === null ? (signal ?? "no code") : `exit code ${exit}`}: ${last}`);
  const windows = Number(CHUNKS.exec(printed)?.[1] ?? 0);
  const estimate = ESTIMATE.exec(printed);
  const told = estimate?.[1] ?? afterAll(printed, windows);
  // With fewer than two windows it only says so, and ends well.
  if (told === null || windows === 0) return E.left(`llama-perplexity printed no estimate: ${last}`);
  const standardError = estimate === null ? null : Number(estimate[2]);
  return Number.isFinite(Number(told)) ? E.right({ version, perplexity: Number(told), standardError, windows }) : E.left(`llama-perplexity estimates ${told}`);
};

/** It began to score, ended well, and said nothing of it. */
const isCutOff = (ended: Ended, result: Either<string, RivalPerplexity>): boolean => E.isLeft(result) && ended.exit === 0 && CHUNKS.test(`${ended.stdout}\n${ended.stderr}`) && !ESTIMATE.test(`${ended.stdout}\n${ended.stderr}`);

/** llama-perplexity (v0.5.0) prints by a thread that it does not wait for in the end: on a busy machine its last lines are lost now and then. */
const ATTEMPTS = 3;

/** Why there is nothing to compare, whatever llama.cpp would print: it knows no other activation in this architecture. */
export const otherModel = ({ architecture, activation }: PerplexityReport): string | null =>
  architecture === "smallthinker" || activation === "silu" ? null : `llama.cpp has no ${activation} in a model of architecture ${architecture}, and would compute another model without a word`;

/** No limit of memory is set for it: a perplexity does not depend on one. */
export const run = ({ version, path }: Program, asked: Asked, capabilities: Capabilities, attempts = ATTEMPTS): TaskEither<AppError, Either<string, RivalPerplexity>> =>
  pipe(
    capabilities.interruptible((signal) => capabilities.runProgram({ command: [path, ...wordsOf(asked)], memory: null, cold: [], warm: [], signal })),
    TE.chain((ended) => {
      const result = resultOf(version, ended);
      return attempts > 1 && isCutOff(ended, result) ? run({ version, path }, asked, capabilities, attempts - 1) : TE.right(result);
    }),
  );
