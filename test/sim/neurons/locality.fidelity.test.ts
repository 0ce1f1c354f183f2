/** The prediction against the real thing: an LRU over neuron ids fed by the neuron process. */
import { describe, expect, it } from "vitest";
import { batchUnion, rateBins, sliceBins } from "../../../sim/neurons/activation.js";
import { createSegment } from "../../../sim/neurons/cache.js";
import { lruMissOfLayers, windowMiss, windowOccupancy, type LruQuestion } from "../../../sim/neurons/locality.js";
import { batchExperts } from "../../../sim/neurons/experts.js";
import { createNeuronProcess } from "../../../sim/neurons/process.js";
import { window } from "../../../sim/policies/eviction/window.js";
import { testModel } from "../../arb/neurons.js";

interface Case { readonly name: string; readonly layers: number; readonly ffn: number; readonly count: number; readonly active: number; readonly repeat: number }

const CASES: ReadonlyArray<Case> = [
  { name: "Bamboo-like", layers: 8, ffn: 2048, count: 1, active: 1, repeat: 1 },
  { name: "Mixtral-like, experts independent", layers: 8, ffn: 1024, count: 8, active: 2, repeat: 0.25 },
  { name: "Mixtral-like, experts repeat", layers: 16, ffn: 1024, count: 8, active: 2, repeat: 0.5 },
];

/** Misses of active neurons below the pinned rank in a real LRU of the given share, after warming up. */
const measured = (which: Case, overlap: number, tokenVariation: number, capacityShare: number, pinnedShare: number): number => {
  const process = createNeuronProcess(testModel({ layers: which.layers, ffn: which.ffn, experts: which, overlap, variation: tokenVariation }), 11);
  const segment = createSegment(process.neurons, 1, Math.round(capacityShare * process.neurons));
  const ids = new Int32Array(process.mostActive);
  const pinned = pinnedShare * which.ffn;
  let active = 0;
  let missed = 0;
  for (let token = -150; token < 250; token++) {
    process.nextToken();
    for (let layer = 0; layer < which.layers; layer++) {
      const found = process.drawLayer(layer, ids);
      for (let i = 0; i < found; i++) {
        if (ids[i] % which.ffn < pinned) continue;
        const hit = segment.lookup(ids[i]);
        if (token < 0) continue;
        active++;
        if (!hit) missed++;
      }
    }
  }
  return missed / active;
};

/** Mean over layers, weighted by what they look up. */
const predicted = (which: Case, question: Omit<LruQuestion, "bins">): number => {
  const layers = Array.from({ length: which.layers }, (_, layer) => rateBins(testModel({ layers: which.layers, ffn: which.ffn }), layer));
  const demand = layers.map((bins) => sliceBins(bins, question.pinnedShare, 1).meanRate);
  const total = demand.reduce((sum, rate) => sum + rate, 0);
  return lruMissOfLayers(layers, question).reduce((sum, miss, layer) => sum + (demand[layer] / total) * miss.missOfActive, 0);
};

describe.each(CASES)("predicted misses of an LRU, $name", (which) => {
  const experts = { count: which.count, active: which.active, repeat: which.repeat };
  const demand = (0.148 * which.active) / which.count;

  it.each([0, 0.3])("are those of the real structure with token overlap %f", (overlap) => {
    for (const tokenVariation of [0, 0.15]) {
      for (const capacityShare of [0.5 * demand, 1.5 * demand, 2.5 * demand, 0.45, 0.7]) {
        const real = measured(which, overlap, tokenVariation, capacityShare, 0);
        const ours = predicted(which, { pinnedShare: 0, capacityShare, overlap, experts, tokenVariation });
        console.log(`${which.name}, overlap ${overlap}, variation ${tokenVariation}, cached ${capacityShare.toFixed(3)}: real ${real.toFixed(3)}, predicted ${ours.toFixed(3)}, deviation ${(100 * (ours - real)).toFixed(1)} points`);
        expect(Math.abs(ours - real)).toBeLessThan(0.03);
      }
    }
  });

  it("are those of the real structure when the hottest tenth is pinned elsewhere", () => {
    for (const capacityShare of [0.1, 0.3]) {
      const real = measured(which, 0.3, 0.15, capacityShare, 0.1);
      const ours = predicted(which, { pinnedShare: 0.1, capacityShare, overlap: 0.3, experts, tokenVariation: 0.15 });
      console.log(`${which.name}, pinned 0.1, cached ${capacityShare}: real ${real.toFixed(3)}, predicted ${ours.toFixed(3)}, deviation ${(100 * (ours - real)).toFixed(1)} points`);
      expect(Math.abs(ours - real)).toBeLessThan(0.03);
    }
  });

  it("are all misses in the real structure too, just below one token's demand", () => {
    expect(measured(which, 0.3, 0, 0.9 * demand, 0)).toBeGreaterThan(0.999);
  });
});

