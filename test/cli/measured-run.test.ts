import { describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { decode } from "../../sim/base/decode.js";
import { encodePlan, planCodec } from "../../sim/domain/plan.js";
import type { MeasuredRun } from "../../sim/domain/run.js";
import { METRICS } from "../../sim/report/metrics.js";
import { describeRun, summaryOf } from "../../sim/report/describe-run.js";
import { execute } from "../../cli/run.js";
import { generateProgram } from "../../cli/programs/generate/generate.js";
import { simulateProgram } from "../../cli/programs/simulate.js";
import { traceProgram } from "../../cli/programs/trace.js";
import { measuredRun, type Ran } from "../../cli/programs/generate/measured-run.js";
import type { GenerateReport, GenerateRequest, PhaseReport, SpentReport, TimelineReport } from "../../engine/index.js";
import { aPlan, commandNamed, fake, given } from "../fakes/capabilities.js";

const phase: PhaseReport = { ns: 100e6, ffnNs: 80e6, diskNs: 30e6, diskBytes: 40e6, gateLookUps: 50, gateMisses: 10, gatesAnnounced: 4, lookUps: 50, misses: 30 };
const request: GenerateRequest = {
  model: "models/m.flash", prompt: "Text", tokens: 3, memory: 900e6, segments: null, threads: 2, cores: [0, 1], ioCore: null, shape: null, planned: null, io: { backend: "lanes", reads: 4 }, depth: 8, cluster: 256, policy: "sieve",
  granularity: "neuron", overlap: "cluster", gates: "joined", preload: false, ffn: "auto", temperature: 0, topK: 0, topP: 1, seed: 1, stopAtEnd: true, predictor: null, audit: false, slow: null, adapt: null, trace: true,
};

const WHATS = ["attention", "gate", "up+down", "wait", "read gate", "read up+down", "stream", "head"] as const;
/** Two passes of 10 ms by two threads: 4 + 2 ms together, and each thread's stages. */
const decode2: SpentReport = { passes: 2, ns: 20e6, byActivity: [8e6, 4e6, 6e6, 10e6, 5e6, 20e6, 0, 4e6], byThread: [6e6, 4e6], together: 6e6, reading: 9e6, exposed: 3e6 };
const prompt1: SpentReport = { passes: 1, ns: 100e6, byActivity: [20e6, 0, 0, 30e6, 0, 0, 60e6, 2e6], byThread: [0, 0], together: 11e6, reading: 50e6, exposed: 30e6 };
const span = (lane: number, what: (typeof WHATS)[number], start: number, end: number, token: number, layer: number): ReadonlyArray<number> => [lane, WHATS.indexOf(what), start, end, token, layer];
const timeline: TimelineReport = {
  activities: WHATS, prompt: prompt1, decode: decode2, forgotten: 0, lost: 0,
  rows: Float64Array.of(12e6, 1000, 10, 4, 8e6, 500, 10, 1),
  spans: Float64Array.from([span(3, "stream", 100, 400, -1, 0), span(2, "attention", 500, 900, 0, 0), span(0, "gate", 900, 1000, 0, 0), span(3, "read gate", 850, 980, 0, 0), span(3, "read up+down", 900, 1200, 0, 0), span(1, "wait", 950, 1200, 0, 0), span(2, "head", 1300, 1500, 1, -1)].flat()),
};
const report: GenerateReport = {
  architecture: "smallthinker", shape: { layers: 2, hidden: 64, neurons: 96, experts: 4, used: 2, vocabulary: 272 }, file: "packed", ffn: "from flash", labels: ["lossless"], kernels: "avx512", threads: 2, loadNs: 1e9, promptTokens: 10, promptRate: 100, prompt: phase, decodeRate: 100, decode: phase,
  tokens: [5, 6, 7], tokenNs: [1e6, 12e6, 8e6], text: " is here", stop: "length", reads: { backend: "pread, 4 lanes, direct", count: 99, p50Ns: 90e3, p99Ns: 2e6, peakBufferBytes: 4096 },
  memory: 900e6, fixed: [{ part: "weights outside the FFNs", bytes: 3e8 }, { part: "KV cache", bytes: 1e8 }, { part: "the timeline", bytes: 2e7 }], ffnBytes: 4e8, hot: 3e8, cold: 1e8, peakResident: 850e6, seed: 1, timeline,
};

const measured = (changes: Partial<Ran> = {}): MeasuredRun => {
  const run = measuredRun({ request, report, given: null, shapedTo: null, ...changes });
  if (run === null) throw new Error("it was not traced");
  return run;
};
const run = measured();

describe("the record of a real run", () => {
  it("is of decode: passes, their times, what they read and what they missed", () => {
    expect(run).toMatchObject({ schema: "neuronlab/run@1", origin: "measured", wallNs: 20e6, tokensPerSec: 100, bytesReadPerToken: 750, cacheHitRate: 0.75, exposedIoShare: 0.15, violations: [] });
    expect(run.inputs).toEqual({ device: "this-host", model: "m.flash", system: "neuronlab", memory: { _tag: "Bytes", bytes: 900e6 }, phase: "decode", prompt: 10, tokens: 2, batch: 1, seed: 1, fidelity: null });
    expect(run.tokens).toEqual([{ latencyNs: 12e6, bytesRead: 1000, lookups: 10, misses: 4 }, { latencyNs: 8e6, bytesRead: 500, lookups: 10, misses: 1 }]);
    expect(run.msPerToken).toMatchObject({ mean: 10, p50: 8, max: 12 });
  });

  it("has a breakdown of the wall time by what the mean thread did, which sums to the token time, and no reads in it", () => {
    expect(run.breakdown.reduce((sum, { nsPerToken }) => sum + nsPerToken, 0)).toBeCloseTo(run.msPerToken.mean * 1e6, 6);
    expect(run.breakdown).toEqual([{ activity: "attention", nsPerToken: 2e6 }, { activity: "gate", nsPerToken: 1e6 }, { activity: "up+down", nsPerToken: 1.5e6 }, { activity: "wait", nsPerToken: 2.5e6 }, { activity: "head", nsPerToken: 1e6 }, { activity: "merge", nsPerToken: 2e6 }]);
    // 10 ms of their own and twice 6 ms together, of 40 ms.
    expect(run.cpuUtilisation).toBeCloseTo(22 / 40, 12);
  });

  it("says null and never zero for what a machine does not measure", () => {
    for (const name of ["missOfComputed", "dramBytesPerToken", "dramBandwidth", "energy", "bound", "limits", "predictor"] as const) expect(run[name], name).toBeNull();
    expect(run.spans.every((one) => one.critical === null)).toBe(true);
    const unknown = Object.entries(METRICS).filter(([, metric]) => metric.of(run) === null).map(([name]) => name);
    expect(unknown).toEqual(["missOfComputed", "dramBytesPerToken", "dramBandwidth", "joulesPerToken", "meanWatts", "peakWatts", "upperBound", "lowerBound"]);
    expect(summaryOf(run)).toMatchObject({ origin: "measured", joulesPerToken: null, energy: null, bound: null, limits: null, dramGBPerSec: null, engine: { policy: "sieve" } });
  });

  it("names lanes as the simulator does, and its times begin with the phase", () => {
    expect(run.lanes).toEqual([{ lane: "cpu 0", busyNs: 6e6, servers: 1 }, { lane: "cpu 1", busyNs: 4e6, servers: 1 }, { lane: "cpu all threads", busyNs: 6e6, servers: 1 }, { lane: "flash", busyNs: 9e6, servers: 1 }, { lane: "reads in flight", busyNs: 25e6, servers: 1 << 20 }]);
    expect(run.spans).toHaveLength(6);
    expect(run.spans[0]).toEqual({ lane: "cpu all threads", what: "attention", startNs: 0, endNs: 400, token: 0, layer: 0, critical: null });
    expect(run.spans.at(-1)).toMatchObject({ what: "head", layer: -1, startNs: 800 });
  });

  it("is of prefill where no pass of decode was made", () => {
    const prefill = measured({ report: { ...report, tokens: [5], tokenNs: [1e6], timeline: { ...timeline, rows: new Float64Array() } } });
    expect(prefill.inputs).toMatchObject({ phase: "prefill", prompt: 10, tokens: 0 });
    expect(prefill).toMatchObject({ tokensPerSec: 100, wallNs: 100e6, bytesReadPerToken: 4e6, cacheHitRate: 0, msPerToken: { mean: 10, max: 10 } });
    expect(prefill.spans.map((one) => [one.what, one.startNs])).toEqual([["stream", 0]]);
    expect(prefill.breakdown.reduce((sum, { nsPerToken }) => sum + nsPerToken, 0)).toBeCloseTo(10e6, 6);
  });

  it("says which device the disk was slowed down to, and how often it could not keep up", () => {
    const shaped = { reads: 200, late: 50, lateNs: 1e6, deviceNs: 1e9 };
    const slow = measured({ shapedTo: "oneplus-12", report: { ...report, reads: { ...report.reads!, shaped } } });
    expect(slow.engine.shaped).toEqual({ device: "oneplus-12", reads: 200, lateShare: 0.25 });
    expect(describeRun(slow, { timeline: "-" })).toContain("reads    pread, 4 lanes, direct; slowed down to oneplus-12, 25.0% of reads later than there");
    expect(run.engine.shaped).toBeNull();
  });

  it("is nothing for a run that was not traced", () => {
    const { timeline: _, ...untraced } = report;
    expect(measuredRun({ request, report: untraced, given: null, shapedTo: null })).toBeNull();
  });

  it("reads as text without what is not known", () => {
    const text = describeRun(run, { timeline: "HERE" });
    expect(text.split("\n").slice(0, 2)).toEqual(["m.flash on this-host with neuronlab, 900.0MB", "measured: decode of 2 tokens after 10; seed 1"]);
    expect(text).toContain("speed    100 tokens/s\n");
    expect(text).toContain("cpu      avx512 kernels, FFNs from flash, lossless; compute threads busy 55.0%");
    expect(text).not.toMatch(/critical path|energy|dram|limited by|NaN|null/);
  });
});

describe("the plan of a real run", () => {
  it("is one that the decoder takes, with what the engine did and held", () => {
    const decoded = decode(planCodec, "plan")(encodePlan(run.plan));
    expect(E.isRight(decoded) && decoded.right).toEqual(run.plan);
    expect(run.plan.mechanisms).toMatchObject({ computation: "gated", decodeOn: "cpu", loading: "two-phase", cache: "sieve", overlap: "cluster", submitters: "io-thread" });
    expect(run.plan.cache).toEqual({ fixed: 3e8, predictors: 0, scales: 0, kv: 1e8, runtime: 2e7, hot: 3e8, cold: 1e8 });
    expect(run.plan.compute.threads).toEqual({ big: 2, mid: 0, little: 0 });
    expect(run.plan.shape).toEqual(report.shape);
  });

  it("keeps the kinds of cores and the system of a plan that was given, and nothing that was not done", () => {
    const two = { ...aPlan, compute: { ...aPlan.compute, threads: { big: 0, mid: 2, little: 0 } } };
    const { plan, inputs } = measured({ given: two });
    expect([plan.system, inputs.system, plan.compute.threads.mid]).toEqual(["powerinfer-2", "powerinfer-2", 2]);
    expect(plan.compute.npuRows).toEqual([{ batch: 1, share: 0 }]);
    expect(measured({ given: aPlan }).plan.compute.threads).toEqual({ big: 2, mid: 0, little: 0 });
  });

  it("can be simulated", async () => {
    const f = fake({ files: { "plan.json": JSON.stringify(encodePlan(run.plan)) } });
    const code = await execute(simulateProgram(commandNamed("simulate"))(given({ plan: "plan.json", device: "oneplus-12", model: "bamboo-7b" })), f.capabilities);
    expect([code, f.ran[0]?.request.plan]).toEqual([0, run.plan]);
  });
});

const generate = async (named: Readonly<Record<string, unknown>>, answer: GenerateReport = report) => {
  const asked: Array<GenerateRequest> = [];
  const f = fake({ engine: { generate: (of) => (asked.push(of), () => Promise.resolve(E.right(answer))) } });
  const code = await execute(generateProgram(commandNamed("generate"))(given({ model: "m.flash", prompt: "Text", ...named })), f.capabilities);
  return { code, asked, f, stderr: f.stderr(), stdout: f.stdout() };
};

describe("generate with files", () => {
  it("--save writes the record, which neuronlab trace reads", async () => {
    const { code, asked, f, stderr } = await generate({ save: "run.json", memory: "900MB" });
    expect([code, asked[0]!.trace]).toEqual([0, true]);
    expect(stderr).toMatch(/\nwrote run\.json\n$/);
    const saved = JSON.parse(f.files.get("run.json")!) as MeasuredRun;
    expect([saved.origin, saved.plan.memory]).toEqual(["measured", "900000000B"]);
    const reading = fake({ files: { "run.json": f.files.get("run.json")! } });
    expect(await execute(traceProgram(commandNamed("trace"))(given({ file: "run.json" })), reading.capabilities)).toBe(0);
    expect(reading.stdout()).toMatch(/^m\.flash on this-host with neuronlab \(measured decode\)\n6 spans over 20\.00ms\n/);
    expect(reading.stdout()).toMatch(/\ncpu all threads +2 +6\.00ms +0\.3 +-- +attention\n/);
  });

  it("--trace writes the timeline, the prompt's spans too; without either nothing is recorded", async () => {
    const { f } = await generate({ trace: "t.json" });
    const { traceEvents } = JSON.parse(f.files.get("t.json")!) as { readonly traceEvents: ReadonlyArray<{ readonly ph: string; readonly name: string; readonly args: Readonly<Record<string, unknown>> }> };
    expect(traceEvents.filter(({ ph }) => ph === "X")).toHaveLength(7);
    expect(traceEvents.find(({ name }) => name === "stream")).toMatchObject({ cat: "read", ts: 0, args: { token: -1, layer: 0, critical: null } });
    const plain = await generate({});
    expect([plain.asked[0]!.trace, plain.f.files.size]).toEqual([false, 0]);
  });

  it("says what the timeline has no room for", async () => {
    const { stderr } = await generate({ save: "run.json" }, { ...report, timeline: { ...timeline, forgotten: 2, lost: 5 } });
    expect(stderr).toMatch(/no room for the first 2 of 3 passes; all sums cover them\n5 spans were not recorded/);
  });

  it("refuses to write over what it reads, or two files into one", async () => {
    const { code, stderr } = await generate({ save: "./x.json", trace: "x.json" });
    expect([code, stderr]).toEqual([2, "neuronlab generate: 1 mistake\n  --save: names the same file as --trace: ./x.json\n"]);
    expect((await generate({ save: "m.flash" })).stderr).toContain("--save: names the file that --model reads: m.flash");
  });
});

describe("cores and another device's flash", () => {
  it("binds as many threads as cores, and refuses another number of threads", async () => {
    const { asked } = await generate({ memory: "900MB", pin: "0,2,3", "pin-io": "1" });
    expect(asked[0]).toMatchObject({ cores: [0, 2, 3], threads: 3, ioCore: 1 });
    const wrong = await generate({ pin: "0,1", threads: "3" });
    expect([wrong.code, wrong.stderr]).toEqual([2, "neuronlab generate: 1 mistake\n  --pin: names 2 cores, and --threads says 3; give one core for each thread\n"]);
    expect((await generate({ pin: "0,x" })).stderr).toContain("--pin: should be a whole number between 0 and 1023, got x");
    expect((await generate({ "pin-io": "1" })).stderr).toContain("--pin-io: is for reads from flash");
  });

  it("hands the device's curve over in bytes a second, and says what became of it", async () => {
    const shaped = { reads: 200, late: 50, lateNs: 5e6, deviceNs: 1e9 };
    const { asked, stderr } = await generate({ memory: "900MB", "shape-flash": "oneplus-12" }, { ...report, reads: { ...report.reads!, shaped } });
    const shape = asked[0]!.shape!;
    expect([shape.sequential.length % 2, shape.random.length % 3, shape.coreRatio, shape.queues]).toEqual([0, 0, 1, 1]);
    // UFS 4.0: gigabytes a second in sequence.
    expect(shape.sequential.at(-1)).toBeGreaterThan(1e9);
    expect(shape.sequential.at(-1)).toBeLessThan(2e10);
    expect(stderr).toContain("flash: slowed down to oneplus-12; 25.0% of reads were later than there, by 100.0us each\n");
  });

  it("lists the devices for a name that it does not know", async () => {
    const { code, stderr } = await generate({ memory: "900MB", "shape-flash": "oneplus-21" });
    expect(code).toBe(2);
    expect(stderr).toMatch(/oneplus-21.*did you mean oneplus-1/s);
  });
});
