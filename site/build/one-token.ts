/**
 * Cuts a run record down to what the page on the pipeline shows of it, so that it can be kept: `npx jiti site/build/one-token.ts run.json out.json`.
 * The record's numbers stay those of the whole run.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { isSaved, middleToken } from "../token.js";

/** null where the text is no run record. */
export const cutToOneToken = (text: string): string | null => {
  const raw: unknown = JSON.parse(text);
  return isSaved(raw) ? `${JSON.stringify({ ...raw, tokens: [], spans: middleToken(raw.spans) })}\n` : null;
};

const [, started, from, to] = process.argv;
if (started !== undefined && from !== undefined && to !== undefined && import.meta.url === pathToFileURL(started).href) {
  const cut = cutToOneToken(readFileSync(from, "utf8"));
  if (cut === null) throw new Error(`${from} is not a run record, as simulate --save and generate --save write it`);
  mkdirSync(dirname(to), { recursive: true });
  writeFileSync(to, cut);
}
