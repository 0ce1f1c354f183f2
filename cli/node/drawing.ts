/** What pictures are drawn with: a document without a browser, and a rasteriser with the fonts of the package. */
import { join } from "node:path";
import { JSDOM } from "jsdom";
import { FONT_FILES, rasterise } from "../../experiments/plots/raster.js";
import { packageRoot } from "./package.js";

export const drawingTools = (): { readonly document: Document; readonly png: (svg: string) => Uint8Array } => {
  const fonts = FONT_FILES.map((file) => join(packageRoot(), file));
  return { document: new JSDOM("").window.document, png: (svg) => rasterise(svg, fonts) };
};
