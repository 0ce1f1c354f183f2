import { describe, expect, it } from "vitest";
import { batchExperts, createExpertChain, type ExpertUse } from "../../../sim/neurons/experts.js";

/** Shares over a run: of each expert's use, of use after use, and of use after idleness. */
const observed = (experts: ExpertUse, tokens: number): { readonly use: ReadonlyArray<number>; readonly afterUse: number; readonly afterIdle: number } => {
  const chain = createExpertChain(experts, 1, "test");
  const uses = Array.from({ length: experts.count }, () => 0);
  let kept = 0;
  let fresh = 0;
  let before = new Set(chain.inUse);
  for (let t = 0; t < tokens; t++) {
    chain.step();
    const now = new Set(chain.inUse);
    expect(now.size).toBe(experts.active);
    for (const expert of now) {
      uses[expert]++;
      if (before.has(expert)) kept++;
      else fresh++;
    }
    before = now;
  }
  return { use: uses.map((n) => n / tokens), afterUse: kept / (tokens * experts.active), afterIdle: fresh / (tokens * Math.max(1, experts.count - experts.active)) };
};

describe("the choice of experts", () => {
  it.each([0.25, 0.5, 0.9])("uses two of eight evenly and repeats with probability %f", (repeat) => {
    const { use, afterUse, afterIdle } = observed({ count: 8, active: 2, repeat }, 40_000);
    for (const share of use) expect(Math.abs(share - 0.25)).toBeLessThan(0.02);
    expect(Math.abs(afterUse - repeat)).toBeLessThan(0.01);
    expect(Math.abs(afterIdle - ((1 - repeat) * 0.25) / 0.75)).toBeLessThan(0.01);
  });

  it("never changes the one expert of a dense model", () => {
    expect(observed({ count: 1, active: 1, repeat: 1 }, 10)).toEqual({ use: [1], afterUse: 1, afterIdle: 0 });
  });

  it("is the same for the same seed and name", () => {
    const experts = { count: 8, active: 2, repeat: 0.5 };
    const run = (seed: number, name: string): ReadonlyArray<number> => {
      const chain = createExpertChain(experts, seed, name);
      return Array.from({ length: 50 }, () => (chain.step(), chain.inUse[0] + 8 * chain.inUse[1]));
    };
    expect(run(1, "a")).toEqual(run(1, "a"));
    expect(run(1, "a")).not.toEqual(run(2, "a"));
    expect(run(1, "a")).not.toEqual(run(1, "b"));
  });

  it.each([2, 4])("in a batch of %i uses as many experts, as often again, as batchExperts says", (batch) => {
    const experts = { count: 8, active: 2, repeat: 0.5 };
    const chains = Array.from({ length: batch }, (_, i) => createExpertChain(experts, 1, `sequence-${i}`));
    let used = 0;
    let again = 0;
    let before = new Set(chains.flatMap((chain) => [...chain.inUse]));
    for (let t = 0; t < 20_000; t++) {
      for (const chain of chains) chain.step();
      const now = new Set(chains.flatMap((chain) => [...chain.inUse]));
      used += now.size;
      for (const expert of now) if (before.has(expert)) again++;
      before = now;
    }
    const predicted = batchExperts(experts, batch);
    expect(Math.abs(used / 20_000 - predicted.active)).toBeLessThan(0.05);
    expect(Math.abs(again / used - predicted.repeat)).toBeLessThan(0.02);
  });
});
