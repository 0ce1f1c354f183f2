import { describe, expect, it } from "vitest";
import { badInput, describeError, disk, exitCode, stuck, together, unknownName, unsupported, type AppError } from "../../../sim/base/errors.js";

const words = badInput("neuronlab simulate", [{ path: "--seed", message: "is wrong" }]);
const plan = badInput("p.json", [{ path: "memory", message: "is missing" }]);
const name = unknownName("device", "oneplus12", ["oneplus-12"], "oneplus-12");
const all = (first: AppError, ...others: ReadonlyArray<AppError>): AppError => others.reduce(together, first);

describe("what does not fit", () => {
  it.each([[2 ** 20, "1.0MB"], [9_999_999, "10.0MB"], [10e6, "0.01GB"], [5000, "5.0kB"], [0, "0B"], [4e9, "4.00GB"]])("shows %i bytes as %s", (allowed, shown) => {
    expect(describeError({ _tag: "DoesNotFit", needed: 5e9, allowed, parts: [{ part: "weights", bytes: allowed }], hint: "h" })).toBe(`does not fit: needs 5.00GB, allowed ${shown}; h\n  ${shown.padStart(9)}  weights`);
  });
});

describe("faults told together", () => {
  it("stand in the order of asking, one block a document", () => {
    expect(describeError(all(words, plan, name))).toBe(
      ["neuronlab simulate: 1 mistake", "  --seed: is wrong", "p.json: 1 mistake", "  memory: is missing", "unknown device: oneplus12; did you mean oneplus-12?", "  known: oneplus-12"].join("\n"),
    );
  });

  it("of one document are joined, and what two say alike is said once", () => {
    const more = badInput("p.json", [{ path: "memory", message: "is missing" }, { path: "device", message: "is missing" }]);
    expect(describeError(all(plan, words, more))).toBe(["p.json: 2 mistakes", "  memory: is missing", "  device: is missing", "neuronlab simulate: 1 mistake", "  --seed: is wrong"].join("\n"));
    expect([all(plan, plan), all(name, name), all(words, all(words, plan), plan)]).toEqual([plan, name, all(words, plan)]);
  });

  it("may be joined in any grouping", () => {
    expect(together(together(words, plan), name)).toEqual(together(words, together(plan, name)));
  });

  it.each([
    [[words, plan], 2],
    [[words, unsupported("x", "cannot")], 3],
    [[words, disk("p.json", "permission denied")], 74],
    [[stuck(1, ["flash"]), words], 70],
  ] as ReadonlyArray<[readonly [AppError, AppError], number]>)("exit as the gravest of them: %j", ([first, second], code) => {
    expect(exitCode(together(first, second))).toBe(code);
  });
});
