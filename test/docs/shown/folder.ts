/** A copy of this checkout, built as it is, and folders in which each text's commands are typed as in it. */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/** All files that git knows or would add; without git, everything but what is built. */
const filesOf = (root: string): ReadonlyArray<string> => {
  try {
    return execFileSync("git", ["ls-files", "-z", "-co", "--exclude-standard"], { cwd: root, encoding: "utf8", maxBuffer: 1 << 26, stdio: ["ignore", "pipe", "ignore"] }).split("\0").filter((file) => file !== "" && existsSync(join(root, file)));
  } catch {
    return readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1)).filter((file) => !/^(?:node_modules|dist|.*\/target)\/|\.node$/.test(file));
  }
};

/** The copy: what commands write by default lies there and not here. */
export const copyCheckout = (root: string, to: string): void => {
  for (const file of filesOf(root)) {
    mkdirSync(dirname(join(to, file)), { recursive: true });
    cpSync(join(root, file), join(to, file));
  }
  cpSync(join(root, "dist"), join(to, "dist"), { recursive: true });
  for (const name of readdirSync(join(root, "engine/node"))) if (name.endsWith(".node")) cpSync(join(root, "engine/node", name), join(to, "engine/node", name));
  symlinkSync(join(root, "node_modules"), join(to, "node_modules"));
};

/** A folder that looks like the checkout, with the files that texts speak of, and is nobody else's. */
export const folderLike = (checkout: string, fixtures: ReadonlyArray<string>, folder: string): void => {
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(checkout)) symlinkSync(join(checkout, name), join(folder, name));
  for (const file of fixtures) cpSync(file, join(folder, file.split("/").at(-1)!), { recursive: true });
};

/** `neuronlab` and `npx` as a user's shell finds them, without a look into a registry. */
export const programsIn = (checkout: string, folder: string): string => {
  mkdirSync(folder, { recursive: true });
  const neuronlab = `exec "${process.execPath}" "${join(checkout, "bin/neuronlab.js")}" "$@"\n`;
  writeFileSync(join(folder, "neuronlab"), `#!/bin/sh\n${neuronlab}`, { mode: 0o755 });
  writeFileSync(join(folder, "npx"), `#!/bin/sh\nif [ "$1" = neuronlab ]; then shift; ${neuronlab}fi\nprogram=$1; shift\nexec "${resolve(checkout, "node_modules/.bin")}/$program" "$@"\n`, { mode: 0o755 });
  return folder;
};

/** Where llama.cpp was built here, it is found from the cache of the copy too: building it again takes ten minutes. */
export const cacheIn = (folder: string): string => {
  const own = join(folder, "neuronlab");
  mkdirSync(own, { recursive: true });
  const real = join(process.env.XDG_CACHE_HOME ?? join(process.env.HOME ?? "/root", ".cache"), "neuronlab");
  for (const name of existsSync(real) ? readdirSync(real) : []) if (name.startsWith("llama.cpp-")) linkTo(join(real, name), join(own, name));
  return folder;
};
const linkTo = (from: string, to: string): void => {
  if (!existsSync(to)) symlinkSync(from, to);
};

/** A text of a few thousand tokens that comes along. */
export const someText = (root: string): string => readFileSync(join(root, "LICENSE"), "utf8");
