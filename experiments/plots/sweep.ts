/** Claim shown: how one metric moves along the axes of a sweep. Lines carry the interval of repetitions; a missing run is a cross at its place. */
import * as Plot from "@observablehq/plot";
import { EDGE, INNER, column } from "./column.js";
import { FONT, FONT_SIZE, INK, MUTED, WIDTH, textWidth } from "./style.js";
import { element } from "./svg.js";
import { placedAxis, shortNumber, type AxisValue, type PlacedAxis } from "./sweep-axis.js";

/** One point of a sweep; `y` null where no run could be made. */
export interface SweepMark { readonly panel: string; readonly series: string; readonly x: AxisValue; readonly row: AxisValue; readonly y: number | null; readonly low: number; readonly high: number; readonly front: boolean }

export interface SweepFigure {
  readonly kind: "lines" | "heat" | "scatter";
  readonly title: string;
  readonly notes: ReadonlyArray<string>;
  readonly x: string;
  /** Of a heat map: its second axis. */
  readonly row: string;
  /** Metric with its unit. */
  readonly y: string;
  readonly series: string;
  readonly log: boolean;
  readonly marks: ReadonlyArray<SweepMark>;
}

const HEIGHT = 260;
/** Of the places where no run could be made: crosses below all dots, a row for each series that has some. */
const NO_RUN = { row: 9, radius: 3 } as const;
/** Okabe and Ito's, safe for colour-blind readers, the darkest first. */
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6E6E6E", "#8C510A"];
/** Light to dark, so that it reads in grey too. */
const RAMP = ["#f1f5fb", "#08306b"] as const;

type Scheme = ReadonlyMap<string, string>;
const schemeOf = (marks: ReadonlyArray<SweepMark>): Scheme => new Map([...new Set(marks.map(({ series }) => series))].map((series, i) => [series, COLOURS[i % COLOURS.length]!]));

const xScale = ({ scale, domain }: PlacedAxis) => (scale === "point" ? { type: "point" as const, domain: [...domain], padding: 0.4 } : { type: scale, domain: [...domain], inset: 12 });

const frame = (document: Document, height: number, marginLeft: number) => ({
  document, width: INNER, height, marginLeft, marginRight: 16, marginTop: 10, marginBottom: 44, style: { fontFamily: FONT, fontSize: `${FONT_SIZE}px`, color: INK },
});

/** Labels of neighbouring ticks would lie on each other on a narrow step. */
const thinned = ({ scale, ticks, domain }: PlacedAxis): PlacedAxis["ticks"] => {
  if (scale === "point") return ticks;
  const [low, high] = [Number(domain[0]), Number(domain[1])];
  let last = -Infinity;
  return ticks.filter(({ at, text }) => {
    const place = ((Number(at) - low) / (high - low)) * (INNER - 98);
    const fits = place - last > textWidth(text) + 5;
    if (fits) last = place;
    return fits;
  });
};

const bottomAxis = (axis: PlacedAxis) => {
  const ticks = thinned(axis);
  const texts = new Map(ticks.map(({ at, text }) => [at, text]));
  return Plot.axisX({ ...(ticks.length === 0 ? { ticks: 6 } : { ticks: ticks.map(({ at }) => at) }), tickFormat: (at: number | string) => texts.get(at) ?? axis.show(Number(at)), label: axis.label, labelAnchor: "center", labelArrow: "none", labelOffset: 38, fontSize: FONT_SIZE, tickSize: 4 });
};

const yDomain = (marks: ReadonlyArray<SweepMark>, log: boolean): [number, number] => {
  const values = marks.flatMap(({ y, low, high }) => (y === null ? [] : [low, high]));
  if (values.length === 0) return [0, 1];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (log && low > 0) return [low / 1.2, high * 1.2];
  return [low < 0 ? low * 1.05 : 0, high * 1.08 || 1];
};

/** Series of which a run is missing somewhere, in the order of the key: the same rows in every panel. */
const withoutRuns = ({ marks }: SweepFigure, colours: Scheme): ReadonlyArray<string> => [...colours.keys()].filter((series) => marks.some((mark) => mark.series === series && mark.y === null));

const linesPlot = (document: Document, figure: SweepFigure, marks: ReadonlyArray<SweepMark>, colours: Scheme): SVGSVGElement => {
  const axis = placedAxis(figure.x, figure.marks.map(({ x }) => x));
  const rows = marks.map((mark) => ({ ...mark, at: axis.place(mark.x), colour: colours.get(mark.series)! }));
  const known = rows.filter(({ y }) => y !== null);
  const isLog = figure.log && yDomain(figure.marks, true)[0] > 0;
  const missing = withoutRuns(figure, colours);
  return Plot.plot({
    ...frame(document, HEIGHT, 58),
    x: { ...xScale(axis), label: null },
    y: { type: isLog ? "log" : "linear", domain: yDomain(figure.marks, figure.log), label: null, insetBottom: missing.length === 0 ? 0 : NO_RUN.row * (missing.length + 0.5) },
    marks: [
      Plot.gridY({ stroke: "#d9d9d9", strokeOpacity: 1, ticks: 5 }),
      Plot.axisY({ ticks: 5, label: null, fontSize: FONT_SIZE, tickSize: 0, tickFormat: shortNumber }),
      bottomAxis(axis),
      Plot.ruleX(known, { x: "at", y1: "low", y2: "high", stroke: "colour", strokeWidth: 1.2 }),
      ...(figure.kind === "lines" ? [Plot.line(known, { x: "at", y: "y", z: "series", stroke: "colour", strokeWidth: 2 })] : []),
      Plot.dot(known, { x: "at", y: "y", fill: "colour", r: (r: SweepMark) => (r.front ? 5 : 3.2), stroke: (r: SweepMark) => (r.front ? INK : "#ffffff"), strokeWidth: 1 }),
      ...missing.map((series, i) =>
        Plot.dot(rows.filter((row) => row.series === series && row.y === null), { x: "at", frameAnchor: "bottom", symbol: "times", r: NO_RUN.radius, stroke: "colour", strokeWidth: 1.6, dy: -NO_RUN.row * (i + 0.5) })),
    ],
  }) as SVGSVGElement;
};

