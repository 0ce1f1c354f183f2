/** Predicted beside measured in one square: on the diagonal the twin is right. The document is handed in. */
import * as Plot from "@observablehq/plot";
import { FONT, FONT_SIZE, INK, MUTED, WIDTH } from "./style.js";

/** Tokens/s of one cell; those that are only compared are filled. */
export interface ValidationDot { readonly model: string; readonly predicted: number; readonly measured: number; readonly check: boolean }

/** Okabe and Ito's colours, which most people tell apart. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"] as const;
const HEIGHT = 520;
/** Of the width, and not of the first value: over three decades a few percent of that are a pixel, and the dots lie on the ticks of the axis. */
const KEY_LEFT = 0.03;

export const drawValidation = (document: Document, cells: ReadonlyArray<ValidationDot>): SVGSVGElement => {
  const models = [...new Set(cells.map(({ model }) => model))];
  const dots = cells.map(({ model, ...cell }) => ({ ...cell, colour: COLOURS[models.indexOf(model) % COLOURS.length]! }));
  const all = dots.flatMap(({ predicted, measured }) => [predicted, measured]);
  const domain: [number, number] = [Math.min(...all) / 1.2, Math.max(...all) * 1.2];
  const ends = [{ x: domain[0], y: domain[0] }, { x: domain[1], y: domain[1] }];
  const off = (ratio: number) => ends.map(({ x, y }) => ({ x, y: y * ratio }));
  const within = (share: number): number => domain[0] * (domain[1] / domain[0]) ** share;
  const key = [
    ...models.map((model, i) => ({ text: model, colour: COLOURS[i % COLOURS.length]!, fill: COLOURS[i % COLOURS.length]! })),
    { text: "check", colour: MUTED, fill: MUTED }, { text: "calibration", colour: MUTED, fill: "#ffffff" },
  ].map((entry, i) => ({ ...entry, x: within(KEY_LEFT), y: within(1 - 0.03 - 0.045 * i) }));
  const svg = Plot.plot({
    document,
    width: WIDTH,
    height: HEIGHT,
    marginLeft: 62, marginRight: 16, marginTop: 12, marginBottom: 46,
    style: { fontFamily: FONT, fontSize: `${FONT_SIZE}px`, color: INK },
    x: { type: "log", domain, label: "measured, tokens/s", labelAnchor: "center", labelArrow: "none", tickFormat: "~g", ticks: 6 },
    y: { type: "log", domain, label: "predicted, tokens/s", labelAnchor: "center", labelArrow: "none", tickFormat: "~g", ticks: 6 },
    marks: [
      Plot.line(ends, { x: "x", y: "y", stroke: MUTED }),
      ...[0.9, 1 / 0.9].map((ratio) => Plot.line(off(ratio), { x: "x", y: "y", stroke: MUTED, strokeDasharray: "4 4", clip: true })),
      Plot.dot(dots, { x: "measured", y: "predicted", stroke: "colour", fill: (d: (typeof dots)[number]) => (d.check ? d.colour : "#ffffff"), r: 4.5, strokeWidth: 1.6 }),
      Plot.dot(key, { x: "x", y: "y", stroke: "colour", fill: "fill", r: 4.5, strokeWidth: 1.6 }),
      Plot.text(key, { x: "x", y: "y", text: "text", dx: 12, textAnchor: "start", fontSize: FONT_SIZE, fill: INK }),
    ],
  }) as SVGSVGElement;
  // A file of its own needs to say what it is.
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return svg;
};
