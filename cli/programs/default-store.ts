/** The store that a command means when none is named. */
import { join, resolve } from "node:path";
import { quoted } from "./simulate.js";

/** Under the folder in which the command is typed. */
export const DEFAULT_STORE = join("results", "neuronlab.duckdb");

/** What is to be typed behind a command so that it means this store. */
export const storeWords = (path: string): string => (resolve(path) === resolve(DEFAULT_STORE) ? "" : ` --store ${quoted(path)}`);
