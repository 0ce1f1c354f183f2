/** What the table of claims says of trained models is computed from what experiments/train wrote. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { costOf, SHIPPED, TRAINED, trainedRows, type Branch, type Shipped } from "../../experiments/claims-table/trained.js";

const documents: Readonly<Record<string, unknown>> = Object.fromEntries(TRAINED.map((path) => [path, JSON.parse(readFileSync(path, "utf8"))]));
const shipped = documents[SHIPPED] as Shipped;
const rowOf = (claim: string, all = documents) => trainedRows(all).find((row) => row.claim.includes(claim))!;
const withShipped = (change: Partial<Shipped>): Readonly<Record<string, unknown>> => ({ ...documents, [SHIPPED]: { ...shipped, ...change } });

describe("claims of trained models", () => {
  it("a cost is of the same windows, and its error is of their differences, as experiments/train/tests.py has it", () => {
    const { cost, error } = costOf([3, 4.01, 2.02], [3, 4, 2]);
    expect(cost).toBeCloseTo(Math.exp(0.01) - 1, 12);
    expect(error).toBeCloseTo((Math.exp(0.01) * 0.01) / Math.sqrt(3), 12);
  });

  it("each shape has what sparsity costs it, and one that costs more than 1 % is missed", () => {
    const rows = trainedRows(documents).filter(({ group }) => group === "What sparsity costs");
    expect(rows.map(({ claim }) => claim.split(":")[0])).toEqual(["mixture-sparse", "dense-sparse", "drelu-sparse", "mixture-sparse"]);
    const plain = documents["results/training/mixture-plain.json"] as Branch;
    const dearer = (by: number) => rowOf("mixture-sparse: ", withShipped({ evaluation: { ...shipped.evaluation, windowLosses: plain.evaluation.windowLosses.map((loss) => loss + by) } }));
    expect([dearer(0.009).holds, dearer(0.009).found]).toEqual([true, "+0.90 % (+0.90 to +0.90)"]);
    expect([dearer(0.011).holds, dearer(0.011).found]).toEqual([false, "+1.11 % (+1.11 to +1.11)"]);
  });

  it("over seeds it is their mean, with Student's interval", () => {
    const dearer = ["", "-seed2", "-seed3"].map((seed, place) => {
      const plain = documents[`results/training/mixture-plain${seed}.json`] as Branch;
      const run = documents[`results/training/mixture-sparse${seed}.json`] as Branch;
      return [`results/training/mixture-sparse${seed}.json`, { ...run, evaluation: { ...run.evaluation, windowLosses: plain.evaluation.windowLosses.map((loss) => loss + Math.log1p(0.004 * (place + 1))) } }] as const;
    });
    const row = rowOf("in the mean over 3 seeds (+0.40 %, +0.80 %, +1.20 %)", { ...documents, ...Object.fromEntries(dearer) });
    // 4.303 · 0.4 / √3
    expect([row.found, row.holds]).toEqual(["+0.80 % (-0.19 to +1.79)", true]);
  });

  it("a twin is one: of the same steps and seed, without the term", () => {
    for (const shape of ["mixture", "dense", "drelu", "mixture-seed2", "mixture-seed3"]) {
      const [kind, seed] = shape.split("-seed");
      const [sparse, plain] = ["sparse", "plain"].map((part) => documents[`results/training/${kind}-${part}${seed === undefined ? "" : `-seed${seed}`}.json`] as Branch);
      expect([plain!.options, plain!.options.seed]).toEqual([sparse!.options, Number(seed ?? 1)]);
      expect([plain!.branchedAt, plain!.step, plain!.strength]).toEqual([sparse!.branchedAt, sparse!.step, 0]);
      expect(sparse!.strength).toBeGreaterThan(0);
    }
  });

  it("another text, a text that changes with memory, a dear predictor: each shows", () => {
    expect(trainedRows(documents).filter(({ claim }) => claim.startsWith("Greedy")).map(({ found, holds }) => [found, holds])).toEqual([["24 of 24", true], ["21 of 24", false]]);
    const [first, ...others] = shipped.parity["q8_0"]!.prompts;
    expect(rowOf("Greedy", withShipped({ parity: { ...shipped.parity, q8_0: { ...shipped.parity["q8_0"]!, prompts: [{ ...first!, same: 47 }, ...others] } } }))).toMatchObject({ found: "23 of 24", holds: false });
    expect(rowOf("of FFNs in memory").holds).toBe(true);
    for (const change of [{ same: false }, { labels: ["requantised"] }, { held: shipped.halfMemory.ffnBytes / 2 + 1 }, { bytesReadPerToken: 0 }]) expect(rowOf("of FFNs in memory", withShipped({ halfMemory: { ...shipped.halfMemory, ...change } })).holds).toBe(false);
    const dear = rowOf("predicted neurons alone", withShipped({ predictors: { ...shipped.predictors, onTheOtherWindows: { cost: 0.0105, error: 0.001 } } }));
    expect([dear.holds, dear.found]).toEqual([false, "+1.05 % (+0.85 to +1.25)"]);
  });
});
