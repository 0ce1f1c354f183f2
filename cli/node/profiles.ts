/** Devices, models and systems: the package's own JSON files by name, a user's own by path, and this machine once it was probed. */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join, sep } from "node:path";
import { E, TE, pipe, type TaskEither } from "../../sim/base/fp.js";
import { badInput, disk, unknownName, type AppError } from "../../sim/base/errors.js";
import { nearest } from "../../sim/base/nearest.js";
import { isPath } from "../args.js";
import { THIS_HOST, type Loaded, type ProfileKind } from "../program.js";
import { readJson, reasonOf } from "./files.js";

const FOLDERS: Readonly<Record<ProfileKind, string>> = { device: "devices", model: "models", system: "systems" };

/** Of this user on this machine: no part of the package, which may be shared or read-only. */
export const thisHost = (): string => {
  const cache = process.env.XDG_CACHE_HOME;
  return join(cache === undefined || cache === "" ? join(homedir(), ".cache") : cache, "neuronlab", "devices", `${THIS_HOST}.json`);
};

/** Directly in models/ or in a folder there. A package without any has none: that is no fault. */
export const shippedModels = (home: string): TaskEither<AppError, ReadonlyArray<string>> => async () => {
  const folder = join(home, FOLDERS.model);
  try {
    const found = await readdir(folder, { recursive: true });
    return E.right(found.filter((file) => file.endsWith(".gguf") && !file.endsWith(".predictor.gguf") && file.split(sep).length <= 2).sort().map((file) => join(folder, file)));
  } catch (fault) {
    return E.left(disk(folder, reasonOf(fault)));
  }
};

const readThisHost = (path: string): TaskEither<AppError, Loaded> =>
  existsSync(path) ? readJson(path) : TE.left(badInput(THIS_HOST, [{ path: "(whole)", message: "this machine was not probed yet; run neuronlab probe" }]));

export const profileNames = (home: string) => (kind: ProfileKind): TaskEither<AppError, ReadonlyArray<string>> => async () => {
  const folder = join(home, FOLDERS[kind]);
  try {
    const files = await readdir(folder);
    const shipped = files.filter((file) => file.endsWith(".json")).map((file) => file.slice(0, -".json".length)).sort();
    return E.right(kind === "device" && existsSync(thisHost()) ? [...shipped, THIS_HOST] : shipped);
  } catch (fault) {
    return E.left(disk(folder, reasonOf(fault)));
  }
};

export const readProfile = (home: string) => (kind: ProfileKind, name: string): TaskEither<AppError, Loaded> =>
  isPath(name)
    ? readJson(name)
    : kind === "device" && name === THIS_HOST
    ? readThisHost(thisHost())
    : pipe(
        profileNames(home)(kind),
        TE.filterOrElse((names) => names.includes(name), (names) => unknownName(kind, name, names, nearest(name, names))),
        TE.chain(() => readJson(join(home, FOLDERS[kind], `${name}.json`))),
        TE.map(({ raw }) => ({ where: `${FOLDERS[kind]}/${name}.json`, raw })),
      );
