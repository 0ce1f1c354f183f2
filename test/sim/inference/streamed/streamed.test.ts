/** Whole experts from flash: what overlap can and cannot hide, lanes, the cliff, a routing that is played, bounds, the closed form. */
import { describe, expect, it } from "vitest";
import { E } from "../../../../sim/base/fp.js";
import { describeError } from "../../../../sim/base/errors.js";
import type { DeviceProfile } from "../../../../sim/domain/device.js";
import { storedLayersOf } from "../../../../sim/domain/model.js";
import type { Plan } from "../../../../sim/domain/plan.js";
import type { Fidelity, SimulatedRun } from "../../../../sim/domain/run.js";
import { laneRates } from "../../../../sim/hardware/flash.js";
import { simulate } from "../../../../sim/inference/simulate.js";
import { createExpertCache } from "../../../../sim/neurons/expert-cache.js";
import type { Replay, Routing } from "../../../../sim/neurons/routing.js";
import { asRun, deviceNamed, modelNamed, systemNamed } from "../../../arb/runs.js";

const phone = deviceNamed("oneplus-15r");
const system = systemNamed("expert-streaming");
const MIB = 2 ** 20;

interface Asked { readonly model?: string; readonly cacheMib?: number; readonly lanes?: number; readonly overlap?: "none" | "cluster"; readonly tokens?: number; readonly fidelity?: Fidelity; readonly replay?: Replay; readonly device?: DeviceProfile; readonly readStartNs?: number; readonly trace?: boolean }

const run = (asked: Asked) => {
  const device = asked.device ?? phone;
  const found = modelNamed(asked.model ?? "gemma-4-26b-a4b");
  const model = asked.replay === undefined ? found : { ...found, experts: { ...found.experts, active: asked.replay.routing.active } };
  const cold = (asked.cacheMib ?? 0) * MIB;
  const mechanisms = { overlap: asked.overlap ?? "cluster", cache: cold > 0 ? "expert-lru" : "none" } as const;
  const request = { device: device.name, model: model.name, system: system.name, memory: { _tag: "OffloadFfn", share: 1 } as const, phase: "decode", prompt: 64, tokens: asked.tokens ?? 24, batch: 1, seed: 1, fidelity: asked.fidelity ?? "cluster", mechanisms, ...(asked.trace === true ? { trace: true } : {}) } as const;
  const bare = simulate({ device, model, system, request: { ...request, fidelity: "analytic" } });
  if (E.isLeft(bare)) throw new Error(describeError(bare.left));
  const from = bare.right.plan;
  const plan: Plan = { ...from, memory: from.memory + cold, cache: { ...from.cache, cold }, io: { ...from.io, lanes: asked.lanes ?? 4 } };
  const changed = asked.readStartNs === undefined ? system : { ...system, software: { ...system.software, readStart: { ...system.software.readStart!, value: asked.readStartNs } } };
  return simulate({ device, model, system: changed, request: { ...request, memory: { _tag: "Bytes", bytes: plan.memory }, plan }, ...(asked.replay === undefined ? {} : { replay: asked.replay }) });
};

const ran = (asked: Asked): SimulatedRun => {
  const done = run(asked);
  if (E.isLeft(done)) throw new Error(describeError(done.left));
  return done.right;
};

describe("lanes", () => {
  it("are read off the device's table at its points, and lie between its rows elsewhere", () => {
    const { flash } = phone;
    for (const point of flash.lanes!) expect(laneRates(flash, point.block.value, point.lanes.value, 1e9)[point.lanes.value === 1 ? "each" : "together"]).toBeCloseTo(point.rate.value, 9);
    const [two, three, four] = [2, 3, 4].map((lanes) => laneRates(flash, 131072, lanes, 1e9).together) as [number, number, number];
    expect(two < three && three < four).toBe(true);
  });

  it("of a device without a table wait for their own latency, and never get more than its full queue gives", () => {
    const { flash } = deviceNamed("oneplus-12");
    const { each, together } = laneRates(flash, 2e6, 4, 1e9);
    expect(each).toBeLessThan(2e6 / flash.latency.value);
    expect(together).toBeLessThanOrEqual(4 * each + 1e-9);
    expect(laneRates(flash, 2e6, 1, 1e9).together).toBeCloseTo(each, 9);
  });
});

