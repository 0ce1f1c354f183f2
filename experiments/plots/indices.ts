/** Claim shown: which axes of a sweep matter. Morris' mean effect against its spread, or Sobol's indices as bars; both with 95 % intervals. */
import * as Plot from "@observablehq/plot";
import { EDGE, INNER, column } from "./column.js";
import { FONT, FONT_SIZE, INK, textWidth } from "./style.js";
import { element, placed } from "./svg.js";
import { shortNumber } from "./sweep-axis.js";

export interface Spread { readonly low: number; readonly high: number }

/** Of Morris: mu* and sigma; of Sobol: first order and total effect. Null where the runs do not say. */
export interface IndicesMark { readonly axis: string; readonly one: number | null; readonly oneSpread: Spread | null; readonly other: number | null; readonly otherSpread: Spread | null }

export interface IndicesFigure {
  readonly kind: "morris" | "sobol";
  readonly title: string;
  readonly notes: ReadonlyArray<string>;
  /** Metric with its unit. */
  readonly metric: string;
  readonly panels: ReadonlyArray<{ readonly title: string; readonly marks: ReadonlyArray<IndicesMark> }>;
}

const BLUE = "#0072B2";
const VERMILION = "#D55E00";
const ROW = 34;

const frame = (document: Document, height: number, marginLeft: number) => ({
  document, width: INNER, height, marginLeft, marginRight: 18, marginTop: 12, marginBottom: 42, style: { fontFamily: FONT, fontSize: `${FONT_SIZE}px`, color: INK },
});

/** Names beside their dots; one that would lie on another moves down. */
const labelled = (marks: ReadonlyArray<IndicesMark>, place: (mark: IndicesMark) => readonly [number, number], right: number) => {
  const taken: Array<readonly [left: number, right: number, y: number]> = [];
  return marks.map((mark) => {
    const [x, y] = place(mark);
    const width = textWidth(mark.axis);
    const left = x + 9 + width > right ? x - 9 - width : x + 9;
    let at = y;
    while (taken.some(([a, b, of]) => a < left + width && left < b && Math.abs(of - at) < FONT_SIZE + 1)) at += 2;
    taken.push([left, left + width, at]);
    return { axis: mark.axis, left, at };
  });
};

const HEIGHT = 320;
const LEFT = 58;

const morrisPlot = (document: Document, all: ReadonlyArray<IndicesMark>): SVGSVGElement => {
  const marks = all.filter(({ one, other }) => one !== null && other !== null);
  const most = { x: 1.08 * Math.max(0, ...marks.map(({ one, oneSpread }) => Math.max(one!, oneSpread?.high ?? 0))) || 1, y: 1.08 * Math.max(0, ...marks.map(({ other }) => other!)) || 1 };
  const settings = frame(document, HEIGHT, LEFT);
  const along = (x: number): number => LEFT + (x / most.x) * (INNER - LEFT - settings.marginRight);
  const up = (y: number): number => HEIGHT - settings.marginBottom - (y / most.y) * (HEIGHT - settings.marginBottom - settings.marginTop);
  const equal = Math.min(most.x, most.y);
  const svg = Plot.plot({
    ...settings,
    x: { domain: [0, most.x], label: null },
    y: { domain: [0, most.y], label: null },
    marks: [
      Plot.gridY({ stroke: "#d9d9d9", strokeOpacity: 1, ticks: 5 }),
      Plot.axisY({ ticks: 5, label: null, fontSize: FONT_SIZE, tickSize: 0, tickFormat: shortNumber }),
      Plot.axisX({ ticks: 6, label: "mean absolute effect, mu*", labelAnchor: "center", labelArrow: "none", labelOffset: 38, fontSize: FONT_SIZE, tickSize: 4, tickFormat: shortNumber }),
      Plot.line([[0, 0], [equal, equal]], { stroke: "#999999", strokeDasharray: "4 3" }),
      Plot.ruleY(marks.filter(({ oneSpread }) => oneSpread !== null), { y: "other", x1: (m: IndicesMark) => m.oneSpread!.low, x2: (m: IndicesMark) => m.oneSpread!.high, stroke: BLUE, strokeWidth: 1.2 }),
      Plot.dot(marks, { x: "one", y: "other", fill: BLUE, r: 4.2, stroke: "#ffffff", strokeWidth: 1 }),
    ],
  }) as SVGSVGElement;
  const shown = placed(svg, 0, 0);
  for (const { axis, left, at } of labelled(marks, (m) => [along(m.one!), up(m.other!)], INNER)) shown.append(element(document, "text", { x: left, y: at + 4, fill: INK }, axis));
  return shown;
};

