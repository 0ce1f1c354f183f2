import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { E } from "../../../sim/base/fp.js";
import { decode } from "../../../sim/base/decode.js";
import { sweepCodec, type Declaration } from "../../../sim/sweep/declaration.js";
import { pointsOf } from "../../../sim/sweep/points.js";
import { doubtfulFacts, resolver, type Shelf } from "../../../sim/sweep/resolve.js";
import { factorsOf } from "./factors.js";

const read = (more: object): E.Either<ReadonlyArray<string>, Declaration> => {
  const decoded = decode(sweepCodec, "a.json")({ schema: "neuronlab/sweep@1", id: "a", title: "A", axes: [{ over: "batch", values: [1] }], ...more });
  return E.isRight(decoded) ? decoded : E.left(decoded.left._tag === "BadInput" ? decoded.left.mistakes.map(({ path, message }) => `${path}: ${message}`) : []);
};
const declared = (more: object): Declaration => {
  const found = read(more);
  if (E.isLeft(found)) throw new Error(found.left.join("\n"));
  return found.right;
};
const mistakes = (more: object): ReadonlyArray<string> => {
  const found = read(more);
  return E.isLeft(found) ? found.left : [];
};
const kept = (more: object) => pointsOf(declared(more)).kept;

const shelf: Shelf = { document: (profile, name) => JSON.parse(readFileSync(`${profile}s/${name}.json`, "utf8")) as unknown, plan: null };

describe("a declaration", () => {
  it("tells every mistake at once, each at its place", () => {
    const told = mistakes({
      id: "A B", repetitions: 0, metrics: ["tokensPerSecond"], stop: { metric: "tokensPerSec", halfWidth: 2, atMost: 5 }, base: { memory: "13", tokens: -1, device: "" },
      axes: [{ over: "plan.io.lane", values: [1] }, { over: "batch", values: [0, "x"] }, { over: "memory", range: { from: "1GiB", to: "2GB", steps: 3 } }, { over: "fidelity" }], where: [["~", 1, 2]], colour: "red",
    });
    expect(told.map((line) => line.split(":")[0])).toEqual(["colour", "id", "base.device", "base.memory", "base.tokens", "axes[0].over", "axes[1].values[0]", "axes[1].values[1]", "axes[2].range.from", "axes[3].values", "where[0]", "repetitions", "stop.halfWidth", "metrics[0]"]);
    expect(told.join("\n")).toContain("did you mean plan.io.lanes?");
    expect(told.join("\n")).toContain("did you mean tokensPerSec?");
  });

  it("sees what fields contradict each other in", () => {
    const axes = [{ name: "a", over: "memory", values: ["9GiB"] }, { name: "a", over: ["offload", "batch"], values: [1] }, { over: "seed", values: [1] }];
    expect(mistakes({ axes, where: [["<", "$b", 1]], repetitions: 2, picture: { kind: "lines", title: "T", x: "c", y: "tokensPerSec" } }).map((line) => line.split(":")[0])).toEqual(["axes", "base.offload", "repetitions", "where[0]", "picture.x"]);
    expect(mistakes({ axes: [{ zip: [{ over: "batch", values: [1, 2] }, { over: "tokens", values: [1] }] }] })[0]).toContain("axes[0].zip[1]: has 1 values, and batch has 2");
    expect(mistakes({ axes: [{ over: "memory", as: "factor", values: [2] }] })[0]).toContain("factor is for numbers of profiles");
  });
});

describe("the points of a declaration", () => {
  it("cross every axis with every other, the last one fastest", () => {
    expect(kept({ axes: [{ over: "batch", values: [1, 2] }, { over: "plan.io.lanes", values: [1, 4] }] })).toEqual([{ batch: 1, lanes: 1 }, { batch: 1, lanes: 4 }, { batch: 2, lanes: 1 }, { batch: 2, lanes: 4 }]);
  });

  it("a range has its ends, its unit and, along a logarithm, even ratios", () => {
    expect(kept({ axes: [{ over: "memory", range: { from: "8GiB", to: "9GiB", steps: 3 } }] }).map(({ memory }) => memory)).toEqual(["8GiB", "8.5GiB", "9GiB"]);
    expect(kept({ axes: [{ over: "plan.pipeline.depth", range: { from: 1, to: 64, steps: 7, scale: "log" } }] }).map(({ depth }) => depth)).toEqual([1, 2, 4, 8, 16, 32, 64]);
    expect(kept({ axes: [{ over: "batch", range: { from: 1, to: 3, steps: 9 } }] }).map(({ batch }) => batch)).toEqual([1, 2, 3]);
  });

  it("zipped axes go value by value", () => {
    expect(kept({ axes: [{ zip: [{ over: "model", values: ["a", "b"] }, { over: "memory", values: ["1GB", "2GB"] }] }, { over: "batch", values: [1, 2] }] })).toEqual([
      { model: "a", memory: "1GB", batch: 1 }, { model: "a", memory: "1GB", batch: 2 }, { model: "b", memory: "2GB", batch: 1 }, { model: "b", memory: "2GB", batch: 2 },
    ]);
  });

  it("conditions rule points out, with sizes compared by what they amount to", () => {
    const points = pointsOf(declared({ axes: [{ name: "block", over: "plan.io.streamBlock", values: ["64KiB", "1MiB"] }, { name: "lanes", over: "plan.io.lanes", values: [1, 2, 4] }], where: [["<=", ["*", "$block", "$lanes"], "2MiB"], ["!=", "$block", "64KiB"]] }));
    expect(points.kept).toEqual([{ block: "1MiB", lanes: 1 }, { block: "1MiB", lanes: 2 }]);
    expect(points.ruledOut).toBe(4);
  });

  it("a sample is one dimension, crossed with the others", () => {
    const points = kept({ axes: [{ over: "batch", values: [1, 2] }, { sample: "latin-hypercube", points: 10, axes: [{ over: "memory", range: { from: "8GiB", to: "16GiB" } }, { over: "fidelity", values: ["analytic", "cluster"] }] }] });
    expect(points).toHaveLength(20);
    expect(points.slice(0, 10).map(({ memory, fidelity }) => [memory, fidelity])).toEqual(points.slice(10).map(({ memory, fidelity }) => [memory, fidelity]));
    expect(new Set(points.map(({ memory }) => memory)).size).toBe(10);
    expect(points.filter(({ fidelity }) => fidelity === "analytic")).toHaveLength(10);
  });
});