describe("predicted misses of a batch", () => {
  it.each([{ which: CASES[0], batch: 2 }, { which: CASES[2], batch: 4 }])("of $batch sequences are near those of the real structure fed with their union ($which.name)", ({ which, batch }) => {
    const experts = { count: which.count, active: which.active, repeat: which.repeat };
    const model = testModel({ layers: which.layers, ffn: which.ffn, experts, overlap: 0.3, variation: 0.15 });
    const single = Array.from({ length: which.layers }, (_, layer) => rateBins(model, layer));
    const union = single.map((bins) => batchUnion(bins, batch, 0, which.active / which.count));
    const demand = union.map((bins) => sliceBins(bins, 0, 1).meanRate);
    const total = demand.reduce((sum, rate) => sum + rate, 0);
    for (const capacityShare of [0.4, 0.6]) {
      const misses = lruMissOfLayers(union, { pinnedShare: 0, capacityShare, overlap: 0.3, experts: batchExperts(experts, batch), tokenVariation: 0.15 / Math.sqrt(batch) });
      const ours = misses.reduce((sum, miss, layer) => sum + (demand[layer] / total) * miss.missOfActive, 0);
      const processes = Array.from({ length: batch }, (_, sequence) => createNeuronProcess(model, 100 + sequence, single));
      const segment = createSegment(processes[0].neurons, 1, Math.round(capacityShare * processes[0].neurons));
      const ids = new Int32Array(processes[0].mostActive);
      let active = 0;
      let missed = 0;
      for (let token = -80; token < 150; token++) {
        for (const process of processes) process.nextToken();
        for (let layer = 0; layer < which.layers; layer++) {
          const wanted = new Set<number>();
          for (const process of processes) for (const id of ids.subarray(0, process.drawLayer(layer, ids))) wanted.add(id);
          for (const id of [...wanted].sort((a, b) => a - b)) {
            const hit = segment.lookup(id);
            if (token >= 0) active++;
            if (token >= 0 && !hit) missed++;
          }
        }
      }
      console.log(`${which.name}, batch ${batch}, cached ${capacityShare}: real ${(missed / active).toFixed(3)}, predicted ${ours.toFixed(3)}, deviation ${(100 * (ours - missed / active)).toFixed(1)} points`);
      expect(Math.abs(ours - missed / active)).toBeLessThan(0.03);
    }
  });
});

describe("predicted misses of a sliding window", () => {
  it.each([1, 4])("of %i tokens, and its size, are those of the real policy", (windowTokens) => {
    const which = CASES[2];
    const experts = { count: 8, active: 2, repeat: 0.5 };
    const process = createNeuronProcess(testModel({ layers: 1, ffn: which.ffn, experts, overlap: 0.3 }), 11);
    const ids = new Int32Array(process.mostActive);
    const state = window.start({ slots: process.neurons, things: process.neurons, heat: [], future: [], windowTokens, onEvict: () => {} });
    let active = 0;
    let missed = 0;
    let held = 0;
    for (let token = 0; token < 600; token++) {
      held += state.size() / process.neurons / 600;
      process.nextToken();
      const found = process.drawLayer(0, ids);
      active += found;
      for (let i = 0; i < found; i++) if (!state.request(ids[i])) missed++;
      state.endToken();
    }
    const question = { bins: rateBins(testModel({ layers: 1, ffn: which.ffn }), 0), pinnedShare: 0, overlap: 0.3, experts, windowTokens };
    console.log(`window ${windowTokens}: real miss ${(missed / active).toFixed(3)}, predicted ${windowMiss(question).missOfActive.toFixed(3)}; holds ${held.toFixed(3)}, predicted ${windowOccupancy(question).toFixed(3)}`);
    expect(Math.abs(windowMiss(question).missOfActive - missed / active)).toBeLessThan(0.02);
    expect(Math.abs(windowOccupancy(question) - held)).toBeLessThan(0.005);
  });
});
