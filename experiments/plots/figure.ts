/** A result to one SVG: title, legend drawn as marks, panels, and the reasons of gaps. The document is handed in; nothing here opens a file. */
import type { Panel, Result, ResultPoint } from "../experiment.js";
import { drawBars } from "./bars.js";
import { drawLines } from "./lines.js";
import { inOneLine, panelRows, shows, type PanelRows } from "./panel-rows.js";
import { styleOf } from "./series.js";
import { FONT_SIZE, MUTED, WIDTH, textWidth, wrapText } from "./style.js";
import { HEADING, element, emptyPage, paged, placed, type Attributes } from "./svg.js";

const EDGE = 10;
const INNER = WIDTH - 2 * EDGE;
const COLUMN_GAP = 14;
const TITLE_SIZE = 15;

const hasReported = ({ points, experiment }: Result): boolean => points.length > 0 || (experiment.reportedOnly ?? []).length > 0;

const subtitleOf = (result: Result): string => {
  const { experiment, points } = result;
  if ((experiment.reportedOnly ?? []).length > 0) return "As the paper reports it; not simulated.";
  if (points.length === 0) return "Simulated. The paper's values cannot be read from its figure; its claims are tested.";
  const unread = experiment.chart.panels.some((panel) => isSimulatedOnly(result, panelRows(result, panel)));
  return `Reported by the paper beside simulated by neuronlab${unread ? ", where the paper's values can be read" : ""}.`;
};

/** A panel without reported values in a figure that has some: it says so, lest its marks be taken for the paper's. */
const isSimulatedOnly = (result: Result, { marks }: PanelRows): boolean => hasReported(result) && !marks.some((m) => m.source === "reported");

const labelOf = (result: Result, rows: PanelRows): string => `${rows.panel.yLabel}${isSimulatedOnly(result, rows) ? ", simulated only" : ""}`;


interface Key { readonly text: string; readonly draw: (x: number, y: number) => ReadonlyArray<SVGElement> }

const legendKeys = (document: Document, result: Result, panels: ReadonlyArray<PanelRows>): ReadonlyArray<Key> => {
  const square = (fill: string, stroke: string) => (x: number, y: number) => [element(document, "rect", { x, y: y - 10, width: 12, height: 12, fill, stroke, "stroke-width": 1.4 })];
  const series = [...new Set(panels.flatMap((p) => p.series))].map((s): Key => ({ text: styleOf(s).name, draw: square(styleOf(s).colour, styleOf(s).colour) }));
  const bars = panels.some((p) => p.panel.kind === "bars" && p.marks.length > 0);
  const lines = panels.some((p) => p.panel.kind === "lines" && p.marks.length > 0);
  const simulated = result.points.length > 0;
  const sources: ReadonlyArray<Key> = [
    ...(bars && hasReported(result) ? [{ text: "reported", draw: square("#ffffff", MUTED) }] : []),
    ...(bars && simulated ? [{ text: "simulated", draw: square(MUTED, MUTED) }] : []),
    ...(lines && !bars ? [{ text: "reported", draw: (x: number, y: number) => [element(document, "circle", { cx: x + 6, cy: y - 4, r: 5, fill: "#ffffff", stroke: MUTED, "stroke-width": 1.8 })] }] : []),
    ...(lines && !bars ? [{ text: "simulated", draw: (x: number, y: number) => [element(document, "line", { x1: x - 2, y1: y - 4, x2: x + 14, y2: y - 4, stroke: MUTED, "stroke-width": 2.2 }), element(document, "circle", { cx: x + 6, cy: y - 4, r: 3.4, fill: MUTED })] }] : []),
  ];
  return [...series, ...sources];
};

