import { describe, expect, it } from "vitest";
import { custom, decode, exactly, flag, list, nullable, number, oneOf, optional, parseJson, refined, text, type Codec } from "../../../sim/base/decode.js";
import { describeError, type AppError } from "../../../sim/base/errors.js";
import { E, type Either } from "../../../sim/base/fp.js";

const told = (result: Either<AppError, unknown>): string => (E.isLeft(result) ? describeError(result.left) : "(accepted)");
const read = <A>(codec: Codec<A>, raw: unknown): string => told(decode(codec, "it.json")(raw));

const core = exactly({ kind: oneOf("big", "mid", "little"), count: number(1, 64, true), clock: number(0.1, 10), note: optional(text, "none") });
const phone = exactly({ name: text, cores: list(core, 1), npu: nullable(exactly({ rate: number(0, 100) })), rooted: optional(flag, false) });
const good = { name: "toy", cores: [{ kind: "big", count: 1, clock: 3.3 }], npu: null };

describe("exactly", () => {
  it("reads what is right and fills in what may be left out", () => {
    expect(decode(phone, "it.json")(good)).toEqual(E.right({ name: "toy", cores: [{ kind: "big", count: 1, clock: 3.3, note: "none" }], npu: null, rooted: false }));
  });

  it("refuses a mistyped key with the nearest one, and the missing key beside it", () => {
    expect(read(core, { kind: "big", count: 1, clok: 3.3 })).toBe(
      ["it.json: 2 mistakes", "  clok: unknown key; did you mean clock? allowed: kind, count, clock, note", "  clock: is missing"].join("\n"),
    );
  });

  it("refuses a strange key without guessing", () => {
    expect(read(core, { kind: "big", count: 1, clock: 3.3, refrigerator: true })).toBe("it.json: 1 mistake\n  refrigerator: unknown key; allowed: kind, count, clock, note");
  });

  it("tells every mistake at once, each with its path", () => {
    const raw = { name: " ", cores: [{ kind: "big", count: 1, clock: 3.3 }, { kind: "mit", count: 1.5, clock: "3GHz" }], npu: { rate: -1 }, rooted: "yes" };
    expect(read(phone, raw)).toBe(
      [
        "it.json: 6 mistakes",
        '  name: should be a non-empty text, got " "',
        '  cores[1].kind: should be one of big, mid, little, got "mit"; did you mean mid?',
        "  cores[1].count: should be a whole number, got 1.5",
        '  cores[1].clock: should be a number, got "3GHz"',
        "  npu.rate: should be between 0 and 100, got -1",
        '  rooted: should be true or false, got "yes"',
      ].join("\n"),
    );
  });

  it("says what an object should hold when it gets something else", () => {
    expect(read(core, [1])).toBe("it.json: 1 mistake\n  (whole): should be an object with kind, count, clock, note, got [1]");
    expect(read(core, null)).toBe("it.json: 1 mistake\n  (whole): should be an object with kind, count, clock, note, got null");
  });

  it("does not take an inherited name for a key", () => {
    expect(read(exactly({ toString: text }), {})).toBe("it.json: 1 mistake\n  toString: is missing");
    expect(read(core, JSON.parse('{"kind":"big","count":1,"clock":1,"__proto__":{"a":1}}'))).toContain("__proto__: unknown key");
  });

  it("does not turn null into a value that may be left out", () => {
    expect(read(phone, { ...good, rooted: null })).toBe("it.json: 1 mistake\n  rooted: should be true or false, got null");
  });
});

describe("list", () => {
  it.each([
    [{}, "should be a list, got {}"],
    [[], "should have at least 1 entries, got 0"],
  ])("refuses %j", (raw, message) => {
    expect(read(list(text, 1), raw)).toBe(`it.json: 1 mistake\n  (whole): ${message}`);
  });
  it("says that it is missing", () => {
    expect(read(exactly({ points: list(text) }), {})).toBe("it.json: 1 mistake\n  points: is missing");
  });
});

describe("number and oneOf", () => {
  it.each([
    [Number.NaN, "should be a number, got NaN"],
    ["3", 'should be a number, got "3"'],
    [0, "should be between 1 and 8, got 0"],
    [9, "should be between 1 and 8, got 9"],
    [1.5, "should be a whole number, got 1.5"],
  ])("refuses %j", (raw, message) => {
    expect(read(number(1, 8, true), raw)).toBe(`it.json: 1 mistake\n  (whole): ${message}`);
  });
  it("takes both ends of its range", () => {
    expect([read(number(1, 8), 1), read(number(1, 8), 8)]).toEqual(["(accepted)", "(accepted)"]);
  });
  it("guesses a choice only when one is near", () => {
    expect(read(oneOf("segmented", "none"), "segmentd")).toContain("; did you mean segmented?");
    expect(read(oneOf("segmented", "none"), "page-cache-of-linux")).not.toContain("did you mean");
    expect(read(oneOf("segmented", "none"), 7)).toContain("should be one of segmented, none, got 7");
  });
});

describe("refined", () => {
  const pair = refined(exactly({ low: number(0, 10), high: number(0, 10) }), (p) => (p.low <= p.high ? [] : [{ path: "high", message: "should lie above low" }]));
  it("tells a mistake between two fields at the one that is to be mended", () => {
    expect(read(pair, { low: 5, high: 1 })).toBe("it.json: 1 mistake\n  high: should lie above low");
  });
  it("keeps quiet about the fields together while one of them is wrong alone", () => {
    expect(read(pair, { low: 5, high: "x" })).toBe('it.json: 1 mistake\n  high: should be a number, got "x"');
  });
});

describe("custom", () => {
  it("never asks a reader about something that is missing", () => {
    const codec = custom("never", (): Either<string, string> => E.left("was asked"));
    expect(read(exactly({ a: codec }), {})).toBe("it.json: 1 mistake\n  a: is missing");
    expect(read(exactly({ a: codec }), { a: 1 })).toBe("it.json: 1 mistake\n  a: was asked");
  });
  it("shortens what it shows of a long value", () => {
    expect(read(flag, "x".repeat(200)).split("got ")[1]).toHaveLength(60);
  });
});

describe("parseJson", () => {
  it("gives the parser's words with the file's name", () => {
    expect(told(parseJson("devices/toy.json", "{ name }"))).toMatch(/^devices\/toy\.json: 1 mistake\n {2}\(whole\): is not JSON: /);
  });
  it("reads JSON", () => {
    expect(parseJson("x", "[1]")).toEqual(E.right([1]));
  });
});
