/** Claim shown: how speed falls as memory shrinks. Filled dots and solid lines: warm page cache; hollow and dashed: cold. A missing run says so at its place. */
import * as Plot from "@observablehq/plot";
import { EDGE, INNER, column } from "./column.js";
import { styleOf } from "./series.js";
import { FONT, FONT_SIZE, INK, MUTED, WIDTH, textWidth } from "./style.js";
import { element } from "./svg.js";

export interface SweepPoint {
  readonly series: string;
  readonly cache: "cold" | "warm";
  /** Memory over the size of the model's file. */
  readonly share: number;
  /** Tokens a second: median, least and greatest of the repetitions. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface SweepPanel {
  readonly title: string;
  readonly points: ReadonlyArray<SweepPoint>;
  readonly gaps: ReadonlyArray<{ readonly series: string; readonly cache: "cold" | "warm"; readonly share: number }>;
}

export interface MemorySweep { readonly title: string; readonly subtitle: string; readonly panels: ReadonlyArray<SweepPanel>; readonly notes: ReadonlyArray<string> }

const HEIGHT = 256;

const coloured = <A extends { readonly series: string }>(all: ReadonlyArray<A>) => all.map((one) => ({ ...one, colour: styleOf(one.series).colour }));

const drawPanel = (document: Document, { points, gaps }: SweepPanel): SVGSVGElement => {
  const all = coloured(points);
  const [warm, cold] = [all.filter(({ cache }) => cache === "warm"), all.filter(({ cache }) => cache === "cold")];
  const values = points.flatMap(({ low, high }) => [low, high]);
  // Words at the top, where the lines of small limits are not; twelve px apart for each series, so that they do not lie on each other.
  const series = [...new Set([...points, ...gaps].map((one) => one.series))];
  const missing = coloured(gaps.filter((gap, place) => gaps.findIndex((other) => other.series === gap.series && other.share === gap.share) === place));
  const shares = [...points, ...gaps].map(({ share }) => 100 * share);
  return Plot.plot({
    document,
    width: INNER,
    height: HEIGHT,
    marginLeft: 60,
    marginRight: 16,
    marginTop: 10,
    marginBottom: 44,
    style: { fontFamily: FONT, fontSize: `${FONT_SIZE}px`, color: INK },
    x: { type: "linear", domain: [0, Math.max(100, ...shares)], label: null, inset: 8 },
    y: { type: "log", domain: values.length === 0 ? [1, 10] : [Math.min(...values) / 1.4, Math.max(...values) * 1.4], label: null },
    marks: [
      Plot.gridY({ stroke: "#d9d9d9", strokeOpacity: 1, ticks: 3 }),
      Plot.axisY({ ticks: 3, label: null, fontSize: FONT_SIZE, tickSize: 0, tickFormat: (v: number) => v.toLocaleString("en-US") }),
      Plot.axisX({ label: "memory limit, % of the model's file", labelAnchor: "center", labelArrow: "none", labelOffset: 38, fontSize: FONT_SIZE, tickSize: 4, tickFormat: (v: number) => String(v) }),
      Plot.ruleX([100], { stroke: MUTED, strokeDasharray: "2 3" }),
      Plot.ruleX(all, { x: (p: SweepPoint) => 100 * p.share, y1: "low", y2: "high", stroke: "colour", strokeWidth: 1.2 }),
      Plot.line(cold, { x: (p: SweepPoint) => 100 * p.share, y: "value", z: "series", stroke: "colour", strokeWidth: 1.6, strokeDasharray: "5 4" }),
      Plot.line(warm, { x: (p: SweepPoint) => 100 * p.share, y: "value", z: "series", stroke: "colour", strokeWidth: 2.2 }),
      Plot.dot(cold, { x: (p: SweepPoint) => 100 * p.share, y: "value", fill: "#ffffff", stroke: "colour", strokeWidth: 1.8, r: 4.4 }),
      Plot.dot(warm, { x: (p: SweepPoint) => 100 * p.share, y: "value", fill: "colour", r: 3.4 }),
      ...series.map((name, place) =>
        Plot.text(missing.filter((gap) => gap.series === name), { x: (gap: { readonly share: number }) => 100 * gap.share, frameAnchor: "top", text: () => "no run", fontSize: FONT_SIZE, fill: "colour", rotate: -90, textAnchor: "end", dx: 12 * place - 6, dy: 4 })),
    ],
  }) as SVGSVGElement;
};

export const drawMemorySweep = (document: Document, { title, subtitle, panels, notes }: MemorySweep): string => {
  const page = column(document);
  page.heading(title, subtitle);
  let y = page.down(20);
  let x = EDGE;
  const names = [...new Set(panels.flatMap(({ points, gaps }) => [...points, ...gaps].map(({ series }) => series)))];
  const caches = (["warm", "cold"] as const).filter((cache) => panels.some(({ points }) => points.some((point) => point.cache === cache)));
  const keys = [
    ...names.map((name) => ({ text: styleOf(name).name, fill: styleOf(name).colour, stroke: styleOf(name).colour })),
    ...caches.map((cache) => ({ text: `${cache} page cache`, fill: cache === "warm" ? MUTED : "#ffffff", stroke: MUTED })),
  ];
  for (const { text, fill, stroke } of keys) {
    const width = 18 + textWidth(text) + 14;
    if (x > EDGE && x + width > WIDTH - EDGE) {
      x = EDGE;
      y = page.down(18);
    }
    page.root.append(element(document, "circle", { cx: x + 6, cy: y - 4, r: 4.4, fill, stroke, "stroke-width": 1.8 }), element(document, "text", { x: x + 18, y }, text));
    x += width + 4;
  }
  page.down(10);
  for (const panel of panels) {
    page.write(panel.title, { "font-weight": "bold" }, 17);
    page.write("tokens/s, the median of all repetitions with the least and the greatest", { fill: MUTED }, FONT_SIZE + 4);
    page.place(drawPanel(document, panel), 8);
  }
  return page.ended(notes, title);
};
