import { describe, expect, it } from "vitest";
import { E } from "../../../sim/base/fp.js";
import { documents } from "../../../site/phone/documents.js";
import { runOf } from "../../../site/phone/run.js";
import { START, type State } from "../../../site/phone/state.js";

const outcomeOf = (state: Partial<State>) => {
  const outcome = runOf(documents)({ ...START, ...state });
  if (E.isLeft(outcome)) throw new Error(JSON.stringify(outcome.left));
  return outcome.right;
};

/** Share of uses found in memory, all bins together: each bin counts by its neurons and their rate. */
const heldOf = ({ heat }: ReturnType<typeof outcomeOf>): number => {
  let [uses, held] = [0, 0];
  for (const bin of heat!.layers.flat()) {
    uses += (bin.to - bin.from) * bin.rate;
    held += (bin.to - bin.from) * bin.rate * bin.held;
  }
  return held / uses;
};

describe("the map of what is in memory", () => {
  it("sums to the hit rate of the very run, over models and splits", () => {
    for (const state of [{ model: "bamboo-7b", memory: 3 }, { model: "bamboo-7b", memory: 3, hot: 0.3 }, { memory: 10, hot: 0.5 }, { memory: 16, hot: 1 }, { memory: 13, hot: 0 }]) {
      const outcome = outcomeOf(state);
      expect(Math.abs(heldOf(outcome) - outcome.record.cacheHitRate), JSON.stringify(state)).toBeLessThan(0.04);
    }
  });

  it("covers every neuron of every layer once, and hotter cold neurons are found more often", () => {
    const { heat } = outcomeOf({ memory: 10, hot: 0.5 });
    for (const bins of heat!.layers) {
      expect(bins[0]!.from).toBe(0);
      expect(bins.at(-1)!.to).toBeCloseTo(1, 9);
      bins.forEach((bin, i) => {
        if (i === 0) return;
        expect(bin.from).toBe(bins[i - 1]!.to);
        expect(bin.held).toBeLessThanOrEqual(bins[i - 1]!.held + 1e-9);
      });
      expect(bins.every(({ held, to }) => held === 1 || to > heat!.pinned)).toBe(true);
    }
  });

  it("is all bright where all is in memory, and not there where no neuron is kept by itself", () => {
    expect(outcomeOf({ model: "bamboo-7b", memory: 16 }).heat!.layers.flat().every(({ held }) => held === 1)).toBe(true);
    expect(outcomeOf({ model: "bamboo-7b", system: "llama.cpp", memory: 3 }).heat).toBeNull();
  });
});
