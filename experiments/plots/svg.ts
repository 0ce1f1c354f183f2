/** A page of SVG put together by hand: what Plot draws is placed on it. Nothing here opens a file. */
import { FONT, FONT_SIZE, INK, WIDTH } from "./style.js";

const SVG = "http://www.w3.org/2000/svg";

export type Attributes = Readonly<Record<string, string | number>>;

export const element = (document: Document, name: string, attributes: Attributes, text?: string): SVGElement => {
  const made = document.createElementNS(SVG, name) as SVGElement;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  if (text !== undefined) made.textContent = text;
  return made;
};

/** Of a line of the page's title or subtitle: a page of the web writes them itself, where a narrow screen breaks their lines. */
export const HEADING = { class: "heading" } as const;

export const emptyPage = (document: Document): SVGElement => element(document, "svg", { xmlns: SVG, "font-family": FONT, "font-size": FONT_SIZE, fill: INK, color: INK });

/** A plot with its left upper corner at (x, y). */
export const placed = (svg: SVGSVGElement, x: number, y: number): SVGSVGElement => {
  // Plot's style sheet and inline style need a browser; what matters of them is set as attributes.
  for (const style of svg.querySelectorAll("style")) style.remove();
  svg.removeAttribute("style");
  svg.setAttribute("font-family", FONT);
  svg.setAttribute("font-size", String(FONT_SIZE));
  svg.setAttribute("x", String(x));
  svg.setAttribute("y", String(y));
  return svg;
};

/** The page as text, on white and with its title, `bottom` px high. */
export const paged = (document: Document, root: SVGElement, bottom: number, title: string): string => {
  const height = Math.ceil(bottom);
  root.setAttribute("width", String(WIDTH));
  root.setAttribute("height", String(height));
  root.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`);
  root.prepend(element(document, "title", {}, title), element(document, "rect", { width: WIDTH, height, fill: "#ffffff" }));
  return shortened(root.outerHTML);
};

/** Coordinates to a hundredth of a pixel: the same picture in half the bytes, and the same bytes on every machine. Text is left alone. */
const shortened = (svg: string): string =>
  `${svg.replace(/<[^>]*>/g, (tag) => tag.replace(/-?\d+\.\d{3,}(?:e-?\d+)?/g, (n) => String(Number(Number(n).toFixed(2)))))}\n`;
