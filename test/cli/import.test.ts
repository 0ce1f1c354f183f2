import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { describeError } from "../../sim/base/errors.js";
import { execute } from "../../cli/run.js";
import { importProgram } from "../../cli/programs/llama-bench/import.js";
import { readReport, readRun } from "../../cli/programs/llama-bench/report.js";
import { likeDevice, unlikeModel } from "../../cli/programs/llama-bench/likeness.js";
import { deviceNamed, modelNamed } from "../arb/runs.js";
import { commandNamed, fake, given } from "../fakes/capabilities.js";

/** A row as release 0.5.0 prints it (fields and order from its own -o json). */
const newest = {
  build_commit: "de3ff81", build_number: 1, cpu_info: "Qualcomm Technologies, Inc SM8650", gpu_info: "", backends: "CPU", model_filename: "llama-2-7b.gguf", model_type: "llama 7B Q4_0", model_size: 3825065984, model_n_params: 6738415616, n_batch: 2048, n_ubatch: 512,
  n_threads: 4, cpu_mask: "0x0", cpu_strict: false, poll: 50, type_k: "f16", type_v: "f16", n_gpu_layers: -1, n_cpu_moe: 0, split_mode: "layer", main_gpu: 0, no_kv_offload: false, flash_attn: -1, devices: "auto", tensor_split: "0.00",
  tensor_buft_overrides: "none", load_mode: "auto", lazy_mode: "auto", embeddings: false, no_op_offload: 0, no_host: false, fit_target: 0, fit_min_ctx: 0, n_prompt: 0, n_gen: 128, n_depth: 0, test_time: "2026-11-21T13:40:30Z",
  avg_ns: 12_800_000_000, stddev_ns: 0, avg_ts: 10, stddev_ts: 0, samples_ns: [12_800_000_000], samples_ts: [10],
};

type Fields = Readonly<Record<string, unknown>>;

const without = (row: Fields, ...names: ReadonlyArray<string>): Fields => Object.fromEntries(Object.entries(row).filter(([name]) => !names.includes(name)));

/** As builds of 2025 print it. */
const older: Fields = { ...without(newest, "n_cpu_moe", "devices", "load_mode", "lazy_mode", "no_host", "fit_target", "fit_min_ctx"), use_mmap: true, flash_attn: false, no_op_offload: false };

const prompt: Fields = { ...newest, n_prompt: 512, n_gen: 0, avg_ns: 10_240_000_000, avg_ts: 50, samples_ns: [10_240_000_000], samples_ts: [50] };

const said = (source: string): string => {
  const read = readReport("r.json", source);
  return E.isLeft(read) ? describeError(read.left) : "read";
};

