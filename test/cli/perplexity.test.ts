import { describe, expect, it } from "vitest";
import { E, TE } from "../../sim/base/fp.js";
import { badInput, type AppError } from "../../sim/base/errors.js";
import { execute } from "../../cli/run.js";
import { perplexityProgram } from "../../cli/programs/perplexity/perplexity.js";
import type { Asked, Capabilities, Ended } from "../../cli/program.js";
import type { Engine, PerplexityReport, PerplexityRequest, PhaseReport } from "../../engine/index.js";
import { commandNamed, fake, given } from "../fakes/capabilities.js";

const spent: PhaseReport = { ns: 4e9, ffnNs: 2e9, diskNs: 1e9, diskBytes: 512e6, gateLookUps: 50, gatesAnnounced: 0, gateMisses: 0, lookUps: 50, misses: 10 };

const report: PerplexityReport = {
  architecture: "smallthinker", activation: "relu", file: "gguf", weights: "Q8_0", ffn: "sparse in memory", labels: ["lossless"], kernels: "avx512", threads: 2,
  tokens: 1700, windows: 3, scored: 765, perplexity: 20.5, standardError: 0.25, windowLosses: [3, 3.1, 2.96], spent, fixed: [], ffnBytes: 5e8,
};

type Rivals = Partial<Pick<Capabilities, "runProgram" | "memoryLimits" | "rival">>;

const start = async (named: Readonly<Record<string, unknown>>, options: { readonly perplexity?: Engine["perplexity"]; readonly rivals?: Rivals; readonly shippedModels?: ReadonlyArray<string> } = {}) => {
  const asked: Array<PerplexityRequest> = [];
  const engine = { perplexity: ((request, hooks) => (asked.push(request), (options.perplexity ?? (() => TE.right(report)))(request, hooks))) satisfies Engine["perplexity"] };
  const f = fake({ files: { "t.txt": "A text.\n", "empty.txt": " \n" }, engine, shippedModels: options.shippedModels ?? [], ...(options.rivals === undefined ? {} : { rivals: options.rivals }) });
  const code = await execute(perplexityProgram(commandNamed("perplexity"))(given(named)), f.capabilities);
  return { code, asked, stdout: f.stdout(), stderr: f.stderr() };
};

const plain: PerplexityRequest = {
  model: "m.gguf", text: "A text.\n", window: 512, windows: null, memory: null, segments: null, threads: null, cores: null, ioCore: null, shape: null, planned: null, io: { backend: "io_uring", reads: 64 }, depth: 16, cluster: 256, policy: "lru",
  granularity: "neuron", overlap: "cluster", gates: "joined", preload: false, ffn: "auto", predictor: null, audit: false,
};

const ended = (more: Partial<Ended>): Ended => ({ exit: 0, signal: null, stdout: "", stderr: "", spent: null, ...more });
const PRINTED = "perplexity: calculating perplexity over 3 chunks, n_ctx=512, batch_size=2048, n_seq=4\n[1]21.0,[2]20.7,[3]20.4988,\nFinal estimate: PPL = 20.4988 +/- 0.24987\n";

const rivalsThat = (result: E.Either<AppError, Ended>) => {
  const ran: Array<Asked> = [];
  return { ran, rivals: { runProgram: (asked: Asked) => () => Promise.resolve((ran.push(asked), result)), rival: () => TE.right({ version: "0.5.0", origin: "built here" as const, inMemory: { program: "/d/llama-bench", repacks: true }, paging: { program: "/n/llama-bench", repacks: false }, mapped: [] }) } satisfies Rivals };
};

