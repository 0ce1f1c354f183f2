/** Claim shown: what speed costs. Each plan that no other beats in everything, once over energy and once over memory. */
import * as Plot from "@observablehq/plot";
import { FONT, FONT_SIZE, INK, MUTED, WIDTH, wrapText } from "./style.js";

export interface FrontMark { readonly tokensPerSec: number; readonly p99Ms: number; readonly joulesPerToken: number; readonly memoryBytes: number; readonly chosen: boolean }
/** `tokens`: that each plan was run for. */
export interface Front { readonly title: string; readonly tokens: number; readonly marks: ReadonlyArray<FrontMark> }

const SVG = "http://www.w3.org/2000/svg";
const EDGE = 10;
const GAP = 14;
const HEIGHT = 250;
const BLUE = "#0072B2";
const VERMILION = "#D55E00";

interface Panel { readonly title: string; readonly x: (mark: FrontMark) => number }
const PANELS: ReadonlyArray<Panel> = [
  { title: "J/token", x: (m) => m.joulesPerToken },
  { title: "memory held, GB", x: (m) => m.memoryBytes / 1e9 },
];

/** Some air on both sides, also about a single value. */
const around = (values: ReadonlyArray<number>): [number, number] => {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const air = high > low ? (high - low) * 0.08 : Math.max(1e-9, Math.abs(high) * 0.1);
  return [low - air, high + air];
};

const panelOf = (document: Document, { marks }: Front, { x }: Panel, width: number): Element => {
  const rows = marks.map((m) => ({ x: x(m), y: m.tokensPerSec, chosen: m.chosen })).sort((a, b) => Number(a.chosen) - Number(b.chosen));
  const svg = Plot.plot({
    document, width, height: HEIGHT, marginLeft: 46, marginRight: 14, marginTop: 10, marginBottom: 34,
    style: { fontFamily: FONT, fontSize: `${FONT_SIZE}px`, color: INK },
    x: { domain: around(rows.map((r) => r.x)), label: null },
    y: { domain: around(rows.map((r) => r.y)), label: null },
    marks: [
      Plot.gridY({ stroke: "#d9d9d9", strokeOpacity: 1, ticks: 5 }),
      Plot.axisY({ ticks: 5, label: null, fontSize: FONT_SIZE, tickSize: 0 }),
      Plot.axisX({ ticks: 4, label: null, fontSize: FONT_SIZE, tickSize: 4 }),
      // Small ones later by default: neighbours would hide the one that is looked for. The ring hides none of them.
      Plot.dot(rows, { x: "x", y: "y", r: 3.6, sort: null, fill: (r: { readonly chosen: boolean }) => (r.chosen ? VERMILION : BLUE), stroke: "#ffffff", strokeWidth: 0.8 }),
      Plot.dot(rows.filter((r) => r.chosen), { x: "x", y: "y", r: 7, fill: "none", stroke: VERMILION, strokeWidth: 1.8 }),
    ],
  });
  // Plot's style sheet and inline style need a browser; what matters of them is set as attributes.
  for (const style of svg.querySelectorAll("style")) style.remove();
  svg.removeAttribute("style");
  return svg;
};

/** Coordinates to a hundredth of a pixel: the same bytes on every machine. */
const shortened = (svg: string): string => `${svg.replace(/<[^>]*>/g, (tag) => tag.replace(/-?\d+\.\d{3,}(?:e-?\d+)?/g, (n) => String(Number(Number(n).toFixed(2)))))}\n`;

export const drawFront = (document: Document, front: Front): string => {
  const root = document.createElementNS(SVG, "svg");
  const text = (words: string, attributes: Readonly<Record<string, string | number>>): void => {
    const made = document.createElementNS(SVG, "text");
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
    made.textContent = words;
    root.append(made);
  };
  let y = EDGE;
  for (const line of wrapText(front.title, WIDTH - 2 * EDGE, 15, true)) {
    y += 20;
    text(line, { x: EDGE, y: y - 4, "font-size": 15, "font-weight": "bold" });
  }
  for (const line of wrapText(`tokens/s (upwards), over ${front.tokens} tokens, of every plan that no other beats in speed, P99 latency, energy and memory at once; the ringed dot is the chosen one`, WIDTH - 2 * EDGE)) {
    y += 17;
    text(line, { x: EDGE, y: y - 4, fill: MUTED });
  }
  const width = (WIDTH - 2 * EDGE - GAP) / PANELS.length;
  PANELS.forEach((panel, i) => {
    const left = EDGE + i * (width + GAP);
    text(`over ${panel.title}`, { x: left, y: y + 18, "font-weight": "bold" });
    const svg = panelOf(document, front, panel, width);
    svg.setAttribute("font-family", FONT);
    svg.setAttribute("font-size", String(FONT_SIZE));
    svg.setAttribute("x", String(left));
    svg.setAttribute("y", String(y + 24));
    root.append(svg);
  });
  const height = y + 24 + HEIGHT + EDGE;
  for (const [key, value] of Object.entries({ xmlns: SVG, "font-family": FONT, "font-size": FONT_SIZE, fill: INK, color: INK, width: WIDTH, height, viewBox: `0 0 ${WIDTH} ${height}` })) root.setAttribute(key, String(value));
  const page = document.createElementNS(SVG, "rect");
  for (const [key, value] of Object.entries({ width: WIDTH, height, fill: "#ffffff" })) page.setAttribute(key, String(value));
  const title = document.createElementNS(SVG, "title");
  title.textContent = front.title;
  root.prepend(title, page);
  return shortened(root.outerHTML);
};
