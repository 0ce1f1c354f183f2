/** Heat slows a phone that is used for long; a mapped file larger than the memory is read anew for every token. */
import { describe, expect, it } from "vitest";
import { sizesOf } from "../../sim/domain/model.js";
import type { DeviceProfile } from "../../sim/domain/device.js";
import { deviceNamed, GIB, modelNamed, run } from "../arb/runs.js";

/** The phone with another time constant and room temperature. */
const heated = (timeConstantNs: number, ambient: number, resistance = 1): DeviceProfile => {
  const device = deviceNamed("oneplus-12");
  const { thermal } = device;
  return { ...device, thermal: { ...thermal, ambient: { ...thermal.ambient, value: ambient }, timeConstant: { ...thermal.timeConstant, value: timeConstantNs }, resistance: { ...thermal.resistance, value: thermal.resistance.value * resistance } } };
};

describe("heat", () => {
  it("throttles a long run on a phone in the sun, token after token, and never below the floor", () => {
    const hot = run({ device: heated(1e9, 40, 3), tokens: 64 });
    const cool = run({ device: heated(1e9, 5), tokens: 64 });
    expect(hot.tokens[0].latencyNs).toBe(cool.tokens[0].latencyNs);
    expect(hot.tokens[63].latencyNs).toBeGreaterThan(1.2 * cool.tokens[63].latencyNs);
    // The floor is a ratio of the clocks; launches and merges do not slow down with them.
    expect(hot.tokens[63].latencyNs).toBeLessThan(cool.tokens[63].latencyNs / deviceNamed("oneplus-12").thermal.floor.value);
    expect(cool.tokens[63].latencyNs).toBeLessThan(1.02 * cool.tokens[0].latencyNs);
    expect(hot.energy.hottestC).toBeGreaterThan(deviceNamed("oneplus-12").thermal.throttleStart.value);
  });

  it("does not touch a short run: the time constant is minutes", () => {
    const record = run({ tokens: 16 });
    expect(record.energy.hottestC).toBeLessThan(deviceNamed("oneplus-12").thermal.throttleStart.value);
  });

  it("throttles a long prompt on the way, layer after layer, between its bounds", () => {
    // Minutes of matrix products on the CPU: chunks of 512 tokens, each slower than the one before while the phone warms.
    const asked = { phase: "prefill", system: "llama.cpp", prompt: 2048 } as const;
    const cool = run({ ...asked, device: heated(300e9, 5) });
    const hot = run({ ...asked, device: heated(60e9, 35, 1.5) });
    expect(cool.wallNs).toBeGreaterThan(120e9);
    expect(hot.wallNs).toBeGreaterThan(1.1 * cool.wallNs);
    expect(hot.wallNs).toBeLessThan(cool.wallNs / deviceNamed("oneplus-12").thermal.floor.value);
    expect(hot.energy.hottestC).toBeGreaterThan(deviceNamed("oneplus-12").thermal.throttleStart.value);
    expect(hot.violations).toEqual([]);
    for (const record of [hot, cool]) {
      expect(record.bound.lower).toBeLessThanOrEqual(record.tokensPerSec);
      expect(record.bound.upper).toBeGreaterThanOrEqual(record.tokensPerSec);
    }
  });

  it("of a prompt under load from flash slows the reads too", () => {
    const asked = { phase: "prefill", prompt: 512, gib: 3, mechanisms: { prefillOverlap: "off" } } as const;
    const hot = run({ ...asked, device: heated(1e8, 44, 2) });
    const cool = run({ ...asked, device: heated(1e8, 5, 0.1) });
    const busy = (record: typeof hot): number => record.lanes.find((lane) => lane.lane === "flash")!.busyNs;
    expect(busy(hot) / busy(cool)).toBeGreaterThan(1.2);
    expect(busy(hot) / busy(cool)).toBeLessThan(1 / deviceNamed("oneplus-12").flash.hotRatio.value + 1e-9);
    expect(hot.bound.lower).toBeLessThanOrEqual(hot.tokensPerSec);
  });

  it("slows reads as well, and a hot run still lies between its bounds", () => {
    const hot = run({ device: heated(1e9, 46), gib: 3, tokens: 32 });
    const cool = run({ device: heated(1e9, 5), gib: 3, tokens: 32 });
    expect(hot.tokensPerSec).toBeLessThan(cool.tokensPerSec * 0.95);
    for (const record of [hot, cool]) {
      expect(record.bound.lower).toBeLessThanOrEqual(record.tokensPerSec);
      expect(record.bound.upper).toBeGreaterThanOrEqual(record.tokensPerSec);
    }
  });
});

describe("a mapped file under an LRU page cache", () => {
  const model = modelNamed("bamboo-7b");
  const sizes = sizesOf(model);
  /** All that one token of a dense model touches: everything but the embedding table. */
  const touched = sizes.attentionBytes * model.layers + sizes.headBytes + sizes.ffnBytes;
  const atPages = (pages: number, fidelity: "cluster" | "analytic" = "cluster") => {
    const { plan } = run({ model, system: "llama.cpp", gib: 5 });
    return run({ model, system: "llama.cpp", gib: 5, tokens: 4, fidelity, plan: { ...plan, cache: { ...plan.cache, hot: 0, cold: pages } } });
  };

  it("reads everything below one token's demand and nothing at it: the cliff, one byte wide", () => {
    for (const fidelity of ["cluster", "analytic"] as const) {
      expect(atPages(touched - 1, fidelity).bytesReadPerToken / touched, fidelity).toBeCloseTo(1, 9);
      expect(atPages(touched, fidelity).bytesReadPerToken, fidelity).toBe(0);
    }
  });

  it("reads everything however much less there is, since a scan drops what comes next", () => {
    const half = atPages(touched / 2);
    expect(half.bytesReadPerToken / touched).toBeCloseTo(1, 9);
    expect(half.tokensPerSec).toBeCloseTo(atPages(touched - 1).tokensPerSec, 9);
  });

  it("drops by more than a factor of ten in speed between the two sides", () => {
    expect(atPages(touched).tokensPerSec / atPages(touched - 1).tokensPerSec).toBeGreaterThan(10);
  });

  it("keeps a part of a mixture of experts: what returns within the cache's span is found", () => {
    const mixtral = modelNamed("turbosparse-mixtral-47b");
    const read = [7, 9, 13, 19].map((gib) => run({ model: mixtral, system: "llama.cpp", gib, tokens: 8 }).bytesReadPerToken);
    expect(read).toEqual([...read].sort((a, b) => b - a));
    expect(read[0] / GIB).toBeGreaterThan(3);
    expect(read[3]).toBeLessThan(read[0] / 2);
  });
});
