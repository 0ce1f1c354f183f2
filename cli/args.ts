/** Words of the command line to typed arguments, or every mistake at once, each under the name that was typed. */
import { resolve } from "node:path";
import { E, pipe, type Either } from "../sim/base/fp.js";
import { badInput, type AppError, type Mistake } from "../sim/base/errors.js";
import { custom, decode, exactly, nullable, oneOf, optional, type Codec, type Exact, type Fields, type Optional } from "../sim/base/decode.js";
import { parseSlowStorage, type SlowStorage } from "../sim/domain/slow-storage.js";
import { nearest } from "../sim/base/nearest.js";
import { exampleOf, parseQuantity } from "../sim/base/units.js";
import { sharedFlags, type Command, type Words } from "./command.js";

/** yargs makes a list of a flag that is given twice; no flag here means two things. `right` says what to give instead of nothing. */
const untrimmed = <A>(name: string, right: string, read: (typed: string) => Either<string, A>): Codec<A> =>
  custom(name, (raw) => {
    if (Array.isArray(raw)) return E.left(`is given ${raw.length} times; give it once`);
    return typeof raw !== "string" || raw.trim() === "" ? E.left(`has no value; ${right}`) : read(raw);
  });
const once = <A>(name: string, right: string, read: (typed: string) => Either<string, A>): Codec<A> => untrimmed(name, right, (typed) => read(typed.trim()));

export const word = (right: string): Codec<string> => once("word", right, E.right);
/** What a model reads: spaces and line breaks about it are tokens too. */
export const verbatim = (right: string): Codec<string> => untrimmed("text as typed", right, E.right);
export const inputFile = word("name a file");
export const outputFolder = word("name a folder");

/** A file that is written: stdout carries the answer, so "-" cannot mean it. */
const NAMES_A_FOLDER = /(?:^|\/)\.{0,2}$/;

export const outputFile: Codec<string> = once("output file", "name a file", (typed) =>
  typed === "-" ? E.left("stdout is for the answer; name a file (/dev/stdout mixes both, ./- is a file of that name)")
  : NAMES_A_FOLDER.test(typed) ? E.left(`${typed} names a folder; name a file in it`) : E.right(typed));

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

export const wholeNumber = (low: number, high: number): Codec<number> => {
  const right = `should be a whole number between ${low} and ${high}`;
  return once("whole number", right, (typed) => {
    const value = NUMBER.test(typed) ? Number(typed) : NaN;
    return Number.isInteger(value) && low <= value && value <= high ? E.right(value) : E.left(`${right}, got ${typed}`);
  });
};

export const decimal = (low: number, high: number): Codec<number> => {
  const right = `should be a number between ${low} and ${high}`;
  return once("number", right, (typed) => {
    const value = NUMBER.test(typed) ? Number(typed) : NaN;
    return low <= value && value <= high ? E.right(value) : E.left(`${right}, got ${typed}`);
  });
};

export const choice = <const S extends ReadonlyArray<string>>(...allowed: S): Codec<S[number]> => {
  const among = oneOf(...allowed);
  return once("choice", `should be one of ${allowed.join(", ")}`, (typed) => {
    const read = among.decode(typed);
    return E.isRight(read) ? E.right(read.right as S[number]) : E.left(read.left[0]?.message ?? "is not allowed");
  });
};

/** A size above zero; `example` where something else than a size is right too. */
export const size = (example = exampleOf("bytes")): Codec<number> =>
  once("size", `write it like ${example}`, (typed) => {
    const parsed = parseQuantity("bytes", typed, example);
    return E.isRight(parsed) && parsed.right <= 0 ? E.left(`${parsed.right < 0 ? "must not be negative" : "must be above zero"}: ${typed}`) : parsed;
  });

export const share: Codec<number> = once("share", `write it like ${exampleOf("ratio")}`, (typed) => {
  const parsed = parseQuantity("ratio", typed);
  if (E.isLeft(parsed) || (parsed.right >= 0 && parsed.right <= 1)) return parsed;
  const percent = !typed.includes("%") && parsed.right > 1 && parsed.right <= 100 ? `; did you mean ${typed}%?` : "";
  return E.left(`should be between 0% and 100%, got ${typed}${percent}`);
});

/** A flag that may repeat. */
export const words = (right: string): Codec<ReadonlyArray<string>> =>
  custom("words", (raw) => {
    const all = Array.isArray(raw) ? raw : [raw];
    return all.every((w): w is string => typeof w === "string" && w.trim() !== "") ? E.right(all.map((w) => w.trim())) : E.left(`has no value; ${right}`);
  });

/** Several values behind one flag, with commas between them. */
export const several = <A>(one: Codec<A>): Codec<ReadonlyArray<A>> =>
  once(`several: ${one.name}`, "give values with commas between them", (typed) => {
    const read = typed.split(",").map((part) => one.decode(part));
    const wrong = read.find(E.isLeft);
    return wrong === undefined ? E.right(read.flatMap((each) => (E.isRight(each) ? [each.right] : []))) : E.left(wrong.left[0]?.message ?? "is not allowed");
  });

