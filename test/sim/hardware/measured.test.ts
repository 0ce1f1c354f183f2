import { describe, expect, it } from "vitest";
import { E } from "../../../sim/base/fp.js";
import { decode } from "../../../sim/base/decode.js";
import { measurementsCodec, type Measurements } from "../../../sim/domain/measurements.js";
import { attentionRate, costOf, denseRate, productRate, readNumber, sparseRate, threadsOf, type ReadsOf } from "../../../sim/hardware/measured.js";
import { tables as raw } from "../../fakes/probed.js";

const tables = ((): Measurements => {
  const read = decode(measurementsCodec, "the test")(raw);
  if (E.isLeft(read)) throw new Error("the test's tables do not decode");
  return read.right;
})();
const one = { big: 1, mid: 0, little: 0 };
const two = { big: 2, mid: 0, little: 0 };

describe("rates between the cells that were timed", () => {
  it("of a dense matrix lie between its neighbours in the logarithm of its size, and stay beyond the last", () => {
    const at = (rows: number): number | null => denseRate(tables, one, { format: "q4_0", rows, cols: 4096 });
    expect([at(1024), at(16384)]).toEqual([8, 16]);
    expect(at(4096)).toBeCloseTo(Math.sqrt(8 * 16), 12);
    expect([at(16), at(1e6)]).toEqual([8, 16]);
  });
  it("are of the nearest width and of exactly these threads", () => {
    expect(denseRate(tables, one, { format: "q4_0", rows: 4096, cols: 1500 })).toBe(3);
    expect(denseRate(tables, two, { format: "q4_0", rows: 4096, cols: 4096 })).toBe(20);
    expect(denseRate(tables, { big: 3, mid: 0, little: 0 }, { format: "q4_0", rows: 4096, cols: 4096 })).toBeNull();
    expect(denseRate(tables, one, { format: "q8_0", rows: 4096, cols: 4096 })).toBeNull();
    expect(threadsOf(tables, [1])).toEqual(one);
  });
  it("of the sparse kernel follow the share, of products the batch, of attention the context", () => {
    expect(sparseRate(tables, one, "up-down", { cols: 4096, share: 0.1 })).toBeCloseTo(Math.sqrt(50), 12);
    expect(sparseRate(tables, one, "gather", { cols: 4096, share: 0.1 })).toBeNull();
    expect(productRate(tables, one, { format: "q4_0", batch: 32 })).toBeCloseTo(100, 10);
    expect(attentionRate(tables, one, 2048)).toBe(12);
  });
});

describe("reads", () => {
  const reads: ReadsOf = { backend: "io_uring", inFlight: 64, direct: true, pattern: "random", block: 4096, range: 2 ** 27 };
  it("follow the block at the usual depth, over the nearest range", () => {
    expect(readNumber(tables, reads, "rate")).toBe(0.2);
    expect(readNumber(tables, { ...reads, block: 8192 }, "rate")).toBeCloseTo(0.4, 12);
    expect(readNumber(tables, { ...reads, range: 3e9 }, "rate")).toBe(0.1);
  });
  it("at another depth are slower by what small ones were", () => {
    expect(readNumber(tables, { ...reads, inFlight: 1, block: 16384 }, "rate")! / readNumber(tables, { ...reads, block: 16384 }, "rate")!).toBeCloseTo(0.05 / 0.15, 6);
    expect(readNumber(tables, { ...reads, inFlight: 1 }, "cpu")).toBeCloseTo(6000, 6);
  });
  it("that nobody timed have no rate", () => expect(readNumber(tables, { ...reads, backend: "pread" }, "rate")).toBeNull());
});

describe("costs", () => {
  it("are of exactly these threads", () => {
    expect([costOf(tables, "dispatch", two), costOf(tables, "thread-start", one), costOf(tables, "dispatch", one), costOf(tables, "hit", one)]).toEqual([900, 4000, null, null]);
  });
});
