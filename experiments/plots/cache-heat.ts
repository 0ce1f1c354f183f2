/** Claim shown: which neurons are found in memory. Layers downwards, popularity to the right on a square-root scale; bright is found, dark is read from flash. */
import { interpolateViridis } from "d3";
import { FONT, FONT_SIZE } from "./style.js";
import { element } from "./svg.js";

export interface HeatCell { readonly from: number; readonly to: number; readonly held: number }
export interface HeatMap { readonly pinned: number; readonly layers: ReadonlyArray<ReadonlyArray<HeatCell>>; readonly width: number }

const MARGIN = 58;
const ROWS = 160;
const BOTTOM = 58;
const LEVELS = 20;
/** Most neurons are rarely used: a plain scale would give the hot ones no room. */
const place = (share: number, inner: number): number => MARGIN + Math.sqrt(share) * inner;

const TICKS = [0.01, 0.05, 0.1, 0.25, 0.5, 1] as const;

export const drawCacheHeat = (document: Document, { pinned, layers, width }: HeatMap): SVGElement => {
  const inner = width - MARGIN - 12;
  const height = ROWS / layers.length;
  const root = element(document, "svg", { xmlns: "http://www.w3.org/2000/svg", "font-family": FONT, "font-size": FONT_SIZE, fill: "currentColor", width, height: ROWS + BOTTOM, viewBox: `0 0 ${width} ${ROWS + BOTTOM}`, role: "img", "aria-label": `Share of uses found in memory, by layer and popularity; the hottest ${(100 * pinned).toFixed(0)}% of the neurons never leave` });
  layers.forEach((cells, layer) => {
    let run: { readonly level: number; readonly from: number; to: number } | null = null;
    const flush = (): void => {
      if (run === null) return;
      const [left, right] = [place(run.from, inner), place(run.to, inner)];
      root.append(element(document, "rect", { x: left.toFixed(2), y: (layer * height).toFixed(2), width: (right - left + 0.3).toFixed(2), height: (height + 0.3).toFixed(2), fill: interpolateViridis(run.level / LEVELS) }));
    };
    for (const { from, to, held } of cells) {
      const level = Math.round(held * LEVELS);
      if (run !== null && run.level === level) run.to = to;
      else {
        flush();
        run = { level, from, to };
      }
    }
    flush();
  });
  root.append(element(document, "text", { x: 0, y: 11 }, "layer 0"), element(document, "text", { x: 0, y: ROWS }, `layer ${layers.length - 1}`));
  for (const tick of TICKS) {
    const x = place(tick, inner);
    root.append(element(document, "line", { x1: x, x2: x, y1: ROWS, y2: ROWS + 4, stroke: "currentColor" }), element(document, "text", { x, y: ROWS + 17, "text-anchor": tick === 1 ? "end" : "middle" }, `${100 * tick}%`));
  }
  root.append(element(document, "text", { x: MARGIN, y: ROWS + 34, "fill-opacity": 0.75 }, "neurons, the hottest first"));
  if (pinned > 0 && pinned < 1) {
    const x = place(pinned, inner);
    root.append(element(document, "line", { x1: x, x2: x, y1: 0, y2: ROWS, stroke: "#ffffff", "stroke-width": 1.5, "stroke-dasharray": "4 3" }));
  }
  const key = element(document, "g", { transform: `translate(${MARGIN},${ROWS + 42})` });
  for (let level = 0; level <= LEVELS; level++) key.append(element(document, "rect", { x: 110 + level * 5, y: 0, width: 5.3, height: 11, fill: interpolateViridis(level / LEVELS) }));
  key.append(element(document, "text", { x: 0, y: 10 }, "in memory: never"), element(document, "text", { x: 122 + LEVELS * 5, y: 10 }, "always"));
  root.append(key);
  return root;
};
