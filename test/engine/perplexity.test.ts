/** Texts scored by the committed models, through the engine's one TypeScript face, and by llama.cpp where it is built. Needs the native module: npm run build:engine. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { exitCode } from "../../sim/base/errors.js";
import { bindingPath } from "../../engine/binding.js";
import { engine, type PerplexityRequest, type PerplexityStep } from "../../engine/index.js";

const built = existsSync(bindingPath());
const manifest = spawnSync(process.execPath, [resolve("engine/rivals/llama.cpp/build.mjs"), "--check"], { encoding: "utf8" });
const llama = manifest.status === 0 ? (JSON.parse(manifest.stdout) as { readonly default: Readonly<Record<string, string>> }).default["llama-perplexity"] : undefined;
const fixture = (name: string): string => resolve(`engine/rivals/llama.cpp/fixtures/${name}.gguf`);

const WORDS = ["the rain", "in a tin", "he is there", "no one sees it", "a stone in the tea", "Ähm: 17"];
const text = Array.from({ length: 160 }, (_, place) => WORDS[((place * place) % 11) % WORDS.length]).join(" ");

const asking: PerplexityRequest = {
  model: fixture("smallthinker-softmax-f32"), text, window: 128, windows: null, memory: null, segments: null, threads: 2, cores: null, ioCore: null, shape: null, planned: null, io: { backend: "lanes", reads: 4 }, depth: 4, cluster: 256, policy: "lru",
  granularity: "neuron", overlap: "cluster", gates: "joined", preload: false, ffn: "auto", predictor: null, audit: false,
};

/** The same model, wanting its begin token before every text: the switch is one byte behind its key and its type. */
const wantingBegin = (model: string, folder: string): string => {
  const bytes = readFileSync(model);
  const key = "tokenizer.ggml.add_bos_token";
  bytes[bytes.indexOf(key) + key.length + 4] = 1;
  const path = join(folder, "begins.gguf");
  writeFileSync(path, bytes);
  return path;
};

const score = async (request: PerplexityRequest, steps: Array<PerplexityStep> = []) => {
  const outcome = await engine.perplexity(request, { onStep: (step) => steps.push(step) })();
  if (E.isLeft(outcome) || outcome.right === null) throw new Error(JSON.stringify(outcome));
  return outcome.right;
};

const scratch = mkdtempSync(join(tmpdir(), "neuronlab-perplexity-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe.skipIf(!built)(`perplexity${built ? "" : " (SKIPPED: the native module is absent; run npm run build:engine)"}`, () => {
  it("scores the second half of every whole window, and tells of each", async () => {
    const steps: Array<PerplexityStep> = [];
    const report = await score(asking, steps);
    expect(report).toMatchObject({ architecture: "smallthinker", activation: "relu", file: "gguf", weights: "F32", ffn: "sparse in memory", labels: ["lossless"], threads: 2 });
    expect(report.windows).toBe(Math.floor(report.tokens / 128));
    expect(report.windows).toBeGreaterThan(3);
    expect(report.scored).toBe(report.windows * 63);
    expect(report.perplexity).toBeGreaterThan(1);
    expect(report.windowLosses).toHaveLength(report.windows);
    expect(report.windowLosses.reduce((sum, loss) => sum + loss, 0) / report.windows).toBeCloseTo(Math.log(report.perplexity), 10);
    expect(report).not.toHaveProperty("predicted");
    expect(steps.every(({ done, of }) => (of === 0 && done === 0) || (of === report.windows && done <= of))).toBe(true);
    expect(await score({ ...asking, threads: 1 })).toMatchObject({ perplexity: report.perplexity, standardError: report.standardError });
    expect(await score({ ...asking, windows: 2 })).toMatchObject({ windows: 2, scored: 126, tokens: report.tokens });
  });

  it("ends soon after its signal, and answers failures as values", async () => {
    const abort = new AbortController();
    expect(await engine.perplexity({ ...asking, text: text.repeat(40) }, { onStep: () => abort.abort(), signal: abort.signal })()).toEqual(E.right(null));
    const failures: ReadonlyArray<readonly [Partial<PerplexityRequest>, number]> = [[{ model: "none.gguf" }, 2], [{ memory: 1e6 }, 3], [{ window: 3 }, 2], [{ window: 1024 }, 2], [{ windows: 0 }, 2], [{ text: "tea" }, 2], [{ predictor: "none.gguf" }, 2]];
    for (const [changed, code] of failures) {
      const outcome = await engine.perplexity({ ...asking, ...changed }, { onStep: () => undefined })();
      expect(E.isLeft(outcome) ? exitCode(outcome.left) : outcome, JSON.stringify(changed)).toBe(code);
    }
  });

  // llama.cpp rounds every activation to the halves or the eight bits that weights are stored in: two correct programs differ more there.
  it.skipIf(llama === undefined).each([
    ["llama-f32", 1e-3],
    ["qwen2-f32", 1e-3],
    ["smallthinker-softmax-f32", 1e-3],
    ["smallthinker-windowed-f16", 5e-3],
    ["smallthinker-softmax-q8_0", 2e-2],
    ["llama-q4_0", 2e-2],
    ["wanting a begin token", 1e-3],
  ])(`is llama-perplexity's own: %s${llama === undefined ? " (SKIPPED: llama.cpp is not built)" : ""}`, async (name, tolerance) => {
    const file = join(scratch, "text.txt");
    const model = name.includes("-") ? fixture(name) : wantingBegin(fixture("llama-f32"), scratch);
    writeFileSync(file, `${text}\n`);
    const ask = () => /Final estimate: PPL = ([\d.]+) \+\/- ([\d.]+)/.exec(spawnSync(llama!, ["-m", model, "-f", file, "-c", "128", "-t", "1"], { encoding: "utf8" }).output.join("\n"));
    // Its last lines are printed by a thread that it does not wait for: on a busy machine they are lost now and then.
    const found = Array.from({ length: 20 }).reduce<ReturnType<typeof ask>>((before) => before ?? ask(), null);
    if (found === null) throw new Error("llama-perplexity printed no estimate, twenty times");
    const [, perplexity, error] = found;
    const report = await score({ ...asking, text: `${text}\n`, model });
    expect(Math.abs(report.perplexity / Number(perplexity) - 1)).toBeLessThan(tolerance);
    expect(Math.abs(report.standardError / Number(error) - 1)).toBeLessThan(10 * tolerance);
  });
});
