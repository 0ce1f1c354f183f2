/** Results to files as values: tables, points, pictures and the page that shows them. Paths are relative to results/paper. Pure but for what is handed in. */
import type { Panel, Result, ResultPoint } from "./experiment.js";
import { drawFigure } from "./plots/figure.js";
import { inOneLine, showReported, showSimulated, shows } from "./plots/panel-rows.js";
import { styleOf } from "./plots/series.js";
import { ofRole, summarise, worstFirst, type Summary } from "./summary.js";

export type ReportFile = { readonly path: string; readonly text: string } | { readonly path: string; readonly bytes: Uint8Array };

export interface Tools {
  /** A document to draw in: jsdom's, made by the caller. */
  readonly document: Document;
  /** SVG to PNG; null leaves the PNGs out. */
  readonly png: ((svg: string) => Uint8Array) | null;
  /** How many experiments there are: the page speaks of all of them, so it is written only when all were run. */
  readonly total: number;
}

/** Nine digits: enough for any reader, and the same text on every machine. */
const stable = (value: number | null): number | null => (value === null ? null : Number(value.toPrecision(9)));

const pointRow = (p: ResultPoint) => ({
  id: p.id, panel: p.panel, series: p.series, x: p.x, unit: p.unit, reported: stable(p.reported), printed: stable(p.printed), simulated: stable(p.simulated), signedError: stable(p.signedError),
  withinPrint: p.withinPrint, role: p.role, note: p.note,
});

const pointsJson = ({ experiment, points, curves, claims }: Result): string =>
  `${JSON.stringify(
    {
      schema: "neuronlab/points@1",
      id: experiment.id,
      paper: experiment.paper,
      title: experiment.title,
      question: experiment.question,
      points: points.map(pointRow),
      curves: curves.map((c) => ({ panel: c.panel ?? "", series: c.series, x: c.x, unit: c.unit, simulated: stable(c.value) })),
      ...(experiment.reportedOnly === undefined ? {} : { reportedOnly: experiment.reportedOnly }),
      claims,
    },
    null,
    1,
  )}\n`;

const CSV = ["id", "panel", "series", "x", "unit", "reported", "printed", "simulated", "signedError", "withinPrint", "role", "note"] as const;
const csvCell = (value: string | number | boolean | null): string => {
  const text = value === null ? "" : String(value);
  return /[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
};
const pointsCsv = ({ points }: Result): string => `${[CSV.join(","), ...points.map(pointRow).map((row) => CSV.map((column) => csvCell(row[column])).join(","))].join("\n")}\n`;

type Align = "left" | "right";
/** A Markdown table; a bar inside a cell would end it. */
const markdownTable = (columns: ReadonlyArray<readonly [string, Align]>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [
    `| ${columns.map(([name]) => name).join(" | ")} |`,
    `|${columns.map(([, align]) => (align === "right" ? "---:" : "---")).join("|")}|`,
    ...rows.map((row) => `| ${row.map((cell) => cell.replace(/\|/g, "\\|").replace(/\n/g, " ")).join(" | ")} |`),
  ].join("\n");

const percentText = (share: number | null, digits = 1): string => (share === null ? "–" : `${(100 * share).toFixed(digits)} %`);
const signedText = (error: number | null): string => (error === null ? "–" : `${error < 0 ? "−" : "+"}${(100 * Math.abs(error)).toFixed(1)} %`);

const panelName = (panels: ReadonlyArray<Panel>, of: { readonly panel: string; readonly series: string }): string => panels.find((p) => shows(p, of))?.title ?? of.panel;
const xName = ({ experiment }: Result, x: number | string): string => inOneLine(experiment.chart.names?.[String(x)] || String(x));

const reportedText = (p: ResultPoint): string => showReported(p.reported, p.printed);
const simulatedText = (p: ResultPoint): string => (p.simulated === null ? "no run" : showSimulated(p.simulated));
const errorText = (p: ResultPoint): string => `${signedText(p.signedError)}${p.withinPrint ? ", within print" : ""}`;

const pointsTable = (result: Result): string => {
  const { experiment, points } = result;
  const panels = experiment.chart.panels;
  if (experiment.reportedOnly !== undefined)
    return markdownTable(
      [["panel", "left"], ["system", "left"], ["task", "left"], ["reported", "right"]],
      experiment.reportedOnly.map((r) => [panelName(panels, r), styleOf(r.series).name, String(r.x), `${r.reported} ${r.unit}`]),
    );
  if (points.length === 0) return "The paper's values cannot be read from this figure, only its claims; the simulated curves are in points.json.";
  const manyPanels = panels.length > 1;
  return markdownTable(
    [...(manyPanels ? [["panel", "left"] as const] : []), ["series", "left"], ["x", "left"], ["unit", "left"], ["reported", "right"], ["simulated", "right"], ["error", "right"], ["role", "left"], ["note", "left"]],
    points.map((p) => [...(manyPanels ? [panelName(panels, p)] : []), styleOf(p.series).name, xName(result, p.x), p.unit, reportedText(p), simulatedText(p), errorText(p), p.role, p.note]),
  );
};

const claimsTable = (results: ReadonlyArray<Result>): string =>
  markdownTable(
    [["figure", "left"], ["claim", "left"], ["found", "left"], ["verdict", "left"]],
    results.flatMap(({ experiment, claims }) => claims.map((c) => [`[${experiment.paper}](#${experiment.id})`, c.text, c.found, c.holds ? "holds" : "**fails**"])),
  );

const tablePage = (result: Result): string => {
  const { experiment, claims } = result;
  return `${[
    `# ${experiment.paper}: ${experiment.title}`,
    experiment.question,
    pointsTable(result),
    ...(claims.length === 0 ? [] : ["## Claims", markdownTable([["claim", "left"], ["found", "left"], ["verdict", "left"]], claims.map((c) => [c.text, c.found, c.holds ? "holds" : "**fails**"]))]),
    `Points: [points.json](points.json), [points.csv](points.csv). Picture: [figure.svg](figure.svg), [figure.png](figure.png).`,
  ].join("\n\n")}\n`;
};

const summaryRow = (name: string, s: Summary): ReadonlyArray<string> => [
  name, `${s.points}${s.gaps === 0 ? "" : ` (${s.gaps} without a run)`}`, percentText(s.medianAbsError), percentText(s.meanAbsError), s.worst === null ? "–" : `${signedText(s.worst.signedError)} (${s.worst.id})`,
  percentText(s.within10, 0), percentText(s.within25, 0), percentText(s.withinPrint, 0),
];

const SUMMARY_COLUMNS: ReadonlyArray<readonly [string, Align]> = [["points", "left"], ["number", "right"], ["median abs. error", "right"], ["mean", "right"], ["worst", "right"], ["within 10 %", "right"], ["within 25 %", "right"], ["within print", "right"]];

const worstTable = (results: ReadonlyArray<Result>): string => {
  const home = new Map(results.flatMap((result) => result.points.map((p) => [p, result] as const)));
  return markdownTable(
    [["error", "right"], ["figure", "left"], ["panel", "left"], ["series", "left"], ["x", "left"], ["reported", "right"], ["simulated", "right"], ["unit", "left"], ["role", "left"]],
    worstFirst([...home.keys()]).map((p) => {
      const result = home.get(p)!;
      const panels = result.experiment.chart.panels;
      return [errorText(p), `[${result.experiment.paper}](#${result.experiment.id})`, panels.length > 1 ? panelName(panels, p) : "", styleOf(p.series).name, xName(result, p.x), reportedText(p), simulatedText(p), p.unit, p.role];
    }),
  );
};

