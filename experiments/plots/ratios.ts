/** Claim shown: how many times as fast one program is as another. A dot is the median over pairs of runs, its line the interval; right of the dashed line the first is faster. */
import * as Plot from "@observablehq/plot";
import { INNER, column } from "./column.js";
import { FONT, FONT_SIZE, INK, MUTED, textWidth } from "./style.js";

/** `name` once only. */
export interface RatioMark { readonly name: string; readonly ratio: number; readonly low: number; readonly high: number }

export interface Ratios {
  readonly title: string;
  readonly subtitle: string;
  /** Of the axis: what is divided by what. */
  readonly label: string;
  readonly marks: ReadonlyArray<RatioMark>;
  readonly notes: ReadonlyArray<string>;
}

const ROW = 34;
const VERMILION = "#D55E00";
/** Of these, as many as lie within the picture. */
const TICKS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000] as const;

const plotOf = (document: Document, { label, marks }: Ratios): SVGSVGElement => {
  const [least, greatest] = [Math.min(1, ...marks.map(({ low }) => low)), Math.max(1, ...marks.map(({ high }) => high))];
  // Room on the right for the number beside the last line.
  const domain: readonly [number, number] = [least / 1.15, Math.max(2, greatest) * 1.35];
  return Plot.plot({
    document, width: INNER, height: 60 + ROW * marks.length, marginLeft: 14 + Math.max(...marks.map(({ name }) => textWidth(name))), marginRight: 16, marginTop: 8, marginBottom: 44,
    style: { fontFamily: FONT, fontSize: `${FONT_SIZE}px`, color: INK },
    x: { type: "log", domain: [...domain], label: null },
    y: { type: "point", domain: marks.map(({ name }) => name), label: null, padding: 0.6 },
    marks: [
      Plot.gridX(TICKS.filter((tick) => tick >= domain[0] && tick <= domain[1]), { stroke: "#d9d9d9", strokeOpacity: 1 }),
      Plot.axisX(TICKS.filter((tick) => tick >= domain[0] && tick <= domain[1]), { label, labelAnchor: "center", labelArrow: "none", labelOffset: 38, fontSize: FONT_SIZE, tickSize: 4, tickFormat: (v: number) => String(v) }),
      Plot.axisY({ label: null, fontSize: FONT_SIZE, tickSize: 0 }),
      Plot.ruleX([1], { stroke: MUTED, strokeDasharray: "4 3" }),
      Plot.ruleY([...marks], { y: "name", x1: "low", x2: "high", stroke: VERMILION, strokeWidth: 2 }),
      Plot.dot([...marks], { x: "ratio", y: "name", fill: VERMILION, r: 4.4, stroke: "#ffffff", strokeWidth: 1 }),
      Plot.text([...marks], { x: "high", y: "name", text: ({ ratio }: RatioMark) => ratio.toFixed(2), dx: 8, textAnchor: "start", fontSize: FONT_SIZE, fill: INK }),
    ],
  }) as SVGSVGElement;
};

export const drawRatios = (document: Document, ratios: Ratios): string => {
  const page = column(document);
  page.heading(ratios.title, ratios.subtitle);
  page.place(plotOf(document, ratios), 6);
  return page.ended(ratios.notes, ratios.title);
};
