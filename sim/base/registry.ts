import { E, type Either } from "./fp.js";
import { nearest } from "./nearest.js";
import { unknownName, type AppError } from "./errors.js";

export interface Registry<A> {
  readonly what: string;
  readonly names: ReadonlyArray<string>;
  readonly all: ReadonlyArray<A>;
  readonly find: (name: string) => Either<AppError, A>;
}

/** An explicit list of named choices. Two entries with one name are a programming mistake, refused when the module loads. */
export const registry = <A extends { readonly name: string }>(what: string, entries: ReadonlyArray<A>): Registry<A> => {
  const byName = new Map<string, A>();
  for (const entry of entries) {
    if (byName.has(entry.name)) throw new Error(`duplicate ${what}: ${entry.name}`);
    byName.set(entry.name, entry);
  }
  const names = entries.map((entry) => entry.name);
  return {
    what,
    names,
    all: entries,
    find: (name) => {
      const found = byName.get(name);
      return found === undefined ? E.left(unknownName(what, name, names, nearest(name, names))) : E.right(found);
    },
  };
};
