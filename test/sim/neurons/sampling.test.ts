import { describe, expect, it } from "vitest";
import { binomial, BinomialLaw, stream } from "../../../sim/base/random.js";
import { rateBins, sliceBins } from "../../../sim/neurons/activation.js";
import { lruMiss } from "../../../sim/neurons/locality.js";
import { clustersPerExpert, coldResponse, createClusterDraws, createTokenSampler, type ClusterTable } from "../../../sim/neurons/sampling.js";
import { testModel } from "../../arb/neurons.js";

const model = testModel({ layers: 4, experts: { count: 8, active: 2, repeat: 0.5 }, overlap: 0.3, variation: 0.2 });
const hotShare = 0.4;
const misses = Array.from({ length: 4 }, (_, layer) => lruMiss({ bins: rateBins(model, layer), pinnedShare: hotShare, capacityShare: 0.1, overlap: 0.3, experts: { count: 8, active: 2, repeat: 0.5 }, tokenVariation: 0.2 }));
const tables: ReadonlyArray<ClusterTable> = misses.map((miss, layer) => ({ coldPerExpert: 8602, clusterNeurons: 64, activeRate: sliceBins(rateBins(model, layer), hotShare, 1).meanRate, response: coldResponse(rateBins(model, layer), hotShare), ...miss }));

const run = (seed: number, tokens: number, batch = 1): { readonly active: number; readonly missing: number; readonly looked: number; readonly trace: ReadonlyArray<number> } => {
  const sampler = createTokenSampler(model, seed, tables, batch);
  const out = createClusterDraws(model, tables);
  let active = 0;
  let missing = 0;
  let looked = 0;
  const trace: Array<number> = [];
  for (let t = 0; t < tokens; t++) {
    sampler.nextToken();
    for (let layer = 0; layer < 4; layer++) {
      const clusters = sampler.fillLayer(layer, out);
      expect(clusters).toBe(sampler.expertsInUse(layer) * clustersPerExpert(tables[layer]));
      for (let c = 0; c < clusters; c++) {
        if (out.missing[c] > out.active[c] || out.active[c] > out.neurons[c] || out.neurons[c] > 64) throw new Error(`impossible draw in cluster ${c}`);
        active += out.active[c];
        missing += out.missing[c];
        looked += out.neurons[c];
      }
      trace.push(out.active[0], out.missing[clusters - 1]);
    }
  }
  return { active, missing, looked, trace };
};

describe("draws per cluster", () => {
  it("average to the predicted rate and misses", () => {
    const { active, missing, looked } = run(1, 1500);
    const rate = tables.reduce((sum, table) => sum + table.activeRate, 0) / 4;
    const miss = tables.reduce((sum, table, layer) => sum + (table.activeRate / rate / 4) * misses[layer].missOfActive, 0);
    console.log(`active ${(active / looked).toFixed(4)} (predicted ${rate.toFixed(4)}), missing ${(missing / active).toFixed(4)} (predicted ${miss.toFixed(4)})`);
    expect(looked).toBe(1500 * 4 * 2 * 8602);
    expect(Math.abs(active / looked / rate - 1)).toBeLessThan(0.02);
    expect(Math.abs(missing / active - miss)).toBeLessThan(0.005);
  });

  it("are the same for the same seed and others for another", () => {
    expect(run(7, 20)).toEqual(run(7, 20));
    expect(run(7, 20)).not.toEqual(run(8, 20));
  });

  it("vary from token to token by tokenVariation", () => {
    const sampler = createTokenSampler(model, 3, tables);
    const logs = Array.from({ length: 5000 }, () => (sampler.nextToken(), Math.log(sampler.activity())));
    const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
    expect(Math.sqrt(logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / logs.length)).toBeCloseTo(0.2, 2);
    expect(logs.reduce((sum, log) => sum + Math.exp(log), 0) / logs.length).toBeCloseTo(1, 2);
  });

  it("swing more than the token where neurons are colder", () => {
    const bins = rateBins(model, 0);
    const responses = [0, 0.1, 0.4].map((hot) => coldResponse(bins, hot));
    expect(responses[0]).toBeCloseTo(1, 9);
    expect(responses[1]).toBeGreaterThan(1.05);
    expect(responses[2]).toBeGreaterThan(responses[1]);
    // Layer 0 is steep: its hot neurons fire nearly always and leave the swing to the cold ones.
    expect(responses[2]).toBeLessThan(2.5);
  });

  it("in a batch cover the union of its experts", () => {
    expect(run(1, 50, 4).looked).toBeGreaterThan(run(1, 50).looked * 2);
  });

  it("need more loads when an expert comes in than when it stays", () => {
    const sampler = createTokenSampler(model, 1, tables);
    const out = createClusterDraws(model, tables);
    const miss = [[0, 0], [0, 0]];
    let before = new Set<number>();
    for (let t = 0; t < 400; t++) {
      sampler.nextToken();
      const clusters = sampler.fillLayer(0, out);
      for (let c = 0; c < clusters; c++) {
        const stayed = before.has(out.expert[c]) ? 1 : 0;
        miss[stayed][0] += out.missing[c];
        miss[stayed][1] += out.active[c];
      }
      before = new Set(out.expert.subarray(0, clusters));
    }
    // The first token's predecessor is unknown to this test, hence not exact.
    expect(miss[1][0] / miss[1][1]).toBeCloseTo(misses[0].missIfExpertRepeats, 1);
    expect(miss[0][0] / miss[0][1]).toBeCloseTo(misses[0].missIfExpertSwitches, 1);
    expect(miss[0][0] / miss[0][1]).toBeGreaterThan(miss[1][0] / miss[1][1]);
  });
});

describe("counts", () => {
  it.each([[64, 0.01], [64, 0.05], [64, 0.3], [512, 0.02], [512, 0.1], [3, 0.4], [200, 0.97], [1, 0.5]])("of %i trials at %f have the binomial's mean and variance", (trials, probability) => {
    const random = stream(1, `counts/${trials}/${probability}`);
    const draws = Array.from({ length: 60_000 }, () => binomial(random, trials, probability));
    const mean = draws.reduce((sum, n) => sum + n, 0) / draws.length;
    const variance = draws.reduce((sum, n) => sum + (n - mean) ** 2, 0) / draws.length;
    expect(draws.every((n) => n >= 0 && n <= trials)).toBe(true);
    expect(Math.abs(mean - trials * probability)).toBeLessThan(4 * Math.sqrt((trials * probability * (1 - probability)) / draws.length) + 1e-9);
    // The rounded normal of larger means adds 1/12.
    expect(variance).toBeCloseTo(trials * probability * (1 - probability), trials * probability > 12 ? -0.3 : 0.7);
  });

  it("are certain at the ends", () => {
    const random = stream(1, "counts/ends");
    expect([binomial(random, 9, 0), binomial(random, 9, 1), binomial(random, 0, 0.5), binomial(random, 9, 1.2)]).toEqual([0, 9, 0, 9]);
  });

  it.each([-0.1, 0, 0.01, 0.12, 0.5, 0.88, 0.999, 1, 1.2])("of one law, at %f, are the very numbers that single draws give, whatever the order of their sizes", (probability) => {
    const law = new BinomialLaw(probability, 940);
    const [one, other] = [stream(1, "counts/law"), stream(1, "counts/law")];
    for (let draw = 0; draw < 2000; draw++) {
      const trials = (draw * 389) % 941;
      expect(law.draw(one, trials)).toBe(binomial(other, trials, probability));
    }
  });
});
