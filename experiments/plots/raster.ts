/** SVG to PNG at twice the size, with the fonts that travel with the repository: the same pixels on every machine. */
import { Resvg } from "@resvg/resvg-js";
import { WIDTH } from "./style.js";

/** Files under the package's root; resvg reads them itself. Without them it drops all text silently. */
export const FONT_FILES: ReadonlyArray<string> = ["experiments/plots/fonts/DejaVuSans.ttf", "experiments/plots/fonts/DejaVuSans-Bold.ttf"];

export const rasterise = (svg: string, fontFiles: ReadonlyArray<string>): Uint8Array =>
  new Resvg(svg, {
    fitTo: { mode: "width", value: 2 * WIDTH },
    background: "#ffffff",
    font: { loadSystemFonts: false, fontFiles: [...fontFiles], defaultFontFamily: "DejaVu Sans" },
  }).render().asPng();
