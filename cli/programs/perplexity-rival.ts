/** llama.cpp's own llama-perplexity on the same text: where it lies, its words, and what it printed. */
import { dirname, join } from "node:path";
import { E, TE, pipe, type Either, type TaskEither } from "../../sim/base/fp.js";
import type { AppError } from "../../sim/base/errors.js";
import type { PerplexityReport } from "../../engine/index.js";
import type { Capabilities, Ended } from "../program.js";

export interface Program { readonly version: string; readonly path: string }

export interface RivalPerplexity { readonly version: string; readonly perplexity: number; readonly standardError: number; readonly windows: number }

export interface Asked { readonly model: string; readonly text: string; readonly window: number; readonly windows: number | null; readonly threads: number }

/** It is built with llama-bench, and lies beside it. */
export const locate = (named: string | null, capabilities: Capabilities): TaskEither<AppError, Program> =>
  named === null ? pipe(capabilities.rival, TE.map(({ version, default: bench }) => ({ version, path: join(dirname(bench), "llama-perplexity") }))) : TE.right({ version: "yours", path: named });

const wordsOf = ({ model, text, window, windows, threads }: Asked): ReadonlyArray<string> => ["-m", model, "-f", text, "-c", String(window), "-t", String(threads), ...(windows === null ? [] : ["--chunks", String(windows)])];

const NUMBER = "([-+0-9.e]+|-?nan|-?inf)";
const ESTIMATE = new RegExp(`Final estimate: PPL = ${NUMBER} \\+/- ${NUMBER}`);
const CHUNKS = /calculating perplexity over (\d+) chunks/;

/** A reason where it gave no number. */
const resultOf = (version: string, { exit, signal, stdout, stderr }: Ended): Either<string, RivalPerplexity> => {
  const printed = `${stdout}\n${stderr}`;
  const last = stderr.trim().split("\n").slice(-3).join(" ");
  if (exit !== 0) return E.left(`llama-perplexity ended with ${exit === null ? (signal ?? "no code") : `exit code ${exit}`}: ${last}`);
  const [estimate, chunks] = [ESTIMATE.exec(printed), CHUNKS.exec(printed)];
  // With fewer than two windows it only says so, and ends well.
  if (estimate === null || chunks === null) return E.left(`llama-perplexity printed no estimate: ${last}`);
  const [perplexity, standardError] = [Number(estimate[1]), Number(estimate[2])];
  return Number.isFinite(perplexity) ? E.right({ version, perplexity, standardError, windows: Number(chunks[1]) }) : E.left(`llama-perplexity estimates ${estimate[1]}`);
};

/** Why there is nothing to compare, whatever llama.cpp would print: it knows no other activation in this architecture. */
export const otherModel = ({ architecture, activation }: PerplexityReport): string | null =>
  architecture === "smallthinker" || activation === "silu" ? null : `llama.cpp has no ${activation} in a model of architecture ${architecture}, and would compute another model without a word`;

/** No limit of memory is set for it: a perplexity does not depend on one. */
export const run = ({ version, path }: Program, asked: Asked, capabilities: Capabilities): TaskEither<AppError, Either<string, RivalPerplexity>> =>
  pipe(
    capabilities.interruptible((signal) => capabilities.runProgram({ command: [path, ...wordsOf(asked)], memory: null, cold: [], signal })),
    TE.map((ended) => resultOf(version, ended)),
  );
