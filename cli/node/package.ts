/** Where the package lies: the folder with package.json above this file, built (dist/cli/node) or not (cli/node). */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const above = (folder: string): string => {
  if (existsSync(join(folder, "package.json"))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error("no package.json above the program");
  return above(parent);
};

export const packageRoot = (): string => above(dirname(fileURLToPath(import.meta.url)));

export const packageVersion = (): string => (JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")) as { readonly version: string }).version;
