/** Claim shown: what a whole is made of. One bar, and under it each part with its name and its size. Text takes the page's colour, so that it can be dark. */
import { FONT, FONT_SIZE, textWidth } from "./style.js";
import { element } from "./svg.js";

export interface Share { readonly name: string; readonly value: number; /** As it is to be read. */ readonly label: string; readonly colour: string }

const BAR = 26;
const LINE = 18;
const GAP = 18;

/** Parts in the given order; `title` says what the bar is, for those who do not see it. */
export const drawShares = (document: Document, { title, parts, width }: { readonly title: string; readonly parts: ReadonlyArray<Share>; readonly width: number }): SVGElement => {
  const whole = parts.reduce((sum, part) => sum + part.value, 0);
  const root = element(document, "svg", { xmlns: "http://www.w3.org/2000/svg", "font-family": FONT, "font-size": FONT_SIZE, fill: "currentColor", width, role: "img", "aria-label": `${title}: ${parts.map(({ name, label }) => `${name} ${label}`).join(", ")}` });
  let x = 0;
  for (const { name, value, label, colour } of parts) {
    const wide = whole > 0 ? (value / whole) * width : 0;
    const bar = element(document, "rect", { x: x.toFixed(2), y: 0, width: Math.max(0, wide - 1).toFixed(2), height: BAR, fill: colour });
    bar.append(element(document, "title", {}, `${name}: ${label}`));
    root.append(bar);
    x += wide;
  }
  let left = 0;
  let y = BAR + LINE;
  for (const { name, label, colour } of parts) {
    const text = `${name} ${label}`;
    const wide = 16 + textWidth(text) + GAP;
    if (left > 0 && left + wide - GAP > width) {
      left = 0;
      y += LINE;
    }
    root.append(element(document, "rect", { x: left, y: y - 10, width: 11, height: 11, fill: colour }), element(document, "text", { x: left + 16, y }, text));
    left += wide;
  }
  root.setAttribute("height", String(y + 6));
  root.setAttribute("viewBox", `0 0 ${width} ${y + 6}`);
  return root;
};
