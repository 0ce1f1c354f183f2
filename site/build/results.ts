/** What the pages read, put beside them: stored results, and one token that the simulator makes now. The same list as `neuronlab view` gives of a folder. */
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";
import type { Plugin } from "vite";
import { BUILT_TOKEN } from "../token.js";
import { cutToOneToken } from "./one-token.js";
import { simulatedToken } from "./simulated-token.js";

/** Pictures of papers and tables of pages lie in points.json; what a user adds is read from the user's own folder. */
const SHOWN = [/^paper\/[^/]+\/points\.json$/, /^sweeps\/[^/]+\/(figure\.svg|runs\.csv)$/, /^tuned\/.*\.json$/, /^phone\/cells\.json$/, /^model\/statistics\.json$/, /^host\/(validate|timeline|llama\.cpp)\/(.*\/)?(cells|comparison|measured|predicted|memory)[^/]*\.(json|svg)$/];
/** A page that loads more than this is no page. */
const MOST_BYTES = 4e6;

const filesOf = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/")).filter((path) => SHOWN.some((shown) => shown.test(path)) && (isRecord(path) || statSync(join(folder, path)).size <= MOST_BYTES)).sort();

/** Run records are cut to the token that is shown. */
const isRecord = (path: string): boolean => path.startsWith("host/timeline/");

const sourceOf = (folder: string, path: string): string | Uint8Array => {
  const bytes = readFileSync(join(folder, path));
  return (isRecord(path) ? cutToOneToken(bytes.toString()) : null) ?? bytes;
};

export const withResults = (home: string): Plugin => ({
  name: "neuronlab-results",
  generateBundle() {
    const folder = join(home, "results");
    const files: ReadonlyArray<readonly [string, string | Uint8Array]> = [...filesOf(folder).map((path) => [path, sourceOf(folder, path)] as const), [BUILT_TOKEN.path, simulatedToken(home)]];
    for (const [path, source] of files) this.emitFile({ type: "asset", fileName: `results/${path}`, source });
    // A static server has no store; a command puts its own list over this one.
    this.emitFile({ type: "asset", fileName: "sweeps/index.json", source: JSON.stringify({ schema: "neuronlab/sweep-list@1", live: false, note: "", sweeps: [] }) });
    this.emitFile({ type: "asset", fileName: "results/index.json", source: JSON.stringify({ schema: "neuronlab/files@1", files: files.map(([path]) => ({ path, from: "site" })) }) });
  },
});
