import { describe, expect, it } from "vitest";
import { E, TE } from "../../sim/base/fp.js";
import { badInput } from "../../sim/base/errors.js";
import { encodePlan } from "../../sim/domain/plan.js";
import { execute } from "../../cli/run.js";
import { mapPlan } from "../../cli/programs/generate/engine-plan.js";
import { describeGeneration } from "../../cli/programs/generate/describe.js";
import { generateProgram } from "../../cli/programs/generate/generate.js";
import type { Engine, GenerateReport, GenerateRequest, PhaseReport } from "../../engine/index.js";
import { aPlan, commandNamed, fake, given } from "../fakes/capabilities.js";

const phase: PhaseReport = { ns: 100e6, ffnNs: 80e6, diskNs: 30e6, diskBytes: 40e6, gateLookUps: 50, gateMisses: 10, gatesAnnounced: 4, lookUps: 50, misses: 30 };
const report: GenerateReport = {
  architecture: "smallthinker", shape: { layers: 2, hidden: 64, neurons: 96, experts: 4, used: 2, vocabulary: 272 }, file: "packed", ffn: "from flash", labels: ["lossless"], kernels: "avx512", threads: 2, loadNs: 1.5e9,
  promptTokens: 10, promptRate: 100, prompt: phase, decodeRate: 20, decode: phase, tokens: [5, 6, 7], tokenNs: [1e6, 40e6, 60e6],
  text: " is here", stop: "length", fired: 0.125, reads: { backend: "pread, 4 lanes, direct", count: 99, p50Ns: 90e3, p99Ns: 2e6, peakBufferBytes: 4096 },
  memory: 9e8, fixed: [{ part: "weights", bytes: 3e8 }, { part: "KV cache", bytes: 1e8 }], ffnBytes: 5e8, hot: 4e8, cold: 1e8, phases: { prefill: { parts: [{ part: "blocks", bytes: 6e7 }], hot: 3.5e8, cold: 9e7 }, decode: { parts: [], hot: 4e8, cold: 1e8 } }, peakResident: 8.8e8, seed: 1,
};

const TEXTS = [" is", " he", "re"] as const;
const streams: Engine["generate"] = (_, { onStep }) => () => {
  onStep({ what: "loaded" });
  for (const text of TEXTS) onStep({ what: "text", text });
  return Promise.resolve(E.right(report));
};

const start = async (named: Readonly<Record<string, unknown>>, options: { readonly generate?: Engine["generate"]; readonly files?: Readonly<Record<string, string>>; readonly shippedModels?: ReadonlyArray<string> } = {}) => {
  const asked: Array<GenerateRequest> = [];
  const f = fake({ ...(options.files === undefined ? {} : { files: options.files }), shippedModels: options.shippedModels ?? [], engine: { generate: (request, hooks) => (asked.push(request), (options.generate ?? streams)(request, hooks)) } });
  const code = await execute(generateProgram(commandNamed("generate"))(given(named)), f.capabilities);
  return { code, asked, stdout: f.stdout(), stderr: f.stderr() };
};

const plain: GenerateRequest = {
  model: "m.flash", prompt: "Text", tokens: 128, memory: null, segments: null, threads: null, cores: null, ioCore: null, shape: null, planned: null, io: { backend: "io_uring", reads: 64 }, depth: 16, cluster: 256, policy: "lru",
  granularity: "neuron", overlap: "cluster", gates: "joined", preload: false, ffn: "auto", predictor: null, audit: false, slow: null, adapt: null, temperature: 0, topK: 0, topP: 1, seed: 1, stopAtEnd: true, trace: false,
};