describe("reports of llama-bench", () => {
  it("are read in every form of a release, as a list or as lines", () => {
    for (const rows of [[newest], [older], [{ ...older, n_cpu_moe: 0, use_direct_io: false }, { ...newest, n_prompt: 0, repack: true }]]) {
      const read = readReport("r.json", JSON.stringify(rows));
      expect(E.isRight(read) && read.right.map((row) => row.avg_ts)).toEqual(rows.map(() => 10));
      expect(readReport("r.jsonl", `${rows.map((row) => JSON.stringify(row)).join("\n")}\n`)).toEqual(read);
    }
  });

  it("of the real program are read as they are", () => {
    const read = readReport("r.jsonl", readFileSync("test/cli/reports/llama-bench-0.5.0.jsonl", "utf8"));
    expect(E.isRight(read) && read.right.map((row) => [row.n_prompt, row.n_gen, row.model_n_params, row.samples_ns.length])).toEqual([[16, 0, 7241732096, 2], [0, 4, 7241732096, 2]]);
  });

  it("are refused, each field with its place, when one is unknown, missing, of another kind, or contradicts another", () => {
    expect(said(JSON.stringify([{ ...newest, n_thread: 4 }]))).toContain("[0].n_thread: no release of llama-bench that is known here has this field; did you mean n_threads?");
    expect(said(JSON.stringify([newest, without(newest, "n_depth", "samples_ns")]))).toBe("r.json: 2 mistakes\n  [1].n_depth: is missing; reports of llama-bench from before May 2025 are not read\n  [1].samples_ns: is missing");
    expect(said(JSON.stringify([{ ...newest, n_threads: "4", cpu_strict: "no", model_size: -1, samples_ts: [] }]))).toBe("r.json: 4 mistakes\n  [0].model_size: should be a whole number, got -1\n  [0].n_threads: should be a whole number, got \"4\"\n  [0].cpu_strict: should be true or false, got \"no\"\n  [0].samples_ts: should be a list of numbers above zero, got []");
    expect(said(JSON.stringify([{ ...newest, avg_ts: 12 }]))).toContain("[0].avg_ts: is 12, and samples_ns of 128 tokens give 10.00");
    expect(said(JSON.stringify([{ ...newest, avg_ns: 1 }]))).toContain("[0].avg_ns: is 1, and the mean of samples_ns is 12800000000");
    expect(said(JSON.stringify([{ ...newest, samples_ts: [10, 10] }]))).toContain("[0].samples_ts: has 2 entries and samples_ns 1");
    expect(said(JSON.stringify([{ ...newest, use_mmap: true }]))).toContain("[0].load_mode: stands beside use_mmap; no release has both");
    expect(said(JSON.stringify([without(newest, "load_mode")]))).toContain("[0].load_mode: is missing, and so is use_mmap");
    expect(said("[]")).toContain("should have at least 1 entries, got 0");
    expect(said("model,t/s")).toContain("is neither the list that llama-bench -o json prints nor the lines of -o jsonl");
    expect(said(`${JSON.stringify(newest)}\n{"build`)).toContain("line 2: is not JSON");
  });

  it("of a run that was just made may have fields of later releases", () => {
    const later = JSON.stringify([{ ...newest, n_experts_offloaded: 3 }]);
    expect(E.isLeft(readReport("r", later))).toBe(true);
    expect(E.isRight(readRun("r", later))).toBe(true);
  });
});

const start = async (named: Fields, files: Readonly<Record<string, string>>) => {
  const f = fake({ files });
  const code = await execute(importProgram(commandNamed("import"))(given(named)), f.capabilities);
  return { code, ran: f.ran, stdout: f.stdout(), stderr: f.stderr() };
};

const asked = { files: "r.json", device: "oneplus-12", model: "llama-2-7b" };

interface Shown { readonly cells: ReadonlyArray<{ readonly test: string; readonly predicted: number | null; readonly measured: number; readonly signedError: number | null; readonly reason: string | null; readonly build: string }>; readonly summary: { readonly medianAbsError: number } }

