/** What decides whether a tuned plan is better here: room, turns, who goes on, and ratios that a drift of the machine cannot move. */
import { describe, expect, it } from "vitest";
import { decode } from "../../sim/base/decode.js";
import { E } from "../../sim/base/fp.js";
import { planCodec } from "../../sim/domain/plan.js";
import { cellsOf } from "../../experiments/validate/cells.js";
import { planOf } from "../../experiments/validate/plan.js";
import { reportTuned } from "../../experiments/validate/tuned-report.js";
import { beatsDefault, chosenOf, finalistsOf, finals, marginOf, nearBest, screening, speedOf, tries, withRoom, type OfModel, type Timed } from "../../experiments/validate/tuned.js";
import { testModel } from "../arb/neurons.js";

const model = { ...testModel({ layers: 2, ffn: 1024 }), name: "one" };
const cells = cellsOf(["one", "two"], 1, true, 2);
const drawn = cells.filter((cell) => cell.model === "one");
const had = planOf({ ...drawn[0]!, budget: 0.5 }, model);

describe("drawn plans", () => {
  it("get the room that the engine had, whatever their own budget was; other models' are left out", () => {
    const moved = withRoom(cells, model, had);
    expect(moved.map(({ cell }) => cell.id)).toEqual(drawn.map(({ id }) => id));
    const room = had.cache.hot + had.cache.cold;
    for (const { plan, cell } of moved) {
      expect(Math.abs(plan.cache.hot + plan.cache.cold - room), cell.id).toBeLessThan(0.01 * room);
      expect(plan.mechanisms.loading).toBe(cell.loading);
    }
  });
});

describe("turns", () => {
  it("go through each model forwards and backwards in turn, the last ones from repetition 1 on", () => {
    expect(screening([["a", "b"], ["c", "d"]]).map(({ cell }) => cell)).toEqual(["a", "b", "d", "c"]);
    expect(finals([["a", "b"]], 3).map(({ cell, repetition }) => `${cell}${repetition}`)).toEqual(["a1", "b1", "b2", "a2", "a3", "b3"]);
  });
});

/** A machine that becomes slower by a tenth each round, on which `slow` takes a fifth longer than `fast`. */
const drifting: ReadonlyArray<Timed> = [0, 1, 2, 3, 4, 5, 6, 7, 8].flatMap((repetition) => [
  { cell: "fast", repetition, ms: 10 * 1.1 ** repetition },
  { cell: "slow", repetition, ms: 12 * 1.1 ** repetition },
]);

describe("ratios", () => {
  it("are taken round by round: drift cancels; the screening does not count", () => {
    const margin = marginOf("fast", "slow", [...drifting.filter(({ repetition }) => repetition > 0), { cell: "slow", repetition: 0, ms: 1000 }]);
    expect(margin.pairs).toHaveLength(8);
    expect(margin.ratio).toBeCloseTo(1.2, 12);
    expect([margin.low, margin.high].map((x) => x.toFixed(9))).toEqual(["1.200000000", "1.200000000"]);
    expect(margin.confidence).toBeGreaterThan(0.95);
    expect(speedOf("fast", drifting)).toBeCloseTo(1e3 / (10 * 1.1 ** 4.5), 0);
  });

  it("are tried before they count, in turns of their own; the fastest is chosen, of two alike the first", () => {
    const turns = tries([["a", "b"]], 2);
    expect(turns.map(({ cell, repetition }) => `${cell}${repetition}`)).toEqual(["a-1", "b-1", "b-2", "a-2"]);
    const runs = [...turns.map(({ cell, repetition }): Timed => ({ cell, repetition, ms: cell === "a" ? 10 : 10 + repetition })), { cell: "a", repetition: 1, ms: 1 }];
    expect(chosenOf(["a", "b"], "a", runs)).toBe("b");
    expect(chosenOf(["a", "b"], "a", runs.map((run) => ({ ...run, ms: 10 })))).toBe("a");
    // Round by round: b is faster in two of three, though by medians of its own it is not.
    const drift = [[-1, 10, 9], [-2, 20, 19], [-3, 11, 19.5]].flatMap(([repetition, a, b]): ReadonlyArray<Timed> => [{ cell: "a", repetition: repetition!, ms: a! }, { cell: "b", repetition: repetition!, ms: b! }]);
    expect(chosenOf(["a", "b"], "a", drift)).toBe("b");
    expect(speedOf("a", runs)).toBe(1000);
  });

  it("who goes on is who was fastest in the screening, three of them", () => {
    const once = ["a", "b", "c", "d"].map((cell, i): Timed => ({ cell, repetition: 0, ms: [3, 1, 4, 2][i]! }));
    expect(finalistsOf(["a", "b", "c", "d"], [...once, { cell: "c", repetition: 1, ms: 0.1 }])).toEqual(["b", "d", "a"]);
  });
});

