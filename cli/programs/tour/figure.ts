/** Step 5: a figure of the paper with our points on it. */
import { join } from "node:path";
import { TE, pipe } from "../../../sim/base/fp.js";
import { summariseErrors } from "../../../sim/report/metrics.js";
import { showNumber, showShare, showSignedShare, table } from "../../../sim/report/table.js";
import type { Result, ResultPoint } from "../../../experiments/experiment.js";
import { loadProfiles } from "../load.js";
import { labOf, runCases } from "../reproduce.js";
import { lines } from "./lines.js";
import type { Work } from "./context.js";

export interface Figure {
  readonly result: Result;
  readonly files: ReadonlyArray<string>;
}

export const figureStep: Work<Figure> = ({ capabilities, parts, out, seed }) =>
  pipe(
    loadProfiles(capabilities),
    TE.bindTo("profiles"),
    TE.bind("ran", ({ profiles }) => runCases(parts.figure.cases.map(({ key, request }) => ({ key, request: { ...request, seed } })), profiles, null)(capabilities)),
    TE.map(({ profiles, ran }): Result => ({ experiment: parts.figure, ...parts.evaluate(parts.figure, labOf(profiles, ran)) })),
    TE.bindTo("result"),
    TE.let("placed", ({ result }) => parts.report([result]).map((file) => ({ ...file, path: join(out, file.path) }))),
    TE.chainFirst(({ placed }) => capabilities.write(placed)),
    TE.map(({ result, placed }): Figure => ({ result, files: placed.map(({ path }) => path) })),
  );

/** PNG first: everybody can open one. */
const pictureOf = (files: ReadonlyArray<string>): string | null => files.find((file) => file.endsWith(".png")) ?? files.find((file) => file.endsWith(".svg")) ?? null;

const worstOf = (points: ReadonlyArray<ResultPoint>): ResultPoint | null =>
  points.reduce<ResultPoint | null>((worst, point) => (point.signedError !== null && Math.abs(point.signedError) > Math.abs(worst?.signedError ?? 0) ? point : worst), null);

/** Two rows for each series, a column for each x. */
const pointsTable = ({ points }: Pick<Result, "points">): string => {
  const columns = [...new Set(points.map(({ x }) => x))];
  const row = (series: string, name: string, whose: string, of: (point: ResultPoint) => string): ReadonlyArray<string> => [
    name, whose, ...columns.map((x) => points.filter((point) => point.series === series && point.x === x).map(of).join("")),
  ];
  const two = (series: string): ReadonlyArray<ReadonlyArray<string>> => [
    row(series, series, "simulated", ({ simulated }) => (simulated === null ? "no run" : showNumber(simulated))),
    row(series, "", "reported", ({ reported }) => showNumber(reported)),
  ];
  return table([{ title: "" }, { title: "" }, ...columns.map((x) => ({ title: `${x} GB`, align: "right" as const }))], [...new Set(points.map(({ series }) => series))].flatMap(two));
};

export const tellFigure = ({ result, files }: Figure): string => {
  const { experiment, points, claims } = result;
  const errors = summariseErrors(points);
  const worst = worstOf(points);
  const fitted = points.filter(({ role }) => role === "calibration").length;
  return lines([
    `${experiment.paper}, ${experiment.title}: ${points[0]?.unit ?? ""} by memory, simulated.`,
    "",
    pointsTable(result),
    "",
    `Picture: ${pictureOf(files) ?? "none"}`,
    `${points.length} points, of which constants were fitted to ${fitted}: median error ${errors.medianAbsError === null ? "--" : showShare(errors.medianAbsError)}, ${worst === null ? "none has a value" : `the worst ${showSignedShare(worst.signedError ?? 0)} (${worst.series} at ${worst.x} GB)`}. Claims of the figure that hold: ${claims.filter(({ holds }) => holds).length} of ${claims.length}.`,
  ]);
};

export const figureJson = ({ result: { experiment, points, claims }, files }: Figure): unknown => ({
  origin: "simulated", id: experiment.id, paper: experiment.paper, title: experiment.title, picture: pictureOf(files), files, points, claims, summary: summariseErrors(points), worst: worstOf(points)?.id ?? null,
});
