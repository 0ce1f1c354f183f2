/** A recording through the engine's one TypeScript face, read by the simulator. Needs the native module: npm run build:engine. */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { describeError, exitCode } from "../../sim/base/errors.js";
import { traceStatistics } from "../../sim/neurons/trace-statistics.js";
import { decodeTrace } from "../../sim/neurons/trace.js";
import { bindingPath } from "../../engine/binding.js";
import { engine, type RecordRequest } from "../../engine/index.js";

const built = existsSync(bindingPath());
const folder = mkdtempSync(join(tmpdir(), "neuronlab-record-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const quiet = { onStep: () => undefined };
const asking: RecordRequest = { model: join(folder, "m.gguf"), out: join(folder, "m.trace"), prompt: "the other one is that of the time", window: null, tokens: 500, stopAtEnd: false, temperature: 0.8, seed: 1, threads: 2 };

describe.skipIf(!built)(`a recording${built ? "" : " (SKIPPED: the native module is absent; run npm run build:engine)"}`, () => {
  it("of a model that was made up has the statistics that were planted, as the simulator reads them, for any number of threads", async () => {
    const made = await engine.synth({
      out: asking.model, name: "made", architecture: "llama", activation: "drelu", weights: "q4_0", hidden: 384, neurons: 768, layers: 3, heads: 4, kvHeads: 2, headDim: 64, experts: 4, expertsUsed: 2, vocabulary: 2048, context: 1024,
      share: 0.12, skew: "bamboo", overlap: 0.3, repeat: 0.7, upShare: 0.8, gateRank: null, seed: 1, threads: 2,
    }, quiet)();
    expect(E.isRight(made)).toBe(true);
    const outcome = await engine.record(asking, quiet)();
    if (E.isLeft(outcome) || outcome.right === null) throw new Error("it failed");
    const bytes = readFileSync(asking.out);
    expect(outcome.right).toMatchObject({ name: "made", architecture: "llama", activation: "drelu", layers: 3, hidden: 384, neurons: 768, heads: 4, kvHeads: 2, experts: 4, expertsUsed: 2, vocabulary: 2048, generated: 500, bytes: bytes.length });
    const trace = decodeTrace("m.trace")(new Uint8Array(bytes));
    if (E.isLeft(trace)) throw new Error(describeError(trace.left));
    expect(trace.right).toMatchObject({ tokens: outcome.right.promptTokens + 500, prompt: outcome.right.promptTokens });
    const statistics = traceStatistics(trace.right);
    expect(statistics.activeShare).toBeCloseTo(outcome.right.share!, 9);
    expect(Math.abs(statistics.activeShare - 0.12)).toBeLessThan(0.015);
    expect(Math.abs(statistics.tokenOverlap - 0.3)).toBeLessThan(0.06);
    expect(Math.abs(statistics.expertRepeat - 0.7)).toBeLessThan(0.06);
    expect(Math.abs(statistics.skew.find((point) => point.neurons === 0.1)!.activations - 0.466)).toBeLessThan(0.06);
    expect(E.isRight(await engine.record({ ...asking, out: join(folder, "one.trace"), threads: 1 }, quiet)())).toBe(true);
    expect(readFileSync(join(folder, "one.trace")).equals(bytes)).toBe(true);
  });

  it("that is cancelled leaves nothing, and failures are values", async () => {
    const home = mkdtempSync(join(folder, "stopped-"));
    const model = resolve("engine/rivals/llama.cpp/fixtures/smallthinker-softmax-f32.gguf");
    const abort = new AbortController();
    expect(await engine.record({ ...asking, model, out: join(home, "m.trace"), tokens: 450 }, { onStep: () => abort.abort(), signal: abort.signal })()).toEqual(E.right(null));
    expect(readdirSync(home)).toEqual([]);
    const failures: ReadonlyArray<readonly [Partial<RecordRequest>, number]> = [[{ model: join(folder, "none.gguf") }, 2], [{ tokens: 1e6 }, 2], [{ out: join(folder, "no/such/folder/m.trace") }, 74], [{ model: resolve("README.md") }, 2]];
    const sound: RecordRequest = { ...asking, model, tokens: 10 };
    for (const [changed, code] of failures) {
      const outcome = await engine.record({ ...sound, ...changed }, quiet)();
      expect(E.isLeft(outcome) && exitCode(outcome.left), JSON.stringify(changed)).toBe(code);
    }
  });
});
