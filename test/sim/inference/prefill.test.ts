/** Prefill against its closed form, layer by layer. */
import { describe, expect, it } from "vitest";
import { sizesOf } from "../../../sim/domain/model.js";
import { deviceNamed, modelNamed, run } from "../../arb/runs.js";

const device = deviceNamed("oneplus-12");
const model = modelNamed("bamboo-7b");
const sizes = sizesOf(model);
const expectWithin = (what: string, got: number, expected: number, tolerance: number): void => {
  console.log(`${what}: expected ${expected.toPrecision(6)}, got ${got.toPrecision(6)}, deviation ${((got / expected - 1) * 100).toFixed(3)} %`);
  expect(Math.abs(got / expected - 1), what).toBeLessThanOrEqual(tolerance);
};

describe("prefill in memory", () => {
  it("of a long prompt takes its operations over the NPU's rate and two launches a layer", () => {
    const tokens = 512;
    const record = run({ phase: "prefill", prompt: tokens });
    const rate = device.npu!.prefillRate.value;
    const ops = (sizes.attentionOps * tokens + 4 * model.hidden * (tokens / 2) * tokens + sizes.ffnOps * tokens) * model.layers;
    const head = Math.max(sizes.headOps / rate, sizes.headBytes / device.npu!.bulkBandwidth.value);
    expectWithin("NPU prefill of 512 tokens, ns", record.wallNs, ops / rate + head + (2 * model.layers + 1) * device.npu!.launch.value, 1e-4);
  });

  it("of one token is bound by the weights it streams, not by arithmetic", () => {
    const record = run({ phase: "prefill", prompt: 1 });
    const bytes = sizes.attentionBytes * model.layers + sizes.ffnBytes + sizes.headBytes;
    expectWithin("NPU prefill of one token, ns", record.wallNs, bytes / device.npu!.bulkBandwidth.value + (2 * model.layers + 1) * device.npu!.launch.value, 1e-4);
  });

  it("in chunks goes through the weights once for each chunk", () => {
    const one = run({ phase: "prefill", prompt: 512, system: "llama.cpp" });
    const two = run({ phase: "prefill", prompt: 513, system: "llama.cpp" });
    const extra = (two.wallNs - one.wallNs) / (sizes.ffnBytes / device.cpu.bandwidth.value);
    // The 513th token alone reads all weights again: about as long as one decoded token.
    expect(extra).toBeGreaterThan(1);
    expect(extra).toBeLessThan(2.5);
  });
});

describe("prefill with the FFN on flash", () => {
  it("warms the phone by what its reads draw", () => {
    const reading = (joulesPerGb: number) => run({ phase: "prefill", prompt: 512, gib: 3, device: { ...device, flash: { ...device.flash, energy: { ...device.flash.energy, value: joulesPerGb } } } }).energy;
    const shipped = device.flash.energy.value;
    const [none, once, twice] = [reading(0), reading(shipped), reading(2 * shipped)];
    expect(shipped).toBeGreaterThan(0);
    expect(once.hottestC).toBeGreaterThan(none.hottestC);
    expect((twice.hottestC - none.hottestC) / (once.hottestC - none.hottestC)).toBeCloseTo(2, 6);
  });

  it("without overlap takes the reads and the computation one after the other; with it, the longer of the two", () => {
    const asked = { phase: "prefill", prompt: 512, gib: 3 } as const;
    const serial = run({ ...asked, mechanisms: { prefillOverlap: "off" } });
    const overlapped = run({ ...asked, mechanisms: { prefillOverlap: "next-layer" } });
    const flash = overlapped.lanes.find((lane) => lane.lane === "flash")!.busyNs;
    const npu = overlapped.lanes.find((lane) => lane.lane === "npu")!.busyNs;
    const launches = (2 * model.layers + 1) * device.npu!.launch.value;
    expectWithin("serial prefill, ns", serial.wallNs, flash + npu + launches, 1e-6);
    expectWithin("overlapped prefill, ns", overlapped.wallNs, Math.max(flash, npu + launches), 0.05);
    expect(serial.bytesReadPerToken * 512).toBeCloseTo(sizes.ffnBytes, 0);
  });

  it("hides the reads of a prompt long enough", () => {
    const record = run({ phase: "prefill", prompt: 4096, gib: 3 });
    expect(record.exposedIoShare).toBeLessThan(0.05);
  });
});
