import { describe, expect, it } from "vitest";
import * as fc from "fast-check";
import { E } from "../../../sim/base/fp.js";
import { parseQuantity, showBytes, showNs, writtenLike, type Dimension } from "../../../sim/base/units.js";

const right = (dimension: Dimension, raw: unknown): number => {
  const parsed = parseQuantity(dimension, raw);
  if (E.isLeft(parsed)) throw new Error(parsed.left);
  return parsed.right;
};
const left = (dimension: Dimension, raw: unknown): string => {
  const parsed = parseQuantity(dimension, raw);
  if (E.isRight(parsed)) throw new Error(`read as ${parsed.right}`);
  return parsed.left;
};

describe("parseQuantity", () => {
  it.each([
    ["bytes", "19GB", 19e9],
    ["bytes", "19GiB", 19 * 2 ** 30],
    ["bytes", "4KiB", 4096],
    ["bytes", "4KB", 4000],
    ["bytes", "512 B", 512],
    ["time", "88us", 88_000],
    ["time", "2.5ms", 2.5e6],
    ["time", "5min", 300e9],
    ["bandwidth", "43.9GB/s", 43.9],
    ["bandwidth", "43.9 GB/s", 43.9],
    ["bandwidth", "1076.10MB/s", 1.0761],
    ["rate", "10.75TOPS", 10_750],
    ["rate", "516.4GFLOPS", 516.4],
    ["frequency", "2270MHz", 2.27],
    ["power", "217mW", 0.217],
    ["energyPerByte", "4pJ/bit", 0.032],
    ["energyPerByte", "0.42nJ/B", 0.42],
    ["ratio", "40%", 0.4],
    ["ratio", 0.4, 0.4],
    ["ratio", "0.4", 0.4],
    ["count", 4.888e9, 4.888e9],
    ["count", "1e9", 1e9],
    ["temperature", "42C", 42],
    ["thermalResistance", "3.4K/W", 3.4],
    ["bytes", ".5GB", 5e8],
    ["bytes", "1e3B", 1000],
  ] as const)("reads a %s of %j as %d", (dimension, raw, expected) => {
    expect(right(dimension, raw)).toBeCloseTo(expected, 9);
  });

  it("tells GB from GiB by 7.4 %", () => {
    expect(right("bytes", "19GiB") / right("bytes", "19GB")).toBeCloseTo(1.0737, 4);
  });

  it.each([
    ["bytes", 19, 'has no unit: 19; write it like "19GB" or "19GiB"'],
    ["bytes", "19", 'has no unit: 19; write it like "19GB" or "19GiB"'],
    ["bandwidth", 43.9, 'has no unit: 43.9; write it like "43.9GB/s"'],
    ["time", " 88 ", 'has no unit: 88; write it like "88us"'],
    ["bytes", "19gb", 'has an unknown unit "gb"; did you mean GB? known: B, KB, MB, GB, TB, KiB, MiB, GiB, TiB'],
    ["bandwidth", "43.9GB", 'has an unknown unit "GB"; did you mean GB/s? known: B/s, KB/s, MB/s, GB/s, TB/s, KiB/s, MiB/s, GiB/s, TiB/s'],
    ["frequency", "3m", 'has an unknown unit "m"; known: GHz, MHz'],
    ["power", "3mw", 'has an unknown unit "mw"; did you mean mW? known: W, mW'],
    ["bytes", "3x", 'has an unknown unit "x"; known: B, KB, MB, GB, TB, KiB, MiB, GiB, TiB'],
    ["time", "3 hours", 'has an unknown unit "hours"; known: ns, us, ms, s, min'],
    ["energyPerByte", "4pJ", 'has an unknown unit "pJ"; did you mean pJ/B? known: nJ/B, pJ/bit, pJ/B'],
    ["bytes", "much", 'is not a quantity: "much"; write it like "19GB" or "19GiB"'],
    ["bytes", "", 'is not a quantity: ""; write it like "19GB" or "19GiB"'],
    ["bytes", null, 'should be a quantity like "19GB" or "19GiB", got null'],
    ["bytes", ["19GB"], 'should be a quantity like "19GB" or "19GiB", got ["19GB"]'],
    ["ratio", Number.NaN, "is not a finite number: NaN"],
    ["bytes", "1e400GB", "is not a finite number: 1e400GB"],
    ["bytes", "19,5GB", 'is not a quantity: "19,5GB"; write it like "19GB" or "19GiB"'],
    ["bytes", "1_000B", 'is not a quantity: "1_000B"; write it like "19GB" or "19GiB"'],
    ["bytes", "19 000MB", 'is not a quantity: "19 000MB"; write it like "19GB" or "19GiB"'],
    ["bytes", "NaN", 'is not a quantity: "NaN"; write it like "19GB" or "19GiB"'],
    ["bytes", "Infinity", 'is not a quantity: "Infinity"; write it like "19GB" or "19GiB"'],
    ["count", "6GB", 'takes no unit, got "6GB"; write it like 6'],
    ["ratio", "40p", 'has an unknown unit "p"; known: %'],
  ] as const)("refuses a %s of %j: %s", (dimension, raw, message) => {
    expect(left(dimension, raw)).toBe(message);
  });

  it("takes no unit from an object's prototype", () => {
    expect(left("bytes", "19constructor")).toContain('has an unknown unit "constructor"');
  });

  it("keeps a sign, so that a later rule can refuse it", () => {
    expect(right("bytes", "-1GB")).toBe(-1e9);
  });

  it("reads what it is given, scaled: twice the number is twice the quantity", () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 1_000_000 }), fc.constantFrom("B", "KB", "KiB", "MB", "GiB"), (n, unit) => right("bytes", `${2 * n}${unit}`) === 2 * right("bytes", `${n}${unit}`)));
  });
});

describe("what people see", () => {
  it.each([[25.37e9, "25.37GB"], [8_640_000, "8.6MB"], [4096, "4.1kB"], [512, "512B"], [-2e9, "-2.00GB"], [0, "0B"]])("shows %d bytes as %s", (bytes, shown) => {
    expect(showBytes(bytes)).toBe(shown);
  });
  it.each([[1.5e9, "1.50s"], [99.76e6, "99.76ms"], [8100, "8.1us"], [250, "250ns"]])("shows %d ns as %s", (ns, shown) => {
    expect(showNs(ns)).toBe(shown);
  });
  it("writes a value of the base unit as a file may, a share like its neighbour", () => {
    expect([writtenLike("bandwidth", 1.5, "2GB/s"), writtenLike("time", 40, "1us"), writtenLike("count", 64, 65), writtenLike("temperature", 150, "200C")]).toEqual(["1.5GB/s", "40ns", "64", "150C"]);
    expect([writtenLike("ratio", 0.0001, 0), writtenLike("ratio", 0.0001, "0%"), writtenLike("ratio", 1.2, "130 %")]).toEqual(["0.0001", "0.01%", "120%"]);
  });
});
