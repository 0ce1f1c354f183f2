import { describe, expect, it } from "vitest";
import * as fc from "fast-check";
import { editDistance, nearest } from "../../../sim/base/nearest.js";

const DEVICES = ["oneplus-12", "oneplus-ace-2", "oneplus-13", "oneplus-15r", "raspberry-pi-5"];

/** The textbook recursion, slow and obvious. */
const slow = (a: string, b: string): number =>
  a === "" ? b.length : b === "" ? a.length : Math.min(slow(a.slice(1), b) + 1, slow(a, b.slice(1)) + 1, slow(a.slice(1), b.slice(1)) + (a[0] === b[0] ? 0 : 1));

describe("editDistance", () => {
  it.each([["", "", 0], ["abc", "", 3], ["kitten", "sitting", 3], ["clock", "clock", 0], ["clok", "clock", 1]])("of %j and %j is %d", (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
  });
  it("is what the recursion gives", () => {
    const word = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 5 });
    fc.assert(fc.property(word, word, (a, b) => editDistance(a, b) === slow(a, b)));
  });
  it("is the same both ways", () => {
    fc.assert(fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => editDistance(a, b) === editDistance(b, a)));
  });
});

describe("nearest", () => {
  it("finds the name that was meant", () => {
    expect(nearest("oneplus12", DEVICES)).toBe("oneplus-12");
    expect(nearest("OnePlus-Ace2", DEVICES)).toBe("oneplus-ace-2");
    expect(nearest("rasberry-pi-5", DEVICES)).toBe("raspberry-pi-5");
  });
  it("prefers what differs only in punctuation", () => {
    expect(nearest("powerinfer2", ["powerinfer", "powerinfer-2"])).toBe("powerinfer-2");
    expect(nearest("PowerInfer_2", ["powerinfer", "powerinfer-2"])).toBe("powerinfer-2");
    expect(nearest("--", ["%", "qnn"])).toBe("%");
  });
  it("says nothing when nothing is close", () => {
    expect(nearest("nokia-3310-classic", DEVICES)).toBeNull();
    expect(nearest("anything", [])).toBeNull();
  });
  it("takes the first of two that are equally close", () => {
    expect(nearest("oneplus-1", ["oneplus-12", "oneplus-13"])).toBe("oneplus-12");
  });
  it("allows two slips in a short name", () => {
    expect(nearest("qm", ["qnn"])).toBe("qnn");
    expect(nearest("xyzw", ["qnn"])).toBeNull();
  });
});
