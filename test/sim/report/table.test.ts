import { describe, expect, it } from "vitest";
import { showNumber, showSignedShare, table } from "../../../sim/report/table.js";

describe("a table of text", () => {
  it("aligns each column to its widest cell and leaves no space at line ends", () => {
    expect(table([{ title: "name" }, { title: "n", align: "right" }, { title: "note" }], [["a", "1", ""], ["longer", "1000", "x"]])).toBe("name       n  note\na          1\nlonger  1000  x");
  });

  it("continues a wrapped cell on the next line and cuts a word that is too long", () => {
    expect(table([{ title: "a" }, { title: "b", wrap: 6 }], [["1", "one two abcdefghij"]])).toBe(["a  b", "1  one", "   two", "   abcdef", "   ghij"].join("\n"));
  });

  it("counts what is seen, not code units", () => {
    expect(table([{ title: "a" }, { title: "b" }], [["±1", "x"], ["123", "y"]])).toBe("a    b\n±1   x\n123  y");
  });

  it("has a header line also when there are no rows", () => {
    expect(table([{ title: "a" }, { title: "b" }], [])).toBe("a  b");
  });
});

describe("numbers for people", () => {
  it("keep three digits, and all before the point", () => {
    expect([0, 0.0123456, 0.5, 1.234, 12.34, 123.4, 1234.5, 0.00001].map(showNumber)).toEqual(["0", "0.0123", "0.5", "1.23", "12.3", "123", "1235", "1.00e-5"]);
  });

  it("an error carries its sign", () => {
    expect([0.051, -0.051, 0].map(showSignedShare)).toEqual(["+5.1%", "-5.1%", "0.0%"]);
  });
});
