/** One token out of a run record, from its own beginning. */
import type { RunRecord, SpanRow } from "../sim/domain/run.js";

/** Of a record as `--save` writes it, what a timeline needs; anything else is not a run. */
export type Saved = Pick<RunRecord, "schema" | "origin" | "lanes" | "inputs"> & { readonly spans: ReadonlyArray<SpanRow> };

export const isSaved = (raw: unknown): raw is Saved =>
  typeof raw === "object" && raw !== null && "schema" in raw && raw.schema === "neuronlab/run@1" && "spans" in raw && Array.isArray(raw.spans) && "lanes" in raw && Array.isArray(raw.lanes) && "inputs" in raw && typeof raw.inputs === "object" && raw.inputs !== null;

/** The middle one of the tokens whose spans were kept: the first finds empty pipelines, the last may be cut. */
export const middleToken = (spans: ReadonlyArray<SpanRow>): ReadonlyArray<SpanRow> => {
  const tokens = [...new Set(spans.map(({ token }) => token))].filter((token) => token >= 0).sort((a, b) => a - b);
  const chosen = tokens[Math.floor(tokens.length / 2)];
  const own = spans.filter(({ token }) => token === chosen);
  const begin = own.reduce((least, { startNs }) => Math.min(least, startNs), Infinity);
  return own.map((span) => ({ ...span, startNs: span.startNs - begin, endNs: span.endNs - begin }));
};
