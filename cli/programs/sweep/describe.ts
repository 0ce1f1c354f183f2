/** A sweep as text, as JSON and as files. */
import { METRICS } from "../../../sim/report/metrics.js";
import { allAxes } from "../../../sim/sweep/declaration.js";
import { showNumber, showShare, table as tableText } from "../../../sim/report/table.js";
import { sensitivities, type Sensitivity } from "../../../sim/sweep/sensitivity/analysis.js";
import { stabilityOf, type Stability } from "../../../sim/sweep/stability/analysis.js";
import { DRAW } from "../../../sim/sweep/stability/draw.js";
import type { OutputFile } from "../../program.js";
import type { RunState } from "../../store.js";
import type { Declared } from "./load.js";
import type { Made } from "./make.js";
import { shortReason, stateShown } from "./reasons.js";
import { sectionText, sensitivitySections, stabilitySections, type Section } from "./sections.js";
import { frontOf, pointRows, shownMetrics, type Finished, type Front, type PointRow } from "./summary.js";

/** Rows beyond this are looked at in the store or in a file, not on a terminal. */
const SHOWN = 40;
const SHOWN_OF_A_DESIGN = 6;

export interface Described { readonly told: Readonly<Record<string, unknown>>; readonly table: Section; readonly counts: ReadonlyArray<string>; readonly text: string; readonly json: unknown; readonly rows: ReadonlyArray<PointRow>; readonly front: Front | null; readonly sensitivity: ReadonlyArray<Sensitivity>; readonly stability: Stability | null; readonly sections: ReadonlyArray<Section> }

const interval = (row: PointRow, name: string): string => {
  const found = row.metrics[name] ?? null;
  if (found === null) return "-";
  return found.halfWidth === null ? showNumber(found.mean) : `${showNumber(found.mean)} ± ${showNumber(found.halfWidth)}`;
};

/** A declared sweep, and what is known of its runs. */
export type Asked = Pick<Declared, "declaration" | "points" | "key">;
export interface Known { readonly settled: ReadonlyArray<Finished>; readonly left: number }

const counted = (made: Known): string => {
  const of = (state: RunState): number => made.settled.filter(({ run }) => run.state === state).length;
  const parts = [`${of("done")} done`, ...(of("refused") > 0 ? [`${of("refused")} refused`] : []), ...(of("failed") > 0 ? [`${of("failed")} failed`] : []), ...(made.left > 0 ? [`${made.left} not made`] : [])];
  return parts.join(", ");
};

/** A number that somebody printed or measured was moved: no reader should take the result for a prediction about a phone that is. */
export const whatIfs = ({ declaration }: Pick<Declared, "declaration">): ReadonlyArray<string> => [...new Set(allAxes(declaration).flatMap(({ whatIf }) => (whatIf === null ? [] : [whatIf])))];

export const describeSweep = (declared: Asked, made: Known): Described => {
  const { declaration, points } = declared;
  const rows = pointRows(declared, made.settled);
  // What nobody measured is as the profiles have it where points are weighed against each other.
  const front = frontOf(declared, declaration.uncertain === null ? rows : rows.filter(({ coordinates }) => coordinates[DRAW] === 0));
  const [names, metrics] = [Object.keys(points.kept[0]!), shownMetrics(declaration)];
  const sensitivity = sensitivities(declaration, points, metrics, (point, metric) => rows[point]!.metrics[metric]?.mean ?? null);
  const stability = stabilityOf(declaration, points, metrics, (point, metric) => (rows[point]!.state === "refused" ? "refused" : (rows[point]!.metrics[metric]?.mean ?? null)));
  const sections = [...sensitivitySections(sensitivity), ...stabilitySections(stability)];
  // Points of a design are looked at by what they say together.
  const first = Math.min(rows.length, sensitivity.length > 0 || declaration.uncertain !== null ? SHOWN_OF_A_DESIGN : SHOWN);
  const shown: Section = {
    title: "",
    columns: [...names.map((title) => ({ title })), ...metrics.map((name) => ({ title: `${name}, ${METRICS[name].unit}`, align: "right" as const })), { title: "limit", wrap: 72 }, ...(front === null ? [] : [{ title: "front" }])],
    rows: rows.map((row) => [...names.map((name) => String(row.coordinates[name])), ...metrics.map((name) => interval(row, name)), row.state === "done" ? (row.limit ?? "") : stateShown(row.state, row.reason, row.run), ...(front === null ? [] : [front.points.includes(row.point) ? "*" : ""])]),
    notes: [],
  };
  const counts = [
    `${points.kept.length} points${points.ruledOut > 0 ? ` (${points.ruledOut} more ruled out)` : ""}, ${made.settled.length} runs: ${counted(made)}`,
    ...(front === null ? [] : [`front: ${front.points.length} of ${rows.length} points are beaten by no other in ${declaration.aims.map(({ metric }) => metric).join(" and ")}; of the box from the worst of all points in each aim to the best they cover ${showShare(front.hypervolume)}`]),
  ];
  const text = [
    declaration.title,
    ...whatIfs(declared).map((what) => `what if: ${what}`),
    "",
    tableText(shown.columns, shown.rows.slice(0, first)),
    ...(rows.length > first ? [`and ${rows.length - first} more points: neuronlab results show ${declaration.id}`] : []),
    "",
    ...sections.flatMap((section) => [sectionText(section), ""]),
    ...counts,
  ].join("\n");
  const told = { ...(sensitivity.length === 0 ? {} : { sensitivity }), ...(stability === null ? {} : { stability }) };
  const json = {
    schema: "neuronlab/sweep-results@1",
    id: declaration.id, key: declared.key, title: declaration.title, whatIf: whatIfs(declared),
    points: rows.map(({ point, coordinates, state, runs, reason, limit, metrics: means }) => ({ point, coordinates, state, runs, reason, limit, metrics: means })),
    runs: made.settled.map(({ place, run }) => ({ ...place, run: run.key, state: run.state, reason: run.reason, metrics: run.metrics })),
    ...told,
    front, ruledOut: points.ruledOut, left: made.left,
  };
  return { text, json, told, table: shown, counts, rows, front, sensitivity, stability, sections };
};

const quoted = (cell: string): string => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

/** One row a run, in the order of points and repetitions: the same bytes wherever it was made. */
export const runsCsv = ({ declaration, points }: Declared, made: Made): string => {
  const [names, metrics] = [Object.keys(points.kept[0]!), shownMetrics(declaration)];
  const head = ["point", "repetition", ...names, "state", ...metrics, "limit", "reason"];
  const rows = made.settled.map(({ place, run }) => [
    String(place.point), String(place.repetition), ...names.map((name) => String(points.kept[place.point]![name])), run.state, ...metrics.map((name) => (typeof run.metrics[name] === "number" ? String(run.metrics[name]) : "")), run.limit ?? "", run.reason === null ? "" : shortReason(run.reason),
  ]);
  return `${[head, ...rows].map((row) => row.map(quoted).join(",")).join("\n")}\n`;
};

export const csvFile = (declared: Declared, made: Made): OutputFile => ({ path: "runs.csv", text: runsCsv(declared, made) });

/** What points say together: indices, claims, spreads. None where nothing of the kind was declared. */
export const conclusionsFile = ({ told }: Pick<Described, "told">): ReadonlyArray<OutputFile> =>
  Object.keys(told).length === 0 ? [] : [{ path: "conclusions.json", text: `${JSON.stringify({ schema: "neuronlab/sweep-conclusions@1", ...told }, null, 1)}\n` }];
