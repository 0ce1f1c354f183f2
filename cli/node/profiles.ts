/** Devices, models and systems: the package's own JSON files by name, a user's own by path. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { E, TE, pipe, type TaskEither } from "../../sim/base/fp.js";
import { disk, unknownName, type AppError } from "../../sim/base/errors.js";
import { nearest } from "../../sim/base/nearest.js";
import { isPath } from "../args.js";
import type { Loaded, ProfileKind } from "../program.js";
import { readJson, reasonOf } from "./files.js";

const FOLDERS: Readonly<Record<ProfileKind, string>> = { device: "devices", model: "models", system: "systems" };

export const profileNames = (home: string) => (kind: ProfileKind): TaskEither<AppError, ReadonlyArray<string>> => async () => {
  const folder = join(home, FOLDERS[kind]);
  try {
    const files = await readdir(folder);
    return E.right(files.filter((file) => file.endsWith(".json")).map((file) => file.slice(0, -".json".length)).sort());
  } catch (fault) {
    return E.left(disk(folder, reasonOf(fault)));
  }
};

export const readProfile = (home: string) => (kind: ProfileKind, name: string): TaskEither<AppError, Loaded> =>
  isPath(name)
    ? readJson(name)
    : pipe(
        profileNames(home)(kind),
        TE.filterOrElse((names) => names.includes(name), (names) => unknownName(kind, name, names, nearest(name, names))),
        TE.chain(() => readJson(join(home, FOLDERS[kind], `${name}.json`))),
        TE.map(({ raw }) => ({ where: `${FOLDERS[kind]}/${name}.json`, raw })),
      );