describe("perplexity", () => {
  it("asks for what was typed, with the defaults of --help", async () => {
    expect((await start({ model: "m.gguf", text: "t.txt" })).asked).toEqual([plain]);
    const { asked } = await start({ model: "m.flash", text: "t.txt", window: "64", windows: "5", memory: "900MB", threads: "2", predictor: "p.gguf", audit: true, depth: "8", lanes: "4" });
    expect(asked).toEqual([{ ...plain, model: "m.flash", window: 64, windows: 5, memory: 9e8, threads: 2, predictor: "p.gguf", audit: true, depth: 8, io: { backend: "lanes", reads: 4 } }]);
  });

  it("takes the model that comes along where none is named", async () => {
    expect((await start({ text: "t.txt" }, { shippedModels: ["/home/models/novels/n.gguf"] })).asked).toEqual([{ ...plain, model: "/home/models/novels/n.gguf" }]);
    expect((await start({ text: "t.txt" })).code).toBe(2);
  });

  it("says the number, its error, and what was scored", async () => {
    const { code, stdout, stderr } = await start({ model: "m.gguf", text: "t.txt" });
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toBe("perplexity: 20.5000 +/- 0.25000\n765 of 1700 tokens scored, in 3 windows of 512; 384.0 tokens/s\nsmallthinker, relu, mostly Q8_0; FFNs sparse in memory, lossless; avx512, 2 threads\n");
    const predicted = await start({ model: "m.flash", text: "t.txt", memory: "900MB", predictor: "p.gguf" }, { perplexity: () => TE.right({ ...report, ffn: "predicted from flash", labels: ["predicted"], predicted: 0.25, recall: 0.96, memory: 9e8, peakResident: 8e8 }) });
    expect(predicted.stdout).toContain("predicted: 25.0% of the neurons, with 96.0% of those that would have fired\nmemory: 900.0MB allowed, 800.0MB held at most; 512.0MB read\n");
    const json = JSON.parse((await start({ model: "m.gguf", text: "t.txt", format: "json" })).stdout) as unknown;
    expect(json).toMatchObject({ origin: "measured", perplexity: 20.5, standardError: 0.25, scored: 765, predicted: null, inputs: { model: "m.gguf", text: "t.txt", window: 512, characters: 8 } });
    expect(json).not.toHaveProperty("llamaCpp");
  });

  it("sets llama.cpp's own result on the same text beside it", async () => {
    const { ran, rivals } = rivalsThat(E.right(ended({ stdout: PRINTED })));
    const { code, stdout } = await start({ model: "m.gguf", text: "t.txt", vs: "llama.cpp", windows: "3", memory: "900MB" }, { rivals });
    expect(code).toBe(0);
    // A limit of memory changes no perplexity, and llama.cpp is given none.
    expect(ran).toMatchObject([{ memory: null, cold: [], command: ["/d/llama-perplexity", "-m", "m.gguf", "-f", "t.txt", "-c", "512", "-t", "2", "--chunks", "3"] }]);
    expect(stdout).toContain("\nllama.cpp 0.5.0: 20.4988 +/- 0.24987, over 3 windows; ours is +0.006% off\n");
    const json = JSON.parse((await start({ model: "m.flash", text: "t.txt", vs: "llama.cpp", "llama-model": "m.gguf", "llama-perplexity": "./mine", format: "json" }, { rivals })).stdout) as { readonly difference: number };
    expect(json).toMatchObject({ llamaCpp: { version: "yours", perplexity: 20.4988, standardError: 0.24987, windows: 3 }, gap: null });
    expect(json.difference).toBeCloseTo(20.5 / 20.4988 - 1, 12);
    expect(ran[1]!.command.slice(0, 3)).toEqual(["./mine", "-m", "m.gguf"]);
    const single = await start({ model: "m.gguf", text: "t.txt", vs: "llama.cpp", kv: "f32" }, { rivals });
    expect([single.asked, ran[2]!.command.slice(9)]).toEqual([[{ ...plain, kv: "f32" }], ["--cache-type-k", "f32", "--cache-type-v", "f32", "--flash-attn", "off"]]);
    expect((await start({ model: "m.gguf", text: "t.txt", kv: "f64" })).stderr).toContain('--kv: should be one of f16, f32, got "f64"');
  });

  it("gives the reason where llama.cpp has no result, and its own number all the same", async () => {
    const gapOf = async (result: Partial<Ended>, more: Partial<PerplexityReport> = {}) => {
      const { ran, rivals } = rivalsThat(E.right(ended(result)));
      const { code, stdout } = await start({ model: "m.gguf", text: "t.txt", vs: "llama.cpp", format: "json" }, { rivals, perplexity: () => TE.right({ ...report, ...more }) });
      return { code, ran: ran.length, json: JSON.parse(stdout) as unknown };
    };
    expect(await gapOf({ exit: 1, stderr: "failed to load model" })).toMatchObject({ code: 0, json: { perplexity: 20.5, llamaCpp: null, gap: "llama-perplexity ended with exit code 1: failed to load model" } });
    expect(await gapOf({ exit: null, signal: "SIGKILL" })).toMatchObject({ json: { gap: "llama-perplexity ended with SIGKILL: " } });
    expect(await gapOf({ stderr: "perplexity: you need at least 1024 tokens" })).toMatchObject({ json: { gap: "llama-perplexity printed no estimate: perplexity: you need at least 1024 tokens" } });
    expect(await gapOf({ stdout: PRINTED.replace("20.4988 +/- 0.24987", "nan +/- -nan") })).toMatchObject({ json: { gap: "llama-perplexity estimates nan" } });
    // These two it would run without a word, or not at all: they are not tried.
    expect(await gapOf({ stdout: PRINTED }, { architecture: "llama", activation: "drelu" })).toMatchObject({ ran: 0, json: { gap: expect.stringContaining("llama.cpp has no drelu in a model of architecture llama") as unknown } });
    expect(await gapOf({ stdout: PRINTED }, { file: "packed" })).toMatchObject({ ran: 0, json: { gap: "llama.cpp does not read packed files; name the GGUF file with --llama-model" } });
  });

  it("asks again where llama.cpp's last lines were lost, and takes what it printed after the last window", async () => {
    const cut = PRINTED.slice(0, PRINTED.indexOf("[2]"));
    const answers = [cut, cut, PRINTED];
    let turn = 0;
    const rival = rivalsThat(E.right(ended({}))).rivals.rival;
    const losing: Rivals = { rival, runProgram: () => () => Promise.resolve(E.right(ended({ stdout: answers[Math.min(turn++, 2)]! }))) };
    const asking = { model: "m.gguf", text: "t.txt", vs: "llama.cpp", format: "json" };
    expect(JSON.parse((await start(asking, { rivals: losing })).stdout)).toMatchObject({ llamaCpp: { perplexity: 20.4988 } });
    expect(turn).toBe(3);
    turn = -9;
    expect(JSON.parse((await start(asking, { rivals: { ...losing, runProgram: () => () => Promise.resolve((turn++, E.right(ended({ stdout: cut })))) } })).stdout)).toMatchObject({ llamaCpp: null });
    expect(turn).toBe(-6);
    const noError = rivalsThat(E.right(ended({ stdout: PRINTED.slice(0, PRINTED.indexOf("Final")) })));
    expect(JSON.parse((await start(asking, { rivals: noError.rivals })).stdout)).toMatchObject({ llamaCpp: { perplexity: 20.4988, standardError: null } });
    expect(noError.ran.length).toBe(1);
  });

  it("says before the work that llama.cpp is not built", async () => {
    const { code, asked, stderr } = await start({ model: "m.gguf", text: "t.txt", vs: "llama.cpp" });
    expect([code, asked]).toEqual([3, []]);
    expect(stderr).toContain("llama.cpp is not built");
  });

  it("tells all mistakes at once and starts nothing", async () => {
    const { code, asked, stderr } = await start({ model: "m.gguf", text: "none.txt", window: "3", audit: true, lanes: "4", "llama-model": "m.gguf" });
    expect([code, asked]).toEqual([2, []]);
    for (const mistake of ["--window: should be a whole number between 4 and 16777216, got 3", "--lanes: is for reads from flash", "--audit: counts what a predictor misses", "--llama-model: is for the comparison", "none.txt"]) expect(stderr).toContain(mistake);
    expect((await start({ model: "m.gguf", text: "empty.txt" })).stderr).toContain("has no text");
    const wrong = await start({ model: "m.gguf", text: "t.txt" }, { perplexity: () => TE.left(badInput("m.gguf", [{ path: "text", message: "has 3 tokens; should have at least one window of 512" }])) });
    expect([wrong.code, wrong.stderr]).toEqual([2, "neuronlab perplexity: 1 mistake\n  --text: has 3 tokens; should have at least one window of 512\n"]);
    expect(await start({ model: "m.gguf", text: "t.txt" }, { perplexity: () => TE.right(null) })).toMatchObject({ code: 0, stdout: "", stderr: "interrupted\n" });
  });
});
