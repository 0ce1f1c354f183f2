/** Pictures of sweeps and of ratios: what lies where, and that nothing lies on anything else. */
import { JSDOM } from "jsdom";
import { describe, expect, it } from "vitest";
import { drawFigure } from "../../experiments/plots/figure.js";
import { drawRatios } from "../../experiments/plots/ratios.js";
import { drawSweep, type SweepFigure, type SweepMark } from "../../experiments/plots/sweep.js";
import { FONT_SIZE, WIDTH } from "../../experiments/plots/style.js";
import { evaluate } from "../../experiments/evaluate.js";
import { experiments } from "../../experiments/index.js";
import { fakeLab } from "./fake-lab.js";

const { document } = new JSDOM("").window;
const parsed = (svg: string): Element => new JSDOM(svg, { contentType: "image/svg+xml" }).window.document.documentElement;

/** Where an element's own point lies on the page: its transform and those of what it lies in, and the places of nested pictures. */
const placeOf = (element: Element): readonly [number, number] => {
  let [x, y] = [0, 0];
  for (let at: Element | null = element; at !== null; at = at.parentElement) {
    const moved = /translate\(\s*(-?[\d.]+)[ ,]+(-?[\d.]+)/.exec(at.getAttribute("transform") ?? "");
    if (moved !== null) [x, y] = [x + Number(moved[1]), y + Number(moved[2])];
    if (at.localName === "svg") [x, y] = [x + Number(at.getAttribute("x") ?? 0), y + Number(at.getAttribute("y") ?? 0)];
  }
  return [x, y];
};

const mark = (series: string, x: string, y: number | null): SweepMark => ({ panel: "", series, x, row: "", y, low: y ?? 0, high: y ?? 0, front: false });
const sweep = (marks: ReadonlyArray<SweepMark>): SweepFigure => ({ kind: "lines", title: "speed by memory", notes: [], x: "memory", row: "", y: "tokens/s", series: "model", log: true, marks });

describe("runs that a sweep lacks", () => {
  const SIZES = ["2GiB", "2.5GiB", "3GiB", "3.5GiB", "4GiB", "19GiB"];
  const marks = ["a", "b", "c", "d"].flatMap((series, i) => SIZES.map((x, at) => mark(series, x, at < i ? null : 1 + at)));
  const svg = drawSweep(document, sweep(marks));
  const page = parsed(svg);
  const plot = page.querySelector("svg")!;
  const crosses = [...plot.querySelectorAll('[aria-label="dot"] path')].map((path) => ({ at: placeOf(path), colour: path.getAttribute("stroke") }));

  it("are a cross each, in the colour of their series, and one entry of the key says what a cross is", () => {
    expect(crosses).toHaveLength(1 + 2 + 3);
    expect(new Set(crosses.map(({ colour }) => colour)).size).toBe(3);
    expect(svg.match(/no run could be made/g)).toHaveLength(1);
  });

  it("lie on nothing: not on each other, not on a dot, and above the axis", () => {
    const dots = [...plot.querySelectorAll("circle")].map((dot) => {
      const [x, y] = placeOf(dot);
      return [x + Number(dot.getAttribute("cx")), y + Number(dot.getAttribute("cy"))] as const;
    });
    const bottom = Number(plot.getAttribute("y")) + Number(plot.getAttribute("height")) - 44;
    const apart = ([ax, ay]: readonly [number, number], [bx, by]: readonly [number, number]): number => Math.max(Math.abs(ax - bx), Math.abs(ay - by));
    crosses.forEach(({ at }, i) => {
      for (const other of crosses.slice(i + 1)) expect(apart(at, other.at)).toBeGreaterThanOrEqual(8);
      for (const dot of dots) expect(apart(at, dot)).toBeGreaterThanOrEqual(7);
      expect(at[1]).toBeLessThan(bottom - 3);
    });
  });

  it("leave a picture that lacks none as it was", () => {
    expect(drawSweep(document, sweep(marks.map((one) => ({ ...one, y: 3, low: 3, high: 3 }))))).not.toContain("no run");
  });
});

describe("labels over bars", () => {
  it.each(experiments.filter(({ chart }) => chart.panels.some(({ kind }) => kind === "bars")).map((one) => [one.id, one] as const))("%s: upright ones are further apart than letters are high", (_, experiment) => {
    for (const plot of parsed(drawFigure(document, evaluate(experiment, fakeLab()))).querySelectorAll("svg")) {
      const upright = [...plot.querySelectorAll("text")].filter((text) => (text.getAttribute("transform") ?? "").includes("rotate(-90")).map((text) => placeOf(text)[0]).sort((a, b) => a - b);
      upright.forEach((x, i) => {
        if (i > 0) expect(x - upright[i - 1]!).toBeGreaterThan(FONT_SIZE * 1.2);
      });
    }
  });
});

describe("ratios", () => {
  const marks = [{ name: "slower", ratio: 0.5, low: 0.4, high: 0.7 }, { name: "faster", ratio: 3.824, low: 3.77, high: 4.15 }, { name: "far", ratio: 40, low: 30, high: 60 }];
  const page = parsed(drawRatios(document, { title: "ours over theirs", subtitle: "Measured.", label: "ours over theirs", marks, notes: [] }));

  it("grow to the right, each in a row of its own with its interval, and stand written beside it", () => {
    const dots = [...page.querySelectorAll("circle")].map((dot) => [Number(dot.getAttribute("cx")), Number(dot.getAttribute("cy"))] as const);
    expect(dots).toHaveLength(3);
    expect([...dots].sort(([a], [b]) => a - b)).toEqual(dots);
    expect(new Set(dots.map(([, y]) => y)).size).toBe(3);
    const texts = [...page.querySelectorAll("text")].map(({ textContent }) => textContent);
    for (const text of ["slower", "faster", "far", "0.50", "3.82", "40.00"]) expect(texts).toContain(text);
  });

  it("fit on the page, with the least and the greatest", () => {
    expect(page.outerHTML).not.toMatch(/NaN|Infinity|undefined/);
    for (const line of page.querySelectorAll('[aria-label="rule"] line')) for (const end of ["x1", "x2"]) {
      expect(Number(line.getAttribute(end))).toBeGreaterThanOrEqual(0);
      expect(Number(line.getAttribute(end))).toBeLessThanOrEqual(WIDTH);
    }
  });
});
