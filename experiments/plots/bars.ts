/** Claim shown: simulated bars stand beside reported ones. Hollow: reported; filled: simulated; a missing run leaves a gap that says so. */
import * as Plot from "@observablehq/plot";
import type { Mark, PanelRows, Source } from "./panel-rows.js";
import { styleOf } from "./series.js";
import { FONT, FONT_SIZE, INK, textWidth } from "./style.js";

interface Bar extends Mark { readonly group: string; readonly slot: string; readonly colour: string }

const SOURCES: ReadonlyArray<Source> = ["reported", "simulated"];
const MARGIN = { left: 52, right: 4, top: 24, gap: 0.12 } as const;

export const drawBars = (document: Document, rows: PanelRows, names: Readonly<Record<string, string>>, width: number): SVGSVGElement => {
  const { panel, marks, series, categories } = rows;
  const sources = SOURCES.filter((source) => marks.some((m) => m.source === source));
  const nameOf = (x: string): string => names[x] ?? x;

  // Slots of one group: the sources of a series side by side, half a slot of air between two series.
  const slots = series.flatMap((s, i) => [...(i === 0 ? [] : [`air ${s}`]), ...sources.map((source) => `${s} ${source}`)]);
  const bars: ReadonlyArray<Bar> = marks.map((m) => ({ ...m, group: String(m.x), slot: `${m.series} ${m.source}`, colour: styleOf(m.series).colour }));
  const drawn = bars.filter((b) => b.value !== null);
  const missing = bars.filter((b) => b.value === null);

  const slotWidth = ((width - MARGIN.left - MARGIN.right) / categories.length) * (1 - MARGIN.gap) / slots.length;
  const upright = drawn.some((b) => textWidth(b.label) > slotWidth * 1.35);
  const names2 = categories.map(nameOf);
  const axisLines = Math.max(...names2.map((n) => (n === "" ? 0 : n.split("\n").length)));
  const height = 190;
  const marginBottom = 10 + axisLines * 15;

  const highest = Math.max(...drawn.map((b) => b.value ?? 0), panel.log === true ? 0 : 1e-9);
  const lowest = panel.log === true ? Math.min(...drawn.map((b) => b.value ?? Infinity)) / 2 : 0;
  // Room above the highest bar for its label, in units of the axis.
  const labelShare = (upright ? Math.max(...drawn.map((b) => textWidth(b.label))) + 8 : 18) / (height - MARGIN.top - marginBottom);
  const top = Math.max(highest / (1 - labelShare), panel.max ?? 0);

  const svg = Plot.plot({
    document,
    width,
    height,
    marginLeft: MARGIN.left,
    marginRight: MARGIN.right,
    marginTop: MARGIN.top,
    marginBottom,
    style: { fontFamily: FONT, fontSize: `${FONT_SIZE}px`, color: INK },
    fx: { domain: categories, label: null, axis: null, paddingInner: MARGIN.gap, paddingOuter: MARGIN.gap / 2 },
    x: { domain: slots, axis: null, padding: 0, label: null },
    y: { domain: [lowest, top], type: panel.log === true ? "log" : "linear", label: null, ticks: 5, grid: false },
    marks: [
      Plot.gridY({ stroke: "#d9d9d9", strokeOpacity: 1, ticks: 5 }),
      Plot.axisY({ ticks: 5, label: panel.yLabel, labelAnchor: "top", labelArrow: "none", fontSize: FONT_SIZE, labelOffset: MARGIN.left, tickSize: 0 }),
      Plot.barY(drawn, { fx: "group", x: "slot", y1: lowest, y2: "value", fill: (b: Bar) => (b.source === "reported" ? "#ffffff" : b.colour), stroke: "colour", strokeWidth: 1.4, insetLeft: 1.5, insetRight: 1.5 }),
      Plot.text(drawn, { fx: "group", x: "slot", y: "value", text: "label", fontSize: FONT_SIZE, fill: INK, ...(upright ? { rotate: -90, textAnchor: "start", dy: -4, lineAnchor: "middle" } : { dy: -4, lineAnchor: "bottom" }) }),
      Plot.text(missing, { fx: "group", x: "slot", y: lowest, text: "label", fontSize: FONT_SIZE, fill: "#8a8a8a", rotate: -90, textAnchor: "start", dy: -4, lineAnchor: "middle" }),
      Plot.ruleY([lowest], { stroke: INK, strokeWidth: 1 }),
      Plot.text(categories, { fx: (c: string) => c, frameAnchor: "bottom", text: nameOf, dy: 7, lineAnchor: "top", fontSize: FONT_SIZE, fill: INK }),
    ],
  });
  return svg as SVGSVGElement;
};