describe("facts that are varied", () => {
  const doubts = (axis: object): ReadonlyArray<string> => doubtfulFacts(declared({ axes: [axis] }), shelf).map(({ message }) => message);

  it("may be moved where nobody measured them, and else only with the question that is asked", () => {
    expect(doubts({ over: "device.flash.latency", as: "factor", values: [2] })).toEqual([]);
    expect(doubts({ over: "device.flash.random[].rate", as: "factor", values: [2] })).toEqual([expect.stringContaining("is printed and derived, and only calibrated and estimated facts")]);
    expect(doubts({ over: "device.flash.random[].rate", as: "factor", values: [2], whatIf: "UFS 5" })).toEqual([]);
  });

  it("must be there", () => {
    expect(doubts({ over: "device.flash.latenzy", values: ["1us"] })).toEqual([expect.stringContaining("did you mean flash.latency?")]);
  });
});

describe("a resolved point", () => {
  const at = (more: object) => {
    const declaration = declared(more);
    const [first] = pointsOf(declaration).kept;
    return resolver(declaration, shelf)(first!);
  };
  const right = <A>(found: E.Either<unknown, A>): A => {
    if (E.isLeft(found)) throw new Error(JSON.stringify(found.left));
    return found.right;
  };

  it("has the profile with the number moved, which says so, and all others as they were", () => {
    const before = right(at({ axes: [{ over: "batch", values: [1] }] })).device;
    const after = right(at({ axes: [{ over: "device.flash.random[].rate", as: "factor", values: [2], whatIf: "UFS 5" }] })).device;
    expect(factorsOf(before.flash.random.map((p) => p.rate.value), after.flash.random.map((p) => p.rate.value))).toEqual([2]);
    expect(after.flash.random.every(({ rate }) => rate.kind === "estimated" && rate.source === "set by a sweep")).toBe(true);
    expect({ ...after, flash: null }).toEqual({ ...before, flash: null });
    expect(after.flash.sequential).toEqual(before.flash.sequential);
  });

  it("takes a quantity as the file writes it", () => {
    expect(right(at({ axes: [{ over: "device.flash.latency", values: ["88us"] }] })).device.flash.latency.value).toBe(88e3);
  });

  it("steeper skew keeps the curve between the diagonal and 1", () => {
    const points = right(at({ axes: [{ over: "model.activations.skew", as: "factor", values: [0], whatIf: "even" }] })).model.activations.skew.points;
    expect(points.every((p) => p.activations === p.neurons)).toBe(true);
  });

  it("has a plan with the decision in it, whose parts still fill the memory", () => {
    const { request } = right(at({ base: { memory: "13GiB" }, axes: [{ over: "plan.pipeline.depth", values: [3] }] }));
    const plan = request.plan!;
    expect(plan.pipeline.depth).toBe(3);
    const held = Object.values(plan.cache).reduce((sum, bytes) => sum + bytes, 0);
    expect(held).toBeLessThanOrEqual(13 * 2 ** 30);
    expect(held).toBeGreaterThan(13 * 2 ** 30 - 1e6);
  });

  it("is refused where a system has no such decision, and where nothing fits", () => {
    expect(at({ base: { system: "llama.cpp" }, axes: [{ over: "plan.hotShare", values: [0.5] }] })).toMatchObject({ left: { _tag: "Unsupported" } });
    expect(at({ base: { memory: "1GiB" }, axes: [{ over: "plan.hotShare", values: [0.5] }] })).toMatchObject({ left: { _tag: "DoesNotFit" } });
  });

  it("a number out of its profile's bounds is the point's mistake", () => {
    expect(at({ axes: [{ over: "device.thermal.floor", as: "factor", values: [9], whatIf: "cold" }] })).toMatchObject({ left: { _tag: "BadInput" } });
  });
});
