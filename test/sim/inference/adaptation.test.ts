/** A simulated run whose storage slows down: what it costs, what adapting makes of it, and what of the plan follows batch and phase. */
import { describe, expect, it } from "vitest";
import { E } from "../../../sim/base/fp.js";
import { npuShareAt, GATE_READS, type GateReads } from "../../../sim/domain/plan.js";
import type { RunRequest, SimulatedRun } from "../../../sim/domain/run.js";
import { simulate } from "../../../sim/inference/simulate.js";
import { deviceNamed, modelNamed, systemNamed } from "../../arb/runs.js";

const GIB = 2 ** 30;
const device = deviceNamed("oneplus-12");
const model = { ...modelNamed("prosparse-llama-2-7b"), layers: 4 };
const system = systemNamed("neuronlab");
const request: RunRequest = { device: device.name, model: model.name, system: system.name, memory: { _tag: "OffloadFfn", share: 0.9 }, phase: "decode", prompt: 64, tokens: 48, batch: 1, seed: 1, fidelity: "cluster" };

const of = (more: Partial<RunRequest>, gates: GateReads = "bundles") => {
  const base = simulate({ device, model, system, request: { ...request, tokens: 48 } });
  if (E.isLeft(base)) throw new Error(JSON.stringify(base.left));
  const { plan } = base.right;
  return simulate({ device, model, system, request: { ...request, memory: { _tag: "Bytes", bytes: plan.memory }, plan: { ...plan, io: { ...plan.io, gates } }, ...more } });
};
const run = (more: Partial<RunRequest>, gates?: GateReads): SimulatedRun => {
  const outcome = of(more, gates);
  if (E.isLeft(outcome)) throw new Error(JSON.stringify(outcome.left));
  return outcome.right;
};
const meanMs = ({ tokens }: SimulatedRun, from: number, to: number): number => tokens.slice(from, to).reduce((sum, token) => sum + token.latencyNs, 0) / (to - from) / 1e6;
const SLOW = { of: "bytes", factor: 4, token: 16 } as const;

