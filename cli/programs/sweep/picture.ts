/** The picture that a declaration asks for, from the rows of its points. */
import type { DeclaredFigure } from "../../../experiments/plots/declared.js";
import type { IndicesFigure } from "../../../experiments/plots/indices.js";
import type { SweepMark } from "../../../experiments/plots/sweep.js";
import { METRICS } from "../../../sim/report/metrics.js";
import { allAxes, type MetricName } from "../../../sim/sweep/declaration.js";
import type { Sensitivity } from "../../../sim/sweep/sensitivity/analysis.js";
import type { OutputFile } from "../../program.js";
import type { Described } from "./describe.js";
import type { Declared } from "./load.js";
import { coordinatesShown } from "./sections.js";
import type { PointRow } from "./summary.js";

export interface Drawing { readonly draw: (figure: DeclaredFigure) => string; readonly png: (svg: string) => Uint8Array }

const labelOf = (metric: MetricName): string => `${metric}, ${METRICS[metric].unit}`;

const valueOf = (row: PointRow, metric: MetricName): Pick<SweepMark, "y" | "low" | "high"> => {
  const found = row.metrics[metric] ?? null;
  if (found === null) return { y: null, low: 0, high: 0 };
  return { y: found.mean, low: found.mean - (found.halfWidth ?? 0), high: found.mean + (found.halfWidth ?? 0) };
};

const named = (axis: string | null, row: PointRow): string => (axis === null ? "" : String(row.coordinates[axis]));

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

export const figureOf = ({ declaration }: Pick<Declared, "declaration">, { rows, front, sensitivity }: Pick<Described, "rows" | "front" | "sensitivity">): DeclaredFigure | null => {
  const shown = declaration.picture;
  if (shown === null) return null;
  const notes = [...new Set(allAxes(declaration).flatMap(({ whatIf }) => (whatIf === null ? [] : [`What if: ${whatIf}.`])))];
  if (shown.kind === "indices") return indicesFigure(sensitivity.filter(({ metric }) => metric === shown.metric), { title: shown.title, notes, metric: labelOf(shown.metric) });
  const common = { title: shown.title, notes, log: false };
  const isFront = (row: PointRow): boolean => front?.points.includes(row.point) ?? false;
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
