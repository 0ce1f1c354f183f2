/** The picture that a declaration asks for, from the rows of its points. */
import type { SweepFigure, SweepMark } from "../../../experiments/plots/sweep.js";
import { METRICS } from "../../../sim/report/metrics.js";
import { allAxes, type MetricName } from "../../../sim/sweep/declaration.js";
import type { OutputFile } from "../../program.js";
import type { Described } from "./describe.js";
import type { Declared } from "./load.js";
import type { PointRow } from "./summary.js";

export interface Drawing { readonly draw: (figure: SweepFigure) => string; readonly png: (svg: string) => Uint8Array }

const labelOf = (metric: MetricName): string => `${metric}, ${METRICS[metric].unit}`;

const valueOf = (row: PointRow, metric: MetricName): Pick<SweepMark, "y" | "low" | "high"> => {
  const found = row.metrics[metric] ?? null;
  if (found === null) return { y: null, low: 0, high: 0 };
  return { y: found.mean, low: found.mean - (found.halfWidth ?? 0), high: found.mean + (found.halfWidth ?? 0) };
};

const named = (axis: string | null, row: PointRow): string => (axis === null ? "" : String(row.coordinates[axis]));

export const figureOf = ({ declaration }: Declared, { rows, front }: Described): SweepFigure | null => {
  const shown = declaration.picture;
  if (shown === null) return null;
  const notes = [...new Set(allAxes(declaration).flatMap(({ whatIf }) => (whatIf === null ? [] : [`What if: ${whatIf}.`])))];
  const common = { kind: shown.kind, title: shown.title, notes, log: false };
  const isFront = (row: PointRow): boolean => front?.points.includes(row.point) ?? false;
  switch (shown.kind) {
    case "lines":
      return {
        ...common, x: shown.x, row: "", y: labelOf(shown.y), series: shown.series ?? "", log: shown.log,
        marks: rows.map((row) => ({ panel: shown.panel === null ? "" : `${shown.panel}: ${named(shown.panel, row)}`, series: named(shown.series, row), x: row.coordinates[shown.x]!, row: "", ...valueOf(row, shown.y), front: isFront(row) })),
      };
    case "heat":
      return {
        ...common, x: shown.x, row: shown.y, y: labelOf(shown.colour), series: "",
        marks: rows.map((row) => ({ panel: shown.panel === null ? "" : `${shown.panel}: ${named(shown.panel, row)}`, series: "", x: row.coordinates[shown.x]!, row: row.coordinates[shown.y]!, ...valueOf(row, shown.colour), front: false })),
      };
    case "scatter":
      return {
        ...common, x: labelOf(shown.x), row: "", y: labelOf(shown.y), series: shown.series ?? "",
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
