/** The engine through its one TypeScript face, on the small models that are committed for the comparison with llama.cpp. Needs the native module: npm run build:engine. */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, ftruncateSync, mkdtempSync, openSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { describeError, exitCode, type AppError } from "../../sim/base/errors.js";
import { bindingPath } from "../../engine/binding.js";
import { measuredRun } from "../../cli/programs/generate/measured-run.js";
import { engine, GRANULARITIES, OVERLAPS, POLICIES, type GenerateReport, type GenerateRequest, type GenerateStep, type PackRequest, type TrainRequest, type TrainStep } from "../../engine/index.js";

const built = existsSync(bindingPath());
const reason = built ? "" : " (SKIPPED: the native module is absent; run npm run build:engine)";
const fixture = (name: string): string => resolve(`engine/rivals/llama.cpp/fixtures/${name}.gguf`);
const folder = mkdtempSync(join(tmpdir(), "neuronlab-engine-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MODEL = "smallthinker-softmax-f32";
const packed = join(folder, "model.flash");
const packing = (from: string, out: string): PackRequest => ({ model: from, out, down: "auto", group: null, arrangement: "bundles", threads: 2 });
const asking = (model: string): GenerateRequest => ({
  model, prompt: "one of the", tokens: 24, memory: null, segments: null, threads: 2, cores: null, ioCore: null, shape: null, planned: null, io: { backend: "lanes", reads: 4 }, depth: 4, cluster: 256, policy: "lru",
  granularity: "neuron", overlap: "cluster", gates: "joined", preload: false, ffn: "auto", predictor: null, audit: false, slow: null, adapt: null, temperature: 0, topK: 0, topP: 1, seed: 1, stopAtEnd: false, trace: false,
});
const fitting = (model: string, out: string): TrainRequest => ({ model, out, text: null, tokens: 512, rank: 32, recall: 0.95, hidden: "identity", weights: "auto", passes: 10, seed: 1, threads: 2 });
const quiet = { onStep: () => undefined };

const right = <A>(outcome: E.Either<AppError, A | null>): A => {
  if (E.isLeft(outcome)) throw new Error(describeError(outcome.left));
  if (outcome.right === null) throw new Error("it was cancelled");
  return outcome.right;
};
const generated = async (request: GenerateRequest): Promise<GenerateReport> => right(await engine.generate(request, quiet)());
const failed = async (request: GenerateRequest): Promise<AppError> => {
  const outcome = await engine.generate(request, quiet)();
  if (E.isRight(outcome)) throw new Error("it worked");
  return outcome.left;
};

/** A GGUF file as the fixture, with `layers` layers of `neurons` neurons, all zeros: large enough for packing to take a while. */
const largeModel = (path: string): void => {
  const [width, neurons, layers, q4] = [1024, 8192, 4, 2];
  const parts: Array<Buffer> = [];
  const u32 = (value: number): void => void parts.push(Buffer.from(Uint32Array.of(value).buffer));
  const u64 = (value: number): void => void parts.push(Buffer.from(BigUint64Array.of(BigInt(value)).buffer));
  const text = (of: string): void => (u64(Buffer.byteLength(of)), void parts.push(Buffer.from(of)));
  const bytes = (width * neurons * 18) / 32;
  parts.push(Buffer.from("GGUF"));
  u32(3);
  u64(layers * 3);
  u64(2);
  text("general.architecture");
  u32(8);
  text("smallthinker");
  text("smallthinker.block_count");
  u32(4);
  u32(layers);
  let at = 0;
  for (let layer = 0; layer < layers; layer++)
    for (const [part, shape] of [["gate", [width, neurons, 1]], ["up", [width, neurons, 1]], ["down", [neurons, width, 1]]] as const) {
      text(`blk.${layer}.ffn_${part}_exps.weight`);
      u32(3);
      shape.forEach(u64);
      u32(q4);
      u64(at);
      at += bytes;
    }
  const header = Buffer.concat(parts);
  const file = openSync(path, "w");
  writeSync(file, header);
  ftruncateSync(file, Math.ceil(header.length / 32) * 32 + at);
  closeSync(file);
};

describe.skipIf(!built)(`the engine${reason}`, () => {
  beforeAll(async () => {
    right(await engine.pack(packing(fixture(MODEL), packed), quiet)());
  });

  it("generates the same tokens in memory and from flash, whatever the plan", async () => {
    const { tokens, text } = await generated(asking(fixture(MODEL)));
    expect(tokens).toHaveLength(24);
    const small = { ...asking(packed), memory: 1e9, segments: { hot: 0, cold: 65536 } };
    const ways: ReadonlyArray<GenerateRequest> = [
      asking(packed),
      { ...asking(packed), memory: 1e9 },
      ...POLICIES.map((policy) => ({ ...small, policy })),
      ...GRANULARITIES.flatMap((granularity) => OVERLAPS.map((overlap) => ({ ...small, granularity, overlap }))),
      { ...small, io: { backend: "io_uring", reads: 8 }, depth: 1, cluster: 512, threads: 3 },
    ];
    for (const way of ways) expect(await generated(way), JSON.stringify(way)).toMatchObject({ tokens, text });
  });

  it("says what a run was: where the FFNs were, what was read, what was held", async () => {
    const report = await generated({ ...asking(packed), memory: 1e9, segments: { hot: 0, cold: 0 } });
    expect(report).toMatchObject({ architecture: "smallthinker", file: "packed", ffn: "from flash", labels: ["lossless"], stop: "length", memory: 1e9, hot: 0, cold: 0, seed: 1 });
    expect(report.decode.misses).toBe(report.decode.lookUps);
    expect(report.decode.diskBytes).toBeGreaterThan(0);
    expect(report.tokenNs).toHaveLength(24);
    expect(report.reads!.backend).toMatch(/^pread, 4 lanes/);
    expect(report.fired).toBeGreaterThan(0);
    expect(report.peakResident).toBeGreaterThan(report.fixed.find((part) => part.part.startsWith("weights"))!.bytes);
  });

  it("a traced run leaves a timeline whose sums are the run's, and the same text", async () => {
    const plain = await generated({ ...asking(packed), memory: 1e9, segments: { hot: 0, cold: 0 } });
    const report = await generated({ ...asking(packed), memory: 1e9, segments: { hot: 0, cold: 0 }, trace: true });
    expect([report.text, plain.timeline]).toEqual([plain.text, undefined]);
    const { rows, spans, activities, decode, lost } = report.timeline!;
    expect([rows.length, decode.passes, lost]).toEqual([4 * 23, 23, 0]);
    const column = (of: Float64Array, width: number, at: number): ReadonlyArray<number> => Array.from({ length: of.length / width }, (_, i) => of[i * width + at]!);
    expect(column(rows, 4, 0)).toEqual(report.tokenNs.slice(1));
    expect(column(rows, 4, 1).reduce((sum, bytes) => sum + bytes, 0)).toBe(report.decode.diskBytes);
    expect(new Set(column(spans, 6, 0))).toEqual(new Set([0, 1, 2, 3]));
    expect(new Set(column(spans, 6, 1).map((what) => activities[what]))).toEqual(new Set(["attention", "gate", "up+down", "dense FFN", "head", "cache", "read gate", "read up+down", "stream", "wait"]));
    expect(Math.min(...column(spans, 6, 4))).toBe(-1);
    const run = measuredRun({ request: { ...asking(packed), memory: 1e9 }, report, given: null, shapedTo: null })!;
    expect(run.breakdown.reduce((sum, part) => sum + part.nsPerToken, 0) / (run.msPerToken.mean * 1e6)).toBeCloseTo(1, 9);
    expect(run.exposedIoShare).toBeGreaterThan(0);
  });

  it("a core that there is not is --pin's or --pin-io's fault", async () => {
    const small = { ...asking(packed), memory: 1e9 };
    for (const [path, request] of [["pin", { ...small, cores: [0, 1023] }], ["pin-io", { ...small, ioCore: 1023 }]] as const) {
      const wrong = await failed(request);
      expect(wrong).toMatchObject({ _tag: "BadInput", mistakes: [{ path }] });
      expect(exitCode(wrong)).toBe(2);
    }
  });

  it("tells the text as it comes, all of it, while the main thread goes on", async () => {
    const steps: Array<GenerateStep> = [];
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const report = right(await engine.generate({ ...asking(fixture("llama-q4_0")), tokens: 400 }, { onStep: (step) => steps.push(step) })());
    clearInterval(timer);
    expect(steps.map((step) => (step.what === "text" ? step.text : "")).join("")).toBe(report.text);
    expect(steps.slice(0, 2)).toEqual([{ what: "loaded", done: 0, of: 0, text: "" }, { what: "prompt", done: report.promptTokens, of: report.promptTokens, text: "" }]);
    expect(turns).toBeGreaterThan(2);
  });

  it("stops soon after its signal, with what it has", async () => {
    const abort = new AbortController();
    const onStep = (step: GenerateStep): void => void (step.what === "text" && abort.abort());
    const report = right(await engine.generate({ ...asking(fixture("llama-q4_0")), tokens: 480 }, { onStep, signal: abort.signal })());
    expect(report.stop).toBe("cancelled");
    expect(report.tokens.length).toBeLessThan(480);
    expect(await engine.generate(asking(packed), { ...quiet, signal: AbortSignal.abort() })()).toEqual(E.right(null));
  });

  it("draws the same for the same seed and otherwise for another", async () => {
    const sampled = async (seed: number) => (await generated({ ...asking(fixture("llama-q4_0")), temperature: 1.5, seed })).tokens;
    expect(await sampled(7)).toEqual(await sampled(7));
    expect(await sampled(7)).not.toEqual(await sampled(8));
  });

  it("answers failures as values, each with its exit code", async () => {
    const [readme, absent] = [resolve("README.md"), join(folder, "absent.gguf")];
    expect(describeError(await failed(asking(absent)))).toBe(`${absent}: 1 mistake\n  (whole): there is no such file`);
    expect(describeError(await failed(asking(readme)))).toBe(`${readme}: 1 mistake\n  (whole): is no model; should be a GGUF file, or one that neuronlab pack made`);
    expect(await failed({ ...asking(packed), tokens: 1e6 })).toMatchObject({ _tag: "BadInput", mistakes: [{ path: "tokens", message: expect.stringMatching(/more than the model's context of \d+$/) as unknown }] });
    expect(await failed({ ...asking(packed), depth: 0.5 })).toMatchObject({ _tag: "BadInput", mistakes: [{ path: "depth", message: "should be a whole number between 1 and 4096, got 0.5" }] });
    expect(await failed({ ...asking(packed), policy: "mru" as "lru" })).toMatchObject({ _tag: "BadInput", mistakes: [{ path: "policy", message: "should be one of lru, window, static-hot, clock, lfu, s3-fifo, sieve, arc, got mru" }] });
    expect(exitCode(await failed({ ...asking(fixture("llama-f32")), ffn: "sparse" }))).toBe(3);
    const another = await failed({ ...asking(packed), planned: { name: "bamboo-7b", layers: 32, hidden: 4096, neurons: 14336, experts: 1 } });
    expect([another._tag, exitCode(another), describeError(another)]).toEqual(["BadInput", 2, expect.stringMatching(/plan: was made for bamboo-7b \(32 layers, hidden 4096, 14336 neurons, experts 1\), and the file holds another model \(\d+ layers, .*\); give that model's file/)]);
    const { shape } = await generated({ ...asking(packed), tokens: 1 });
    expect((await generated({ ...asking(packed), tokens: 1, planned: { name: "own", ...shape } })).shape).toEqual(shape);
    const fewer = await failed({ ...asking(packed), planned: { name: "own", ...shape, used: shape.used - 1 } });
    expect(describeError(fewer)).toMatch(new RegExp(`made for own \\(.*, used ${shape.used - 1}\\), and the file holds another model \\(.*, used ${shape.used}\\)`));
    const wrong = await failed({ ...asking(packed), tokens: "many" as unknown as number });
    expect([wrong._tag, exitCode(wrong)]).toEqual(["Fault", 70]);
    expect(await engine.pack(packing(absent, join(folder, "x.flash")), quiet)()).toEqual(E.left({ _tag: "BadInput", where: absent, mistakes: [{ path: "(whole)", message: "there is no such file" }] }));
    const unwritable = await engine.pack(packing(fixture(MODEL), "/proc/x.flash"), quiet)();
    expect(E.isLeft(unwritable) && exitCode(unwritable.left)).toBe(74);
  });

  it("a model whose neurons all count runs from flash too, with the same tokens in any memory", async () => {
    const silu = join(folder, "silu.flash");
    right(await engine.pack(packing(fixture("llama-f32"), silu), quiet)());
    const inMemory = await generated(asking(fixture("llama-f32")));
    const whole = await generated(asking(silu));
    expect([whole.ffn, whole.tokens]).toEqual(["from flash", inMemory.tokens]);
    const small = await failed({ ...asking(silu), memory: 1e6 });
    if (small._tag !== "DoesNotFit") throw new Error(describeError(small));
    expect((await generated({ ...asking(silu), memory: small.needed + 32e6 })).tokens).toEqual(inMemory.tokens);
  });

  it("too little memory names the smallest that works, and that works", async () => {
    const small = await failed({ ...asking(packed), memory: 1e6 });
    if (small._tag !== "DoesNotFit") throw new Error(describeError(small));
    expect(exitCode(small)).toBe(3);
    expect(small.parts.reduce((sum, part) => sum + part.bytes, 0)).toBe(small.needed);
    expect(small.hint).toMatch(/^--memory \d+MB works; /);
    // This process grows from run to run by what tests leave behind.
    const report = await generated({ ...asking(packed), memory: small.needed + 32e6 });
    expect(report.tokens).toHaveLength(24);
  });

  it("fits a predictor to a model, and generates with it: labelled, audited, and with the true text when nothing is missed", async () => {
    const out = join(folder, "model.predictor.gguf");
    const steps: Array<TrainStep> = [];
    const fitted = right(await engine.trainPredictor(fitting(fixture(MODEL), out), { onStep: (step) => steps.push(step) })());
    expect(fitted).toMatchObject({ rank: 32, weights: "q8_0", learnt: 409, calibrated: 51, heldOut: 52, seed: 1 });
    expect([...new Set(steps.map((step) => step.stage))]).toEqual(["speak", "record", "fit", "judge"]);
    expect(steps.every(({ done, total }) => 0 <= done && done <= total)).toBe(true);
    const [recall, falsePositives, predicted, fired] = [fitted.overall.recall!, fitted.overall.falsePositives!, fitted.overall.predicted!, fitted.overall.fired!];
    expect(recall).toBeGreaterThan(0.85);
    expect(falsePositives).toBeLessThan(recall);
    expect(predicted).toBeCloseTo(recall * fired + falsePositives * (1 - fired), 9);

    const lossless = await generated(asking(fixture(MODEL)));
    expect([lossless.labels, lossless.predicted, lossless.recall]).toEqual([["lossless"], undefined, undefined]);
    const asked = { ...asking(fixture(MODEL)), predictor: out };
    const unaudited = await generated(asked);
    expect(unaudited).toMatchObject({ ffn: "predicted in memory", labels: ["predicted"] });
    expect(unaudited.recall).toBeUndefined();
    const audited = await generated({ ...asked, audit: true });
    expect([audited.tokens, audited.predicted]).toEqual([unaudited.tokens, unaudited.predicted]);
    expect(audited.recall).toBeGreaterThan(0.5);
    expect((await generated({ ...asked, threads: 3 })).tokens).toEqual(unaudited.tokens);
    expect((await generated({ ...asking(packed), predictor: out })).tokens).toEqual(unaudited.tokens);
    const small = await failed({ ...asking(packed), memory: 1e6, predictor: out });
    if (small._tag !== "DoesNotFit") throw new Error(describeError(small));
    for (const memory of [small.needed + 32e6, 4e9]) {
      const fromFlash = await generated({ ...asking(packed), memory, predictor: out });
      expect([fromFlash.ffn, fromFlash.tokens, fromFlash.predicted]).toEqual(["predicted from flash", unaudited.tokens, unaudited.predicted]);
      expect(fromFlash.labels).toContain("predicted");
    }

    const all = join(folder, "all.predictor.gguf");
    right(await engine.trainPredictor({ ...fitting(fixture(MODEL), all), recall: 1 }, quiet)());
    const careful = await generated({ ...asked, predictor: all, audit: true });
    expect(careful.recall).toBeGreaterThan(audited.recall!);
    if (careful.recall === 1) expect(careful.tokens).toEqual(lossless.tokens);
  });

  it("refuses the predictor of another model, and to count misses of one whose gates are on flash", async () => {
    const out = join(folder, "other.predictor.gguf");
    right(await engine.trainPredictor(fitting(fixture("smallthinker-sigmoid-f32"), out), quiet)());
    const other = await failed({ ...asking(fixture(MODEL)), predictor: out });
    expect([exitCode(other), describeError(other)]).toEqual([2, expect.stringMatching(/predictor: .*other\.predictor\.gguf: is the predictor of another model: [0-9a-f]{16}; must be of [0-9a-f]{16}/)]);
    const none = await failed({ ...asking(fixture(MODEL)), predictor: fixture(MODEL) });
    expect([exitCode(none), describeError(none)]).toEqual([2, expect.stringContaining("has no predictor: no tensor blk.0.fc1_exps.weight")]);
    const flash = await failed({ ...asking(packed), memory: 1e9, predictor: out, audit: true });
    expect([exitCode(flash), describeError(flash)]).toEqual([3, expect.stringContaining("what a predictor misses can be counted only where every gate is in memory")]);
    const dense = await engine.trainPredictor(fitting(fixture("llama-f32"), out), quiet)();
    if (E.isRight(dense)) throw new Error("it worked");
    expect([exitCode(dense.left), describeError(dense.left)]).toEqual([3, expect.stringContaining("there is nothing to predict")]);
  });

  it("fitting that is cancelled leaves nothing behind", async () => {
    const home = mkdtempSync(join(folder, "fit-"));
    for (const stage of ["speak", "record", "fit"] as const) {
      const abort = new AbortController();
      const onStep = (step: TrainStep): void => (step.stage === stage ? abort.abort() : undefined);
      const ended = await engine.trainPredictor({ ...fitting(fixture(MODEL), join(home, "p.gguf")), passes: 4000 }, { onStep, signal: abort.signal })();
      expect([ended, readdirSync(home)], stage).toEqual([E.right(null), []]);
    }
  });

  it("packing that is cancelled leaves nothing behind", async () => {
    const [large, home] = [join(folder, "large.gguf"), mkdtempSync(join(folder, "out-"))];
    largeModel(large);
    const abort = new AbortController();
    let told = 0;
    const onStep = (): void => {
      told++;
      abort.abort();
    };
    expect(await engine.pack(packing(large, join(home, "m.flash")), { onStep, signal: abort.signal })()).toEqual(E.right(null));
    expect(told).toBeGreaterThan(0);
    expect(readdirSync(home)).toEqual([]);
  });
});

interface Ended { readonly code: number | null; readonly signal: string | null; readonly stdout: string; readonly stderr: string }

const start = (words: ReadonlyArray<string>, options: { readonly env?: Readonly<Record<string, string>>; readonly onStart?: (child: ChildProcess) => void } = {}): Promise<Ended> =>
  new Promise((done, fail) => {
    const child = spawn(process.execPath, [resolve("bin/neuronlab.js"), ...words], { cwd: folder, env: { ...process.env, ...options.env } });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.on("error", fail);
    child.on("close", (code, signal) => done({ code, signal, stdout, stderr }));
    options.onStart?.(child);
  });

/** Sends Ctrl-C as soon as the process has the file open. */
const interruptOnceOpen = (child: ChildProcess, file: string): void => {
  const look = (): void => {
    const folderOfIt = `/proc/${child.pid}/fd`;
    const open = existsSync(folderOfIt) ? readdirSync(folderOfIt) : [];
    const isIt = (descriptor: string): boolean => {
      try {
        return readlinkSync(join(folderOfIt, descriptor)) === file;
      } catch {
        return false; // It was closed meanwhile.
      }
    };
    if (open.some(isIt)) child.kill("SIGINT");
    else if (child.exitCode === null) setTimeout(look, 2);
  };
  look();
};

const program = existsSync("dist/engine/index.js");

describe.skipIf(!built || !program)(`the built program with its engine${program ? reason : " (SKIPPED: dist/ is absent; run npm run build)"}`, () => {
  it("packs, and generates from what it packed, with the smallest memory that it names", async () => {
    expect(await start(["pack", fixture(MODEL), "--out", "cli.flash"])).toMatchObject({ code: 0, stderr: "" });
    const words = ["generate", "--model", "cli.flash", "--prompt", "one of the", "--tokens", "8", "--format", "json"];
    const small = await start([...words, "--memory", "20MB"]);
    expect([small.code, small.stdout]).toEqual([3, ""]);
    const least = /--memory (\d+MB) works/.exec(small.stderr)![1];
    const tight = await start([...words, "--memory", least]);
    expect([tight.code, tight.stderr]).toEqual([0, ""]);
    const [json, whole] = [tight, await start(words)].map((ended) => JSON.parse(ended.stdout) as { readonly text: string; readonly engine: { readonly ffn: string }; readonly memory: { readonly peakResident: number } });
    expect([json.engine.ffn, whole.engine.ffn, json.text]).toEqual(["from flash", "sparse in memory", whole.text]);
    expect(json.memory.peakResident).toBeLessThan(Number.parseInt(least, 10) * 1e6);
    const table = await start(words.slice(0, -2));
    expect(table.stdout).toBe(`${whole.text}\n`);
    expect(table.stderr).toMatch(/\ndecode +7 +\S+ tokens\/s /);
  });

  it("says which layer of a damaged file is damaged, and exits 74", async () => {
    await start(["pack", fixture(MODEL), "--out", "damaged.flash"]);
    const path = join(folder, "damaged.flash");
    const bytes = readFileSync(path);
    // The FFNs of the last layers, whichever experts the text takes.
    for (let at = Math.floor((bytes.length * 0.8) / 4096) * 4096; at < bytes.length; at += 4096) bytes[at] = bytes[at]! ^ 1;
    writeFileSync(path, bytes);
    for (const memory of [[], ["--memory", "1GB"]]) {
      const ended = await start(["generate", "--model", "damaged.flash", "--prompt", "one of the ".repeat(20), "--tokens", "2", ...memory]);
      expect([ended.code, ended.stdout]).toEqual([74, ""]);
      expect(ended.stderr).toMatch(/damaged\.flash: .* of layer \d+ expert \d+.*, 4096 bytes at offset \d+ are damaged .*: pack the GGUF file again/);
    }
  });

  it.runIf(process.platform === "linux")("dies of Ctrl-C while it packs, and leaves nothing", async () => {
    const large = join(folder, "larger.gguf");
    largeModel(large);
    const home = mkdtempSync(join(folder, "interrupted-"));
    const ended = await start(["pack", large, "--out", join(home, "m.flash")], { onStart: (child) => interruptOnceOpen(child, large) });
    expect([ended.signal ?? ended.code, readdirSync(home)]).toEqual(["SIGINT", []]);
  });

  it("without the native module says what to install and exits 3; the simulator does not notice", async () => {
    const env = { NEURONLAB_ENGINE: join(folder, "none.node") };
    for (const words of [["generate", "--model", "cli.flash", "--prompt", "x"], ["pack", fixture(MODEL), "--out", "y.flash"]])
      expect(await start(words, { env })).toMatchObject({ code: 3, stdout: "", stderr: `the native engine is not built: there is no ${env.NEURONLAB_ENGINE}; install Rust (https://rustup.rs) and run npm run build:engine\n` });
    expect(await start(["simulate", "--model", "bamboo-7b", "--offload", "50%", "--tokens", "1"], { env })).toMatchObject({ code: 0 });
    expect(readFileSync(packed).subarray(0, 8).toString()).toBe("NLABFLSH");
  });
});
