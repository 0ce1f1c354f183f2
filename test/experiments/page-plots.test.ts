/** Plots of the pages: what is drawn is what was given, however narrow. */
import fc from "fast-check";
import { JSDOM } from "jsdom";
import { describe, expect, it } from "vitest";
import { ACTIVITY_COLOURS } from "../../experiments/plots/activities.js";
import { drawCacheHeat } from "../../experiments/plots/cache-heat.js";
import { drawShares } from "../../experiments/plots/shares.js";
import { drawTimeline } from "../../experiments/plots/timeline.js";
import { ACTIVITIES, type SpanRow } from "../../sim/domain/run.js";

const { document } = new JSDOM("").window;
const numberOf = (element: Element, name: string): number => Number(element.getAttribute(name));

const aSpan = fc.record({ startNs: fc.nat(1e6), long: fc.integer({ min: 1, max: 1e5 }), what: fc.constantFrom(...ACTIVITIES), critical: fc.boolean() })
  .map(({ startNs, long, what, critical }): SpanRow => ({ lane: "flash", what, startNs, endNs: startNs + long, token: 0, layer: 3, critical }));
const timelineOf = (spans: ReadonlyArray<SpanRow>, fromNs: number, toNs: number) => drawTimeline(document, { title: "a token", lanes: ["flash", "npu"], spans, window: { fromNs, toNs }, width: 700, margin: 60 });
/** Bars of spans: those with a word to say. */
const barsOf = (svg: SVGElement): ReadonlyArray<Element> => [...svg.querySelectorAll("rect")].filter((rect) => rect.querySelector("title") !== null);

describe("a timeline", () => {
  it("draws every span in its place and colour, none outside the picture", () => {
    fc.assert(fc.property(fc.array(aSpan, { minLength: 1, maxLength: 60 }), (spans) => {
      const bars = barsOf(timelineOf(spans, 0, 1.2e6));
      for (const bar of bars) {
        expect(numberOf(bar, "x")).toBeGreaterThanOrEqual(60);
        expect(numberOf(bar, "x") + numberOf(bar, "width")).toBeLessThanOrEqual(700.5);
      }
      // Each span's middle lies under a bar of its colour.
      for (const { what, startNs, endNs } of spans) {
        const middle = 60 + ((startNs + endNs) / 2 / 1.2e6) * 640;
        expect(bars.some((bar) => bar.getAttribute("fill") === ACTIVITY_COLOURS[what] && numberOf(bar, "x") <= middle + 0.5 && numberOf(bar, "x") + numberOf(bar, "width") >= middle - 0.5)).toBe(true);
      }
    }), { seed: 3, numRuns: 60 });
  });

  it("joins what is too narrow to see: ten thousand spans are few bars, and come apart in a narrow window", () => {
    const spans = Array.from({ length: 10_000 }, (_, i): SpanRow => ({ lane: "flash", what: "read gate", startNs: i * 100, endNs: i * 100 + 90, token: 0, layer: 0, critical: false }));
    expect(barsOf(timelineOf(spans, 0, 1e6)).length).toBeLessThan(100);
    expect(barsOf(timelineOf(spans, 0, 2000))).toHaveLength(20);
  });

  it("says what it shows, and marks the critical path", () => {
    const svg = timelineOf([{ lane: "npu", what: "dense FFN", startNs: 1e5, endNs: 3e5, token: 0, layer: 7, critical: true }], 0, 1e6);
    expect(barsOf(svg)[0]!.querySelector("title")!.textContent).toBe("dense FFN, layer 7, on the critical path");
    expect(svg.getAttribute("aria-label")).toBe("a token, 0 ms to 1 ms");
    expect([...svg.querySelectorAll("rect")].filter((rect) => rect.getAttribute("height") === "2")).toHaveLength(1);
  });
});

describe("a bar of shares", () => {
  it("is as wide as it may be, in proportion, and its words say each part", () => {
    const svg = drawShares(document, { title: "time", width: 400, parts: [{ name: "a", value: 3, label: "3 ms", colour: "#111111" }, { name: "b", value: 1, label: "1 ms", colour: "#222222" }] });
    const [a, b] = barsOf(svg);
    expect([numberOf(a!, "width"), numberOf(b!, "x"), numberOf(b!, "width")]).toEqual([299, 300, 99]);
    expect(svg.getAttribute("aria-label")).toBe("time: a 3 ms, b 1 ms");
    expect([...svg.querySelectorAll("text")].map(({ textContent }) => textContent)).toEqual(["a 3 ms", "b 1 ms"]);
  });
});

describe("a map of heat", () => {
  it("has a colour for found, another for missed, and one rectangle where all is alike", () => {
    const [all, none] = [drawCacheHeat(document, { pinned: 1, width: 400, layers: [[{ from: 0, to: 0.3, held: 1 }, { from: 0.3, to: 1, held: 1 }]] }), drawCacheHeat(document, { pinned: 0, width: 400, layers: [[{ from: 0, to: 1, held: 0 }]] })];
    const first = (svg: SVGElement): Element => svg.querySelector("rect")!;
    expect(numberOf(first(all), "width")).toBeCloseTo(330.3, 1);
    expect(first(all).getAttribute("fill")).not.toBe(first(none).getAttribute("fill"));
  });
});
