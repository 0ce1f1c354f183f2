/** A real Chromium, where one is installed (Debian: apt-get install chromium). None is ever downloaded. */
import { accessSync, constants } from "node:fs";

const PLACES = [process.env["NEURONLAB_CHROMIUM"], "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

const isProgram = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

export const chromiumPath: string | null = PLACES.find((path): path is string => path !== undefined && path !== "" && isProgram(path)) ?? null;

/** /dev/shm is small in containers, and the sandbox needs rights that root there lacks; only pages made here are opened. */
export const FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update"];
