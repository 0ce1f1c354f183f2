/** The engine's way in the simulator: three fidelities that agree, and bounds that hold every run, over models, budgets and plans. */
import { describe, expect, it } from "vitest";
import type { ModelSpec } from "../../../../sim/domain/model.js";
import type { SimulatedRun } from "../../../../sim/domain/run.js";
import type { Mechanisms } from "../../../../sim/domain/system.js";
import { cutOf, wholeSegments } from "../../../../sim/inference/gated/cut.js";
import { run, systemNamed, type Asked } from "../../../arb/runs.js";
import { BAMBOO_POINTS, estimated, testModel } from "../../../arb/neurons.js";

const system = systemNamed("neuronlab");
const sparse: ModelSpec = { ...testModel({ layers: 6, ffn: 6144, overlap: 0.2, variation: 0.1, activeShare: 0.12, points: BAMBOO_POINTS }), hidden: 2048, heads: 16, kvHeads: 4, activation: "ReLU" };
const mixture: ModelSpec = { ...testModel({ layers: 6, ffn: 2048, overlap: 0.2, variation: 0.1, activeShare: 0.12, experts: { count: 8, active: 2, repeat: 0.5 } }), hidden: 2048, heads: 16, kvHeads: 4, activation: "ReLU" };
const silu: ModelSpec = { ...testModel({ layers: 6, ffn: 4096 }), hidden: 2048, heads: 16, kvHeads: 4, activation: "SiLU" };
/** Rows smaller than a page: four neurons share one. */
const grouped: ModelSpec = { ...sparse, hidden: 512, heads: 8, kvHeads: 2, packing: { group: 4, gateRow: estimated(288), upRow: estimated(288), downRow: estimated(544) } };
const MODELS = { sparse, mixture, silu, grouped } as const;

const asked = (model: ModelSpec, offload: number, mechanisms: Partial<Mechanisms> = {}): Asked => ({ model, system, memory: { _tag: "OffloadFfn", share: offload }, mechanisms, prompt: 32, tokens: 32 });

const within = (record: SimulatedRun, told: string): void => {
  expect(record.violations, told).toEqual([]);
  expect(record.bound.lower, told).toBeLessThanOrEqual(record.tokensPerSec * (1 + 1e-6));
  expect(record.bound.upper, told).toBeGreaterThanOrEqual(record.tokensPerSec * (1 - 1e-6));
};

describe.each(Object.entries(MODELS))("%s", (name, model) => {
  it("is as fast by clusters as by neurons, and nearly so in closed form, at any budget", () => {
    for (const offload of [0.2, 0.35, 0.5, 0.8, 1]) {
      const [neuron, cluster, analytic] = (["neuron", "cluster", "analytic"] as const).map((fidelity) => run({ ...asked(model, offload), fidelity })) as [SimulatedRun, SimulatedRun, SimulatedRun];
      const told = `${name}, ${offload} on flash: ${neuron.tokensPerSec.toFixed(2)}, ${cluster.tokensPerSec.toFixed(2)}, ${analytic.tokensPerSec.toFixed(2)} tokens/s; hits ${neuron.cacheHitRate.toFixed(3)}, ${cluster.cacheHitRate.toFixed(3)}, ${analytic.cacheHitRate.toFixed(3)}`;
      for (const record of [neuron, cluster, analytic]) within(record, told);
      expect(Math.abs(cluster.tokensPerSec / neuron.tokensPerSec - 1), told).toBeLessThan(0.12);
      expect(Math.abs(analytic.tokensPerSec / cluster.tokensPerSec - 1), told).toBeLessThan(0.2);
      expect(Math.abs(cluster.bytesReadPerToken / neuron.bytesReadPerToken - 1) || 0, told).toBeLessThan(0.15);
    }
  });

  it("keeps between its bounds for every granularity, order and kind of reader", () => {
    for (const loading of ["two-phase", "bundle", "rows", "expert", "stream"] as const)
      for (const overlap of ["none", "matrix", "cluster"] as const)
        for (const submitters of ["io-thread", "compute-threads"] as const) {
          const record = run({ ...asked(model, 0.6, { loading, overlap, submitters }), tokens: 6 });
          within(record, `${name}, ${loading}, ${overlap}, ${submitters}`);
        }
  });

  it("reads less with more memory and never more than a layer's experts", () => {
    let most = Infinity;
    for (const offload of [1, 0.8, 0.6, 0.4, 0.2, 0]) {
      const { bytesReadPerToken } = run({ ...asked(model, offload), fidelity: "neuron" });
      expect(bytesReadPerToken, `${name}, ${offload}`).toBeLessThanOrEqual(most * 1.02);
      most = bytesReadPerToken;
    }
  });
});

describe("the engine's way", () => {
  it("is faster with overlap than without, and by neurons than by whole layers", () => {
    const speed = (mechanisms: Partial<Mechanisms>): number => run(asked(sparse, 0.5, mechanisms)).tokensPerSec;
    expect(speed({ overlap: "cluster" })).toBeGreaterThan(speed({ overlap: "none" }));
    expect(speed({ loading: "two-phase" })).toBeGreaterThan(speed({ loading: "stream" }));
    expect(run(asked(mixture, 0.5)).bytesReadPerToken).toBeLessThan(run(asked(mixture, 0.5, { loading: "stream" })).bytesReadPerToken / 2);
  });

  it("runs with segments as large as rows are when they are kept, which is more than in the file, and no larger", () => {
    const { plan } = run(asked(grouped, 0.5));
    const { hot, cold } = wholeSegments(cutOf(grouped, plan));
    const kept = (share: number) => run({ ...asked(grouped, 0.5), plan: { ...plan, memory: 1e9, cache: { ...plan.cache, hot: Math.floor(hot), cold: Math.floor(share * cold) } } });
    expect(hot + cold).toBeGreaterThan(1.05 * 3 * grouped.layers * grouped.ffn * 288);
    expect(kept(1).cacheHitRate).toBe(1);
    expect(() => kept(1.2)).toThrow(/hot and cold are .* together, and all FFN weights take only/);
  });

  it("with room for everything reads nothing, where clusters do not divide an expert too", () => {
    // Two clusters of 256 for 384 neurons: slots for all of them take a third more than their rows.
    const uneven: ModelSpec = { ...mixture, ffn: 384 };
    for (const memory of [{ _tag: "OffloadFfn", share: 0 }, { _tag: "Bytes", bytes: 2e9 }, { _tag: "All" }] as const)
      for (const fidelity of ["analytic", "cluster", "neuron"] as const) {
        const { bytesReadPerToken, cacheHitRate, plan } = run({ ...asked(uneven, 0), memory, fidelity });
        expect([bytesReadPerToken, cacheHitRate, cutOf(uneven, plan).loaded], `${memory._tag}, ${fidelity}`).toEqual([0, 1, true]);
      }
  });

  it("is told from what it cannot be combined with", () => {
    expect(() => run({ ...asked(sparse, 0.5, { cache: "page-cache" }) })).toThrow(/gated keeps neurons in segments/);
    expect(() => run({ ...asked(sparse, 0.5), batch: 2 })).toThrow(/decodes one sequence/);
    expect(() => run({ model: sparse, system: "llm-in-a-flash", gib: 2, mechanisms: { cache: "sieve" } })).toThrow(/known for computation gated only/);
  });
});
