/** neuronlab tour: what each step tells, what is kept, what is left out and why, and what the document says. The engine and the runs are made up. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { E, TE } from "../../sim/base/fp.js";
import { badInput, disk, fault, unsupported, type AppError } from "../../sim/base/errors.js";
import { execute } from "../../cli/run.js";
import { commands } from "../../cli/commands/index.js";
import { readCommandLine } from "../../cli/command-line.js";
import type { Words } from "../../cli/command.js";
import type { Program, RunInputs } from "../../cli/program.js";
import { generation, type Generated } from "../../cli/programs/generate/generate.js";
import { tourProgram } from "../../cli/programs/tour/tour.js";
import type { Parts } from "../../cli/programs/tour/context.js";
import { flowing, lines } from "../../cli/programs/tour/lines.js";
import { evaluate } from "../../experiments/evaluate.js";
import { f10 } from "../../experiments/f10/experiment.js";
import type { simulate } from "../../sim/inference/simulate.js";
import type { Engine, GenerateReport, GenerateRequest, PackReport, PhaseReport, ProbeReport, ProbeRequest, RecordReport, SpentReport, SynthRequest } from "../../engine/index.js";
import { aRecord, commandNamed, fake, given } from "../fakes/capabilities.js";
import { probed } from "../fakes/probed.js";

const TRACE = readFileSync("test/vectors/activation-trace.bin", "latin1");
const HOST_PROFILE = "/cache/devices/this-host.json";
const CACHE = "/cache/tour";
const probedHere: ProbeReport = { profile: JSON.stringify(probed("this-host")), notes: ["kernels: others were at work", "b", "c", "d"], seconds: 12.4 };
/** Of the shape that the trace has: 3 layers of 5 experts of 40 neurons, Q4_0 gate and up, Q8_0 down. */
const recorded: RecordReport = { name: "made", architecture: "smallthinker", activation: "relu", layers: 3, hidden: 64, neurons: 40, heads: 2, kvHeads: 1, experts: 5, expertsUsed: 2, vocabulary: 300, promptTokens: 7, generated: 5, text: "x", share: 0.3, bytes: 522 };
const packed: PackReport = { bytes: 1e6, denseBytes: 1e5, ffnBytes: 9e5, payloadBytes: 600 * (2 * 36 + 68), padding: 0.1, layers: 3, group: 4, downForm: "rows", down: "q8_0", requantisation: 0.004, fingerprint: "f", seconds: 1 };

const phase: PhaseReport = { ns: 1e8, ffnNs: 5e7, diskNs: 3e7, diskBytes: 4e7, gateLookUps: 50, gateMisses: 0, gatesAnnounced: 0, lookUps: 50, misses: 30 };
const spent = (passes: number, ms: number): SpentReport => ({ passes, ns: passes * ms * 1e6, byActivity: [passes * 1e6], byThread: [passes * ms * 4e5, passes * ms * 4e5], together: 0, reading: passes * ms * 3e5, exposed: passes * ms * 1e5 });
/** A run of the engine: `ms` a token. */
const report = (request: GenerateRequest, ms: number, tokens: ReadonlyArray<number>): GenerateReport => ({
  architecture: "smallthinker", shape: { layers: 3, hidden: 64, neurons: 40, experts: 5, used: 2, vocabulary: 300 }, file: "packed", ffn: request.segments === null ? "sparse in memory" : "from flash", labels: ["requantised"], kernels: "avx2", threads: 2, loadNs: 1e6, promptTokens: 7, promptRate: 100, prompt: phase,
  decodeRate: 1e3 / ms, decode: phase, tokens, tokenNs: tokens.map(() => ms * 1e6), text: " was a fine morning", stop: "length", memory: 1e9, fixed: [], ffnBytes: 84000, hot: 21600, cold: 20400, peakResident: 3e8, seed: 1,
  timeline: { activities: ["gate"], prompt: spent(1, 1), decode: spent(tokens.length - 1, ms), rows: Float64Array.from(tokens.slice(1).flatMap(() => [ms * 1e6, 1000, 10, 4])), spans: new Float64Array(), forgotten: 0, lost: 0 },
});

interface Options {
  readonly engine?: Partial<Engine>;
  readonly files?: Readonly<Record<string, string>>;
  readonly shippedModels?: ReadonlyArray<string>;
  readonly simulate?: (inputs: RunInputs) => ReturnType<typeof simulate>;
  /** Token that a run with everything in memory ends with. */
  readonly last?: number;
  readonly parts?: Partial<Parts>;
  readonly diskIsFull?: boolean;
}

