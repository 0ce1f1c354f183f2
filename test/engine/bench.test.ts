/** llama-bench's tests on the small committed models, through the engine's one TypeScript face. Needs the native module: npm run build:engine. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { exitCode } from "../../sim/base/errors.js";
import { bindingPath } from "../../engine/binding.js";
import { engine, type BenchReport, type BenchRequest } from "../../engine/index.js";

const built = existsSync(bindingPath());
const asking: BenchRequest = {
  model: resolve("engine/rivals/llama.cpp/fixtures/smallthinker-softmax-f32.gguf"), memory: null, segments: null, threads: 2, cores: null, ioCore: null, shape: null, planned: null, io: { backend: "lanes", reads: 4 }, depth: 4, cluster: 256, policy: "lru",
  granularity: "neuron", overlap: "cluster", gates: "joined", preload: false, ffn: "auto", prompts: [40, 8], generations: [6], repetitions: 3, warmUp: true, seed: 1, predictor: null,
};

describe.skipIf(!built)(`bench${built ? "" : " (SKIPPED: the native module is absent; run npm run build:engine)"}`, () => {
  it("measures each test as often as asked, and says what ran", async () => {
    const steps: Array<number> = [];
    const before = Date.now();
    const outcome = await engine.bench(asking, { onStep: ({ done }) => steps.push(done) })();
    if (E.isLeft(outcome) || outcome.right === null) throw new Error("it failed");
    const report = outcome.right;
    expect(report).toMatchObject({ architecture: "smallthinker", file: "gguf", weights: "F32", ffn: "sparse in memory", labels: ["lossless"], threads: 2 });
    expect(report.weightBytes).toBe(4 * report.parameters);
    expect(report.tests.map(({ prompt, generation, samples }) => [prompt, generation, samples.length])).toEqual([[40, 0, 3], [8, 0, 3], [0, 6, 3]]);
    for (const { samples, started, spent } of report.tests) {
      expect(Math.min(...samples)).toBeGreaterThan(1000);
      expect(samples.reduce((sum, one) => sum + one, 0)).toBeCloseTo(spent.ns, 0);
      expect(started).toBeGreaterThanOrEqual(before);
      expect(started).toBeLessThanOrEqual(Date.now());
    }
    expect(steps.every((done, place) => place === 0 || done > steps[place - 1]!)).toBe(true);
  });

  it("ends soon after its signal, and answers failures as values", async () => {
    const abort = new AbortController();
    expect(await engine.bench({ ...asking, generations: [512], repetitions: 1000 }, { onStep: () => abort.abort(), signal: abort.signal })()).toEqual(E.right(null));
    const failures: ReadonlyArray<readonly [Partial<BenchRequest>, number]> = [[{ model: "none.gguf" }, 2], [{ memory: 1e6 }, 3], [{ repetitions: 0 }, 2], [{ prompts: [], generations: [] }, 2]];
    for (const [changed, code] of failures) {
      const outcome = await engine.bench({ ...asking, ...changed }, { onStep: () => undefined })();
      expect(E.isLeft(outcome) && exitCode(outcome.left), JSON.stringify(changed)).toBe(code);
    }
  });

  // Down rows of a Q4_0 file lie transposed, in Q8_0: requantised, either way.
  it("runs under a predictor, and labels what it measured so", async () => {
    const asked: BenchRequest = { ...asking, model: resolve("models/novels/novels-mixture.gguf"), predictor: resolve("models/novels/novels-mixture.predictor.gguf"), prompts: [], generations: [4], repetitions: 1, warmUp: false };
    const labels = async (request: BenchRequest) => E.map((report: BenchReport | null) => report?.labels)(await engine.bench(request, { onStep: () => undefined })());
    expect(await labels(asked)).toEqual(E.right(["requantised", "predicted"]));
    expect(await labels({ ...asked, predictor: null })).toEqual(E.right(["requantised"]));
    expect(await labels({ ...asked, predictor: asked.model })).toMatchObject({ _tag: "Left" });
  });
});