const sectionOf = (result: Result): string => {
  const { experiment, points, claims } = result;
  const errors = summarise(points);
  return [
    `<a id="${experiment.id}"></a>`,
    `### ${experiment.paper}: ${experiment.title}`,
    experiment.question,
    `![${experiment.paper}: ${experiment.title}](${experiment.id}/figure.svg)`,
    [
      ...(points.length === 0 ? [] : [`${points.length} points, median error ${percentText(errors.medianAbsError)}, worst ${signedText(errors.worst?.signedError ?? null)}.`]),
      ...(claims.length === 0 ? [] : [`${claims.filter((c) => c.holds).length} of ${claims.length} claims hold.`]),
      `[Table](${experiment.id}/table.md), [points](${experiment.id}/points.json).`,
    ].join(" "),
    `<details><summary>Every value</summary>\n\n${pointsTable(result)}\n\n</details>`,
  ].join("\n\n");
};

const page = (results: ReadonlyArray<Result>): string => {
  const points = results.flatMap((r) => r.points);
  const claims = results.flatMap((r) => r.claims);
  const holding = claims.filter((c) => c.holds).length;
  return `${[
    "# PowerInfer-2, reproduced in simulation",
    "Every figure and table of PowerInfer-2 (arXiv 2406.06282) whose numbers a timing simulator can give, and Turbo Sparse's Table 9, beside what `neuronlab` simulates. Written by `neuronlab reproduce`; do not edit.",
    "## How close",
    markdownTable(SUMMARY_COLUMNS, [summaryRow("check", summarise(ofRole(points, "check"))), summaryRow("calibration", summarise(ofRole(points, "calibration"))), summaryRow("all", summarise(points))]),
    "*Check* points were not fitted, but the calibration set was revised after fits had been seen and mechanisms were chosen with these points in view, so they are no blind test; and one run can stand behind several points (Figure 11's tasks share theirs). *Calibration* points were: constants were fitted to them, or they are inputs of a profile that come straight back; which and why is in [experiments/README.md](../../experiments/README.md). The error is (simulated − reported) / reported, against the value as printed. *Within print*: the error is no larger than the rounding of the printed value, as 0.36 beside a printed \"0.4\".",
    `## Claims: ${holding} of ${claims.length} hold`,
    "Which system wins, by how much, where a curve bends. A claim that names a number holds within 25 %, the same for all and fixed before the first run, unless its text says otherwise. The claims of Table 1 and Figure 3b test inputs of the device profile and hold by construction.",
    claimsTable(results),
    "## Figures and tables",
    ...results.map(sectionOf),
    "## Every point, the worst first",
    worstTable(results),
    "## Make it again",
    "```sh\nneuronlab reproduce            # all of it, into results/paper\nneuronlab reproduce f10 t5     # only these\nneuronlab reproduce --check    # is what is stored still what comes out?\n```",
  ].join("\n\n")}\n`;
};

export const report = ({ document, png, total }: Tools) => (results: ReadonlyArray<Result>): ReadonlyArray<ReportFile> => [
  ...(results.length === total ? [{ path: "README.md", text: page(results) }] : []),
  ...results.flatMap((result): ReadonlyArray<ReportFile> => {
    const folder = result.experiment.id;
    const svg = drawFigure(document, result);
    return [
      { path: `${folder}/points.json`, text: pointsJson(result) },
      { path: `${folder}/points.csv`, text: pointsCsv(result) },
      { path: `${folder}/table.md`, text: tablePage(result) },
      { path: `${folder}/figure.svg`, text: svg },
      ...(png === null ? [] : [{ path: `${folder}/figure.png`, bytes: png(svg) }]),
    ];
  }),
];
