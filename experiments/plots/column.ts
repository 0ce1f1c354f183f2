/** A page that is written from top to bottom between its edges. */
import { FONT_SIZE, MUTED, WIDTH, wrapText } from "./style.js";
import { HEADING, element, emptyPage, paged, placed, type Attributes } from "./svg.js";

export const EDGE = 10;
/** Pixels between the edges. */
export const INNER = WIDTH - 2 * EDGE;

export interface Column {
  readonly root: SVGElement;
  /** Goes so many pixels down; the place that is reached. */
  readonly down: (pixels: number) => number;
  /** Wrapped; so many pixels a line. */
  readonly write: (text: string, attributes: Attributes, lineHeight: number) => void;
  readonly heading: (title: string, subtitle: string) => void;
  /** A plot and so many pixels below it. */
  readonly place: (svg: SVGSVGElement, gap: number) => void;
  /** Notes, the last on the page; the page as text. */
  readonly ended: (notes: ReadonlyArray<string>, title: string) => string;
}

export const column = (document: Document): Column => {
  const root = emptyPage(document);
  let y = EDGE;
  const down = (pixels: number): number => (y += pixels);
  const write: Column["write"] = (text, attributes, lineHeight) => {
    for (const line of wrapText(text, INNER, Number(attributes["font-size"] ?? FONT_SIZE), attributes["font-weight"] === "bold"))
      root.append(element(document, "text", { x: EDGE, y: down(lineHeight) - 4, ...attributes }, line));
  };
  return {
    root, down, write,
    heading: (title, subtitle) => {
      write(title, { ...HEADING, "font-size": 15, "font-weight": "bold" }, 20);
      write(subtitle, { ...HEADING, fill: MUTED }, FONT_SIZE + 5);
    },
    place: (svg, gap) => {
      root.append(placed(svg, EDGE, y));
      down(Number(svg.getAttribute("height")) + gap);
    },
    ended: (notes, title) => {
      for (const note of notes) write(note, { fill: MUTED }, FONT_SIZE + 4);
      return paged(document, root, y + EDGE, title);
    },
  };
};
