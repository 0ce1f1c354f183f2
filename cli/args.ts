/** Words of the command line to typed arguments, or every mistake at once, each under the name that was typed. */
import { E, type Either } from "../sim/base/fp.js";
import { badInput, type AppError, type Mistake } from "../sim/base/errors.js";
import { custom, decode, exactly, nullable, oneOf, optional, type Codec, type Exact, type Fields, type Optional } from "../sim/base/decode.js";
import { nearest } from "../sim/base/nearest.js";
import { parseQuantity } from "../sim/base/units.js";
import type { Command, Words } from "./command.js";

/** yargs makes a list of a flag that is given twice; no flag here means two things. */
const once = <A>(name: string, read: (typed: string) => Either<string, A>, whenEmpty = "has no value"): Codec<A> =>
  custom(name, (raw) => {
    if (Array.isArray(raw)) return E.left(`is given ${raw.length} times; give it once`);
    if (typeof raw !== "string") return E.left("has no value");
    return raw.trim() === "" ? E.left(whenEmpty) : read(raw.trim());
  });

export const word: Codec<string> = once("word", E.right);

export const wholeNumber = (low: number, high: number): Codec<number> =>
  once("whole number", (typed) => {
    const value = /^[+-]?\d+$/.test(typed) ? Number(typed) : NaN;
    if (Number.isNaN(value)) return E.left(`should be a whole number, got ${typed}`);
    return value < low || value > high ? E.left(`should be between ${low} and ${high}, got ${typed}`) : E.right(value);
  });

export const choice = <const S extends ReadonlyArray<string>>(...allowed: S): Codec<S[number]> => {
  const among = oneOf(...allowed);
  return once("choice", (typed) => {
    const read = among.decode(typed);
    return E.isRight(read) ? E.right(read.right as S[number]) : E.left(read.left[0]?.message ?? "is not allowed");
  });
};

export const size: Codec<number> = once("size", (typed) => {
  const parsed = parseQuantity("bytes", typed);
  return E.isRight(parsed) && parsed.right <= 0 ? E.left(`${parsed.right < 0 ? "must not be negative" : "must be above zero"}: ${typed}`) : parsed;
}, 'is empty; write it like "19GB" or "19GiB"');

export const shareOf = (low: number, high: number): Codec<number> =>
  once("share", (typed) => {
    const parsed = parseQuantity("ratio", typed);
    return E.isRight(parsed) && (parsed.right < low || parsed.right > high) ? E.left(`should be between ${100 * low}% and ${100 * high}%, got ${typed}`) : parsed;
  });

/** A flag that may repeat. */
export const words: Codec<ReadonlyArray<string>> = custom("words", (raw) => {
  const all = Array.isArray(raw) ? raw : [raw];
  return all.every((w): w is string => typeof w === "string" && w.trim() !== "") ? E.right(all.map((w) => w.trim())) : E.left("has no value");
});

/** A known name, or a path to a user's own file where `orFile`. */
export const knownName = (what: string, known: ReadonlyArray<string>, orFile = false): Codec<string> =>
  once(what, (typed) => {
    if (known.includes(typed) || (orFile && isPath(typed))) return E.right(typed);
    const near = nearest(typed, known);
    return E.left(`unknown ${what}: ${typed}${near === null ? ";" : `; did you mean ${near}?`} known: ${known.join(", ")}${orFile ? "; or a path to your own .json" : ""}`);
  });

/** What is meant as a file and not as a name: it ends in .json or has a slash. */
export const isPath = (typed: string): boolean => typed.endsWith(".json") || typed.includes("/") || typed.includes("\\");

export const absent = <A>(codec: Codec<A>): Optional<Codec<A | null>> => optional(nullable(codec), null);
export const switchedOn: Optional<Codec<boolean>> = optional(custom("switch", (raw) => (typeof raw === "boolean" ? E.right(raw) : E.left("is a switch and takes no value"))), false);

export const shared = {
  format: optional(choice("table", "json"), "table" as const),
  seed: absent(wholeNumber(0, 2 ** 32 - 1)),
};
export const workers = absent(wholeNumber(1, 1024));

export { optional };

const shownPath = (command: Command) => (path: string): string => {
  const positional = command.positional;
  const [head] = path.split(/[.[]/);
  if (positional !== undefined && head === positional.key) return positional.shown.replaceAll(/[[\]…]/g, "");
  return head.length === 1 ? `-${path}` : `--${path}`;
};

/** Decodes, then applies `check` to what was decoded; unknown flags and stray words are mistakes like all others. */
export const decodeWords = <F extends Fields>(command: Command, fields: F, check: (args: Exact<F>) => ReadonlyArray<Mistake> = () => []) => (given: Words): Either<AppError, Exact<F>> => {
  const where = `neuronlab ${command.name}`;
  const stray: ReadonlyArray<Mistake> = given.extra.map((extra) => ({ path: extra, message: `nothing is expected here; see ${where} --help` }));
  const decoded = decode(exactly(fields), where)(given.named);
  const rename = shownPath(command);
  const mistakes: ReadonlyArray<Mistake> = E.isRight(decoded) ? check(decoded.right) : decoded.left._tag === "BadInput" ? decoded.left.mistakes.map((m) => ({ ...m, path: rename(m.path) })) : [];
  if (E.isLeft(decoded)) return E.left(badInput(where, [...mistakes, ...stray]));
  return mistakes.length + stray.length > 0 ? E.left(badInput(where, [...mistakes, ...stray])) : decoded;
};
