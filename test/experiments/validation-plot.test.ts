import { JSDOM } from "jsdom";
import { describe, expect, it } from "vitest";
import { drawValidation } from "../../experiments/plots/validation.js";

const document = new JSDOM("").window.document;
const dot = (at: number) => ({ model: "silu", predicted: at, measured: at, check: true });

const numbers = (element: Element, name: string): number => Number(element.getAttribute(name));

describe("the picture of a validation", () => {
  it.each([["one value", [10]], ["one decade", [1, 10]], ["four decades", [0.1, 1000]]] as const)("keeps its key off the ticks of the axis, over %s", (_, values) => {
    const svg = drawValidation(document, values.map(dot));
    const ticks = svg.querySelector('g[aria-label="y-axis tick"]')!;
    const origin = (element: Element): number => Number(/translate\((-?[\d.]+)/.exec(element.getAttribute("transform") ?? "")?.[1] ?? 0);
    const rightmost = Math.max(...[...ticks.querySelectorAll("path")].map((tick) => origin(tick) + origin(ticks)));
    const dots = [...svg.querySelectorAll("circle")];
    const [key, shown] = [dots.slice(values.length), dots.slice(0, values.length)];
    expect(shown).toHaveLength(values.length);
    expect(key).toHaveLength(3);
    for (const circle of key) {
      expect(numbers(circle, "cx") - 5.3).toBeGreaterThan(rightmost + 6);
      expect(numbers(circle, "cx")).toBeLessThan(rightmost + 40);
    }
  });
});
