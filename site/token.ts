/** One token out of a run record, from its own beginning. */
import type { RunRecord, SpanRow } from "../sim/domain/run.js";

/** Of a record as `--save` writes it, what a timeline needs; anything else is not a run. */
export type Saved = Pick<RunRecord, "schema" | "origin" | "lanes" | "inputs"> & { readonly spans: ReadonlyArray<SpanRow> };

export const isSaved = (raw: unknown): raw is Saved =>
  typeof raw === "object" && raw !== null && "schema" in raw && raw.schema === "neuronlab/run@1" && "spans" in raw && Array.isArray(raw.spans) && "lanes" in raw && Array.isArray(raw.lanes) && "inputs" in raw && typeof raw.inputs === "object" && raw.inputs !== null;

/** What the build puts beside the pages where no run is kept, and what a user types for the same (site/build/simulated-token.ts). */
export const BUILT_TOKEN = { path: "site/token.json", command: "neuronlab simulate --model bamboo-7b --offload 50% --tokens 2 --save run.json" } as const;

/** The middle one of the tokens whose spans were kept: the first finds empty pipelines, the last may be cut. */
export const middleToken = (spans: ReadonlyArray<SpanRow>): ReadonlyArray<SpanRow> => {
  const tokens = [...new Set(spans.map(({ token }) => token))].filter((token) => token >= 0).sort((a, b) => a - b);
  const chosen = tokens[Math.floor(tokens.length / 2)];
  const own = spans.filter(({ token }) => token === chosen);
  const begin = own.reduce((least, { startNs }) => Math.min(least, startNs), Infinity);
  return own.map((span) => ({ ...span, startNs: span.startNs - begin, endNs: span.endNs - begin }));
};
