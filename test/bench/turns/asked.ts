/** What `npm run bench -- gemm` measures: the words behind its name. */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { E, type Either } from "../../../sim/base/fp.js";

export const FORMATS = ["Q4_0", "Q8_0", "F16"] as const;

/** One product: weights of `rows` by `columns`, times the activations of `tokens`, by so many threads. */
export interface Cell {
  readonly format: (typeof FORMATS)[number];
  readonly rows: number;
  readonly columns: number;
  readonly tokens: number;
  readonly threads: number;
}

export interface Asked { readonly cells: ReadonlyArray<Cell>; readonly turns: number }

/** FFNs of 7 and 8 billion parameters, up and down, and that of a model of 1.6 billion. */
const WEIGHTS = ["14336x4096", "4096x14336", "8192x2048"];
const TOKENS = 512;
const TURNS = 5;

export const USAGE = "gemm [--format Q4_0|Q8_0|F16]… [--weights ROWSxCOLUMNS]… [--threads N]… [--tokens N] [--turns N]";

class Wrong extends Error {}

const whole = (name: string, typed: string): number => {
  const value = Number(typed);
  if (!/^\d+$/.test(typed) || value < 1 || value > 2 ** 24) throw new Wrong(`${name}: ${typed}; a whole number from 1 to ${2 ** 24} is needed`);
  return value;
};

const shape = (typed: string): { readonly rows: number; readonly columns: number } => {
  const [, rows, columns] = /^(\d+)x(\d+)$/.exec(typed) ?? [];
  if (rows === undefined || columns === undefined || Number(columns) % 32 !== 0) throw new Wrong(`--weights: ${typed}; ROWSxCOLUMNS is needed, such as 14336x4096, columns a multiple of 32`);
  return { rows: whole("--weights", rows), columns: whole("--weights", columns) };
};

const format = (typed: string): Cell["format"] => {
  const found = FORMATS.find((name) => name === typed);
  if (found === undefined) throw new Wrong(`--format: ${typed}; ${FORMATS.join(", ")} are what both programs have`);
  return found;
};

const several = { type: "string", multiple: true } as const;

/** One and two threads unless told, where there are as many processors. */
export const asked = (words: ReadonlyArray<string>): Either<string, Asked> =>
  E.tryCatch(
    () => {
      const { values } = parseArgs({ args: [...words], options: { format: several, weights: several, threads: several, tokens: { type: "string" }, turns: { type: "string" } } });
      const shapes = (values.weights ?? WEIGHTS).map(shape);
      const formats = values.format === undefined ? FORMATS : values.format.map(format);
      const threads = values.threads === undefined ? [1, 2].slice(0, availableParallelism()) : values.threads.map((typed) => whole("--threads", typed));
      const tokens = whole("--tokens", values.tokens ?? String(TOKENS));
      const cells = shapes.flatMap((weights) => formats.flatMap((name) => threads.map((count) => ({ format: name, ...weights, tokens, threads: count }))));
      return { cells, turns: whole("--turns", values.turns ?? String(TURNS)) };
    },
    (error) => `${error instanceof Error ? error.message : String(error)}\n${USAGE}`,
  );

/** As both programs take it; `bytes` is the least that all copies of the weights take together. */
export const wordsOf = ({ format: name, rows, columns, tokens, threads }: Cell, bytes: number): ReadonlyArray<string> =>
  ["--format", name, ...Object.entries({ rows, columns, tokens, threads, bytes }).flatMap(([option, value]) => [`--${option}`, String(value)])];
