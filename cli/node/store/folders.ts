import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";

/** A folder and those above it. One by one: Node's own recursive mkdir spins for ever below /proc. */
export const makeFolders = (folder: string): void => {
  if (existsSync(folder)) return;
  makeFolders(dirname(folder));
  try {
    mkdirSync(folder);
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code !== "EEXIST") throw fault; // Another command may have made it just now.
  }
};
