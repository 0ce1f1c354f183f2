/** What people type for storage that becomes slower. */
import { describe, expect, it } from "vitest";
import { E } from "../../../sim/base/fp.js";
import { parseSlowStorage, showSlowStorage } from "../../../sim/domain/slow-storage.js";

describe("slower storage", () => {
  it("is read as it is shown", () => {
    for (const typed of ["3@32", "bytes:4@0", "reads:2.5@100"]) {
      const read = parseSlowStorage(typed);
      expect(E.isRight(read) && showSlowStorage(read.right)).toBe(typed);
    }
    expect(parseSlowStorage("all:3@32")).toEqual(E.right({ of: "all", factor: 3, token: 32 }));
  });

  it("is refused with what would be right", () => {
    for (const [typed, message] of [["3", "write it like 3@32"], ["link:3@32", "write it like"], ["0.5@3", "should be 1 to 1000 times slower, got 0.5"], ["2000@3", "got 2000"], ["3@-1", "write it like"], ["3@99999999999", "after fewer tokens"]] as const) {
      const read = parseSlowStorage(typed);
      expect(E.isLeft(read) && read.left, typed).toContain(message);
    }
  });
});