describe("generate", () => {
  it("asks for what was typed, with the defaults of --help", async () => {
    expect((await start({ model: "m.flash", prompt: "Text" })).asked).toEqual([plain]);
    // Spaces and line breaks about a text are tokens too; about a name or a number they are not.
    expect((await start({ model: " m.flash", prompt: "\n Text\n", tokens: " 128 " })).asked).toEqual([{ ...plain, prompt: "\n Text\n" }]);
    expect((await start({ model: "m.flash", prompt: "Text", kv: "f32" })).asked).toEqual([{ ...plain, kv: "f32" }]);
    const typed = { model: "m.flash", prompt: "Text", tokens: "8", memory: "900MB", threads: "2", "io-uring": "64", depth: "8", cluster: "512", policy: "sieve", granularity: "cluster", overlap: "matrix", gates: "joined", ffn: "sparse", predictor: "p.gguf", audit: true, temperature: "0.8", "top-k": "40", "top-p": "0.95", seed: "7", "ignore-end": true };
    expect((await start(typed)).asked).toEqual([
      { model: "m.flash", prompt: "Text", tokens: 8, memory: 900e6, segments: null, threads: 2, cores: null, ioCore: null, shape: null, planned: null, io: { backend: "io_uring", reads: 64 }, depth: 8, cluster: 512, policy: "sieve", granularity: "cluster", overlap: "matrix", gates: "joined", preload: false, ffn: "sparse", predictor: "p.gguf", audit: true, slow: null, adapt: null, temperature: 0.8, topK: 40, topP: 0.95, seed: 7, stopAtEnd: false, trace: false },
    ]);
  });

  it("takes the model that comes along where none is named, and asks for one where none comes along", async () => {
    expect((await start({ prompt: "Text" }, { shippedModels: ["/home/models/novels/n.gguf", "/home/models/novels/o.gguf"] })).asked).toEqual([{ ...plain, model: "/home/models/novels/n.gguf" }]);
    const none = await start({ prompt: "Text" });
    expect([none.code, none.asked]).toEqual([2, []]);
    expect(none.stderr).toContain("--model");
  });

  it("streams the text to stdout, and says on stderr how fast it was and where the time went", async () => {
    const { code, stdout, stderr } = await start({ model: "m.flash", prompt: "Text" });
    expect([code, stdout]).toEqual([0, " is here\n"]);
    expect(stderr).toBe(
      [
        "",
        "phase    tokens           speed  FFN a token  rest a token  disk busy  read a token  cache hits",
        "prefill      10    100 tokens/s       8.00ms        2.00ms     3.00ms         4.0MB       60.0%",
        "decode        2  20.00 tokens/s      40.00ms       10.00ms    15.00ms        20.0MB       60.0%",
        "",
        "smallthinker, FFNs from flash, lossless; avx512 kernels, 2 threads; loaded in 1.50s",
        "memory: 400.0MB set aside beside the FFNs; prefill 60.0MB, hot segment 350.0MB, cold segment 90.0MB; decode 0B, hot segment 400.0MB, cold segment 100.0MB; allowed 900.0MB; peak of the process 880.0MB",
        "reads: pread, 4 lanes, direct; 99, half within 90.0us, 99% within 2.00ms",
        "neurons that fired: 12.5%",
        "ended: as many tokens as asked for",
        "",
      ].join("\n"),
    );
  });

  it("tells what filled the cache before the first token apart from the tokens' reads", async () => {
    const preloaded = { ...report, reads: { ...report.reads!, preloaded: { count: 7, bytes: 12e6 } } };
    expect(describeGeneration(preloaded)).toContain("reads: pread, 4 lanes, direct; 99, half within 90.0us, 99% within 2.00ms\npreloaded: 12.0MB in 7 reads before the first token, which are not among those\n");
    expect(describeGeneration(report)).not.toContain("preloaded");
  });

  it("prints only JSON when JSON is asked for, and its breakdown sums to the mean token time", async () => {
    const { stdout, stderr } = await start({ model: "m.flash", prompt: "Text", format: "json" });
    const json = JSON.parse(stdout) as { readonly breakdown: ReadonlyArray<{ readonly msPerToken: number }> };
    expect(stderr).toBe("");
    expect(json).toMatchObject({ text: " is here", tokens: [5, 6, 7], origin: "measured", labels: ["lossless"], tokensPerSec: 20, prefillTokensPerSec: 100, bytesReadPerToken: 20e6, cacheHitRate: 0.6, msPerToken: { mean: 50, p50: 40, p99: 60 }, inputs: plain });
    expect(json.breakdown.reduce((sum, row) => sum + row.msPerToken, 0)).toBeCloseTo(50, 9);
  });

  it("tells all mistakes at once and starts nothing", async () => {
    const { code, asked, stderr } = await start({ prompt: " ", memory: "19", lanes: "3", "io-uring": "4", policy: "belady", "top-k": "5", temperature: "hot", "top-p": "95", tokens: "0", plan: "none.json" });
    expect([code, asked]).toEqual([2, []]);
    expect(stderr).toBe(
      "neuronlab generate: 8 mistakes\n" +
        "  --model: is missing\n" +
        "  --prompt: has no value; give the text that is to be continued\n" +
        "  --tokens: should be a whole number between 1 and 1048576, got 0\n" +
        '  --memory: has no unit: 19; write it like "900MB" or "2GiB"\n' +
        '  --policy: should be one of lru, window, static-hot, clock, lfu, s3-fifo, sieve, arc, got "belady"\n' +
        "  --temperature: should be a number between 0 and 100, got hot\n" +
        "  --top-p: should be a number between 0 and 1, got 95\n" +
        "  --io-uring: says how to read, and so does --lanes; give one of them\n" +
        "none.json: 1 mistake\n  (whole): there is no such file\n",
    );
  });

  it("predicts no run that keeps keys and values in single precision", async () => {
    const refused = await start({ model: "m.flash", prompt: "Text", memory: "900MB", kv: "f32", save: "run.json" });
    expect([refused.code, refused.asked]).toEqual([2, []]);
    expect(refused.stderr).toContain("  --kv: f32 is for comparing texts; a saved run is predicted with keys and values in f16. Leave one of the two out\n");
    expect((await start({ model: "m.flash", prompt: "Text", memory: "900MB", kv: "f64" })).stderr).toContain('--kv: should be one of f16, f32, got "f64"');
  });

  it("refuses flags that would be without effect", async () => {
    const { code, stderr } = await start({ model: "m.gguf", prompt: "Text", depth: "3", "top-p": "0.5" });
    expect(code).toBe(2);
    expect(stderr).toBe(
      "neuronlab generate: 2 mistakes\n" +
        "  --depth: is for reads from flash, and without --memory everything is in memory; give --memory too, or leave it out\n" +
        "  --top-p: is for sampling, and at temperature 0 the likeliest token is taken; give --temperature above 0, or leave it out\n",
    );
  });

  it("fills the cache before the first token where it is told to, but for a run that is saved", async () => {
    expect((await start({ model: "m.flash", prompt: "Text", memory: "900MB", preload: true })).asked.map(({ preload }) => preload)).toEqual([true]);
    const saved = await start({ model: "m.flash", prompt: "Text", memory: "900MB", preload: true, save: "r.json" });
    expect([saved.code, saved.asked]).toEqual([2, []]);
    expect(saved.stderr).toContain("--preload: fills the cache before the first token, and a saved run is predicted from an empty one; leave one of them out");
  });

  it("passes on what the engine answers: the flag that is meant, and exit 3 with the smallest memory that works", async () => {
    const long = await start({ model: "m.flash", prompt: "Text" }, { generate: () => TE.left(badInput("m.flash", [{ path: "tokens", message: "too many" }])) });
    expect([long.code, long.stderr, long.stdout]).toEqual([2, "neuronlab generate: 1 mistake\n  --tokens: too many\n", ""]);
    const small = await start({ model: "m.flash", prompt: "Text", memory: "1GB" }, { generate: () => TE.left({ _tag: "DoesNotFit", needed: 2e9, allowed: 1e9, parts: [{ part: "weights", bytes: 2e9 }], hint: "--memory 2002MB works" }) });
    expect([small.code, small.stderr]).toEqual([3, "does not fit: needs 2.00GB, allowed 1.00GB; --memory 2002MB works\n     2.00GB  weights\n"]);
  });
});

