import { describe, expect, it } from "vitest";
import { E, TE } from "../../sim/base/fp.js";
import { badInput } from "../../sim/base/errors.js";
import { execute } from "../../cli/run.js";
import { benchProgram } from "../../cli/programs/bench/bench.js";
import { statistics } from "../../cli/programs/bench/rows.js";
import type { BenchReport, BenchRequest, Engine, PhaseReport } from "../../engine/index.js";
import { commandNamed, fake, given } from "../fakes/capabilities.js";

const spent: PhaseReport = { ns: 3e9, ffnNs: 2e9, diskNs: 1e9, diskBytes: 512e6, gateLookUps: 50, gateMisses: 0, gatesAnnounced: 0, lookUps: 50, misses: 10 };

/** Each token takes a millisecond of a prompt and 20 alone; the second repetition takes twice as long. */
const report = (request: BenchRequest): BenchReport => ({
  architecture: "smallthinker", file: "packed", parameters: 2.04e9, weightBytes: 1.15e9, weights: "Q4_0", ffn: request.memory === null ? "sparse in memory" : "from flash", labels: ["lossless"], kernels: "avx512",
  threads: request.threads!, loadNs: 1e9, fixed: [{ part: "weights", bytes: 3e8 }], ffnBytes: 5e8, hot: 4e8, cold: 1e8, ...(request.memory === null ? {} : { memory: request.memory }),
  tests: [
    ...request.prompts.map((prompt) => ({ prompt, generation: 0, started: 0, samples: Array.from({ length: request.repetitions }, (_, k) => (1 + k) * prompt * 1e6), spent })),
    ...request.generations.map((generation) => ({ prompt: 0, generation, started: 0, samples: Array.from({ length: request.repetitions }, (_, k) => (1 + k) * generation * 20e6), spent })),
  ],
});

const noPicture = () => ({ svg: "", png: new Uint8Array() });

const start = async (named: Readonly<Record<string, unknown>>, options: { readonly bench?: Engine["bench"] } = {}) => {
  const asked: Array<BenchRequest> = [];
  const f = fake({ engine: { bench: (request, hooks) => (asked.push(request), (options.bench ?? ((of) => TE.right(report(of))))(request, hooks)) } });
  const code = await execute(benchProgram(noPicture)(commandNamed("bench"))(given(named)), f.capabilities);
  return { code, asked, stdout: f.stdout(), stderr: f.stderr() };
};

const plain = {
  model: "m.gguf", memory: null, segments: null, threads: 4, cores: null, ioCore: null, shape: null, planned: null, io: { backend: "io_uring", reads: 64 }, depth: 16, cluster: 256, policy: "lru", granularity: "neuron", overlap: "cluster", gates: "joined", preload: false, ffn: "auto",
  prompts: [512], generations: [128], repetitions: 5, warmUp: true, seed: 1, predictor: null,
};

