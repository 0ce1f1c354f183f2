import { describe, expect, it } from "vitest";
import { decode } from "../../../sim/base/decode.js";
import { describeError } from "../../../sim/base/errors.js";
import { E } from "../../../sim/base/fp.js";
import { encodePlan, npuShareAt, planCodec, residentBytes, type Plan } from "../../../sim/domain/plan.js";
import { edited } from "./edit.js";

const raw = {
  schema: "neuronlab/plan@1", device: "oneplus-12", model: "bamboo-7b", system: "powerinfer-2", memory: "4GiB",
  mechanisms: {
    computation: "predicted", decodeOn: "cpu+npu", prefillOn: "npu", loading: "two-phase", cache: "segmented", overlap: "cluster",
    submitters: "io-thread", prefetchHot: "under-attention", prefillOverlap: "next-layer", scalesResident: "yes", offload: "yes",
  },
  compute: { threads: { big: 1, mid: 4, little: 0 }, ioCore: "mid", attentionOn: "npu", npuRows: [{ batch: 1, share: 0.5 }, { batch: 3, share: 0.7 }] },
  cluster: { neurons: 512 },
  cache: { fixed: "1GB", predictors: "0.4GB", scales: "0.3GB", kv: "0.1GB", runtime: "0.3GB", hot: "1GB", cold: "500MB" },
  pipeline: { depth: 4 },
  io: { streamBlock: "512KiB", lanes: 1 },
};
const told = (document: unknown): string => {
  const result = decode(planCodec, "plan.json")(document);
  return E.isLeft(result) ? describeError(result.left) : "(accepted)";
};
const plan = (document: unknown = raw): Plan => {
  const result = decode(planCodec, "plan.json")(document);
  if (E.isLeft(result)) throw new Error(describeError(result.left));
  return result.right;
};

describe("a plan", () => {
  it("holds sizes in bytes", () => {
    expect(plan().memory).toBe(4 * 2 ** 30);
    expect(plan().io.streamBlock).toBe(524_288);
  });

  it("counts as resident the sum of its segments", () => {
    expect(residentBytes(plan())).toBe(3.6e9);
  });

  it("takes the NPU's share of the largest batch not above the current one", () => {
    expect([1, 2, 3, 4, 100].map((batch) => npuShareAt(plan(), batch))).toEqual([0.5, 0.5, 0.7, 0.7, 0.7]);
  });

  it("says the shape of its model, or not, and is written as it was read", () => {
    const shape = { layers: 4, hidden: 256, neurons: 768, experts: 8, used: 2, vocabulary: 512 };
    expect([plan().shape, plan({ ...raw, shape }).shape]).toEqual([null, shape]);
    expect(encodePlan(plan())).not.toHaveProperty("shape");
    expect(plan(encodePlan(plan({ ...raw, shape }))).shape).toEqual(shape);
  });

  it.each([
    ["a shape without layers", ["shape"], { layers: 0, hidden: 256, neurons: 768, experts: 8, used: 2, vocabulary: 512 }, "shape.layers: should be between 1 and 1000, got 0"],
    ["a bare size", ["memory"], 19, 'memory: has no unit: 19; write it like "19GB" or "19GiB"'],
    ["a negative size", ["cache", "cold"], "-1GB", "cache.cold: must not be negative: -1GB"],
    ["a share as a percentage text", ["compute", "npuRows", 0, "share"], "50%", 'compute.npuRows[0].share: should be a number, got "50%"'],
    ["no share at all", ["compute", "npuRows"], [], "compute.npuRows: should have at least 1 entries, got 0"],
    ["a cluster of nothing", ["cluster", "neurons"], 0, "cluster.neurons: should be between 1 and 1048576, got 0"],
    ["a core kind that does not exist", ["compute", "ioCore"], "medium", 'compute.ioCore: should be one of big, mid, little, none, got "medium"'],
    ["a mistyped segment", ["cache", "hott"], "1GB", "cache.hott: unknown key; did you mean hot? allowed: fixed, predictors, scales, kv, runtime, hot, cold"],
  ] as const)("refuses %s", (_what, path, value, message) => {
    expect(told(edited(raw, path, value))).toBe(`plan.json: 1 mistake\n  ${message}`);
  });
});