describe("whole experts from flash", () => {
  it("reads every expert of every token without a cache: whole pages of each of its matrices", () => {
    const done = ran({ tokens: 4 });
    const model = modelNamed("gemma-4-26b-a4b");
    const experts = storedLayersOf(model).reduce((sum, { expertBytes }) => sum + model.experts.active * expertBytes, 0);
    const pieces = model.layers * model.experts.active * model.stored!.matrices.value;
    expect(done.bytesReadPerToken).toBeCloseTo(experts + pieces * (4096 - 32), -3);
    expect(done.cacheHitRate).toBe(0);
    expect(done.violations).toEqual([]);
  });

  it("hides behind reads the products of experts that came before, and never attention: overlap gains less than the slower of the two would", () => {
    const [serial, overlapped] = [ran({ overlap: "none" }), ran({ overlap: "cluster" })];
    const busy = (of: SimulatedRun, activity: string): number => (of.breakdown.find((b) => b.activity === activity)?.nsPerToken ?? 0) / 1e6;
    const reads = serial.exposedIoShare * serial.msPerToken.mean;
    expect(overlapped.msPerToken.mean).toBeLessThan(serial.msPerToken.mean);
    expect(overlapped.msPerToken.mean).toBeGreaterThan(reads + busy(serial, "attention") + busy(serial, "head"));
    expect(serial.msPerToken.mean - overlapped.msPerToken.mean).toBeLessThan(busy(serial, "dense FFN"));
  });

  it("reads the experts of a layer in the order in which they are computed", () => {
    const done = ran({ tokens: 1, lanes: 2, trace: true });
    const layer = done.spans.filter((span) => span.layer === 3);
    const reads = layer.filter(({ what }) => what === "stream").map(({ endNs }) => endNs).sort((a, b) => a - b);
    const products = layer.filter(({ what }) => what === "dense FFN").map(({ startNs }) => startNs).sort((a, b) => a - b);
    expect(products).toHaveLength(8);
    // The wake-up is the first span of the lanes; with two lanes the first product begins long before the last read ends.
    expect(products[0]!).toBeLessThan(reads.at(-4)!);
    expect(products[0]!).toBeGreaterThanOrEqual(reads[1]!);
  });

  it("finds exactly nothing below one token's demand, and reads as much as without a cache", () => {
    const [none, cliff, above] = [0, 1500, 2500].map((cacheMib) => ran({ model: "gpt-oss-120b", cacheMib, tokens: 8, overlap: "none" })) as [SimulatedRun, SimulatedRun, SimulatedRun];
    expect(cliff.cacheHitRate).toBe(0);
    expect(cliff.bytesReadPerToken).toBe(none.bytesReadPerToken);
    expect(cliff.msPerToken.mean).toBeGreaterThan(none.msPerToken.mean);
    expect(above.cacheHitRate).toBeGreaterThan(0.2);
  });

  it("is faster with more memory, with more lanes than one, and with a device that wakes sooner", () => {
    const speed = (asked: Asked): number => ran(asked).tokensPerSec;
    expect(speed({ cacheMib: 4000 })).toBeGreaterThan(speed({ cacheMib: 2000 }));
    expect(speed({ cacheMib: 2000, lanes: 2 })).toBeGreaterThan(speed({ cacheMib: 2000, lanes: 1 }));
    expect(speed({ readStartNs: 0 })).toBeGreaterThan(speed({ readStartNs: 2e6 }));
  });

  it("lies between its bounds, and the closed form near it", () => {
    for (const model of ["gemma-4-26b-a4b", "gpt-oss-120b"])
      for (const overlap of ["none", "cluster"] as const)
        for (const cacheMib of [0, 2000, 4000]) {
          const [done, closed] = [ran({ model, overlap, cacheMib, tokens: 32 }), ran({ model, overlap, cacheMib, tokens: 32, fidelity: "analytic" })];
          expect(done.tokensPerSec).toBeGreaterThanOrEqual(done.bound.lower);
          expect(done.tokensPerSec).toBeLessThanOrEqual(done.bound.upper);
          expect(Math.abs(closed.tokensPerSec / done.tokensPerSec - 1)).toBeLessThan(0.15);
        }
  });

  it("runs a model of which nothing is stored by layer, on a phone without a table of lanes", () => {
    const done = asRun({ device: deviceNamed("oneplus-12"), model: modelNamed("mixtral-8x7b"), system, gib: 12, tokens: 4 });
    expect(E.isRight(done) && done.right.violations).toEqual([]);
  });

  it("refuses what it cannot be combined with, in words", () => {
    const told = (mechanisms: Parameters<typeof asRun>[0]["mechanisms"], batch = 1): string => {
      const done = asRun({ device: phone, model: modelNamed("gemma-4-26b-a4b"), system, gib: 6, tokens: 2, batch, ...(mechanisms === undefined ? {} : { mechanisms }) });
      return E.isLeft(done) ? describeError(done.left) : "(runs)";
    };
    expect(told({ cache: "lfu" })).toMatch(/keeps whole experts; cache is lfu, choose expert-lru or none/);
    expect(told({ overlap: "matrix" })).toMatch(/overlap is matrix, choose none or cluster/);
    expect(told({ computation: "gated" })).toMatch(/computation gated keeps neurons; cache expert-lru keeps whole experts/);
    expect(told(undefined, 2)).toMatch(/decodes one sequence; batch is 2/);
  });
});