describe("bench", () => {
  it("measures llama-bench's tests by default, and every model with every number of threads and every budget", async () => {
    expect((await start({ model: "m.gguf" })).asked).toEqual([plain]);
    const { asked } = await start({ model: ["a.flash", "b.flash"], "n-prompt": "0", "n-gen": "16,32", repetitions: "2", threads: "1,2", memory: "900MB,all", "no-warmup": true, depth: "8", "io-uring": "64", seed: "7" });
    expect(asked.map(({ model, threads, memory }) => [model, threads, memory])).toEqual([
      ["a.flash", 1, 900e6], ["a.flash", 1, null], ["a.flash", 2, 900e6], ["a.flash", 2, null],
      ["b.flash", 1, 900e6], ["b.flash", 1, null], ["b.flash", 2, 900e6], ["b.flash", 2, null],
    ]);
    expect(asked[0]).toMatchObject({ prompts: [], generations: [16, 32], repetitions: 2, warmUp: false, depth: 8, io: { backend: "io_uring", reads: 64 }, seed: 7 });
  });

  it("prints a Markdown table as llama-bench does", async () => {
    expect((await start({ model: "m.flash", memory: "900MB", repetitions: "2", threads: "2" })).stdout).toBe(
      [
        "| model                   |     size | params | backend          | threads |  memory | cache hits | FFNs                 |  test |             t/s |",
        "| ----------------------- | -------: | -----: | ---------------- | ------: | ------: | ---------: | -------------------- | ----: | --------------: |",
        "| smallthinker 2.04B Q4_0 | 1.07 GiB | 2.04 B | neuronlab avx512 |       2 | 900.0MB |      90.0% | from flash, lossless | pp512 | 750.00 ± 353.55 |",
        "| smallthinker 2.04B Q4_0 | 1.07 GiB | 2.04 B | neuronlab avx512 |       2 | 900.0MB |      90.0% | from flash, lossless | tg128 |   37.50 ± 17.68 |",
        "",
      ].join("\n"),
    );
  });

  it("gives the list of llama-bench's JSON fields, and ours beside them", async () => {
    const rows = JSON.parse((await start({ model: "m.flash", memory: "900MB", "n-prompt": "512", "n-gen": "0", repetitions: "2", format: "json" })).stdout) as ReadonlyArray<Readonly<Record<string, unknown>>>;
    expect(rows).toHaveLength(1);
    // The fields of llama-bench 0.5.0, in the order in which it prints them.
    const theirs = ["build_commit", "build_number", "cpu_info", "gpu_info", "backends", "model_filename", "model_type", "model_size", "model_n_params", "n_batch", "n_ubatch", "n_threads", "cpu_mask", "cpu_strict", "poll", "type_k", "type_v", "n_gpu_layers", "n_cpu_moe", "split_mode", "main_gpu", "no_kv_offload", "flash_attn", "devices", "tensor_split", "tensor_buft_overrides", "load_mode", "lazy_mode", "embeddings", "no_op_offload", "no_host", "fit_target", "fit_min_ctx", "n_prompt", "n_gen", "n_depth", "test_time", "avg_ns", "stddev_ns", "avg_ts", "stddev_ts", "samples_ns", "samples_ts"];
    expect(Object.keys(rows[0]!)).toEqual(expect.arrayContaining(theirs));
    expect(rows[0]).toMatchObject({
      build_commit: "neuronlab 1.2.3", cpu_info: "a test", backends: "avx512", model_filename: "m.flash", n_threads: 4, n_prompt: 512, n_gen: 0, test_time: "1970-01-01T00:00:00Z", avg_ns: 768e6, avg_ts: 750,
      samples_ns: [512e6, 1024e6], samples_ts: [1000, 500], program: "neuronlab", memory: 900e6, hit_rate: 0.9, hit_rate_gate: 1, hit_rate_up_down: 0.8, bytes_read_per_token: 500e3, load_mode: "flash",
    });
  });

  it("prints csv, json, jsonl and sql with llama-bench's fields in its order, and ours behind them", async () => {
    const asked = { model: "m'.flash", memory: "900MB", "n-prompt": "512", "n-gen": "0", repetitions: "2" };
    const print = async (output: string) => (await start({ ...asked, output })).stdout;
    const csv = (await print("csv")).split("\n");
    const header = csv[0]!.split(",");
    expect(header.slice(0, 41).join(",")).toBe("build_commit,build_number,cpu_info,gpu_info,backends,model_filename,model_type,model_size,model_n_params,n_batch,n_ubatch,n_threads,cpu_mask,cpu_strict,poll,type_k,type_v,n_gpu_layers,n_cpu_moe,split_mode,main_gpu,no_kv_offload,flash_attn,devices,tensor_split,tensor_buft_overrides,load_mode,lazy_mode,embeddings,no_op_offload,no_host,fit_target,fit_min_ctx,n_prompt,n_gen,n_depth,test_time,avg_ns,stddev_ns,avg_ts,stddev_ts");
    expect(csv[1]!.split(",")).toHaveLength(header.length);
    const cell = (name: string) => csv[1]!.split(",")[header.indexOf(name)];
    expect([cell("model_filename"), cell("avg_ts"), cell("cpu_strict"), cell("memory"), cell("hit_rate"), cell("ratio")]).toEqual(['"m\'.flash"', '"750.000000"', '"0"', '"900000000"', '"0.900000"', '""']);
    const json = JSON.parse(await print("json")) as ReadonlyArray<object>;
    expect(Object.keys(json[0]!).slice(0, 41)).toEqual(header.slice(0, 41));
    expect((await print("jsonl")).trim().split("\n").map((line) => JSON.parse(line) as unknown)).toEqual(json);
    const sql = await print("sql");
    expect(sql).toContain("CREATE TABLE IF NOT EXISTS llama_bench (\n  build_commit TEXT,\n  build_number INTEGER,");
    expect(sql).toContain("'m''.flash'");
    expect(await start({ ...asked, output: "json", format: "json" })).toMatchObject({ code: 2, stderr: expect.stringContaining("--output: says how the rows are printed, and so does --format") as unknown });
    expect(await print("md")).toBe((await start(asked)).stdout);
  });

  it("takes shares of the model's file, and sweeps", async () => {
    // Every file of these tests has 1 GB.
    const budgets = async (memory: string) => (await start({ model: "m.flash", memory, "n-gen": "0" })).asked.map((request) => request.memory);
    expect(await budgets("40%,all")).toEqual([4e8, null]);
    expect(await budgets("10%..120%/12")).toEqual([1e8, 2e8, 3e8, 4e8, 5e8, 6e8, 7e8, 8e8, 9e8, 1e9, 11e8, 12e8]);
    expect(await budgets("100MB..200MB/3")).toEqual([1e8, 15e7, 2e8]);
    const wrong = async (memory: string) => (await start({ model: "m.flash", memory })).stderr.split("--memory: ")[1]?.trim();
    expect(await wrong("120%..10%")).toBe("should run upwards, got 120%..10%");
    expect(await wrong("10%..2GB")).toBe("should run between two sizes or two shares, got 10%..2GB");
    expect(await wrong("10%..90%/1")).toBe("should have between 2 and 1000 points, got 1");
    expect(await wrong("0%")).toBe("must be above zero: 0%");
    expect(await start({ model: "none.flash", memory: "40%" })).toMatchObject({ code: 2, stderr: "none.flash: 1 mistake\n  (whole): there is no such file\n" });
  });

  it("takes the model that comes along where none is named", async () => {
    const none = fake({});
    expect(await execute(benchProgram(noPicture)(commandNamed("bench"))(given({})), none.capabilities)).toBe(2);
    expect(none.stderr()).toContain("--model: is missing");
    const asked: Array<string> = [];
    const one = fake({ shippedModels: ["models/novels/novels-mixture.gguf"], engine: { bench: (request) => (asked.push(request.model), TE.right(report(request))) } });
    expect(await execute(benchProgram(noPicture)(commandNamed("bench"))(given({ "n-prompt": "0" })), one.capabilities)).toBe(0);
    expect(asked).toEqual(["models/novels/novels-mixture.gguf"]);
  });

  it("fills the cache before the first token where it is told to, and refuses that where all is in memory", async () => {
    expect((await start({ model: "m.flash", memory: "900MB", preload: true })).asked.map(({ preload }) => preload)).toEqual([true]);
    expect((await start({ model: "m.flash", memory: "900MB" })).asked.map(({ preload }) => preload)).toEqual([false]);
    expect((await start({ model: "m.flash", preload: true })).stderr).toContain("--preload: is for reads from flash, and without --memory everything is in memory");
  });

  it("runs under a predictor, one for each model, and says which in the row", async () => {
    expect((await start({ model: ["a.gguf", "b.gguf"], predictor: ["a.p", "b.p"] })).asked.map(({ model, predictor }) => [model, predictor])).toEqual([["a.gguf", "a.p"], ["b.gguf", "b.p"]]);
    const rows = JSON.parse((await start({ model: "a.gguf", predictor: "a.p", format: "json", "n-prompt": "0" })).stdout) as ReadonlyArray<{ readonly setting: unknown }>;
    expect(rows.map(({ setting }) => setting)).toEqual([expect.objectContaining({ predictor: "a.p" })]);
    expect((await start({ model: ["a.gguf", "b.gguf"], predictor: "a.p" })).stderr).toContain("--predictor: is given 1 times and --model 2 times; give one for each");
    expect((await start({ model: "a.gguf", predictor: "a.p", ffn: "dense" })).stderr).toContain("--predictor: says which neurons to compute, and --ffn dense computes all; give one of them");
  });

  it("computes mean and deviation of speeds as llama-bench does", () => {
    const { avg_ns, stddev_ns, avg_ts, stddev_ts } = statistics([1e9, 2e9, 4e9], 8);
    expect([avg_ns, stddev_ns, avg_ts]).toEqual([2333333333, 1527525232, (8 + 4 + 2) / 3]);
    expect(stddev_ts).toBeCloseTo(3.05505, 4);
    expect(statistics([1e9], 8)).toMatchObject({ stddev_ns: 0, stddev_ts: 0 });
  });

  it("a budget that is too small is a gap where others run, and the answer where none does", async () => {
    const tight: Engine["bench"] = (request) => (request.memory === null ? TE.right(report(request)) : TE.left({ _tag: "DoesNotFit", needed: 2e8, allowed: request.memory, parts: [], hint: "--memory 202MB works" }));
    const some = await start({ model: "m.flash", memory: "10MB,all" }, { bench: tight });
    expect([some.code, some.stderr]).toEqual([0, "not measured: m.flash, 4 threads, 10000000 bytes: does not fit: needs 0.20GB, allowed 0.01GB; --memory 202MB works\n"]);
    expect(some.stdout).toContain("sparse in memory");
    expect(await start({ model: "m.flash", memory: "10MB" }, { bench: tight })).toMatchObject({ code: 3, stdout: "" });
    expect(await start({ model: "none.gguf", memory: "all,10MB" }, { bench: () => TE.left(badInput("none.gguf", [{ path: "(whole)", message: "there is no such file" }])) })).toMatchObject({ code: 2, stdout: "" });
    expect(await start({ model: "m.gguf" }, { bench: () => () => Promise.resolve(E.right(null)) })).toMatchObject({ code: 0, stdout: "", stderr: "interrupted\n" });
  });

  it("tells all mistakes at once and starts nothing", async () => {
    const { code, asked, stderr } = await start({ "n-prompt": "12,x", repetitions: "0", memory: "19,all", threads: "1,0", vs: "vllm", "llama-model": "m.gguf" });
    expect([code, asked]).toEqual([2, []]);
    expect(stderr).toBe(
      "neuronlab bench: 6 mistakes\n" +
        "  --model: is missing\n" +
        "  --n-prompt: should be a whole number between 0 and 1048576, got x\n" +
        "  --repetitions: should be a whole number between 1 and 65536, got 0\n" +
        "  --threads: should be a whole number between 1 and 1024, got 0\n" +
        '  --memory: has no unit: 19; write it like "900MB", "2GiB", "40%", 10%..120%/8 or all\n' +
        '  --vs: should be one of llama.cpp, got "vllm"\n',
    );
    const idle = await start({ model: "m.gguf", "n-prompt": "0", "n-gen": "0", depth: "3", rounds: "2" });
    expect(idle.stderr).toBe(
      "neuronlab bench: 3 mistakes\n" +
        "  --depth: is for reads from flash, and without --memory everything is in memory; give --memory too, or leave it out\n" +
        "  --n-gen: is 0, and so is --n-prompt: nothing is left to measure; give one of them\n" +
        "  --rounds: is for the comparison; give --vs llama.cpp too, or leave it out\n",
    );
    expect((await start({ model: ["a.flash", "b.flash"], vs: "llama.cpp", "llama-model": "a.gguf" })).stderr).toContain("--llama-model: is given 1 times and --model 2 times; give one for each");
  });
});