const sobolPlot = (document: Document, marks: ReadonlyArray<IndicesMark>): SVGSVGElement => {
  const ends = marks.flatMap(({ one, oneSpread, other, otherSpread }) => [one, oneSpread?.low, oneSpread?.high, other, otherSpread?.low, otherSpread?.high].filter((v) => v !== null && v !== undefined));
  const [low, high] = [Math.min(0, ...ends), Math.max(...ends, 0.1)];
  const left = Math.max(58, 14 + Math.max(...marks.map(({ axis }) => textWidth(axis))));
  const rows = marks.flatMap(({ axis, one, oneSpread, other, otherSpread }) => [{ axis, of: "S1", value: one, spread: oneSpread, fill: VERMILION }, { axis, of: "ST", value: other, spread: otherSpread, fill: BLUE }]).filter(({ value }) => value !== null);
  type Bar = (typeof rows)[number];
  const spreads = rows.filter(({ spread }) => spread !== null);
  return Plot.plot({
    ...frame(document, 54 + ROW * marks.length, left),
    x: { domain: [low < 0 ? low * 1.05 : 0, high * 1.05], label: null },
    y: { type: "band", domain: ["S1", "ST"], label: null, axis: null, padding: 0.1 },
    fy: { domain: marks.map(({ axis }) => axis), label: null, padding: 0.12 },
    marks: [
      Plot.gridX({ stroke: "#d9d9d9", strokeOpacity: 1, ticks: 6 }),
      Plot.axisFy({ anchor: "left", label: null, fontSize: FONT_SIZE, tickSize: 0 }),
      Plot.axisX({ ticks: 6, label: "share of the variance", labelAnchor: "center", labelArrow: "none", labelOffset: 38, fontSize: FONT_SIZE, tickSize: 4 }),
      Plot.rect(rows, { x1: 0, x2: "value", y: "of", fy: "axis", fill: "fill" }),
      Plot.ruleY(spreads, { x1: (r: Bar) => r.spread!.low, x2: (r: Bar) => r.spread!.high, y: "of", fy: "axis", stroke: INK, strokeWidth: 1.2 }),
      Plot.ruleX([0], { stroke: INK, strokeWidth: 0.8 }),
    ],
  }) as SVGSVGElement;
};

const EXPLAINED = {
  morris: "along: mean absolute effect of a step, in units of the metric over the whole axis, with its 95 % interval; upwards: standard deviation of the effects, sigma. Above the dashed line an axis acts differently from place to place, or through others.",
  sobol: "S1: share of the variance that goes away when the axis alone is known; ST: share left when all others are known. Lines are 95 % intervals.",
} as const;

export const drawIndices = (document: Document, figure: IndicesFigure): string => {
  const page = column(document);
  page.heading(figure.title, `${figure.metric}; ${EXPLAINED[figure.kind]}`);
  if (figure.kind === "sobol") {
    const y = page.down(20);
    [["first order, S1", VERMILION], ["total effect, ST", BLUE]].forEach(([text, colour], i) => page.root.append(element(document, "rect", { x: EDGE + 150 * i, y: y - 11, width: 12, height: 12, fill: colour! }), element(document, "text", { x: EDGE + 150 * i + 18, y }, text)));
    page.down(4);
  }
  for (const { title, marks } of figure.panels) {
    if (title !== "") page.write(title, { "font-weight": "bold" }, 20);
    page.place(figure.kind === "morris" ? morrisPlot(document, marks) : sobolPlot(document, marks), 6);
  }
  return page.ended(figure.notes, figure.title);
};
