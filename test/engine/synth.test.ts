/** Models made up by the engine, through its one TypeScript face. Needs the native module: npm run build:engine. */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { describeError, exitCode, type AppError } from "../../sim/base/errors.js";
import { bindingPath } from "../../engine/binding.js";
import { engine, type SynthRequest, type SynthStep } from "../../engine/index.js";

const built = existsSync(bindingPath());
const folder = mkdtempSync(join(tmpdir(), "neuronlab-synth-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const quiet = { onStep: () => undefined };
const asking = (name: string, changed: Partial<SynthRequest> = {}): SynthRequest => ({
  out: join(folder, name), name: "made", architecture: "smallthinker", activation: "relu", weights: "q4_0", hidden: 384, neurons: 768, layers: 2, heads: 4, kvHeads: 2, headDim: 64,
  experts: 1, expertsUsed: 1, vocabulary: 2048, context: 1024, share: 0.1, skew: "bamboo", overlap: 0.3, repeat: null, upShare: 0.8, gateRank: null, seed: 1, threads: 2, ...changed,
});
const verifying = (name: string) => ({ model: join(folder, name), tokens: null, seed: 1, threads: 2 });

const right = <A>(outcome: E.Either<AppError, A | null>): A => {
  if (E.isLeft(outcome)) throw new Error(describeError(outcome.left));
  if (outcome.right === null) throw new Error("it was cancelled");
  return outcome.right;
};
const failure = <A>(outcome: E.Either<AppError, A>): string => {
  if (E.isRight(outcome)) throw new Error("it worked");
  return `${exitCode(outcome.left)} ${describeError(outcome.left)}`;
};

describe.skipIf(!built)(`models made up${built ? "" : " (SKIPPED: the native module is absent; run npm run build:engine)"}`, () => {
  it("shows the engine what was planted, and says how far it is", async () => {
    const steps: Array<SynthStep> = [];
    const made = right(await engine.synth(asking("m.gguf", { gateRank: 64, experts: 4, expertsUsed: 2, neurons: 384, repeat: 0.7 }), { onStep: (step) => steps.push(step) })());
    expect(made.bytes).toBe(readFileSync(join(folder, "m.gguf")).length);
    expect(steps.at(-1)!.done).toBe(steps.at(-1)!.total);
    const seen = right(await engine.verify(verifying("m.gguf"), quiet)());
    expect(seen.tokens).toBe(1024);
    expect(seen.unverified).toEqual([{ what: "gate rank", planted: 64 }]);
    expect(seen.rows.filter((row) => !row.holds)).toEqual([]);
    expect(seen.rows.map((row) => row.what).slice(0, 4)).toEqual(["share active", "overlap", "expert repeat", "activations of the hottest 5 %"]);
    expect(seen.rows[0]).toMatchObject({ planted: expect.closeTo(0.1, 6) as unknown, tolerance: expect.closeTo(0.01, 6) as unknown });
  });

  it("makes the same bytes for any number of threads, and others for another seed", async () => {
    const bytes = async (name: string, changed: Partial<SynthRequest>): Promise<Buffer> => {
      right(await engine.synth(asking(name, changed), quiet)());
      return readFileSync(join(folder, name));
    };
    const one = await bytes("one.gguf", { threads: 1 });
    expect(one.equals(await bytes("three.gguf", { threads: 3 }))).toBe(true);
    expect(one.equals(await bytes("other.gguf", { seed: 2 }))).toBe(false);
  });

  it("leaves nothing when it is cancelled", async () => {
    const home = mkdtempSync(join(folder, "stopped-"));
    const abort = new AbortController();
    const large = { out: join(home, "m.gguf"), hidden: 1024, neurons: 4096, layers: 16 };
    expect(await engine.synth(asking("m.gguf", large), { onStep: () => abort.abort(), signal: abort.signal })()).toEqual(E.right(null));
    expect(readdirSync(home)).toEqual([]);
    right(await engine.synth(asking("v.gguf"), quiet)());
    const stop = new AbortController();
    expect(await engine.verify(verifying("v.gguf"), { onStep: () => stop.abort(), signal: stop.signal })()).toEqual(E.right(null));
  });

  it("answers failures as values, each with its exit code", async () => {
    const at = join(folder, "x.gguf");
    expect(failure(await engine.synth(asking("x.gguf", { overlap: 0.97 }), quiet)())).toMatch(/^2 .*\n {2}\(whole\): the overlap cannot be made: 0\.97; must be at most 0\.\d+ at this activity$/);
    expect(failure(await engine.synth(asking("x.gguf", { skew: "steep" }), quiet)())).toMatch(/^2 .*\n {2}skew: the skew cannot be made: steep; must be even, bamboo, /);
    expect(failure(await engine.synth(asking("x.gguf", { weights: "q5_0" as "q4_0" }), quiet)())).toMatch(/\n {2}weights: should be f32, f16, q8_0 or q4_0, got q5_0$/);
    expect(failure(await engine.synth(asking("no/such/folder/x.gguf"), quiet)())).toBe(`74 ${join(folder, "no/such/folder/x.gguf")}: creating the file failed: No such file or directory (os error 2)`);
    // More than any disk here has: the space is asked for before anything is written.
    expect(failure(await engine.synth(asking("x.gguf", { hidden: 65536, neurons: 1 << 16, layers: 1000 }), quiet)())).toMatch(/^74 .*x\.gguf: reserving the space failed: /);
    expect(existsSync(at)).toBe(false);
    expect(failure(await engine.verify({ ...verifying("x.gguf") }, quiet)())).toBe(`2 ${at}: 1 mistake\n  (whole): there is no such file`);
    const foreign = resolve("engine/rivals/llama.cpp/fixtures/llama-f32.gguf");
    expect(failure(await engine.verify({ ...verifying("x.gguf"), model: foreign }, quiet)())).toMatch(/^2 .*\n {2}\(whole\): says of nothing planted/);
  });
});