describe("storage that becomes slower in mid-run", () => {
  it("is as it was before its token, and slower from there on, by what became slower", () => {
    const plain = run({});
    const ratio = (slow: RunRequest["slowStorage"], gates?: GateReads): number => {
      const [slower, as] = [run({ slowStorage: slow! }, gates), run({}, gates)];
      expect(slower.violations).toEqual([]);
      expect(slower.tokens.slice(0, 16)).toEqual(as.tokens.slice(0, 16));
      expect(slower.tokens.map(({ bytesRead, misses }) => [bytesRead, misses])).toEqual(as.tokens.map(({ bytesRead, misses }) => [bytesRead, misses]));
      return meanMs(slower, 16, 48) / meanMs(as, 16, 48);
    };
    expect(plain.adaptation).toBe(null);
    expect(ratio({ ...SLOW, factor: 1 })).toBe(1);
    // Bundles are bytes, single pages are commands.
    expect(ratio(SLOW, "bundles")).toBeGreaterThan(ratio(SLOW, "apart"));
    expect(ratio({ ...SLOW, of: "reads" }, "apart")).toBeGreaterThan(ratio({ ...SLOW, of: "reads" }, "bundles"));
    expect(ratio({ ...SLOW, of: "all" }, "apart")).toBeGreaterThan(2.5);
  });

  it("reads what the way says, looks up the same, and stays within its bounds", () => {
    const [apart, joined, bundles] = GATE_READS.map((gates) => run({}, gates));
    for (const one of [apart!, joined!, bundles!]) {
      expect(one.violations).toEqual([]);
      expect(one.tokens.map(({ lookups, misses }) => [lookups, misses])).toEqual(joined!.tokens.map(({ lookups, misses }) => [lookups, misses]));
      expect(one.tokensPerSec).toBeLessThanOrEqual(one.bound.upper * (1 + 1e-9));
      expect(one.tokensPerSec).toBeGreaterThanOrEqual(one.bound.lower * (1 - 1e-9));
    }
    expect(apart!.bytesReadPerToken).toBeLessThan(bundles!.bytesReadPerToken);
    expect(bundles!.bytesReadPerToken).toBeLessThan(joined!.bytesReadPerToken);
  });

  it("is noticed and adapted to at both fidelities, and what is looked up and kept stays the same", () => {
    for (const fidelity of ["cluster", "neuron"] as const) {
      const [fixed, adaptive, oracle] = [run({ slowStorage: SLOW, fidelity }), run({ slowStorage: SLOW, fidelity, adapt: true }), run({ slowStorage: SLOW, fidelity }, "apart")];
      expect(adaptive.tokens.map(({ lookups, misses }) => [lookups, misses])).toEqual(fixed.tokens.map(({ lookups, misses }) => [lookups, misses]));
      expect(adaptive.adaptation!.at(-1)!.gates.to, fidelity).toBe("apart");
      expect(adaptive.adaptation!.every(({ token }) => token % 4 === 0)).toBe(true);
      const recovered = (meanMs(fixed, 32, 48) - meanMs(adaptive, 32, 48)) / (meanMs(fixed, 32, 48) - meanMs(oracle, 32, 48));
      console.log(`${fidelity}: fixed ${meanMs(fixed, 32, 48).toFixed(1)} ms, adapting ${meanMs(adaptive, 32, 48).toFixed(1)}, oracle ${meanMs(oracle, 32, 48).toFixed(1)}; recovered when settled ${(100 * recovered).toFixed(0)} %`);
      expect(recovered).toBeGreaterThan(0.9);
    }
  });

  it("is noticed by its heat as well: a hot flash is one that slowed down", () => {
    const hot = { ...device, flash: { ...device.flash, hotAt: { ...device.flash.hotAt, value: device.thermal.ambient.value - 1 }, hotRatio: { ...device.flash.hotRatio, value: 0.4 } } };
    const base = run({});
    const outcome = simulate({ device: hot, model, system, request: { ...request, memory: { _tag: "Bytes", bytes: base.plan.memory }, plan: base.plan, adapt: true } });
    expect(E.isRight(outcome) && outcome.right.adaptation!.map(({ cause }) => cause)).toContain("storage");
  });

  it("is refused where there are no tokens, or nothing that could change", () => {
    const hint = (more: Partial<RunRequest>): string => JSON.stringify(of(more));
    expect(hint({ adapt: true, fidelity: "analytic" })).toContain("happens between tokens, and the closed form has none");
    expect(hint({ slowStorage: SLOW, phase: "prefill", tokens: 1 })).toContain("a prompt has none");
    const other = (more: Partial<RunRequest>) => simulate({ device, model: modelNamed("bamboo-7b"), system: systemNamed("powerinfer-2"), request: { ...request, model: "bamboo-7b", system: "powerinfer-2", memory: { _tag: "Bytes", bytes: 3 * GIB }, tokens: 8, ...more } });
    expect(JSON.stringify(other({ adapt: true }))).toContain("take --system neuronlab");
    expect(JSON.stringify(other({ slowStorage: SLOW }))).toContain("or slow all");
    const [plain, slower] = [other({}), other({ slowStorage: { of: "all", factor: 3, token: 4 } })];
    if (E.isLeft(plain) || E.isLeft(slower)) throw new Error("does not run");
    expect(slower.right.violations).toEqual([]);
    expect(slower.right.tokens.slice(0, 4)).toEqual(plain.right.tokens.slice(0, 4));
    expect(meanMs(slower.right, 4, 8)).toBeGreaterThan(1.2 * meanMs(plain.right, 4, 8));
  });
});

describe("what follows the batch and the phase", () => {
  it("is the share of hot rows: one plan computes more of them densely at a larger batch, and all of them in prefill", () => {
    const bamboo = modelNamed("bamboo-7b");
    const phone = systemNamed("powerinfer-2");
    const asked: RunRequest = { ...request, model: bamboo.name, system: phone.name, memory: { _tag: "All" }, tokens: 8 };
    const ran = (more: Partial<RunRequest>): SimulatedRun => {
      const outcome = simulate({ device, model: bamboo, system: phone, request: { ...asked, ...more } });
      if (E.isLeft(outcome)) throw new Error(JSON.stringify(outcome.left));
      return outcome.right;
    };
    // With room for the keys and values of four sequences.
    const { plan } = ran({ batch: 4, prompt: 128 });
    const steady = { ...plan, compute: { ...plan.compute, npuRows: plan.compute.npuRows.slice(0, 1) } };
    expect(npuShareAt(plan, 4)).toBeGreaterThan(npuShareAt(plan, 1));
    expect(npuShareAt(steady, 4)).toBe(npuShareAt(plan, 1));
    const predicted = (given: typeof plan, batch: number): number => ran({ plan: given, batch }).predictor!.selected;
    expect(predicted(plan, 1)).toBe(predicted(steady, 1));
    expect(predicted(plan, 4)).toBeLessThan(0.8 * predicted(steady, 4));
    const prefill = ran({ plan, phase: "prefill", prompt: 128, tokens: 1 });
    expect(prefill.predictor).toBe(null);
    expect(prefill.breakdown.some(({ activity }) => activity === "gate" || activity === "predictor")).toBe(false);
    expect(prefill.lanes.find(({ lane }) => lane === "npu")!.busyNs).toBeGreaterThan(0);
  });
});
