/** Decode on the assembled phone, against times worked out by hand from the profile's facts. Prints expected, got and deviation. */
import { describe, expect, it } from "vitest";
import { sizesOf } from "../../../sim/domain/model.js";
import type { Plan } from "../../../sim/domain/plan.js";
import type { Activity, SimulatedRun } from "../../../sim/domain/run.js";
import { deviceNamed, modelNamed, run, type Asked } from "../../arb/runs.js";

const device = deviceNamed("oneplus-12");
const model = modelNamed("bamboo-7b");
const sizes = sizesOf(model);
const spent = (record: SimulatedRun, activity: Activity): number => record.breakdown.find((part) => part.activity === activity)?.nsPerToken ?? 0;

const expectWithin = (what: string, got: number, expected: number, tolerance: number): void => {
  console.log(`${what}: expected ${expected.toPrecision(6)}, got ${got.toPrecision(6)}, deviation ${((got / expected - 1) * 100).toFixed(3)} %`);
  expect(Math.abs(got / expected - 1), what).toBeLessThanOrEqual(tolerance);
};

/** Attention weights and the key-value cache of the mean context, one layer. */
const attentionBytes = (prompt: number, tokens: number): number => sizes.attentionBytes + (sizes.kvBytesPerToken / model.layers) * (prompt + tokens / 2);

/** A plan with attention on these units, all weights in memory. */
const planOn = (attentionOn: Plan["compute"]["attentionOn"], asked: Parameters<typeof run>[0]): Plan => {
  const { plan } = run({ ...asked, fidelity: "analytic", trace: false });
  return { ...plan, compute: { ...plan.compute, attentionOn } };
};

describe("the bandwidths of the paper emerge from runs of the assembled phone", () => {
  // Without launches and barriers, which the printed bandwidths do not contain, and with so long a context that they would not matter.
  const free = { ...device, cpu: { ...device.cpu, barrier: { ...device.cpu.barrier, value: 0 } }, npu: { ...device.npu!, launch: { ...device.npu!.launch, value: 0 } } };
  const asked: Asked = { device: free, model, prompt: 4096, tokens: 2 };
  const bandwidth = (attentionOn: Plan["compute"]["attentionOn"]): number => {
    const record = run({ ...asked, plan: planOn(attentionOn, asked) });
    return (attentionBytes(4096, 2) * model.layers) / spent(record, "attention");
  };
  it("CPU alone: 43.9 GB/s", () => {
    expectWithin("CPU alone, GB/s", bandwidth("cpu"), device.cpu.bandwidth.value, 1e-4);
    expect(device.cpu.bandwidth.value).toBeCloseTo(43.9, 1);
  });
  it("NPU alone: 56 GB/s", () => {
    expectWithin("NPU alone, GB/s", bandwidth("npu"), device.npu!.bulkBandwidth.value, 1e-4);
    expect(device.npu!.bulkBandwidth.value).toBeCloseTo(56, 1);
  });
  it("both at once: 59.6 GB/s, the bus", () => {
    expectWithin("CPU and NPU, GB/s", bandwidth("cpu+npu"), device.dram.sustained.value, 1e-3);
    expect(device.dram.sustained.value).toBeCloseTo(59.6, 1);
  });
});

describe("the NPU's static graphs", () => {
  const swapping = (ns: number): ReadonlyArray<number> => run({ device: { ...device, npu: { ...device.npu!, graphSwap: { ...device.npu!.graphSwap, value: ns } } }, model, tokens: 3 }).tokens.map((t) => t.latencyNs);
  const attentionNs = attentionBytes(64, 3) / device.dram.sustained.value;
  it("are swapped behind attention: a swap shorter than attention costs nothing", () => {
    expect(swapping(0.5 * attentionNs)).toEqual(swapping(0));
  });
  it("a swap longer than attention delays each layer of the first pass by the rest, and no later pass", () => {
    const longNs = 10e6;
    const [first, ...later] = swapping(longNs);
    const [firstAtOnce, ...laterAtOnce] = swapping(0);
    // Attention ends with the launch of its graph and the merge of its two parts.
    const hidden = attentionNs + device.npu!.launch.value + device.cpu.barrier.value;
    expectWithin("delay of the first pass, ns", first - firstAtOnce, (longNs - hidden) * model.layers, 0.03);
    later.forEach((ns, i) => expect(Math.abs(ns / laterAtOnce[i] - 1)).toBeLessThan(1e-6));
  });
});

describe("a dense system in memory (llama.cpp)", () => {
  it("takes its weights over the CPU's bandwidth and one barrier for each of its products", () => {
    const record = run({ system: "llama.cpp", prompt: 64, tokens: 2 });
    const threads = record.plan.compute.threads;
    const cores = device.cpu.clusters.reduce((sum, c) => sum + Math.min(threads[c.kind], c.count.value) * c.denseBandwidth.value, 0);
    const efficiency = 0.86;
    const rate = Math.min(device.cpu.bandwidth.value, cores) * efficiency;
    const bytes = attentionBytes(64, 2) * model.layers + sizes.ffnBytes + sizes.headBytes;
    expectWithin("llama.cpp in memory, ns per token", record.msPerToken.mean * 1e6, bytes / rate + (2 * model.layers + 1) * device.cpu.barrier.value, 0.002);
  });
});

