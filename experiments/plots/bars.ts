/** Claim shown: simulated bars stand beside reported ones. Hollow: reported; filled: simulated; a missing run leaves a gap that says so. */
import * as Plot from "@observablehq/plot";
import type { Mark, PanelRows, Source } from "./panel-rows.js";
import { styleOf } from "./series.js";
import { FONT, FONT_SIZE, INK, textWidth } from "./style.js";

interface Bar extends Mark { readonly group: string; readonly slot: string; readonly colour: string }

const SOURCES: ReadonlyArray<Source> = ["reported", "simulated"];
const MARGIN = { left: 46, right: 2, top: 8, gap: 0.06 } as const;
const HEIGHT = 180;

export const drawBars = (document: Document, rows: PanelRows, names: Readonly<Record<string, string>>, width: number): SVGSVGElement => {
  const { panel, marks, series, categories } = rows;
  const sources = SOURCES.filter((source) => marks.some((m) => m.source === source));
  const nameOf = (x: string): string => names[x] ?? x;

  // Slots of one group: the sources of a series side by side.
  const slots = series.flatMap((s) => sources.map((source) => `${s} ${source}`));
  const bars: ReadonlyArray<Bar> = marks.map((m) => ({ ...m, group: String(m.x), slot: `${m.series} ${m.source}`, colour: styleOf(m.series).colour }));
  const drawn = bars.filter((b) => b.value !== null);
  const missing = bars.filter((b) => b.value === null);

  const slotWidth = ((width - MARGIN.left - MARGIN.right) / categories.length) * (1 - MARGIN.gap) / slots.length;
  // Air between two series is taken from the outer sides of their bars, which are then a hair apart within a series.
  const air = Math.min(12, slotWidth * 0.24);
  const upright = drawn.some((b) => textWidth(b.label) + 4 > slotWidth - (sources.length === 1 ? 0 : air));
  const sides = (source: Source): { readonly insetLeft: number; readonly insetRight: number } => {
    const outer = sources.length === 1 ? { reported: [air, air], simulated: [air, air] } : { reported: [air, 1], simulated: [1, air] };
    const [insetLeft, insetRight] = outer[source];
    return { insetLeft, insetRight };
  };
  // A label stands over the middle of its bar; upright ones over that of the bar's slot, a little beside it: so they are all as far apart as slots are wide.
  const shift = (source: Source): number => (upright ? 0 : (sides(source).insetLeft - sides(source).insetRight) / 2);
  const axisLines = Math.max(...categories.map(nameOf).map((n) => (n === "" ? 0 : n.split("\n").length)));
  const marginBottom = 10 + axisLines * 15;

  const highest = Math.max(...drawn.map((b) => b.value ?? 0), panel.log === true ? 0 : 1e-9);
  const lowest = panel.log === true ? Math.min(...drawn.map((b) => b.value ?? Infinity)) / 2 : 0;
  // Room above the highest bar for its label, in units of the axis.
  const labelShare = (upright ? Math.max(...drawn.map((b) => textWidth(b.label))) + 8 : 18) / (HEIGHT - MARGIN.top - marginBottom);
  const top = Math.max(highest / (1 - labelShare), panel.max ?? 0);

  const svg = Plot.plot({
    document,
    width,
    height: HEIGHT,
    marginLeft: MARGIN.left,
    marginRight: MARGIN.right,
    marginTop: MARGIN.top,
    marginBottom,
    style: { fontFamily: FONT, fontSize: `${FONT_SIZE}px`, color: INK },
    fx: { domain: categories, label: null, axis: null, paddingInner: MARGIN.gap, paddingOuter: MARGIN.gap / 2 },
    // Whole pixels are a twentieth of a narrow slot, which its label needs.
    x: { domain: slots, axis: null, padding: 0, label: null, round: !upright },
    y: { domain: [lowest, top], type: panel.log === true ? "log" : "linear", label: null, ticks: 5, grid: false },
    marks: [
      Plot.gridY({ stroke: "#d9d9d9", strokeOpacity: 1, ticks: 5 }),
      Plot.axisY({ ticks: 5, label: null, fontSize: FONT_SIZE, tickSize: 0 }),
      ...sources.flatMap((source) => {
        const own = drawn.filter((b) => b.source === source);
        const above = upright ? ({ rotate: -90, textAnchor: "start", dy: -4, lineAnchor: "middle" } as const) : ({ dy: -4, lineAnchor: "bottom" } as const);
        return [
          Plot.barY(own, { fx: "group", x: "slot", y1: lowest, y2: "value", fill: source === "reported" ? "#ffffff" : "colour", stroke: "colour", strokeWidth: 1.4, ...sides(source) }),
          Plot.text(own, { fx: "group", x: "slot", y: "value", text: "label", fontSize: FONT_SIZE, fill: INK, stroke: "#ffffff", strokeWidth: 3, dx: shift(source), ...above }),
          Plot.text(missing.filter((b) => b.source === source), { fx: "group", x: "slot", y: lowest, text: "label", fontSize: FONT_SIZE, fill: "#767676", rotate: -90, textAnchor: "start", dx: shift(source), dy: -4, lineAnchor: "middle" }),
        ];
      }),
      Plot.ruleY([lowest], { stroke: INK, strokeWidth: 1 }),
      Plot.text(categories, { fx: (c: string) => c, frameAnchor: "bottom", text: nameOf, dy: 7, lineAnchor: "top", fontSize: FONT_SIZE, fill: INK }),
    ],
  });
  return svg as SVGSVGElement;
};