/** Speeds of the simulated runs: the real simulator is too slow for every test, and the numbers are not what is tested. */
const quick = ({ request, model }: RunInputs) =>
  E.right(aRecord(request, {
    ...(request.plan === undefined ? {} : { plan: request.plan }), bound: { lower: 0.01, upper: 100 }, tokensPerSec: request.system === "llama.cpp" ? 0.5 : 2 + Math.log2(request.plan?.cluster.neurons ?? 256) / 10,
    ...(model.layers === 3 ? { msPerToken: { mean: 9, p50: 9, p90: 9, p99: 9, max: 9 }, tokens: Array.from({ length: request.tokens }, () => ({ latencyNs: 9e6, bytesRead: 1000, lookups: 10, misses: 4 })), bytesReadPerToken: 1000, cacheHitRate: 0.6, wallNs: 9e6 * request.tokens } : {}),
  }));

const tour = async (named: Readonly<Record<string, unknown>> = {}, options: Options = {}) => {
  const asked: { readonly probes: Array<ProbeRequest>; readonly synths: Array<SynthRequest>; readonly runs: Array<Words>; readonly made: Array<GenerateRequest> } = { probes: [], synths: [], runs: [], made: [] };
  const engine: Partial<Engine> = {
    probe: (request) => (asked.probes.push(request), TE.right(probedHere)),
    synth: (request) => async () => (asked.synths.push(request), E.right({ bytes: 1e6, seconds: 1 })),
    pack: () => TE.right(packed),
    record: () => TE.right(recorded),
    generate: (request, { onStep }) => {
      asked.made.push(request);
      const tokens = Array.from({ length: request.tokens }, (_, i) => i);
      if (request.segments === null && options.last !== undefined) tokens[tokens.length - 1] = options.last;
      for (const text of [" was a f", "ine mor", "ning"]) onStep({ what: "text", text });
      return TE.right(report(request, request.segments === null ? 4 : 10, tokens));
    },
    ...options.engine,
  };
  const f = fake({
    engine, simulate: options.simulate ?? quick, shippedModels: options.shippedModels ?? [], ...(options.diskIsFull === undefined ? {} : { diskIsFull: options.diskIsFull }),
    files: { [`${CACHE}/made-up-mixture.trace`]: TRACE, [`${CACHE}/novels.trace`]: TRACE, ...options.files },
  });
  const parts: Parts = {
    generation: (words: Words): Program<Generated> => (asked.runs.push(words), generation(commandNamed("generate"))(words)),
    figure: f10, evaluate,
    report: ([result]) => [{ path: `${result!.experiment.id}/figure.png`, bytes: Uint8Array.of(1) }, { path: `${result!.experiment.id}/points.json`, text: "[]" }],
    ...options.parts,
  };
  const code = await execute(tourProgram(parts)(commandNamed("tour"))(given(named)), { ...f.capabilities, thisHost: HOST_PROFILE });
  return { code, asked, stdout: f.stdout(), stderr: f.stderr(), files: f.files, ran: f.ran, f };
};

/** Of everything as it should be, told in tables: one for all claims about it. */
let plain: ReturnType<typeof tour> | null = null;
const plainTour = (): ReturnType<typeof tour> => (plain ??= tour({ out: "o" }));

interface Document { readonly schema: string; readonly steps: ReadonlyArray<{ readonly id: string; readonly outcome: string; readonly error?: string; readonly help?: string | null; readonly result?: Readonly<Record<string, unknown>> }>; readonly next: ReadonlyArray<{ readonly command: string }> }
const documentOf = (stdout: string): Document => JSON.parse(stdout) as Document;
const outcomes = (stdout: string): ReadonlyArray<string> => documentOf(stdout).steps.map(({ id, outcome }) => `${id} ${outcome}`);

