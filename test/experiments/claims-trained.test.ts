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
    expect(rows.map(({ claim }) => claim.split(":")[0])).toEqual(["mixture-sparse", "dense-sparse", "drelu-sparse"]);
    const plain = documents["results/training/mixture-plain.json"] as Branch;
    const dearer = (by: number) => rowOf("mixture-sparse: ", withShipped({ evaluation: { ...shipped.evaluation, windowLosses: plain.evaluation.windowLosses.map((loss) => loss + by) } }));
    expect([dearer(0.009).holds, dearer(0.009).found]).toEqual([true, "+0.90 % (+0.90 to +0.90)"]);
    expect([dearer(0.011).holds, dearer(0.011).found]).toEqual([false, "+1.11 % (+1.11 to +1.11)"]);
  });

  it("a twin is one: of the same steps, without the term", () => {
    for (const shape of ["mixture", "dense", "drelu"]) {
      const [sparse, plain] = [`results/training/${shape}-sparse.json`, `results/training/${shape}-plain.json`].map((path) => documents[path] as Branch);
      expect([plain!.branchedAt, plain!.step, plain!.strength]).toEqual([sparse!.branchedAt, sparse!.step, 0]);
      expect(sparse!.strength).toBeGreaterThan(0);
    }
  });

  it("another text, a text that changes with memory, a dear predictor: each shows", () => {
    expect(rowOf("Greedy").found).toBe("24 of 24");
    const [first, ...others] = shipped.parity["q8_0"]!.prompts;
    expect(rowOf("Greedy", withShipped({ parity: { ...shipped.parity, q8_0: { ...shipped.parity["q8_0"]!, prompts: [{ ...first!, same: 47 }, ...others] } } })).found).toBe("23 of 24");
    expect(rowOf("of FFNs in memory").holds).toBe(true);
    for (const change of [{ same: false }, { labels: ["requantised"] }, { held: shipped.halfMemory.ffnBytes / 2 + 1 }, { bytesReadPerToken: 0 }]) expect(rowOf("of FFNs in memory", withShipped({ halfMemory: { ...shipped.halfMemory, ...change } })).holds).toBe(false);
    const dear = rowOf("predicted neurons alone", withShipped({ predictors: { ...shipped.predictors, onTheOtherWindows: { cost: 0.0105, error: 0.001 } } }));
    expect([dear.holds, dear.found]).toEqual([false, "+1.05 % (+0.85 to +1.25)"]);
  });
});