const mixed = (share: number): string => {
  const channel = (i: number): string => {
    const [a, b] = RAMP.map((colour) => Number.parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16)) as [number, number];
    return Math.round(a + (b - a) * share).toString(16).padStart(2, "0");
  };
  return `#${channel(0)}${channel(1)}${channel(2)}`;
};

const heatPlot = (document: Document, figure: SweepFigure, marks: ReadonlyArray<SweepMark>): SVGSVGElement => {
  const values = figure.marks.flatMap(({ y }) => (y === null ? [] : [y]));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const names = (of: (mark: SweepMark) => AxisValue): ReadonlyArray<string> => [...new Set(figure.marks.map((mark) => String(of(mark))))];
  const rows = marks.map((mark) => {
    const share = mark.y === null ? 0 : high > low ? (mark.y - low) / (high - low) : 0.5;
    return { x: String(mark.x), row: String(mark.row), y: mark.y, fill: mark.y === null ? "#ffffff" : mixed(share), ink: share > 0.5 ? "#ffffff" : INK };
  });
  const labels = names(({ row }) => row);
  return Plot.plot({
    ...frame(document, Math.max(120, 30 * labels.length + 54), Math.max(58, 14 + Math.max(...labels.map((label) => textWidth(label))))),
    x: { type: "band", domain: [...names(({ x }) => x)], padding: 0.03, label: null },
    y: { type: "band", domain: [...labels].reverse(), padding: 0.03, label: null },
    marks: [
      Plot.axisX({ label: figure.x, labelAnchor: "center", labelArrow: "none", labelOffset: 38, fontSize: FONT_SIZE, tickSize: 0 }),
      Plot.axisY({ label: null, fontSize: FONT_SIZE, tickSize: 0 }),
      Plot.rect(rows, { x: "x", y: "row", fill: "fill", stroke: "#bbbbbb", strokeWidth: 0.5 }),
      Plot.text(rows, { x: "x", y: "row", text: (r: { readonly y: number | null }) => (r.y === null ? "no run" : (Math.abs(r.y) >= 1000 ? shortNumber(r.y) : r.y.toPrecision(3))), fill: "ink", fontSize: FONT_SIZE }),
    ],
  }) as SVGSVGElement;
};

interface Key { readonly text: string; readonly draw: (x: number, y: number) => SVGElement }

/** One series needs no name; a cross needs its meaning. */
const keysOf = (document: Document, figure: SweepFigure, colours: Scheme): ReadonlyArray<Key> => {
  const cross = (x: number, y: number): SVGElement => element(document, "path", { d: `M${x - 3},${y - 3}l6,6m-6,0l6,-6`, stroke: MUTED, "stroke-width": 1.6 });
  return [
    ...(colours.size > 1 ? [...colours].map(([series, colour]): Key => ({ text: series, draw: (x, y) => element(document, "circle", { cx: x, cy: y, r: 4.4, fill: colour }) })) : []),
    ...(withoutRuns(figure, colours).length > 0 ? [{ text: "no run could be made", draw: cross }] : []),
  ];
};

export const drawSweep = (document: Document, figure: SweepFigure): string => {
  const page = column(document);
  page.heading(figure.title, figure.kind === "heat" ? `${figure.y}, by ${figure.x} (across) and ${figure.row} (upwards)` : `${figure.y}, upwards`);
  const colours = schemeOf(figure.marks);
  const keys = figure.kind === "heat" ? [] : keysOf(document, figure, colours);
  if (keys.length > 0) {
    let y = page.down(18);
    let x = EDGE;
    if (colours.size > 1) {
      page.root.append(element(document, "text", { x, y, fill: MUTED }, `${figure.series}:`));
      x += textWidth(`${figure.series}: `) + 6;
    }
    for (const { text, draw } of keys) {
      const width = 16 + textWidth(text) + 12;
      if (x > EDGE && x + width > WIDTH - EDGE) {
        x = EDGE;
        y = page.down(18);
      }
      page.root.append(draw(x + 5, y - 4), element(document, "text", { x: x + 14, y }, text));
      x += width;
    }
    page.down(6);
  }
  for (const panel of new Set(figure.marks.map((mark) => mark.panel))) {
    if (panel !== "") page.write(panel, { "font-weight": "bold" }, 20);
    const marks = figure.marks.filter((mark) => mark.panel === panel);
    page.place(figure.kind === "heat" ? heatPlot(document, figure, marks) : linesPlot(document, figure, marks, colours), 6);
  }
  return page.ended(figure.notes, figure.title);
};
