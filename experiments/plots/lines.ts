/** Claim shown: the shape of a curve. Solid with filled dots: simulated; dashed with hollow dots: reported, where the paper prints values. */
import * as Plot from "@observablehq/plot";
import type { PanelRows } from "./panel-rows.js";
import { styleOf } from "./series.js";
import { FONT, FONT_SIZE, INK } from "./style.js";

interface Dot { readonly series: string; readonly x: number | string; readonly value: number; readonly colour: string }

export const drawLines = (document: Document, rows: PanelRows, width: number): SVGSVGElement => {
  const { panel, marks, lines, categories } = rows;
  const dot = (m: { readonly series: string; readonly x: number | string; readonly value: number }): Dot => ({ series: m.series, x: m.x, value: m.value, colour: styleOf(m.series).colour });
  const pointsOf = (source: "reported" | "simulated"): ReadonlyArray<Dot> => marks.flatMap((m) => (m.source === source && m.value !== null ? [dot({ ...m, value: m.value })] : []));

  const curves = lines.map(dot);
  const drawnAsCurve = new Set(curves.map((c) => c.series));
  const simulated = [...curves, ...pointsOf("simulated").filter((p) => !drawnAsCurve.has(p.series))];
  const reported = pointsOf("reported");
  // Two printed points do not make a line.
  const connected = reported.filter((p) => reported.filter((q) => q.series === p.series).length > 2);
  const all = [...simulated, ...reported].map((p) => p.value);
  const missing = marks.filter((m) => m.source === "simulated" && m.value === null);

  const category = panel.xScale === "category";
  const log = panel.log === true;
  const domain: [number, number] = log ? [Math.min(...all) / 1.4, Math.max(...all) * 1.4] : [0, panel.max ?? Math.max(...all, 1e-9) * 1.08];
  const height = 256;
  const ticks = panel.ticks === undefined ? {} : { ticks: [...panel.ticks] };

  const svg = Plot.plot({
    document,
    width,
    height,
    marginLeft: log ? 60 : 46,
    marginRight: 16,
    marginTop: 10,
    marginBottom: 44,
    style: { fontFamily: FONT, fontSize: `${FONT_SIZE}px`, color: INK },
    x: category ? { type: "point", domain: categories, label: null } : { type: panel.xScale === "log" ? "log" : "linear", label: null, inset: 8, ...(panel.xScale === "log" ? { base: 2 } : {}) },
    y: { type: log ? "log" : "linear", domain, label: null },
    marks: [
      Plot.gridY({ stroke: "#d9d9d9", strokeOpacity: 1, ticks: log ? 3 : 6 }),
      Plot.axisY({ ticks: log ? 3 : 6, label: null, fontSize: FONT_SIZE, tickSize: 0, ...(log ? { tickFormat: (v: number) => v.toLocaleString("en-US") } : {}) }),
      Plot.axisX({ ...ticks, label: panel.xLabel ?? "", labelAnchor: "center", labelArrow: "none", labelOffset: 38, fontSize: FONT_SIZE, tickSize: 4, ...(category ? {} : { tickFormat: (v: number) => String(v) }) }),
      Plot.line(connected, { x: "x", y: "value", z: "series", stroke: "colour", strokeWidth: 1.6, strokeDasharray: "5 4" }),
      Plot.line(simulated, { x: "x", y: "value", z: "series", stroke: "colour", strokeWidth: 2.2 }),
      Plot.dot(reported, { x: "x", y: "value", fill: "#ffffff", stroke: "colour", strokeWidth: 1.8, r: 5.5 }),
      Plot.dot(simulated, { x: "x", y: "value", fill: "colour", r: 3.4 }),
      Plot.text(missing, { x: "x", frameAnchor: "bottom", text: () => "no run", fontSize: FONT_SIZE, fill: "#8a8a8a", rotate: -90, textAnchor: "start", dy: -4 }),
    ],
  });
  return svg as SVGSVGElement;
};
