/** Claims shown: how curves lie to one another. Panels one below the other, each with its key; lines, dots where values stand alone, a band where a range is known. */
import * as Plot from "@observablehq/plot";
import { FONT, FONT_SIZE, INK, MUTED, WIDTH, textWidth, wrapText } from "./style.js";
import { HEADING, element, emptyPage, paged, placed } from "./svg.js";

/** Several curves of one name are one entry of the key. */
export interface Curve { readonly name: string; readonly colour: string; readonly dash?: string; readonly thin?: true; readonly dots?: true; readonly points: ReadonlyArray<{ readonly x: number; readonly y: number }> }

export interface CurvePanel {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly xScale: "sqrt" | "linear" | "log";
  readonly ticks: ReadonlyArray<number>;
  readonly tick: (value: number) => string;
  readonly band?: { readonly name: string; readonly colour: string; readonly points: ReadonlyArray<{ readonly x: number; readonly low: number; readonly high: number }> };
  readonly curves: ReadonlyArray<Curve>;
}

const EDGE = 10;
const HEIGHT = 280;

const plotOf = (document: Document, panel: CurvePanel): SVGSVGElement => {
  const rows = panel.curves.flatMap(({ colour, dash = "", thin, dots, points }, curve) => points.map((point) => ({ ...point, curve, colour, dash, thin: thin === true, dots: dots === true })));
  const lines = (wanted: (row: (typeof rows)[number]) => boolean, strokeWidth: number, dash?: string) => Plot.line(rows.filter(wanted), { x: "x", y: "y", z: "curve", stroke: "colour", strokeWidth, ...(dash === undefined ? {} : { strokeDasharray: dash }) });
  const dashes = [...new Set(rows.map(({ dash }) => dash))];
  return Plot.plot({
    document, width: WIDTH - 2 * EDGE, height: HEIGHT, marginLeft: 46, marginRight: 26, marginTop: 10, marginBottom: 44,
    style: { fontFamily: FONT, fontSize: `${FONT_SIZE}px`, color: INK },
    x: { type: panel.xScale === "log" ? "log" : panel.xScale, label: null },
    y: { label: null, nice: true },
    marks: [
      Plot.gridY({ stroke: "#d9d9d9", strokeOpacity: 1, ticks: 6 }),
      ...(panel.band === undefined ? [] : [Plot.areaY(panel.band.points, { x: "x", y1: "low", y2: "high", fill: panel.band.colour, fillOpacity: 0.18 })]),
      Plot.axisY({ ticks: 6, label: null, fontSize: FONT_SIZE, tickSize: 0, tickFormat: (v: number) => `${Math.round(1000 * v) / 10}%` }),
      Plot.axisX({ ticks: [...panel.ticks], label: panel.xLabel, labelAnchor: "center", labelArrow: "none", labelOffset: 38, fontSize: FONT_SIZE, tickSize: 4, tickFormat: panel.tick }),
      ...dashes.flatMap((dash) => [lines((row) => row.dash === dash && row.thin, 1, dash), lines((row) => row.dash === dash && !row.thin, 2.2, dash)]),
      Plot.dot(rows.filter(({ dots }) => dots), { x: "x", y: "y", fill: "colour", r: 3.4 }),
    ],
  }) as SVGSVGElement;
};

const keyOf = ({ curves, band }: CurvePanel): ReadonlyArray<{ readonly text: string; readonly colour: string; readonly dash: string; readonly width: number }> => [
  ...curves.filter((curve, i) => curves.findIndex((other) => other.name === curve.name) === i).map(({ name, colour, dash = "", thin }) => ({ text: name, colour, dash, width: thin === true ? 1 : 2.2 })),
  ...(band === undefined ? [] : [{ text: band.name, colour: band.colour, dash: "", width: 8 }]),
];

export const drawCurves = (document: Document, title: string, panels: ReadonlyArray<CurvePanel>): string => {
  const root = emptyPage(document);
  let y = EDGE;
  for (const panel of panels) {
    for (const line of wrapText(panel.title, WIDTH - 2 * EDGE, FONT_SIZE, true)) {
      y += 16;
      // Of a panel that stands alone it is the page's own.
      root.append(element(document, "text", { ...(panels.length === 1 ? HEADING : {}), x: EDGE, y, "font-weight": "bold" }, line));
    }
    y += 18;
    let x = EDGE;
    for (const { text, colour, dash, width } of keyOf(panel)) {
      const wide = 30 + textWidth(text) + 12;
      if (x > EDGE && x + wide > WIDTH - EDGE) {
        x = EDGE;
        y += 17;
      }
      root.append(element(document, "line", { x1: x, x2: x + 22, y1: y - 4, y2: y - 4, stroke: colour, "stroke-width": width, "stroke-dasharray": dash, ...(width === 8 ? { "stroke-opacity": 0.25 } : {}) }), element(document, "text", { x: x + 28, y }, text));
      x += wide;
    }
    y += 18;
    root.append(element(document, "text", { x: EDGE, y, fill: MUTED }, panel.yLabel), placed(plotOf(document, panel), EDGE, y + 2));
    y += HEIGHT + 14;
  }
  return paged(document, root, y, title);
};