describe("import", () => {
  it("simulates each test as it was run, and shows both with the error", async () => {
    const deep = { ...newest, n_depth: 4096, n_threads: 2 };
    const { code, ran, stdout } = await start({ ...asked, format: "json" }, { "r.json": JSON.stringify([prompt, newest, deep]) });
    expect(code).toBe(0);
    expect(ran.map(({ request, system }) => [request.phase, request.prompt, request.tokens, request.memory._tag, system.name, system.software.threads?.value])).toEqual([["prefill", 512, 1, "All", "llama.cpp", 4], ["decode", 1, 128, "All", "llama.cpp", 4], ["decode", 4096, 128, "All", "llama.cpp", 2]]);
    const { cells, summary } = JSON.parse(stdout) as Shown;
    // The simulator of these tests takes 101.1 ms a token.
    expect(cells.map(({ test, measured, predicted }) => [test, measured, predicted])).toEqual([["pp512", 50, expect.closeTo(1000 / 101.1, 9)], ["tg128", 10, expect.closeTo(1000 / 101.1, 9)], ["tg128 @ d4096", 10, expect.closeTo(1000 / 101.1, 9)]]);
    expect(cells[1]!.signedError).toBeCloseTo(1000 / 101.1 / 10 - 1, 9);
    expect(cells[1]!.build).toBe("de3ff81 (build 1)");
    expect(summary.medianAbsError).toBeCloseTo(1 - 1000 / 101.1 / 10, 9);
  });

  it("what cannot be simulated is a gap with its reason", async () => {
    const rows = [newest, { ...newest, backends: "Vulkan", n_gpu_layers: 99 }, { ...newest, n_prompt: 384, avg_ts: 40, samples_ts: [40] }, { ...prompt, n_depth: 64 }];
    const { code, ran, stdout, stderr } = await start(asked, { "r.json": JSON.stringify(rows) });
    expect([code, ran.length]).toEqual([0, 1]);
    expect(stdout).toMatch(/Vulkan +\| +4 \| +tg128 \| 10\.00 ± 0\.00 \| +-- \| +-- \|/);
    expect(stderr).toContain("tg128, 4 threads: ran on Vulkan; llama.cpp is simulated on the CPU");
    expect(stderr).toContain("pp384+tg128, 4 threads: is prompt and generation in one");
    expect(stderr).toContain("pp512 @ d64, 4 threads: begins behind 64 tokens");
  });

  it("refuses a report of another model, a test that stands there twice, and tells all mistakes at once", async () => {
    expect(await start({ ...asked, model: "turbosparse-mixtral-47b" }, { "r.json": JSON.stringify([newest]) })).toMatchObject({ code: 2, ran: [], stderr: expect.stringContaining("turbosparse-mixtral-47b has 46.91 billion parameters, and r.json: llama 7B Q4_0 has 6.74 billion") as unknown });
    expect((await start(asked, { "r.json": JSON.stringify([newest, { ...newest, test_time: "later" }]) })).stderr).toBe("r.json: 1 mistake\n  tg128 of llama-2-7b.gguf with 4 threads: stands there more than once; leave one\n");
    expect(await start({ files: "r.json", model: "qwen", device: "oneplus-12" }, { "r.json": "{}" })).toMatchObject({ code: 2, stderr: expect.stringMatching(/--model: unknown model: qwen[^]*r\.json: \d+ mistakes/) as unknown });
    expect((await start({}, {})).stderr).toBe("neuronlab import: 3 mistakes\n  FILE: is missing\n  --device: is missing\n  --model: is missing\n");
  });

  it("says when reports are of several builds", async () => {
    expect((await start({ ...asked, files: ["r.json", "s.json"] }, { "r.json": JSON.stringify([newest]), "s.json": JSON.stringify([older]) })).stderr).toBe("");
    expect((await start({ ...asked, files: ["r.json", "s.json"] }, { "r.json": JSON.stringify([newest]), "s.json": JSON.stringify([{ ...older, build_number: 6321 }]) })).stderr).toBe("these reports are of 2 builds of llama.cpp: de3ff81 (build 1), de3ff81 (build 6321)\n");
  });

  it("says what it compared: name, type, parameters and bytes of the model, processor and backend of the machine", async () => {
    const { stdout, stderr } = await start(asked, { "r.json": JSON.stringify([newest, prompt]) });
    expect(stdout.match(/^r\.json: .*$/gm)).toEqual([
      "r.json: llama-2-7b.gguf (llama 7B Q4_0), 6.74 billion parameters, 3.83GB; taken for llama-2-7b, 6.74 billion parameters, 3.79GB as it is simulated",
      "r.json: made on Qualcomm Technologies, Inc SM8650, backend CPU; taken for oneplus-12, Snapdragon 8 Gen 3 (SM8650)",
    ]);
    expect(stderr).toBe("");
    const json = JSON.parse((await start({ ...asked, format: "json" }, { "r.json": JSON.stringify([newest, prompt]) })).stdout) as { readonly matched: ReadonlyArray<unknown>; readonly warnings: ReadonlyArray<string> };
    expect(json).toMatchObject({ matched: [{ file: "r.json", filename: "llama-2-7b.gguf", parameters: { reported: 6738415616 }, cpu: "Qualcomm Technologies, Inc SM8650", backends: "CPU", unlikeModel: null, likeDevice: true }], warnings: [] });
  });

  it("warns where a report of the right size looks like another model, other weights or another machine, and simulates it all the same", async () => {
    const other = { ...newest, model_filename: "/sdcard/codellama-7b.Q8_0.gguf", model_type: "llama 7B Q8_0", model_size: 7161089024, cpu_info: "AMD EPYC" };
    const { code, ran, stderr } = await start(asked, { "r.json": JSON.stringify([other]) });
    expect([code, ran.length]).toEqual([0, 1]);
    expect(stderr).toBe([
      "warning: r.json may be of another model than llama-2-7b: its file's name does not look like llama-2-7b (/sdcard/codellama-7b.Q8_0.gguf, llama 7B Q8_0), and models of one size differ in speed",
      "warning: r.json was made with 7.16GB of weights (llama 7B Q8_0), and 3.79GB are simulated: a token reads all of them, so the two do not compare",
      "warning: r.json may be of another machine than oneplus-12: it was made on AMD EPYC, which does not look like Snapdragon 8 Gen 3 (SM8650)",
      "",
    ].join("\n"));
    const json = JSON.parse((await start({ ...asked, format: "json" }, { "r.json": JSON.stringify([other]) })).stdout) as { readonly warnings: ReadonlyArray<string> };
    expect(json.warnings).toHaveLength(3);
    const nameless = await start(asked, { "r.json": JSON.stringify([{ ...newest, cpu_info: "" }]) });
    expect([nameless.stderr, nameless.stdout]).toEqual(["", expect.stringContaining("r.json: made on a processor that it does not name, backend CPU; taken for oneplus-12") as unknown]);
  });
});