/** Storage that becomes slower in mid-run. */
export const slowStorage: Codec<SlowStorage> = once("slow storage", "write it like 3@32, bytes:4@32 or reads:4@32", parseSlowStorage);

/** What is meant as a file and not as a name: it ends in .json or has a slash. */
export const isPath = (typed: string): boolean => typed.endsWith(".json") || typed.includes("/") || typed.includes("\\");

/** Whether two arguments that may be absent or wrong name one file. */
export const isSamePath = (one: string | null | undefined, other: string | null | undefined): boolean => typeof one === "string" && typeof other === "string" && resolve(one) === resolve(other);

/** A known name, or a path to a user's own file. */
export const nameOrFile = (what: string, known: ReadonlyArray<string>): Codec<string> => {
  const right = `known: ${known.join(", ")}; or a path to your own .json`;
  return once(what, right, (typed) => {
    if (known.includes(typed) || isPath(typed)) return E.right(typed);
    const near = nearest(typed, known);
    return E.left(`unknown ${what}: ${typed};${near === null ? "" : ` did you mean ${near}?`} ${right}`);
  });
};

export const absent = <A>(codec: Codec<A>): Optional<Codec<A | null>> => optional(nullable(codec), null);

export const switchedOn: Optional<Codec<boolean>> = optional(
  custom("switch", (raw) => (typeof raw === "boolean" ? E.right(raw) : E.left(`is a switch and takes no value${raw === "" ? "" : `, got ${String(raw)}`}`))),
  false,
);

export const shared = {
  format: optional(choice("table", "json"), "table" as const),
  seed: absent(wholeNumber(0, 2 ** 32 - 1)),
};
export const workers = absent(wholeNumber(1, 1024));

export { optional };

const spelt = (flag: string): string => (flag.length === 1 ? `-${flag}` : `--${flag}`);

/** The path of a mistake as the user typed it: "--memory", or what --help calls the positional. */
/** What is said of a command where its words are wrong. */
type Spoken = Pick<Command, "name" | "flags" | "positional">;

const shownPath = (command: Spoken) => (found: string): string => {
  const positional = command.positional;
  const [head] = found.split(/[.[]/);
  return positional !== undefined && head === positional.key ? positional.shown.replaceAll(/[[\]…]/g, "") : spelt(found);
};

const unknownFlags = (command: Spoken, given: Words, fields: Fields): ReadonlyArray<Mistake> => {
  const known = [...command.flags, ...sharedFlags].map((flag) => flag.name);
  return Object.keys(given.named).filter((key) => !Object.hasOwn(fields, key)).map((key) => {
    const near = nearest(key, known);
    return { path: spelt(key), message: `unknown flag;${near === null ? "" : ` did you mean ${spelt(near)}?`} known: ${known.map(spelt).join(", ")}` };
  });
};

/** What the fields gave, each by itself: those that are wrong are left out. */
export type Sound<F extends Fields> = Partial<Exact<F>>;

export interface Reading<F extends Fields> {
  readonly args: Either<AppError, Exact<F>>;
  /** For what can be looked at although other arguments are wrong: the files that they name. */
  readonly sound: Sound<F>;
}

/** One argument, whatever is wrong with the others. */
export const argument = <F extends Fields, K extends keyof F>({ args, sound }: Reading<F>, key: K): Either<AppError, Exact<F>[K]> =>
  key in sound ? E.right(sound[key] as Exact<F>[K]) : pipe(args, E.map((all) => all[key]));

/** `check` sees what is right by itself and is quiet about the rest; unknown flags and stray words are mistakes like all others. */
export const readWords = <F extends Fields>(command: Spoken, fields: F, check: (sound: Sound<F>) => ReadonlyArray<Mistake> = () => []) => (given: Words): Reading<F> => {
  const where = `neuronlab ${command.name}`;
  const asked = Object.fromEntries(Object.entries(given.named).filter(([key]) => Object.hasOwn(fields, key)));
  const whole = decode(exactly(fields), where)(asked);
  const single = ([key, field]: [string, Fields[string]]): ReadonlyArray<readonly [string, unknown]> => {
    const read = decode(exactly({ [key]: field }), where)(key in asked ? { [key]: asked[key] } : {});
    return E.isRight(read) ? [[key, (read.right as Readonly<Record<string, unknown>>)[key]]] : [];
  };
  const sound = (E.isRight(whole) ? whole.right : Object.fromEntries(Object.entries(fields).flatMap(single))) as Sound<F>;
  const wrong = E.isLeft(whole) && whole.left._tag === "BadInput" ? whole.left.mistakes.map((m) => ({ ...m, path: shownPath(command)(m.path) })) : [];
  const stray = given.extra.map((extra): Mistake => ({ path: extra, message: `nothing is expected here; see ${where} --help` }));
  const mistakes = [...unknownFlags(command, given, fields), ...wrong, ...check(sound), ...stray];
  return { sound, args: mistakes.length > 0 ? E.left(badInput(where, mistakes)) : whole };
};

/** The same for a command whose arguments name no files. */
export const decodeWords = <F extends Fields>(command: Command, fields: F, check?: (sound: Sound<F>) => ReadonlyArray<Mistake>) => (given: Words): Either<AppError, Exact<F>> => readWords(command, fields, check)(given).args;