describe("a plan on this machine", () => {
  it("gives memory, threads, reads, depth, cluster, loading, cache and overlap; flags beside it win", async () => {
    const files = { "plan.json": JSON.stringify(encodePlan(aPlan)) };
    const { asked, stderr } = await start({ model: "m.flash", prompt: "Text", plan: "plan.json", depth: "9" }, { files });
    expect(asked).toEqual([{ ...plain, memory: 4e9, threads: 4, io: { backend: "io_uring", reads: 64 }, depth: 9, cluster: 64, planned: { name: "bamboo-7b", layers: 32, hidden: 4096, neurons: 14336, experts: 1 } }]);
    expect(stderr).toMatch(/\nnot mapped from the plan:\n {2}compute\.ioCore: big; nobody knows here which cores are such; --pin-io binds the threads that read to one\n/);
  });

  it("reads as the plan says: by lanes of their own, or by the threads that compute", () => {
    const io = (submitters: "io-thread" | "compute-threads") => mapPlan({ ...aPlan, io: { ...aPlan.io, lanes: 4 }, mechanisms: { ...aPlan.mechanisms, submitters } }, 8, false).request.io;
    expect([io("io-thread"), io("compute-threads")]).toEqual([{ backend: "lanes", reads: 4 }, { backend: "io_uring", reads: 4 }]);
  });

  it("divides the memory anew for a system whose neurons lie whole in its segments, and says so", () => {
    const nothing = mapPlan({ ...aPlan, cache: { ...aPlan.cache, hot: 0, cold: 0 } }, 8, false);
    expect(nothing.request.segments).toBeUndefined();
    expect(nothing.unmapped).toContain("cache.hot, cache.cold: whole neurons of powerinfer-2; here hot is gate rows and cold is up and down, so what the memory leaves is divided anew");
    const own = mapPlan({ ...aPlan, system: "neuronlab", mechanisms: { ...aPlan.mechanisms, computation: "gated" } }, 8, false);
    expect(own.request.segments).toEqual({ hot: 1.5e9, cold: 5e8 });
    expect(own.unmapped).toContain("cache.hot, cache.cold: here hot is gate rows and cold is up and down; each is cut to what the memory leaves, and a hot segment that holds all FFNs has them in memory whole");
    // Bytes are those of the model that it was made for, which a file need not have.
    const whole = mapPlan({ ...aPlan, mechanisms: { ...aPlan.mechanisms, computation: "gated", offload: "no" } }, 8, false);
    expect([whole.request.segments, whole.request.memory]).toEqual([{ hot: 2 ** 52, cold: 0 }, aPlan.memory]);
    expect(whole.unmapped.filter((line) => line.startsWith("cache.hot"))).toEqual([expect.stringContaining("in memory whole here too if the memory has room")]);
    // A run of this engine says of its FFNs what came of flags too: a predictor, or --ffn dense.
    const predicted = mapPlan({ ...aPlan, system: "neuronlab" }, 8, true);
    expect([predicted.request.segments, predicted.request.ffn]).toEqual([{ hot: 1.5e9, cold: 5e8 }, undefined]);
    const dense = { ...aPlan.mechanisms, computation: "dense" as const };
    expect([mapPlan({ ...aPlan, system: "neuronlab", mechanisms: dense }, 8, false).request.ffn, mapPlan({ ...aPlan, mechanisms: dense }, 8, false).request.ffn]).toEqual(["dense", undefined]);
  });

  it("reads neuron by neuron where another system's bundles are neurons, and cluster by cluster where they were this engine's", () => {
    const bundles = { ...aPlan, mechanisms: { ...aPlan.mechanisms, loading: "bundle" as const } };
    for (const predicts of [false, true]) {
      const mapped = mapPlan(bundles, 8, predicts);
      expect([mapped.request.granularity, mapped.unmapped.filter((line) => line.startsWith("mechanisms.loading: bundle, of one neuron each in powerinfer-2")).length]).toEqual(["neuron", 1]);
    }
    const own = mapPlan({ ...bundles, mechanisms: { ...bundles.mechanisms, computation: "gated" } }, 8, false);
    expect([own.request.granularity, own.unmapped.some((line) => line.startsWith("mechanisms.loading"))]).toEqual(["cluster", false]);
  });

  it("keeps a queue full where a plan has one reader, and lets --lanes win", async () => {
    expect(mapPlan(aPlan, 8, false).unmapped).toContain("io.lanes: 1, which fills a queue by itself where the plan was made; here 64 reads are under way at once; --lanes or --io-uring says another number");
    const own = mapPlan({ ...aPlan, mechanisms: { ...aPlan.mechanisms, computation: "gated" } }, 8, false);
    expect(own.request.io).toEqual({ backend: "lanes", reads: 1 });
    const files = { "plan.json": JSON.stringify(encodePlan(aPlan)) };
    const { asked } = await start({ model: "m.flash", prompt: "Text", plan: "plan.json", lanes: "2" }, { files });
    expect(asked[0]?.io).toEqual({ backend: "lanes", reads: 2 });
  });

  it("asks for a file of the shape that the plan says, whatever the name", async () => {
    const shape = { layers: 4, hidden: 256, neurons: 768, experts: 8, used: 2, vocabulary: 512 };
    const files = { "plan.json": JSON.stringify(encodePlan({ ...aPlan, model: "my-own", shape })) };
    const { asked, stderr } = await start({ model: "m.flash", prompt: "Text", plan: "plan.json" }, { files });
    // Files of one model differ in how they pad the vocabulary.
    const { vocabulary: _, ...compared } = shape;
    expect(asked[0]?.planned).toEqual({ name: "my-own", ...compared });
    expect(stderr).not.toContain("nothing checks");
  });

  it("asks for a file of the model that the plan names, where models/ has one of that name", async () => {
    const files = { "plan.json": JSON.stringify(encodePlan({ ...aPlan, model: "bamboo-7b" })), "own.json": JSON.stringify(encodePlan({ ...aPlan, model: "my-own" })) };
    const known = await start({ model: "m.flash", prompt: "Text", plan: "plan.json" }, { files });
    expect(known.asked[0]?.planned).toEqual({ name: "bamboo-7b", layers: 32, hidden: 4096, neurons: 14336, experts: 1 });
    expect(known.stderr).not.toContain("nothing checks");
    const own = await start({ model: "m.flash", prompt: "Text", plan: "own.json" }, { files });
    expect(own.asked[0]?.planned).toBeNull();
    expect(own.stderr).toContain("model: my-own; the plan does not say its shape and no model of that name is known, so nothing checks that the plan was made for this file's");
  });

  it("never asks for more threads than there are cores, and says so", () => {
    const { request, unmapped } = mapPlan(aPlan, 2, false);
    expect(request.threads).toBe(2);
    expect(unmapped[0]).toBe("compute.threads: 4 in all; this machine has 2 cores, so 2");
  });

  it("says what it replaces where the engine has no such mechanism", () => {
    const mapped = mapPlan({ ...aPlan, mechanisms: { ...aPlan.mechanisms, loading: "mmap", cache: "page-cache" } }, 8, false);
    expect([mapped.request.granularity, mapped.request.policy]).toEqual(["neuron", "lru"]);
    expect(mapped.unmapped).toEqual(expect.arrayContaining(["mechanisms.loading: mmap; the engine reads by itself, so two-phase", "mechanisms.cache: page-cache; the engine keeps its own cache, so lru"]));
  });

  it("lets a predictor decide where one is given, and says which of the two happens otherwise", async () => {
    const predicted = "mechanisms.computation: predicted; no --predictor is given, so the gate of every neuron decides (lossless)";
    expect(mapPlan(aPlan, 8, false).unmapped).toContain(predicted);
    expect(mapPlan(aPlan, 8, true).unmapped.filter((line) => line.startsWith("mechanisms.computation"))).toEqual([]);
    const dense = { ...aPlan, mechanisms: { ...aPlan.mechanisms, computation: "dense" as const } };
    expect(mapPlan(dense, 8, true).unmapped).toContain("mechanisms.computation: dense; --predictor is given, so it decides which neurons are computed");
    const files = { "plan.json": JSON.stringify(encodePlan(aPlan)) };
    const { asked, stderr } = await start({ model: "m.gguf", prompt: "Text", plan: "plan.json", predictor: "p.gguf" }, { files });
    expect(asked[0]?.predictor).toBe("p.gguf");
    expect(stderr).not.toContain("mechanisms.computation");
  });
});

