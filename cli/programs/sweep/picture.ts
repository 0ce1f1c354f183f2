/** The picture that a declaration asks for, from the rows of its points. */
import type { DeclaredFigure } from "../../../experiments/plots/declared.js";
import type { IndicesFigure } from "../../../experiments/plots/indices.js";
import type { SweepMark } from "../../../experiments/plots/sweep.js";
import { METRICS } from "../../../sim/report/metrics.js";
import { allAxes, type MetricName } from "../../../sim/sweep/declaration.js";
import type { Sensitivity } from "../../../sim/sweep/sensitivity/analysis.js";
import type { Stability } from "../../../sim/sweep/stability/analysis.js";
import type { OutputFile } from "../../program.js";
import type { Described } from "./describe.js";
import type { Declared } from "./load.js";
import { coordinatesShown } from "./sections.js";
import type { PointRow } from "./summary.js";

export interface Drawing { readonly draw: (figure: DeclaredFigure) => string; readonly png: (svg: string) => Uint8Array }

const labelOf = (metric: MetricName): string => `${metric}, ${METRICS[metric].unit}`;

/** Over draws: the median, with lines from 5 % to 95 %. A row for each point in the place of one for each draw. */
const drawnRows = ({ points }: Stability): ReadonlyArray<Drawn> =>
  points.map(({ coordinates, metrics }, point) => ({
    point, coordinates,
    metrics: Object.fromEntries(Object.entries(metrics).map(([name, { spread }]) => [name, spread === null ? null : { mean: spread.median, low: spread.low, high: spread.high }])),
  }));

const plainRow = ({ point, coordinates, metrics }: PointRow): Drawn => ({
  point, coordinates,
  metrics: Object.fromEntries(Object.entries(metrics).map(([name, found]) => [name, found === null ? null : { mean: found.mean, low: found.mean - (found.halfWidth ?? 0), high: found.mean + (found.halfWidth ?? 0) }])),
});

interface Drawn { readonly point: number; readonly coordinates: PointRow["coordinates"]; readonly metrics: Readonly<Record<string, { readonly mean: number; readonly low: number; readonly high: number } | null>> }

const valueOf = (row: Drawn, metric: MetricName): Pick<SweepMark, "y" | "low" | "high"> => {
  const found = row.metrics[metric] ?? null;
  if (found === null) return { y: null, low: 0, high: 0 };
  return { y: found.mean, low: found.low, high: found.high };
};

const named = (axis: string | null, row: Drawn): string => (axis === null ? "" : String(row.coordinates[axis]));

/** One panel for each combination of the axes beside the design. */
const indicesFigure = (found: ReadonlyArray<Sensitivity>, common: Pick<IndicesFigure, "title" | "notes" | "metric">): IndicesFigure => ({
  ...common,
  kind: found[0]?.method ?? "morris",
  panels: found.map((one) => ({
    title: coordinatesShown(one.group),
    marks: one.method === "morris"
      ? one.axes.map(({ axis, muStar, muStarInterval, sigma }) => ({ axis, one: muStar, oneSpread: muStarInterval, other: sigma, otherSpread: null }))
      : one.axes.map(({ axis, first, firstInterval, total, totalInterval }) => ({ axis, one: first, oneSpread: firstInterval, other: total, otherSpread: totalInterval })),
  })),
});

export const figureOf = ({ declaration }: Pick<Declared, "declaration">, { rows: all, front, sensitivity, stability }: Pick<Described, "rows" | "front" | "sensitivity" | "stability">): DeclaredFigure | null => {
  const shown = declaration.picture;
  if (shown === null) return null;
  const isDrawn = declaration.uncertain !== null && stability !== null;
  const rows = isDrawn ? drawnRows(stability) : all.map(plainRow);
  const drawnNote = isDrawn ? [`Medians over ${stability.draws} draws of ${stability.facts.length} uncertain facts; lines from 5 % to 95 % of the draws.`] : [];
  const notes = [...drawnNote, ...new Set(allAxes(declaration).flatMap(({ whatIf }) => (whatIf === null ? [] : [`What if: ${whatIf}.`])))];
  if (shown.kind === "indices") return indicesFigure(sensitivity.filter(({ metric }) => metric === shown.metric), { title: shown.title, notes, metric: labelOf(shown.metric) });
  const common = { title: shown.title, notes, log: false };
  const isFront = (row: Drawn): boolean => front?.points.includes(isDrawn ? row.point * (stability.draws + 1) : row.point) ?? false;
  switch (shown.kind) {
    case "lines":
      return {
        ...common, kind: shown.kind, x: shown.x, row: "", y: labelOf(shown.y), series: shown.series ?? "", log: shown.log,
        marks: rows.map((row) => ({ panel: shown.panel === null ? "" : `${shown.panel}: ${named(shown.panel, row)}`, series: named(shown.series, row), x: row.coordinates[shown.x]!, row: "", ...valueOf(row, shown.y), front: isFront(row) })),
      };
    case "heat":
      return {
        ...common, kind: shown.kind, x: shown.x, row: shown.y, y: labelOf(shown.colour), series: "",
        marks: rows.map((row) => ({ panel: shown.panel === null ? "" : `${shown.panel}: ${named(shown.panel, row)}`, series: "", x: row.coordinates[shown.x]!, row: row.coordinates[shown.y]!, ...valueOf(row, shown.colour), front: false })),
      };
    case "scatter":
      return {
        ...common, kind: shown.kind, x: labelOf(shown.x), row: "", y: labelOf(shown.y), series: shown.series ?? "",
        marks: rows.flatMap((row) => {
          const across = row.metrics[shown.x] ?? null;
          return across === null ? [] : [{ panel: "", series: named(shown.series, row), x: across.mean, row: "", ...valueOf(row, shown.y), front: isFront(row) }];
        }),
      };
  }
};

export const pictureOf = ({ draw, png }: Drawing) => (declared: Declared, described: Described): ReadonlyArray<OutputFile> => {
  const figure = figureOf(declared, described);
  if (figure === null) return [];
  const svg = draw(figure);
  return [{ path: "figure.svg", text: svg }, { path: "figure.png", bytes: png(svg) }];
};
