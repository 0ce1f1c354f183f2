import { describe, expect, it } from "vitest";
import { bestThreads, denseCpuBandwidth, gemmCpuRate, matrixTimeNs, sparseCpuBandwidth, threadCount } from "../../../sim/hardware/kernels.js";
import { decode } from "../../../sim/base/decode.js";
import { E } from "../../../sim/base/fp.js";
import { deviceCodec } from "../../../sim/domain/device.js";
import { probed } from "../../fakes/probed.js";
import { deviceNamed } from "../../arb/runs.js";

const device = deviceNamed("oneplus-12");
const of = (kind: "big" | "mid" | "little") => device.cpu.clusters.find((c) => c.kind === kind)!;

describe("threads together", () => {
  it("stream what each core can, up to what the cluster can", () => {
    expect(denseCpuBandwidth(device, { big: 0, mid: 1, little: 0 })).toBe(of("mid").denseBandwidth.value);
    expect(denseCpuBandwidth(device, { big: 1, mid: 5, little: 0 })).toBe(device.cpu.bandwidth.value);
    expect(sparseCpuBandwidth(device, { big: 0, mid: 2, little: 1 })).toBeCloseTo(2 * of("mid").sparseBandwidth.value + of("little").sparseBandwidth.value, 12);
    expect(gemmCpuRate(device, { big: 1, mid: 1, little: 0 })).toBeCloseTo(of("big").gemmRate.value + of("mid").gemmRate.value, 12);
  });
  it("of a probed device are what was timed on them together, and the sum where nothing was", () => {
    const read = decode(deviceCodec, "the test")(probed("mine"));
    if (E.isLeft(read)) throw new Error("the test's profile does not decode");
    const [one, two] = [{ big: 1, mid: 0, little: 0 }, { big: 2, mid: 0, little: 0 }];
    expect(denseCpuBandwidth(read.right, two)).toBe(20);
    expect(denseCpuBandwidth(read.right, one)).toBeCloseTo(Math.sqrt(8 * 16), 12);
    expect(sparseCpuBandwidth(read.right, one)).toBeCloseTo(Math.sqrt(50), 12);
    expect(gemmCpuRate(read.right, one)).toBeCloseTo(50 * 4 ** (Math.log(8) / Math.log(16)), 10);
    expect(gemmCpuRate(read.right, { big: 1, mid: 1, little: 0 })).toBe(gemmCpuRate(device, { big: 1, mid: 1, little: 0 }));
  });
  it("are never more than the phone has", () => expect(gemmCpuRate(device, { big: 9, mid: 0, little: 0 })).toBe(of("big").count.value * of("big").gemmRate.value));
  it("by default are all big and mid cores, or the little ones where there are no others", () => {
    expect(bestThreads(device)).toEqual({ big: of("big").count.value, mid: of("mid").count.value, little: 0 });
    const small = { ...device, cpu: { ...device.cpu, clusters: [of("little")] } };
    expect(bestThreads(small)).toEqual({ big: 0, mid: 0, little: of("little").count.value });
    expect(threadCount(bestThreads(device))).toBe(of("big").count.value + of("mid").count.value);
  });
});

describe("a matrix times vectors", () => {
  const rows = 14336;
  const cols = 4096;
  const bytes = rows * cols * (4.5 / 8);
  it("is bound by its weights at batch 1 and by arithmetic at a large batch", () => {
    const one = matrixTimeNs(device, "npu", rows, cols, 1, false);
    const expectedOne = device.npu!.launch.value + bytes / device.npu!.matvecBandwidth.value;
    const many = matrixTimeNs(device, "npu", rows, cols, 4096, false);
    const expectedMany = device.npu!.launch.value + (2 * rows * cols * 4096) / device.npu!.prefillRate.value;
    console.log(`NPU, batch 1: expected ${expectedOne}, got ${one}; batch 4096: expected ${expectedMany}, got ${many}`);
    expect(one).toBeCloseTo(expectedOne, 6);
    expect(many).toBeCloseTo(expectedMany, 3);
  });
  it("never gets faster with the batch, on any unit", () => {
    for (const unit of ["cpu-4-mid", "cpu-6", "cpu-8", "gpu", "npu"] as const) {
      let before = 0;
      for (const batch of [1, 2, 4, 8, 32, 128]) {
        const ns = matrixTimeNs(device, unit, rows, cols, batch, false);
        expect(ns).toBeGreaterThanOrEqual(before);
        before = ns;
      }
    }
  });
  it("gains from skipped rows on the CPU, and there eight threads lose to six: the loop ends with its slowest core", () => {
    expect(matrixTimeNs(device, "cpu-6", rows, cols, 1, true)).toBeLessThan(matrixTimeNs(device, "cpu-6", rows, cols, 1, false));
    expect(matrixTimeNs(device, "npu", rows, cols, 1, true)).toBe(matrixTimeNs(device, "npu", rows, cols, 1, false));
    expect(matrixTimeNs(device, "cpu-8", rows, cols, 1, true)).toBeGreaterThan(matrixTimeNs(device, "cpu-6", rows, cols, 1, true));
  });
  it("takes for ever on a unit that is not there", () => {
    expect(matrixTimeNs({ ...device, npu: null }, "npu", rows, cols, 1, false)).toBe(Infinity);
    expect(matrixTimeNs({ ...device, gpu: null }, "gpu", rows, cols, 1, false)).toBe(Infinity);
  });
});
