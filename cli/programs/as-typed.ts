/** The engine names arguments; people typed flags. */
import type { Fields } from "../../sim/base/decode.js";
import { badInput, type AppError, type Mistake } from "../../sim/base/errors.js";

/** Mistakes in what was typed are told of the command `where`, under the flags' names; all others stay. */
export const asTyped = (fields: Fields, where: string) => (error: AppError): AppError => {
  const isFlag = (mistake: Mistake): boolean => Object.hasOwn(fields, mistake.path);
  return error._tag === "BadInput" && error.mistakes.some(isFlag) ? badInput(where, error.mistakes.map((mistake) => (isFlag(mistake) ? { ...mistake, path: `--${mistake.path}` } : mistake))) : error;
};