/** Why runs are missing, once each. */
const footnotes = ({ experiment, points }: Result): ReadonlyArray<string> => {
  const panelOf = (point: ResultPoint): string => (experiment.chart.panels.length < 2 ? "" : `, ${experiment.chart.panels.find((p) => shows(p, point))?.title ?? point.panel}`);
  const missing = points.filter((p) => p.simulated === null).map((p) => `${styleOf(p.series).name}, ${nameOf(experiment.chart.names, p.x)}${panelOf(p)}: ${p.note.replace(/^no value: /, "")}`);
  const gaps = (experiment.gaps ?? []).map((g) => `${styleOf(g.series).name}, ${g.x}: ${g.reason}`);
  return [...new Set([...missing, ...gaps])];
};

const nameOf = (names: Readonly<Record<string, string>> | undefined, x: number | string): string => inOneLine(names?.[String(x)] ?? String(x));

/** Panels in rows: those that share a row name the same number of columns. */
const rowsOf = (panels: ReadonlyArray<Panel>): ReadonlyArray<ReadonlyArray<Panel>> => {
  const rows: Array<Array<Panel>> = [];
  for (const panel of panels) {
    const last = rows[rows.length - 1];
    if (last !== undefined && last[0].columns === panel.columns && last.length < (panel.columns ?? 1)) last.push(panel);
    else rows.push([panel]);
  }
  return rows;
};

export const drawFigure = (document: Document, result: Result): string => {
  const { experiment } = result;
  const { panels, names } = experiment.chart;
  const root = emptyPage(document);
  let y = EDGE;
  const write = (text: string, attributes: Attributes, lineHeight: number): void => {
    y += lineHeight;
    root.append(element(document, "text", { x: EDGE, y: y - 4, ...attributes }, text));
  };

  for (const line of wrapText(`${experiment.paper}: ${experiment.title}`, INNER, TITLE_SIZE, true)) write(line, { ...HEADING, "font-size": TITLE_SIZE, "font-weight": "bold" }, TITLE_SIZE + 5);
  for (const line of wrapText(subtitleOf(result), INNER)) write(line, { ...HEADING, fill: MUTED }, FONT_SIZE + 5);

  const rows = panels.map((panel) => panelRows(result, panel));
  y += 8;
  let x = EDGE;
  let baseline = y + 12;
  for (const key of legendKeys(document, result, rows)) {
    const width = 18 + textWidth(key.text) + 14;
    if (x > EDGE && x + width > WIDTH - EDGE) {
      x = EDGE;
      baseline += 18;
    }
    root.append(...key.draw(x, baseline), element(document, "text", { x: x + 18, y: baseline }, key.text));
    x += width + 4;
  }
  y = baseline + 10;

  for (const row of rowsOf(panels)) {
    const columns = row[0].columns ?? 1;
    const width = (INNER - (columns - 1) * COLUMN_GAP) / columns;
    const titles = row.map((panel) => wrapText(panel.title, width, FONT_SIZE, true));
    const titleLines = Math.max(...titles.map((t) => t.length));
    let lowest = y;
    row.forEach((panel, i) => {
      const left = EDGE + i * (width + COLUMN_GAP);
      titles[i].forEach((line, at) => root.append(element(document, "text", { x: left, y: y + 14 + at * 15, "font-weight": "bold" }, line)));
      const shown = panelRows(result, panel);
      root.append(element(document, "text", { x: left, y: y + 14 + titleLines * 15, fill: MUTED }, labelOf(result, shown)));
      const svg = panel.kind === "bars" ? drawBars(document, shown, names ?? {}, width) : drawLines(document, shown, width);
      root.append(placed(svg, left, y + titleLines * 15 + 20));
      lowest = Math.max(lowest, y + titleLines * 15 + 20 + Number(svg.getAttribute("height")));
    });
    y = lowest + 10;
  }

  for (const note of footnotes(result)) for (const line of wrapText(`No run: ${note}`, INNER)) write(line, { fill: MUTED }, FONT_SIZE + 4);
  return paged(document, root, y + EDGE, `${experiment.paper}: ${experiment.title}`);
};