describe("a predictor", () => {
  it("is reported with what it chose and, when audited, what it caught", async () => {
    const predicting = { ...report, ffn: "predicted in memory" as const, labels: ["predicted"], predicted: 0.31, recall: 0.957 };
    const { stderr } = await start({ model: "m.gguf", prompt: "Text", predictor: "p.gguf", audit: true }, { generate: () => TE.right(predicting) });
    expect(stderr).toContain("FFNs predicted in memory, predicted;");
    expect(stderr).toContain("\nneurons that were predicted: 31.0%; of those that would have fired, 95.7% were\n");
    const { stdout } = await start({ model: "m.gguf", prompt: "Text", predictor: "p.gguf", format: "json" }, { generate: () => TE.right(predicting) });
    expect(JSON.parse(stdout)).toMatchObject({ labels: ["predicted"], predictedShare: 0.31, predictorRecall: 0.957 });
  });

  it("adapts by the profile of the device that reads are slowed down to, and tells every decision", async () => {
    const decision = { token: 24, verdict: "tried" as const, cause: "storage" as const, measured: { wallNs: 2e9, computeNs: 1e8, readingNs: 1.9e9, waitedShare: 0.95, reads: 12000, bytes: 2e9, readsPerSec: 6315, bytesPerSec: 1.05e9, hitRate: 0.5 }, predicted: { readingNs: 6e8, computeNs: 1e8 }, rates: { from: { commandNs: 2780, byteNs: 0.25 }, to: { commandNs: 8800, byteNs: 0.79 } }, gates: { from: "bundles" as const, to: "apart" as const }, saves: { least: -2, most: 0.3 } };
    const typed = { model: "m.flash", prompt: "Text", memory: "900MB", gates: "bundles", "shape-flash": "oneplus-12", "slow-storage": "bytes:4@16", adapt: true };
    const { asked, stderr } = await start(typed, { generate: () => TE.right({ ...report, adaptation: [decision] }) });
    expect(asked[0]).toMatchObject({ gates: "bundles", slow: { of: "bytes", factor: 4, token: 16 }, adapt: { every: 4, byteNs: 0.25, ownNs: 1000, handedNs: 15000 } });
    expect(asked[0]!.adapt!.commandNs).toBeCloseTo(4096 / 1.0761 - 4096 / 4, 0);
    expect(stderr).toContain("token 24: reading took 1.90s a token, predicted 600.00ms (");
    expect(stderr).toContain("; tries gate rows apart instead of whole bundles, which may save -200.0% to 30.0% of a token; a command now 8.8us (2.8us), ");
    const json = await start({ ...typed, format: "json" }, { generate: () => TE.right({ ...report, adaptation: [decision] }) });
    expect(JSON.parse(json.stdout)).toMatchObject({ adaptation: [decision] });
    const quiet = await start(typed, { generate: () => TE.right({ ...report, adaptation: [] }) });
    expect(quiet.stderr).toContain("adapting: all was as predicted, nothing was changed");
  });

  it("does not adapt what cannot change, nor slow down a disk that is not modelled", async () => {
    const wrong = await start({ model: "m.gguf", prompt: "Text", predictor: "p.gguf", adapt: true, "slow-storage": "3" });
    expect([wrong.code, wrong.asked]).toEqual([2, []]);
    expect(wrong.stderr).toContain("  --adapt: changes how flash is read, and without --memory everything is in memory; give --memory too, or leave it out\n");
    expect(wrong.stderr).toContain("  --adapt: changes how gate rows are read where every gate decides, and --predictor decides instead; give one of them\n");
    expect(wrong.stderr).toContain("  --slow-storage: write it like 3@32 (three times slower after 32 tokens), bytes:4@32 or reads:4@32, got 3\n");
    const late = { model: "m.flash", prompt: "Text", memory: "900MB", "shape-flash": "oneplus-12", tokens: "4" };
    // Of four tokens the first is the prompt's.
    expect(await start({ ...late, "slow-storage": "3@3" })).toMatchObject({ code: 2, stderr: expect.stringContaining("  --slow-storage: begins after 3 tokens, and only 3 tokens are decoded: it would change nothing; begin earlier, or give more --tokens\n") as unknown });
    expect((await start({ ...late, "slow-storage": "3@2" })).code).toBe(0);
    expect((await start({ ...late, tokens: "1", "slow-storage": "3@0" })).stderr).toContain("begins after 0 tokens, and none is decoded");
    const ends: Engine["generate"] = () => TE.right({ ...report, tokens: report.tokens.slice(0, 2), stop: "end" });
    expect((await start({ ...late, "slow-storage": "3@1" }, { generate: ends })).stderr).toContain("--slow-storage was without effect: the text ended after 2 tokens, before storage became slower; --ignore-end goes on behind the end\n");
    expect((await start({ ...late, "slow-storage": "3@0" }, { generate: ends })).stderr).not.toContain("without effect");
    const real = await start({ model: "m.flash", prompt: "Text", memory: "900MB", "slow-storage": "3@32" });
    expect(real.stderr).toContain("  --slow-storage: makes a modelled storage slower, and this disk is what it is; give --shape-flash too, or leave it out\n");
  });

  it("is asked for by whoever audits, and not beside dense FFNs", async () => {
    const audited = await start({ model: "m.gguf", prompt: "Text", audit: true });
    expect([audited.code, audited.asked]).toEqual([2, []]);
    expect(audited.stderr).toContain("  --audit: counts what a predictor misses, and without one every gate decides; give --predictor too, or leave it out\n");
    const dense = await start({ model: "m.gguf", prompt: "Text", predictor: "p.gguf", ffn: "dense" });
    expect([dense.code, dense.asked]).toEqual([2, []]);
    expect(dense.stderr).toContain("  --predictor: says which neurons to compute, and --ffn dense computes all; give one of them\n");
  });
});