describe("a tour", () => {
  it("goes through its five steps, each under one line, and stays within 80 columns", async () => {
    const { code, stdout, stderr } = await plainTour();
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout.match(/^[1-5]\/5 {2}.+$/gm)).toHaveLength(5);
    const beforeNext = stdout.slice(0, stdout.indexOf("To try next"));
    expect(beforeNext.split("\n").filter((line) => [...line].length > 80)).toEqual([]);
    expect(beforeNext).not.toMatch(/undefined|NaN|null/);
    expect(stdout).toContain("5 of 5 steps in");
  });

  it("measures as probe --quick does, on the disk of its models, and keeps the profile where probe keeps it", async () => {
    const { asked, files, stdout } = await plainTour();
    expect(asked.probes).toEqual([{ depth: "quick", dir: CACHE, scratch: null, only: null, name: "this-host", command: "neuronlab probe --quick" }]);
    expect(files.get(HOST_PROFILE)).toBe(`${probedHere.profile}\n`);
    expect(stdout).toContain(`Measured in 12 s, and kept: ${HOST_PROFILE}\n`);
    expect(stdout).toContain("Notes: kernels: others were at work; b; c; and 1 more.");
  });

  it("takes what an earlier one kept and says so; --fresh does not", async () => {
    const first = await plainTour();
    const files = Object.fromEntries([...first.files].filter(([path]) => path.startsWith("/cache/")));
    const again = await tour({}, { files });
    expect([again.asked.probes, again.asked.synths]).toEqual([[], []]);
    expect(again.stdout.match(/^Kept from before/gm)).toHaveLength(2);
    const fresh = await tour({ fresh: true }, { files });
    expect([fresh.asked.probes.length, fresh.asked.synths.length, fresh.stdout.includes("Kept from before")]).toEqual([1, 1, false]);
  });

  it("measures again where the kept profile is damaged or of another version", async () => {
    for (const text of ["{ half", JSON.stringify({ ...probed("this-host"), schema: "neuronlab/device@0" })]) expect((await tour({}, { files: { [HOST_PROFILE]: text } })).asked.probes).toHaveLength(1);
  });

  it("prefers a model that came along to one that is made up, and says which it is", async () => {
    const without = await plainTour();
    expect(without.asked.synths).toMatchObject([{ out: `${CACHE}/made-up-mixture.gguf`, activation: "relu", experts: 8 }]);
    expect(without.stdout).toContain("its words are nonsense");
    const { asked, stdout } = await tour({}, { shippedModels: ["/home/models/novels/novels.gguf", "/home/models/other.gguf"] });
    expect(asked.synths).toEqual([]);
    expect(stdout).toContain("novels.gguf, a model trained for this repository");
    expect(asked.runs[0]!.named).toMatchObject({ model: `${CACHE}/novels.flash`, prompt: "It was a fine morning, and the whole party" });
  });

  it("predicts the very plan that is then run, half of the FFNs held, in turn with all of them in memory", async () => {
    const { asked, ran, files } = await plainTour();
    const plan = JSON.parse(files.get("o/here.plan.json")!) as { readonly cache: { readonly hot: string; readonly cold: string } };
    const prediction = ran.find(({ request }) => request.fidelity === "neuron")!;
    const { hot, cold } = prediction.request.plan!.cache;
    expect((hot + cold) / (documentOf((await tour({ format: "json" })).stdout).steps[1]!.result as { readonly ffnBytes: number }).ffnBytes).toBeCloseTo(0.5, 3);
    expect(asked.made[0]!.segments).toEqual({ hot, cold });
    expect(plan.cache.hot).toMatch(/B$/);
    expect(asked.made.map(({ segments }) => (segments === null ? "all" : "half"))).toEqual(["half", "all", "half", "all", "half", "all", "half", "all", "half", "all"]);
    expect(ran.indexOf(prediction)).toBe(0);
  });

  it("shows predicted beside measured with signed errors, and the text as it came", async () => {
    const { stdout } = await plainTour();
    expect(stdout).toContain("over and the others had gone] was a fine morning\n");
    expect(stdout).toMatch(/^tokens\/s +111 +100 +\+11\.1%$/m);
    expect(stdout).toMatch(/^found in the cache +60\.0% +60\.0% +0\.0%$/m);
    expect(stdout).toMatch(/^read a token +1\.0kB +1\.0kB +0\.0%$/m);
    expect(stdout).toContain("The same neurons missed and the same bytes read, as predicted.");
    expect(stdout.replaceAll("\n", " ")).toMatch(/With all .+ in memory: 250 tokens\/s \(250 to 250\), 2\.50x that, and the same/);
    expect(stdout).not.toContain("something else is at work");
  });

  it("says that two runs of one model gave two texts, which is a fault", async () => {
    const { stdout } = await tour({}, { last: 99 });
    expect(stdout.replaceAll("\n", " ")).toContain("ANOTHER TEXT");
    expect(documentOf((await tour({ format: "json" }, { last: 99 })).stdout).steps[2]!.result).toMatchObject({ sameTextInMemory: false });
  });

  it("says so where runs differ as on a busy machine", async () => {
    let turn = 0;
    const busy: Engine["generate"] = (request) => TE.right(report(request, request.segments === null ? 4 : 10 + 5 * turn++, Array.from({ length: request.tokens }, (_, i) => i)));
    expect((await tour({}, { engine: { generate: busy } })).stdout.replaceAll("\n", " ")).toContain("something else is at work on this machine");
  });

  it("labels what is simulated, with the gain over the default plan and over llama.cpp", async () => {
    const { stdout, files } = await plainTour();
    expect(stdout).toContain("in 7GiB of memory. All of this");
    expect(stdout).toMatch(/^llama\.cpp +0\.5 +\S+ +\S+ +[\d.]+x$/m);
    expect(stdout).toMatch(/^default plan +\S+ +\S+ +\S+ +1\.\d+x$/m);
    expect(stdout).toMatch(/^tuned plan +\S+ +\S+ +\S+ +1\.00x$/m);
    expect(JSON.parse(files.get("o/oneplus-12.plan.json")!)).toMatchObject({ schema: "neuronlab/plan@1", device: "oneplus-12", model: "turbosparse-mixtral-47b" });
  });

  it("names the picture and the figure's worst error", async () => {
    const { stdout, files } = await plainTour();
    expect(stdout).toContain("Picture: o/f10/figure.png\n");
    expect(stdout).toMatch(/14 points, of which constants were fitted to 1: median error [\d.]+%, the worst\s[+-][\d.]+% \(/);
    expect(files.has("o/f10/points.json")).toBe(true);
  });

  it("as a document says the same and prints nothing else on stdout", async () => {
    const { code, stdout, stderr } = await tour({ format: "json", out: "o" });
    expect([code, stderr.match(/^[1-5]\/5/gm)?.length]).toEqual([0, 5]);
    const { schema, steps, next } = documentOf(stdout);
    expect([schema, steps.map(({ id, outcome }) => `${id} ${outcome}`), next.length]).toEqual(["neuronlab/tour@1", ["machine done", "model done", "run done", "phone done", "figure done"], 7]);
    expect(steps[2]!.result).toMatchObject({ origin: "measured", exact: true, sameTextInMemory: true, text: " was a fine morning", measured: { tokensPerSec: 100, cacheHitRate: 0.6 } });
    expect(steps[3]!.result).toMatchObject({ origin: "simulated", device: "oneplus-12", rival: { system: "llama.cpp", tokensPerSec: 0.5 } });
    expect(steps[4]!.result).toMatchObject({ id: "f10", picture: "o/f10/figure.png" });
  });
});