describe("likeness", () => {
  const names = readdirSync("models").filter((file) => file.endsWith(".json")).map((file) => file.slice(0, -5));
  const why = (model: string, filename: string, type: string): string | null => unlikeModel({ filename, type }, modelNamed(model), names);

  it.each([
    ["llama-2-7b", "llama-2-7b-chat.Q4_0.gguf", "llama 7B Q4_0"], ["llama-2-7b", "/data/local/tmp/Llama2-7B.gguf", "llama 7B Q4_K - Medium"], ["mistral-7b", "Mistral-7B-Instruct-v0.2-IQ4_NL.gguf", "llama 7B IQ4_NL"],
    ["qwen2-7b", "qwen2-7b-instruct-q4_0.gguf", "qwen2 7B Q4_0"], ["bamboo-7b", "turbosparse-mistral-7b.gguf", "llama 7B Q4_0"], ["gpt-oss-120b", "gpt-oss-120b-mxfp4.gguf", "gpt-oss 120B MXFP4 MoE"],
    ["gemma-4-26b-a4b", "gemma-4-26B-A4B-it-Q4_K_M.gguf", "gemma4 26B.A4B Q4_K - Medium"], ["mixtral-8x7b", "mixtral-8x7b-v0.1.Q4_0.gguf", "llama 8x7B Q4_0"],
  ])("%s looks like %s", (model, filename, type) => expect(why(model, filename, type)).toBe(null));

  it.each([
    // The first model of the name; another version; a variant; another family of the same architecture; another architecture.
    ["llama-2-7b", "llama-7b.gguf", "llama 7B Q4_0", "its file's name does not look like llama-2-7b"], ["qwen2-7b", "Qwen2.5-7B-Instruct-Q4_0.gguf", "qwen2 7B Q4_0", "its file's name does not look like qwen2-7b"],
    ["llama-2-7b", "prosparse-llama-2-7b.gguf", "llama 7B Q4_0", "its file's name looks like prosparse-llama-2-7b"], ["mistral-7b", "llama-2-7b.gguf", "llama 7B Q4_0", "its file's name looks like llama-2-7b"],
    ["llama-2-7b", "llama-2-7b.gguf", "falcon 7B Q4_0", "its type does not look like llama-2-7b"],
  ])("%s does not look like %s", (model, filename, type, because) => expect(why(model, filename, type)).toBe(because));

  it.each([
    ["oneplus-12", "SM8650", true], ["oneplus-12", "Snapdragon 8 Gen 3", true], ["oneplus-12", "Cortex-A720", true], ["oneplus-12", "Snapdragon 8 Gen 2", false], ["oneplus-12", "Apple M2", false], ["oneplus-12", "", null],
    ["oneplus-12", "AArch64 Processor rev 1 (aarch64)", null], ["oneplus-ace-2", "Snapdragon 8+ Gen 1", true], ["oneplus-ace-2", "Snapdragon 8 Gen 1", false], ["raspberry-pi-5", "Cortex-A76", true], ["raspberry-pi-5", "Intel(R) Xeon(R) CPU @ 2.20GHz", false],
  ])("of the processor of %s with %j: %s", (device, cpu, like) => expect(likeDevice(cpu, deviceNamed(device))).toBe(like));
});