const margin = (ratio: number, low: number, high: number) => ({ ratio, low, high, confidence: 0.99, pairs: [low, ratio, high] });
const result = (overDefault: OfModel["overDefault"], overBest: OfModel["overBest"]): OfModel => ({
  model: "one", memory: 1e9, room: 5e8, plans: { tuned: had, searched: had, byDefault: had }, expected: { tuned: 12, searched: 13, byDefault: 10 }, measured: { tuned: 11, searched: 8, byDefault: 10 },
  tried: [{ id: "one default", overDefault: 1 }, { id: "one proposal 1", overDefault: 0.8 }, { id: "one proposal 2", overDefault: 1.1 }], chosen: "one proposal 2", searchedOverDefault: margin(0.8, 0.7, 0.9),
  drawn: drawn.map((cell, i) => ({ cell, screened: 5 + i, measured: i === 0 ? 5 : null })), best: drawn[0]!.id, overDefault, overBest,
});

describe("verdicts", () => {
  it.each([
    [margin(1.2, 1.1, 1.3), true, "better"],
    [margin(1.2, 0.99, 1.3), false, "undecided"],
    [margin(0.9, 0.8, 0.97), false, "worse"],
  ])("over the default %j: %s", (over, beats, word) => {
    const of = result(over, margin(1, 0.9, 1.1));
    expect(beatsDefault(of)).toBe(beats);
    expect(reportTuned({ device: "a test", system: "neuronlab", seed: 1, quick: false, tokens: 24, rounds: 8, models: [of] }).text).toContain(word);
  });

  it("say what the simulator alone would have come to, and that the engine's own choices stay where nothing proposed was faster", () => {
    const of = result(margin(1.2, 1.1, 1.3), margin(1, 0.9, 1.1));
    const textOf = (one: OfModel): string => reportTuned({ device: "a test", system: "neuronlab", seed: 1, quick: false, tokens: 24, rounds: 8, models: [one] }).text;
    expect(textOf(of)).toContain("one: the plan that the simulator alone takes for the best, over default 0.80 (0.70 to 0.90 with 99.0 %): worse; it expected 1.30");
    expect(textOf({ ...of, chosen: "one default" })).toContain("and they stay: no gain, and no loss");
    expect(textOf(of)).not.toContain("they stay");
  });

  it("over the best: 5 % behind is the limit, and a miss is told as one", () => {
    expect(nearBest(result(margin(1, 1, 1), margin(0.95, 0.9, 1)))).toBe(true);
    const missed = result(margin(1, 1, 1), margin(0.94, 0.9, 1));
    expect(nearBest(missed)).toBe(false);
    const { files, json } = reportTuned({ device: "a test", system: "neuronlab", seed: 1, quick: true, tokens: 24, rounds: 8, models: [missed] });
    expect(files.map(({ path }) => path)).toEqual(["README.md", "tuned.json", "one.plan.json"]);
    expect(decode(planCodec, "one.plan.json")(JSON.parse("text" in files[2]! ? files[2].text : ""))).toEqual(E.right(had));
    expect("text" in files[0]! && files[0]!.text).toContain("6.0 % behind it, missed");
    expect(json).toMatchObject({ models: [{ nearBest: false, best: drawn[0]!.id, drawn: drawn.map(({ id }) => ({ id })) }] });
  });
});