describe("what cannot be done", () => {
  const missing: AppError = unsupported("the native engine is not built", "install Rust (https://rustup.rs) and run npm run build:engine");
  const noEngine: Partial<Engine> = { probe: () => TE.left(missing), synth: () => TE.left(missing), pack: () => TE.left(missing), record: () => TE.left(missing), generate: () => TE.left(missing) };

  it("without the engine is told with what to do; the rest goes on, and the tour ends well", async () => {
    const { code, stdout } = await tour({}, { engine: noEngine });
    expect(code).toBe(0);
    expect(stdout.match(/^Not possible here: the native engine is not built: install Rust/gm)).toHaveLength(2);
    expect(stdout).toContain("there is no model (step 2)");
    expect(stdout).toContain("2 of 5 steps in");
    expect(stdout).toContain("neuronlab doctor");
    expect(outcomes((await tour({ format: "json" }, { engine: noEngine })).stdout)).toEqual(["machine impossible", "model impossible", "run impossible", "phone done", "figure done"]);
  });

  it("without a profile the run is made all the same, and nothing is predicted", async () => {
    const { code, stdout } = await tour({}, { engine: { probe: () => TE.left(unsupported("a disk", "takes no direct reads")) } });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^tokens\/s +100$/m);
    expect(stdout).toContain("Nothing was predicted: this machine has no profile (step 1).");
  });

  it("a full disk, a wrong folder and a fault of ours each decide the exit code, after the other steps", async () => {
    const probes = async (error: AppError) => tour({ format: "json" }, { engine: { probe: () => TE.left(error) } });
    const full = await probes(disk("/cache", "no storage space"));
    expect([full.code, outcomes(full.stdout)]).toEqual([74, ["machine failed", "model done", "run done", "phone done", "figure done"]]);
    expect(documentOf(full.stdout).steps[0]!.help).toContain("--dir for models");
    expect((await probes(badInput("/no", [{ path: "dir", message: "cannot create a scratch file" }]))).code).toBe(2);
    expect((await probes(fault("a bug"))).code).toBe(70);
    expect(await tour({ format: "json" }, { diskIsFull: true })).toMatchObject({ code: 74 });
  });

  it("llama.cpp that does not fit leaves a reason and not a zero", async () => {
    const { code, stdout } = await tour({}, { simulate: (inputs) => (inputs.request.system === "llama.cpp" ? E.left(unsupported("llama.cpp", "a test")) : quick(inputs)) });
    expect([code, /^llama\.cpp +\d/m.test(stdout)]).toEqual([0, false]);
    expect(stdout).toContain("llama.cpp was not simulated: llama.cpp: a test.");
  });

  it.each(["probe", "synth", "pack", "record", "generate"] as const)("an interruption of %s ends the tour, with no word of success", async (name) => {
    const stopped = { probe: () => TE.right(null), synth: () => TE.right(null), pack: () => TE.right(null), record: () => TE.right(null), generate: () => TE.right(null) }[name];
    const aborted = AbortSignal.abort();
    const f = await (async () => {
      const whole = await tour({}, { engine: {} });
      const capabilities = { ...whole.f.capabilities, interruptible: <A>(work: (signal: AbortSignal) => TE.TaskEither<AppError, A>) => work(aborted), engine: { ...whole.f.capabilities.engine, [name]: stopped } };
      const before = whole.stdout.length;
      const code = await execute(tourProgram({ generation: generation(commandNamed("generate")), figure: f10, evaluate, report: () => [] })(commandNamed("tour"))(given({ fresh: true })), capabilities);
      return { code, told: whole.f.stdout().slice(before), stderr: whole.f.stderr() };
    })();
    expect([f.code, f.told.includes("Interrupted."), f.told.includes("To try next")]).toEqual([0, true, false]);
    expect(f.stderr).toContain("interrupted: what was finished is kept");
  });

  it("wrong words are all told, and nothing is started", async () => {
    const { code, asked, stdout, stderr } = await tour({ frsh: true, out: "", format: "xml" });
    expect([code, stdout, asked.probes]).toEqual([2, "", []]);
    expect(stderr).toMatch(/neuronlab tour: 3 mistakes\n {2}--frsh: unknown flag; did you mean --fresh\?/);
  });
});