describe("a routing that is played", () => {
  const [layers, active, tokens] = [30, 2, 12];
  const used = Int32Array.from({ length: layers * active * tokens }, (_, i) => (Math.floor(i / (layers * active)) * 3 + (i % active)) % 7 + 10 * (i % active));
  const routing: Routing = { layers, experts: 128, active, prompt: Array.from({ length: layers }, () => Int32Array.of(0, 1)), tokens, used };

  it("hits and misses token by token as the cache by itself does", () => {
    const skip = 4;
    const done = ran({ replay: { routing, skip }, cacheMib: 900, tokens: tokens - skip });
    const model = modelNamed("gemma-4-26b-a4b");
    const cache = createExpertCache(storedLayersOf(model).map(({ expertBytes }) => expertBytes), 128, 900 * MIB);
    const missing = new Uint8Array(128);
    routing.prompt.forEach((experts, layer) => cache.useLayer(layer, experts, missing));
    const misses = Array.from({ length: tokens }, (_, token) => Array.from({ length: layers }, (_l, layer) => cache.useLayer(layer, used.subarray((token * layers + layer) * active, (token * layers + layer + 1) * active), missing)).reduce((sum, n) => sum + n, 0));
    expect(done.tokens.map((token) => token.misses)).toEqual(misses.slice(skip));
    expect(done.tokens.every((token) => token.lookups === layers * active)).toBe(true);
  });

  it("is refused where it is of another model, too short, or nobody would play it", () => {
    const told = (replay: Replay, more: Asked = {}): string => {
      const done = run({ replay, tokens: 8, cacheMib: 900, ...more });
      return E.isLeft(done) ? describeError(done.left) : "(runs)";
    };
    expect(told({ routing: { ...routing, layers: 29 }, skip: 0 })).toMatch(/layers: 29; gemma-4-26b-a4b has 30/);
    expect(told({ routing, skip: 5 })).toMatch(/tokens: 12 were recorded; 5 before the clock starts and 8 after it/);
    expect(told({ routing, skip: 0 }, { fidelity: "analytic" })).toMatch(/not in closed form/);
  });
});
