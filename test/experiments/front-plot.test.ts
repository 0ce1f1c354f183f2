import { describe, expect, it } from "vitest";
import { drawFront, type FrontMark } from "../../experiments/plots/front.js";
import { drawingTools } from "../../cli/node/drawing.js";

const mark = (tokensPerSec: number, chosen = false): FrontMark => ({ tokensPerSec, p99Ms: 1e3 / tokensPerSec, joulesPerToken: 0.3, memoryBytes: 2e10, chosen });
const svg = drawFront(drawingTools().document, { title: "What speed costs", tokens: 96, marks: [mark(10, true), mark(10.001), mark(9.999), mark(8)] });

describe("the picture of a front", () => {
  it("draws the chosen plan after its neighbours, with a ring, in both panels", () => {
    const circles = [...svg.matchAll(/<circle[^>]*>/g)].map(([circle]) => circle);
    const ringed = circles.slice(0, circles.length / 2);
    expect(circles).toHaveLength(10);
    expect(ringed.map((circle) => circle.includes("#D55E00"))).toEqual([false, false, false, true, false]);
    expect(ringed.map((circle) => / r="([\d.]+)"/.exec(circle)![1])).toEqual(["3.6", "3.6", "3.6", "3.6", "7"]);
    // The ring leaves what lies under it to be seen.
    expect(svg.match(/<g aria-label="dot" fill="none"[^>]*stroke="#D55E00"/g)).toHaveLength(2);
  });

  it("says for how many tokens the plans were run", () => {
    expect(svg.replace(/<[^>]*>/g, " ")).toContain("over 96 tokens");
  });
});