describe("a dense system that streams (QNN)", () => {
  it("adds the time of reading its FFN in sequence, with nothing hidden", () => {
    const inMemory = run({ system: "qnn", tokens: 2 });
    const streamed = run({ system: "qnn", gib: 3, tokens: 2 });
    const stream = spent(streamed, "stream");
    expectWithin("QNN, ns more per token", (streamed.msPerToken.mean - inMemory.msPerToken.mean) * 1e6, stream, 1e-6);
    expectWithin("QNN, bytes per token", streamed.bytesReadPerToken, sizes.ffnBytes, 1e-9);
    expect(streamed.exposedIoShare).toBeCloseTo(stream / (streamed.msPerToken.mean * 1e6), 6);
  });
});

describe("a system without overlap (LLM in a flash)", () => {
  it("shows every read on its critical path; one that overlaps by cluster hides a part of them", () => {
    const serial = run({ system: "llm-in-a-flash", gib: 3, tokens: 16 });
    const flash = serial.lanes.find((lane) => lane.lane === "flash")!.busyNs / 16;
    // The reads' flights beyond the device's service are on the path as well.
    expect(spent(serial, "read bundle")).toBeGreaterThanOrEqual(flash * (1 - 1e-9));
    const piped = run({ system: "powerinfer-2", gib: 3.5, tokens: 16 });
    const pipedFlash = piped.lanes.find((lane) => lane.lane === "flash")!.busyNs / 16;
    expect(spent(piped, "read gate") + spent(piped, "read up+down") + spent(piped, "stream")).toBeLessThan(pipedFlash * 1.05);
    expect(piped.exposedIoShare).toBeLessThan(serial.exposedIoShare);
  });

  it("gets slower when a barrier stands between the matrices, and slower still without any overlap", () => {
    const speed = (overlap: "none" | "matrix" | "cluster"): number => run({ gib: 3, tokens: 32, mechanisms: { overlap } }).tokensPerSec;
    const [none, matrix, cluster] = [speed("none"), speed("matrix"), speed("cluster")];
    console.log(`overlap: none ${none.toFixed(2)}, matrix ${matrix.toFixed(2)}, cluster ${cluster.toFixed(2)} tokens/s`);
    expect(none).toBeLessThan(matrix);
    expect(matrix).toBeLessThan(cluster);
  });
});

describe("bytes from flash", () => {
  it("are the misses times one bundle in whole pages, and two-phase loading reads up and down only where the gate fires", () => {
    const bundle = run({ system: "llm-in-a-flash", gib: 3, tokens: 8 });
    const misses = bundle.tokens.reduce((sum, token) => sum + token.misses, 0) / 8;
    const pages = Math.ceil(sizes.neuronBytes / 4096) * 4096;
    expectWithin("bundles, bytes per token", bundle.bytesReadPerToken, misses * pages, 1e-9);
    const phases = run({ system: "powerinfer-2", gib: 3, tokens: 8, mechanisms: { prefetchHot: "off" } });
    const gates = phases.tokens.reduce((sum, token) => sum + token.misses, 0) / 8;
    const gate = Math.ceil(sizes.rowBytes / 4096) * 4096;
    const upDown = Math.ceil((2 * sizes.rowBytes) / 4096) * 4096;
    expectWithin("two phases, bytes per token", phases.bytesReadPerToken, gates * (gate + model.activations.gateFires.value * upDown), 1e-9);
  });
});

describe("the order within a layer", () => {
  it("is attention, clusters, merge: no task of a layer ends after its merge, and none starts before the layer before has merged", () => {
    for (const overlap of ["none", "matrix", "cluster"] as const) {
      const { spans } = run({ gib: 3, tokens: 1, trace: true, mechanisms: { overlap } });
      let mergedNs = 0;
      for (let layer = 0; layer < model.layers; layer++) {
        const own = spans.filter((span) => span.layer === layer);
        const startNs = Math.min(...own.map((span) => span.startNs));
        const last = own.reduce((latest, span) => (span.endNs > latest.endNs || (span.endNs === latest.endNs && span.what === "merge") ? span : latest));
        expect(startNs, `${overlap}, layer ${layer}`).toBe(mergedNs);
        expect(last.what, `${overlap}, layer ${layer}`).toBe("merge");
        const others = own.filter((span) => span !== last);
        expect(last.startNs, `${overlap}, layer ${layer}`).toBe(Math.max(...others.map((span) => span.endNs)));
        mergedNs = last.endNs;
      }
    }
  });

  it("never holds more flash-backed clusters in flight than the depth", () => {
    const { plan } = run({ gib: 3, tokens: 1 });
    for (const depth of [1, 3]) {
      const { spans } = run({ gib: 3, tokens: 1, trace: true, plan: { ...plan, pipeline: { depth } } });
      const reads = spans.filter((span) => span.layer === 4 && (span.what === "read gate" || span.what === "read up+down"));
      expect(reads.length).toBeGreaterThan(4);
      const atOnce = reads.map((read) => reads.filter((other) => other.startNs <= read.startNs && read.startNs < other.endNs).length);
      expect(Math.max(...atOnce), `depth ${depth}`).toBeLessThanOrEqual(depth);
    }
  });
});
