import { JSDOM } from "jsdom";
import { describe, expect, it } from "vitest";
import { evaluate } from "../../experiments/evaluate.js";
import { experiments } from "../../experiments/index.js";
import { drawFigure } from "../../experiments/plots/figure.js";
import { inOneLine, showReported, showSimulated, shows } from "../../experiments/plots/panel-rows.js";
import { FONT_FILES, rasterise } from "../../experiments/plots/raster.js";
import { KNOWN_SERIES } from "../../experiments/plots/series.js";
import { FONT_SIZE, WIDTH, textWidth, wrapText } from "../../experiments/plots/style.js";
import { fileURLToPath } from "node:url";
import { fakeLab } from "./fake-lab.js";

const document = new JSDOM("").window.document;
const fonts = FONT_FILES.map((file) => fileURLToPath(new URL(`../../${file}`, import.meta.url)));
const parsed = (svg: string): Element => new JSDOM(svg, { contentType: "image/svg+xml" }).window.document.documentElement;
/** Width and height stand in a PNG's header, big-endian. */
const sizeOf = (png: Uint8Array): readonly [number, number] => {
  const view = new DataView(png.buffer, png.byteOffset);
  return [view.getUint32(16), view.getUint32(20)];
};

describe.each(experiments.map((e) => [e.id, e] as const))("the figure of %s", (_, experiment) => {
  const svg = drawFigure(document, evaluate(experiment, fakeLab()));
  const root = parsed(svg);

  it("is well-formed, as wide as a page and names the paper's figure", () => {
    expect(root.getAttribute("width")).toBe(String(WIDTH));
    expect(root.querySelector("title")?.textContent).toBe(`${experiment.paper}: ${experiment.title}`);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });

  it("has no text smaller than 9 pt", () => {
    const sizes = [...root.querySelectorAll("[font-size]")].map((e) => parseFloat(e.getAttribute("font-size")!));
    expect(Math.min(...sizes)).toBeGreaterThanOrEqual(FONT_SIZE);
  });

  it("shows every panel's title and unit", () => {
    const texts = [...root.querySelectorAll("text")].map((t) => t.textContent ?? "");
    for (const panel of experiment.chart.panels) {
      expect(texts.join(" ")).toContain(panel.title);
      const reported = [...experiment.points, ...(experiment.reportedOnly ?? [])].filter((of) => shows(panel, of));
      const elsewhere = experiment.points.length + (experiment.reportedOnly ?? []).length > 0;
      expect(texts).toContain(`${panel.yLabel}${elsewhere && reported.length === 0 ? ", simulated only" : ""}`);
    }
  });

  it("shows each point in one panel", () => {
    for (const point of experiment.points) expect(experiment.chart.panels.filter((panel) => shows(panel, point)).map((panel) => panel.title), point.id).toHaveLength(1);
  });

  it("becomes a PNG of twice its size", () => {
    const [width, height] = sizeOf(rasterise(svg, fonts));
    expect(width).toBe(2 * WIDTH);
    expect(Math.abs(height - 2 * Number(root.getAttribute("height")))).toBeLessThanOrEqual(1);
  });

  it("is drawn without any run too, and says what is missing", () => {
    const empty = drawFigure(document, evaluate(experiment, fakeLab({ missing: () => true })));
    expect(empty).not.toMatch(/NaN|Infinity|undefined/);
    if (experiment.points.some((p) => p.uses.length > 0)) expect(empty).toContain("does not fit in memory");
  });

  it("is the same text each time", () => {
    expect(drawFigure(document, evaluate(experiment, fakeLab()))).toBe(svg);
  });
});

describe("figures together", () => {
  it("give a known name and colour to every series", () => {
    const series = new Set(experiments.flatMap((e) => [...e.points.map((p) => p.series), ...(e.curves?.(fakeLab()) ?? []).map((c) => c.series)]));
    expect([...series].filter((s) => !KNOWN_SERIES.includes(s))).toEqual([]);
  });

  it("leave printed digits alone when coordinates are shortened", () => {
    expect(drawFigure(document, evaluate(experiments.find((e) => e.id === "t8")!, fakeLab()))).toContain(">5.095<");
  });

  it("store Turbo Sparse's two bars as they are", async () => {
    const experiment = experiments.find((e) => e.id === "ts-t9")!;
    const svg = drawFigure(document, evaluate(experiment, fakeLab()));
    await expect(svg.replace(/-?\d+\.\d+/g, (n) => String(Number(Number(n).toPrecision(3)))).replace(/></g, ">\n<")).toMatchFileSnapshot("figures/ts-t9.svg");
  });
});

describe("labels", () => {
  it("show a reported value as it was printed", () => {
    expect([showReported(10, 0.05), showReported(0.4, 0.005), showReported(405, 0.5), showReported(20 / 1.86, 0.5 / 1.86)]).toEqual(["10.0", "0.40", "405", "10.8"]);
  });
  it("show about three digits of a simulated one", () => {
    expect([445.1, 48.11, 3.632, 0.5634, 0.0421].map(showSimulated)).toEqual(["445", "48.1", "3.63", "0.56", "0.042"]);
  });
  it("join the lines of a name, at a hyphen without a space", () => {
    expect(["Llama-\n13B", "in\nmemory", "Bamboo-7B"].map(inOneLine)).toEqual(["Llama-13B", "in memory", "Bamboo-7B"]);
  });
  it("wrap at spaces to the width given", () => {
    for (const line of wrapText("PowerInfer-2 is fastest in every cell of the figure", 120)) expect(textWidth(line)).toBeLessThanOrEqual(120);
  });
});
