import { describe, expect, it } from "vitest";
import { rateBins } from "../../../sim/neurons/activation.js";
import { createNeuronProcess } from "../../../sim/neurons/process.js";
import { testModel, type TestModelChoices } from "../../arb/neurons.js";

const mixtralLike: TestModelChoices = { layers: 2, ffn: 1000, experts: { count: 8, active: 2, repeat: 0.5 } };

/** All draws of a run: ids per token of one layer. */
const drawn = (choices: TestModelChoices, seed: number, tokens: number, layer = 0): ReadonlyArray<ReadonlyArray<number>> => {
  const model = testModel(choices);
  const process = createNeuronProcess(model, seed);
  const ids = new Int32Array(process.mostActive);
  return Array.from({ length: tokens }, () => {
    process.nextToken();
    return Array.from(ids.subarray(0, process.drawLayer(layer, ids)));
  });
};

describe("the process of single neurons", () => {
  it("names each active neuron once, in ascending order, of just the experts in use", () => {
    for (const token of drawn(mixtralLike, 1, 50, 1)) {
      expect(token.every((id, i) => id >= 8000 && id < 16000 && (i === 0 || id > token[i - 1]))).toBe(true);
      expect(new Set(token.map((id) => Math.floor(id / 1000))).size).toBe(2);
    }
  });

  it("draws the same for the same seed and others for another", () => {
    expect(drawn(mixtralLike, 5, 20)).toEqual(drawn(mixtralLike, 5, 20));
    expect(drawn(mixtralLike, 5, 20)).not.toEqual(drawn(mixtralLike, 6, 20));
  });

  it("draws a layer the same whether or not other layers are drawn", () => {
    const model = testModel({ ...mixtralLike, variation: 0.2 });
    const process = createNeuronProcess(model, 5);
    const ids = new Int32Array(process.mostActive);
    const alone = drawn({ ...mixtralLike, variation: 0.2 }, 5, 20, 1);
    for (const token of alone) {
      process.nextToken();
      process.drawLayer(0, ids);
      expect(Array.from(ids.subarray(0, process.drawLayer(1, ids)))).toEqual(token);
    }
  });

  it.each([{ variation: 0 }, { variation: 0.2 }, { variation: 0.3 }])("keeps the mean rate, and varies from token to token by tokenVariation $variation", ({ variation }) => {
    const counts = drawn({ layers: 1, ffn: 14336, variation }, 3, 3000).map((token) => token.length / 14336);
    const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
    const logs = counts.map((count) => Math.log(count / mean));
    const centre = logs.reduce((sum, log) => sum + log, 0) / logs.length;
    const deviation = Math.sqrt(logs.reduce((sum, log) => sum + (log - centre) ** 2, 0) / logs.length);
    console.log(`variation ${variation}: mean rate ${mean.toFixed(4)} (0.148), log deviation ${deviation.toFixed(3)}`);
    expect(Math.abs(mean / 0.148 - 1)).toBeLessThan(0.02);
    expect(Math.abs(deviation - variation)).toBeLessThan(0.03);
  });

  it("repeats a neuron with probability r + ρ(1-r) and wakes an idle one with r(1-ρ)", () => {
    const choices: TestModelChoices = { layers: 1, ffn: 2000, overlap: 0.3 };
    const rates = rateBins(testModel(choices), 0);
    let repeated = 0;
    let woken = 0;
    let were = 0;
    let total = 0;
    const tokens = drawn(choices, 2, 1500);
    for (let t = 1; t < tokens.length; t++) {
      const before = new Set(tokens[t - 1]);
      const again = tokens[t].filter((id) => before.has(id)).length;
      repeated += again;
      woken += tokens[t].length - again;
      were += before.size;
      total += tokens[t].length;
    }
    const square = rates.rate.reduce((sum, r, b) => sum + rates.share[b] * r * (r + 0.3 * (1 - r)), 0) / 0.148;
    expect(repeated / were).toBeCloseTo(square, 2);
    expect(woken / total).toBeCloseTo(1 - square, 2);
  });
});
