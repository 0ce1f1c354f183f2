/**
 * Everything that can go wrong, as one closed union. "Does not fit" is an honest answer (exit 3), bad input is the
 * caller's to mend (exit 2), "stuck" is our own bug (exit 70), a disk fault is the machine's (exit 74).
 * Faults of several documents are told together.
 */
import { showBytes } from "./units.js";

export interface Mistake {
  /** Where in the input, as a path: `cpu.clusters[1].clock`, or `--memory`. */
  readonly path: string;
  /** What is wrong there and what would be right, lower case, no full stop. */
  readonly message: string;
}

export type AppError =
  | { readonly _tag: "BadInput"; readonly where: string; readonly mistakes: ReadonlyArray<Mistake> }
  | { readonly _tag: "UnknownName"; readonly what: string; readonly name: string; readonly known: ReadonlyArray<string>; readonly nearest: string | null }
  | { readonly _tag: "DoesNotFit"; readonly needed: number; readonly allowed: number; readonly parts: ReadonlyArray<{ readonly part: string; readonly bytes: number }>; readonly hint: string }
  | { readonly _tag: "Unsupported"; readonly what: string; readonly reason: string }
  | { readonly _tag: "Disk"; readonly path: string; readonly reason: string }
  | { readonly _tag: "Fault"; readonly reason: string }
  | { readonly _tag: "Stuck"; readonly atNs: number; readonly waiting: ReadonlyArray<string> }
  | { readonly _tag: "Several"; readonly errors: ReadonlyArray<AppError> };

export const badInput = (where: string, mistakes: ReadonlyArray<Mistake>): AppError => ({ _tag: "BadInput", where, mistakes });
export const unknownName = (what: string, name: string, known: ReadonlyArray<string>, nearest: string | null): AppError => ({ _tag: "UnknownName", what, name, known, nearest });
export const unsupported = (what: string, reason: string): AppError => ({ _tag: "Unsupported", what, reason });
export const disk = (path: string, reason: string): AppError => ({ _tag: "Disk", path, reason });
export const fault = (reason: string): AppError => ({ _tag: "Fault", reason });
export const stuck = (atNs: number, waiting: ReadonlyArray<string>): AppError => ({ _tag: "Stuck", atNs, waiting });

/** Two faults as one: mistakes in one document are joined, and what both tell is told once. */
const joined = (one: AppError, other: AppError): AppError => {
  if (one._tag !== "BadInput" || other._tag !== "BadInput") return one;
  const told = new Map([...one.mistakes, ...other.mistakes].map((mistake) => [`${mistake.path}: ${mistake.message}`, mistake] as const));
  return badInput(one.where, [...told.values()]);
};

/** What went wrong in several places, in the order of asking. */
export const together = (first: AppError, second: AppError): AppError => {
  const byPlace = new Map<string, AppError>();
  for (const error of [first, second].flatMap((one) => (one._tag === "Several" ? one.errors : [one]))) {
    const place = error._tag === "BadInput" ? error.where : describeError(error);
    const before = byPlace.get(place);
    byPlace.set(place, before === undefined ? error : joined(before, error));
  }
  const errors = [...byPlace.values()];
  return errors.length === 1 ? errors[0]! : { _tag: "Several", errors };
};

export const exitCode = (error: AppError): number => {
  switch (error._tag) {
    case "BadInput":
    case "UnknownName":
      return 2;
    case "DoesNotFit":
    case "Unsupported":
      return 3;
    case "Fault":
    case "Stuck":
      return 70;
    case "Disk":
      return 74;
    // What mending the words alone would not cure comes first.
    case "Several":
      return Math.max(...error.errors.map(exitCode));
  }
};

/** Two digits behind the point say nothing of less than ten megabytes. */
const gb = (bytes: number): string => (bytes < 10e6 ? showBytes(bytes) : `${(bytes / 1e9).toFixed(2)}GB`);

/** The sentence or block a user reads on stderr. */
export const describeError = (error: AppError): string => {
  switch (error._tag) {
    case "BadInput":
      return [`${error.where}: ${error.mistakes.length} ${error.mistakes.length === 1 ? "mistake" : "mistakes"}`, ...error.mistakes.map((m) => `  ${m.path}: ${m.message}`)].join("\n");
    case "UnknownName":
      return `unknown ${error.what}: ${error.name}${error.nearest === null ? "" : `; did you mean ${error.nearest}?`}\n  known: ${error.known.join(", ")}`;
    case "DoesNotFit": {
      const parts = [...error.parts].sort((a, b) => b.bytes - a.bytes);
      return [`does not fit: needs ${gb(error.needed)}, allowed ${gb(error.allowed)}; ${error.hint}`, ...parts.map((p) => `  ${gb(p.bytes).padStart(9)}  ${p.part}`)].join("\n");
    }
    case "Unsupported":
      return `${error.what}: ${error.reason}`;
    case "Disk":
      return `${error.path}: ${error.reason}`;
    case "Fault":
      return `internal fault, please report it: ${error.reason}`;
    case "Stuck":
      return `internal fault at ${error.atNs} ns: nothing left to do while these wait: ${error.waiting.join(", ")}`;
    case "Several":
      return error.errors.map(describeError).join("\n");
  }
};
