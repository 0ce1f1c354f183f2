/** A declaration's file: JSON, or a TypeScript or JavaScript module that exports it as `sweep`. A module is code of whoever names it, and runs here. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { E, pipe, TE, type TaskEither } from "../../sim/base/fp.js";
import { badInput, type AppError } from "../../sim/base/errors.js";
import type { Loaded } from "../program.js";
import { fileFacts, readJson } from "./files.js";

const exported = (where: string, module: Readonly<Record<string, unknown>>): E.Either<AppError, Loaded> => {
  if (!("sweep" in module)) return E.left(badInput(where, [{ path: "(whole)", message: `exports no sweep; write: export const sweep: Sweep = {…}${Object.keys(module).length === 0 ? "" : `; it exports ${Object.keys(module).join(", ")}`}` }]));
  // What stands in a file is data: nothing is kept of functions, and a hash of it is a hash of all of it.
  return E.right({ where, raw: JSON.parse(JSON.stringify(module.sweep) ?? "null") as unknown });
};

const fromModule = (path: string): TaskEither<AppError, Loaded> => async () => {
  try {
    const { createJiti } = await import("jiti");
    const jiti = createJiti(pathToFileURL(resolve(path)).href, { fsCache: false, moduleCache: false, interopDefault: false });
    return exported(path, await jiti.import<Readonly<Record<string, unknown>>>(resolve(path)));
  } catch (fault) {
    return E.left(badInput(path, [{ path: "(whole)", message: `cannot be loaded: ${fault instanceof Error ? fault.message.split("\n")[0] : String(fault)}` }]));
  }
};

export const readDeclaration = (path: string): TaskEither<AppError, Loaded> =>
  /\.[cm]?[jt]s$/.test(path) ? pipe(fileFacts(path), TE.chain(() => fromModule(path))) : readJson(path);
