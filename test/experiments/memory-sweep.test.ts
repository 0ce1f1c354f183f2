import { JSDOM } from "jsdom";
import { describe, expect, it } from "vitest";
import { drawMemorySweep, type MemorySweep } from "../../experiments/plots/memory-sweep.js";
import { drawingTools } from "../../cli/node/drawing.js";

const point = (series: string, cache: "cold" | "warm", share: number, value: number) => ({ series, cache, share, value, low: value / 2, high: value * 2 });

const sweep: MemorySweep = {
  title: "m.flash under a memory limit, beside llama.cpp",
  subtitle: "Measured.",
  panels: [
    { title: "tg16", points: [point("neuronlab", "warm", 0.5, 4), point("neuronlab", "warm", 1, 8), point("neuronlab", "cold", 1, 3), point("llama.cpp", "warm", 0.1, 0.5), point("llama.cpp", "warm", 0.5, 1), point("llama.cpp", "warm", 1, 2)], gaps: [{ series: "neuronlab", cache: "warm", share: 0.1 }, { series: "neuronlab", cache: "cold", share: 0.1 }] },
    { title: "pp512", points: [], gaps: [{ series: "llama.cpp, best case", cache: "warm", share: 0.1 }] },
  ],
  notes: ["no run: neuronlab, tg16 at 10 %: does not fit"],
};

describe("the picture of a sweep", () => {
  const { document, png } = drawingTools();
  const svg = drawMemorySweep(document, sweep);

  it("has a dot and a line of its range for each point, and says where and why there is none", () => {
    // One dot a point, and one for each of three series and two states in the legend.
    expect(svg.match(/<circle /g)).toHaveLength(6 + 5);
    expect(svg.match(/no run</g)).toHaveLength(2);
    for (const text of ["neuronlab", "llama.cpp on a dense model of the same size", "cold page cache", "warm page cache", "tg16", "pp512", sweep.notes[0]!]) expect(svg).toContain(text);
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });

  it("is the same picture each time, and a PNG", () => {
    expect(drawMemorySweep(drawingTools().document, sweep)).toBe(svg);
    expect(Buffer.from(png(svg)).toString("latin1", 1, 4)).toBe("PNG");
  });

  it("puts more memory to the right and more speed higher", () => {
    const page = new JSDOM(svg, { contentType: "image/svg+xml" }).window.document;
    const numbers = (circle: Element): readonly [number, number] => [Number(circle.getAttribute("cx")), Number(circle.getAttribute("cy"))];
    // Warm dots of neuronlab; those of the legend are larger.
    const all = [...page.querySelectorAll('circle[r="3.4"]')].filter((circle) => circle.getAttribute("fill") === "#D55E00").map(numbers);
    expect(all).toHaveLength(2);
    expect(all[1]![0]).toBeGreaterThan(all[0]![0]);
    expect(all[1]![1]).toBeLessThan(all[0]![1]);
  });
});
