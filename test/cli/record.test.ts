import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { E, TE } from "../../sim/base/fp.js";
import { badInput } from "../../sim/base/errors.js";
import { decode } from "../../sim/base/decode.js";
import { modelCodec } from "../../sim/domain/model.js";
import { execute } from "../../cli/run.js";
import { recordProgram } from "../../cli/programs/record/record.js";
import { simulateProgram } from "../../cli/programs/simulate.js";
import type { Engine, RecordReport, RecordRequest } from "../../engine/index.js";
import { commandNamed, fake, given } from "../fakes/capabilities.js";

const TRACE = readFileSync("test/vectors/activation-trace.bin", "latin1");
const report: RecordReport = {
  name: "a näme", architecture: "smallthinker", activation: "relu", layers: 3, hidden: 64, neurons: 40, heads: 2, kvHeads: 1, experts: 5, expertsUsed: 2, vocabulary: 300, promptTokens: 7, generated: 5, text: " is", share: 0.3, bytes: 522,
};

const start = async (named: Readonly<Record<string, unknown>>, options: { readonly record?: Engine["record"]; readonly files?: Readonly<Record<string, string>> } = {}) => {
  const asked: Array<RecordRequest> = [];
  const f = fake({ files: { "m.trace": TRACE, ...options.files }, engine: { record: (request, hooks) => (asked.push(request), (options.record ?? (() => TE.right(report)))(request, hooks)) } });
  const code = await execute(recordProgram(commandNamed("record"))(given(named)), f.capabilities);
  return { code, asked, stdout: f.stdout(), stderr: f.stderr(), files: f.files };
};

describe("record", () => {
  it("asks for what was typed, with the defaults of --help", async () => {
    expect((await start({ model: "m.gguf", out: "m.trace", prompt: "Once" })).asked).toEqual([{ model: "m.gguf", out: "m.trace", prompt: "Once", window: null, tokens: 128, stopAtEnd: true, temperature: 0, seed: 1, threads: null }]);
    const typed = await start({ model: "m.gguf", out: "m.trace", "prompt-file": "text.txt", tokens: "0", window: "64", temperature: "0.8", seed: "7", threads: "2", "ignore-end": true }, { files: { "text.txt": "A text\n" } });
    expect(typed.asked).toEqual([{ model: "m.gguf", out: "m.trace", prompt: "A text\n", window: 64, tokens: 0, stopAtEnd: false, temperature: 0.8, seed: 7, threads: 2 }]);
  });

  it("says what is in the trace, which it has read back", async () => {
    const { code, stdout, stderr } = await start({ model: "m.gguf", out: "m.trace", prompt: "Once" });
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^m\.trace: 12 tokens \(7 of the prompt\), 522B\nsmallthinker, relu; 3 layers of 40 neurons, 2 of 5 experts\nactive \d+\.\d% of the neurons; the hottest 10% have \d+\.\d% of the activations; overlap 0\.\d{3}; a token varies by \d+\.\d%\nan expert is used again with probability 0\.\d{3}\n$/);
    const json = JSON.parse((await start({ model: "m.gguf", out: "m.trace", prompt: "Once", format: "json" })).stdout) as { readonly statistics: { readonly activeShare: number } };
    expect(json).toMatchObject({ out: "m.trace", tokens: 12, promptTokens: 7, generated: 5, neuronsRecorded: true });
    expect(json.statistics.activeShare).toBeGreaterThan(0.1);
    expect(await start({ model: "m.gguf", out: "m.trace", prompt: "Once" }, { files: { "m.trace": TRACE.slice(0, 300) } })).toMatchObject({ code: 2, stdout: "" });
  });

  it("writes the model with the statistics of the text, which simulate takes", async () => {
    const { files, stdout } = await start({ model: "m.gguf", out: "m.trace", prompt: "Once", spec: "m.json" });
    expect(stdout).toContain("\nm.json: the model with these statistics; neuronlab simulate --model ./m.json --activations m.trace --fidelity neuron\n");
    const read = decode(modelCodec, "m.json")(JSON.parse(files.get("m.json")!) as unknown);
    if (E.isLeft(read)) throw new Error(JSON.stringify(read.left));
    expect(read.right).toMatchObject({ name: "a-n-me", layers: 3, hidden: 64, ffn: 40, experts: { count: 5, active: 2, repeat: { kind: "measured" } }, activation: "ReLU", activations: { activeShare: { kind: "measured" }, gateFires: { value: 1 } } });
    expect(read.right.predictorParameters!.value).toBe(3 * 5 * 20 * (64 + 40));
    const dense = await start({ model: "m.gguf", out: "m.trace", prompt: "Once", spec: "s.json" }, { record: () => TE.right({ ...report, activation: "silu", name: "" }) });
    expect(JSON.parse(dense.files.get("s.json")!)).toMatchObject({ name: "recorded", activation: "SiLU", predictorParameters: null });
  });

  it("tells all mistakes at once and starts nothing", async () => {
    const { code, asked, stderr } = await start({ out: "m.trace", tokens: "-1", spec: "./m.trace", temperature: "hot" });
    expect([code, asked]).toEqual([2, []]);
    expect(stderr).toBe(
      "neuronlab record: 5 mistakes\n" +
        "  --model: is missing\n" +
        "  --tokens: should be a whole number between 0 and 1048576, got -1\n" +
        "  --temperature: should be a number between 0 and 100, got hot\n" +
        "  --prompt: is missing; give a text, or with --prompt-file a file that has one\n" +
        "  --out: names the same file as --spec: m.trace\n",
    );
    expect((await start({ model: "m.gguf", out: "m.gguf", prompt: "x", "prompt-file": "none.txt" })).stderr).toBe(
      "neuronlab record: 2 mistakes\n  --prompt-file: is the text, and so is --prompt; give one of them\n  --out: names the same file as --model: m.gguf\nnone.txt: 1 mistake\n  (whole): there is no such file\n",
    );
  });

  it("passes on what the engine answers", async () => {
    const words = { model: "m.gguf", out: "m.trace", prompt: "Once" };
    const long = await start(words, { record: () => TE.left(badInput("m.gguf", [{ path: "tokens", message: "too many" }])) });
    expect([long.code, long.stderr]).toEqual([2, "neuronlab record: 1 mistake\n  --tokens: too many\n"]);
    expect(await start(words, { record: () => TE.right(null) })).toMatchObject({ code: 0, stdout: "", stderr: "interrupted: nothing was written\n" });
    const f = fake();
    expect(await execute(recordProgram(commandNamed("record"))(given(words)), f.capabilities)).toBe(3);
  });
});

describe("simulate --activations", () => {
  const run = async (named: Readonly<Record<string, unknown>>, files: Readonly<Record<string, string>> = { "m.trace": TRACE }) => {
    const f = fake({ files });
    const code = await execute(simulateProgram(commandNamed("simulate"))(given(named)), f.capabilities);
    return { code, ran: f.ran, stderr: f.stderr() };
  };

  it("hands the trace's bytes to the run, under the name of its file", async () => {
    const { code, ran } = await run({ model: "bamboo-7b", activations: "m.trace", fidelity: "neuron" });
    expect(code).toBe(0);
    expect(ran[0]!.request.activations).toBe("m.trace");
    expect(Buffer.from(ran[0]!.activations!).toString("latin1")).toBe(TRACE);
    expect((await run({ model: "bamboo-7b" })).ran[0]).not.toHaveProperty("activations");
  });

  it("does not write over the trace", async () => {
    expect((await run({ activations: "m.trace", save: "./m.trace" })).stderr).toContain("--save: names the file that --activations reads: ./m.trace");
  });
});
