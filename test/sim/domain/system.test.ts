import { describe, expect, it } from "vitest";
import { decode } from "../../../sim/base/decode.js";
import { describeError } from "../../../sim/base/errors.js";
import { E } from "../../../sim/base/fp.js";
import { systemCodec } from "../../../sim/domain/system.js";
import { edited } from "./edit.js";

const fact = (value: unknown): unknown => ({ value, kind: "estimated", source: "test", note: "test" });
const mechanisms = {
  computation: "predicted", decodeOn: "cpu+npu", prefillOn: "npu", loading: "two-phase", cache: "segmented", overlap: "cluster",
  submitters: "io-thread", prefetchHot: "under-attention", prefillOverlap: "next-layer", scalesResident: "yes", offload: "yes",
};
const raw = {
  schema: "neuronlab/system@1", name: "toy", title: "Toy", source: "test", mechanisms,
  software: { denseEfficiency: fact(1), sparseEfficiency: fact(1), gemmEfficiency: fact(1), npuStream: "bulk", streamEfficiency: fact(1), prefillChunk: fact(512), runtimeBytes: fact("0.3GiB"), cacheUpkeep: null, threads: null },
};
const told = (document: unknown): string => {
  const result = decode(systemCodec, "systems/toy.json")(document);
  return E.isLeft(result) ? describeError(result.left) : "(accepted)";
};

describe("a system", () => {
  it("is a composition of mechanisms and the constants of its software", () => {
    expect(told(raw)).toBe("(accepted)");
  });

  it.each([
    ["a mechanism that does not exist", ["mechanisms", "cache"], "segment", 'mechanisms.cache: should be one of segmented, neuron-lru, expert-lru, window, static-hot, page-cache, none, clock, lfu, s3-fifo, sieve, arc, got "segment"; did you mean segmented?'],
    ["yes as a truth value", ["mechanisms", "offload"], true, "mechanisms.offload: should be one of yes, no, got true"],
    ["a missing mechanism", ["mechanisms", "overlap"], undefined, "mechanisms.overlap: is missing"],
    ["prefill on two units", ["mechanisms", "prefillOn"], "cpu+npu", 'mechanisms.prefillOn: should be one of cpu, npu, gpu, got "cpu+npu"'],
    ["an efficiency far above one", ["software", "denseEfficiency"], fact(2), "software.denseEfficiency.value: is too large: 2; should be at most 1.2"],
    ["a stream far above the flash's own rate", ["software", "streamEfficiency"], fact("151%"), "software.streamEfficiency.value: is too large: 151%; should be at most 150%"],
    ["a size without a unit", ["software", "runtimeBytes"], fact(300), 'software.runtimeBytes.value: has no unit: 300; write it like "19GB" or "19GiB"'],
    ["no threads", ["software", "threads"], fact(0), "software.threads.value: is too small: 0; should be at least 1"],
    ["threads without their provenance", ["software", "threads"], 4, "software.threads: should be an object with value, kind, source, note, got 4"],
  ] as const)("refuses %s", (_what, path, value, message) => {
    expect(told(edited(raw, path, value))).toBe(`systems/toy.json: 1 mistake\n  ${message}`);
  });
});