describe("what to try next", () => {
  it("is commands that are known, with words that they take and files that are there", async () => {
    const { stdout, files } = await tour({ format: "json", out: "o" });
    for (const { command } of documentOf(stdout).next) {
      const words = [...command.replace(/^neuronlab /, "").matchAll(/'([^']*)'|(\S+)/g)].map(([, inQuotes, bare]) => inQuotes ?? bare!);
      const read = await readCommandLine(words, commands, "1");
      expect(read, command).toMatchObject({ _tag: "Right", right: { _tag: "Chosen" } });
      if (E.isLeft(read) || read.right._tag !== "Chosen") continue;
      const { command: chosen, words: typed } = read.right;
      const known = [...chosen.flags.map(({ name }) => name), "format", "seed", ...(chosen.positional === undefined ? [] : [chosen.positional.key])];
      expect(Object.keys(typed.named).filter((name) => !known.includes(name)), command).toEqual([]);
      for (const name of ["plan", "activations"] as const) if (typeof typed.named[name] === "string") expect(files.has(typed.named[name]), `${command}: ${name}`).toBe(true);
      if (chosen.name === "simulate" && typed.named.device === "this-host") expect(files.has(String(typed.named.model))).toBe(true);
    }
  });
});

describe("text in lines", () => {
  it("flows into the margin word by word, however it is cut into pieces", () => {
    const text = "one two  three\nfour fivesixseven eight";
    const whole = (pieces: ReadonlyArray<string>): string => {
      let out = "";
      const flow = flowing((told) => (out += told), "  ", 16);
      for (const piece of [...pieces, ""]) if (piece !== "") flow(piece);
      flow("");
      return out;
    };
    expect(whole([text])).toBe("  one two three\n  four\n  fivesixseven\n  eight\n\n");
    expect(whole([...text])).toBe(whole([text]));
  });

  it("breaks sentences and leaves tables", () => {
    const row = `a  ${"b".repeat(90)}`;
    expect(lines([`${"word ".repeat(20)}end`, row]).split("\n")).toEqual(["word ".repeat(15).trim(), "word word word word word end", row]);
  });
});
