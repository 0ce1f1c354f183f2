/** A sweep as a page shows it: what a terminal prints, as cells, and the declared picture, as what is drawn of it. site/sweeps.ts is its reader. */
import { whatIfs, type Asked, type Described } from "./describe.js";
import { figureOf } from "./picture.js";
import { coordinatesShown, type Section } from "./sections.js";

/** Rows beyond this make a page slow; the store and runs.csv have all. */
const MOST_ROWS = 500;
const MOST_FAILURES = 100;

const cells = ({ title, columns, rows, notes }: Section) => ({ title, columns: columns.map(({ title: name, align }) => ({ title: name, number: align === "right" })), rows: rows.slice(0, MOST_ROWS), more: Math.max(0, rows.length - MOST_ROWS), notes });

export const pageOf = (asked: Asked, described: Described): object => ({
  schema: "neuronlab/sweep-page@1",
  id: asked.declaration.id, title: asked.declaration.title, declared: asked.key.slice(0, 8), whatIf: whatIfs(asked),
  counts: described.counts,
  points: cells(described.table),
  sections: described.sections.map(cells),
  failures: described.rows.filter(({ state }) => state === "failed" || state === "refused").slice(0, MOST_FAILURES).map(({ coordinates, state, reason }) => ({ at: coordinatesShown(coordinates), state, reason: reason ?? "" })),
  figure: figureOf(asked, described),
});
