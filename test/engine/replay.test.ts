/**
 * The digital twin, where it must be exact: the plan of a real run and the recorded text, replayed by the simulator at fidelity `neuron`, give
 * the engine's look-ups, misses and bytes read, token by token. Needs the native module: npm run build:engine.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { describeError, type AppError } from "../../sim/base/errors.js";
import { decode } from "../../sim/base/decode.js";
import { GATE_READS } from "../../sim/domain/plan.js";
import { modelCodec, rowsOf, sizesOf, type ModelSpec } from "../../sim/domain/model.js";
import { simulate } from "../../sim/inference/simulate.js";
import { bindingPath } from "../../engine/binding.js";
import { engine, GRANULARITIES, OVERLAPS, POLICIES, type GenerateRequest, type SynthRequest } from "../../engine/index.js";
import { measuredRun } from "../../cli/programs/generate/measured-run.js";
import { encodePackedModel, packedModel } from "../../cli/programs/models/packed-model.js";
import { decodeTrace, type ActivationTrace } from "../../sim/neurons/trace.js";
import { deviceNamed, systemNamed } from "../arb/runs.js";

const built = existsSync(bindingPath());
const folder = mkdtempSync(join(tmpdir(), "neuronlab-replay-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const quiet = { onStep: () => undefined };
const PROMPT = "the other one is that of the time and of those who";
const TOKENS = 24;

const right = <A>(outcome: E.Either<AppError, A | null>): A => {
  if (E.isLeft(outcome)) throw new Error(describeError(outcome.left));
  if (outcome.right === null) throw new Error("it was cancelled");
  return outcome.right;
};

const decoded = (bytes: Uint8Array): ActivationTrace => right(decodeTrace("a trace")(bytes));

const made: SynthRequest = {
  out: "", name: "made", architecture: "smallthinker", activation: "relu", weights: "q4_0", hidden: 256, neurons: 1536, layers: 3, heads: 4, kvHeads: 2, headDim: 64, experts: 1, expertsUsed: 1, vocabulary: 1024, context: 512,
  share: 0.12, skew: "bamboo", overlap: 0.3, repeat: null, upShare: 0.8, gateRank: null, seed: 1, threads: 2,
};
const SHAPES: Readonly<Record<string, SynthRequest>> = {
  dense: made,
  // Rows of several pages: no gap between gates is read over.
  wide: { ...made, weights: "f32", hidden: 1280, heads: 20, kvHeads: 4, neurons: 768, layers: 2 },
  mixture: { ...made, neurons: 768, experts: 6, expertsUsed: 2, repeat: 0.6 },
  silu: { ...made, architecture: "llama", activation: "silu" },
  // Its prompt is one token, which is a pass of decoding.
  short: { ...made, neurons: 768, experts: 6, expertsUsed: 2, repeat: 0.6, layers: 2 },
};
const promptOf = (name: string): string => (name === "short" ? "the" : PROMPT);

const asking = (model: string): GenerateRequest => ({
  model, prompt: PROMPT, tokens: TOKENS, memory: 2e9, segments: null, threads: 2, cores: null, ioCore: null, shape: null, planned: null, io: { backend: "lanes", reads: 4 }, depth: 4, cluster: 256, policy: "lru",
  granularity: "neuron", overlap: "cluster", gates: "joined", preload: false, ffn: "auto", predictor: null, audit: false, slow: null, adapt: null, temperature: 0, topK: 0, topP: 1, seed: 1, stopAtEnd: false, trace: true,
});

interface Twin { readonly model: ModelSpec; readonly packed: string; readonly activations: Uint8Array }
const twins: Record<string, Twin> = {};

describe.skipIf(!built)(`the recorded text, replayed under the plan of a run${built ? "" : " (SKIPPED: the native module is absent; run npm run build:engine)"}`, () => {
  beforeAll(async () => {
    for (const [name, shape] of Object.entries(SHAPES)) {
      const [gguf, packed, trace] = [join(folder, `${name}.gguf`), join(folder, `${name}.flash`), join(folder, `${name}.trace`)];
      right(await engine.synth({ ...shape, out: gguf }, quiet)());
      const report = right(await engine.pack({ model: gguf, out: packed, down: "auto", group: null, arrangement: "bundles", threads: 2 }, quiet)());
      const record = right(await engine.record({ model: gguf, out: trace, prompt: promptOf(name), tokens: TOKENS, window: null, stopAtEnd: false, temperature: 0, seed: 1, threads: 2 }, quiet)());
      const activations = new Uint8Array(readFileSync(trace));
      twins[name] = { model: packedModel(record, decoded(activations), gguf, report, shape.weights), packed, activations };
    }
  }, 120_000);

  /** Look-ups, misses and bytes of the two, in all and by token. */
  const compare = async (name: string, changed: Partial<GenerateRequest>): Promise<void> => {
    const { model, packed, activations } = twins[name]!;
    const request = { ...asking(packed), prompt: promptOf(name), ...changed };
    const report = right(await engine.generate(request, quiet)());
    const real = measuredRun({ request, report, given: null, shapedTo: null })!;
    const device = { ...deviceNamed("oneplus-12"), name: real.inputs.device };
    const system = systemNamed("neuronlab");
    const outcome = simulate({
      device, model: { ...model, name: real.inputs.model }, system, activations,
      request: { ...real.inputs, fidelity: "neuron", plan: { ...real.plan, compute: { ...real.plan.compute, threads: { big: 0, mid: 2, little: 0 } } } },
    });
    if (E.isLeft(outcome)) throw new Error(describeError(outcome.left));
    const simulated = outcome.right;
    const told = JSON.stringify({ name, ...changed });
    expect(simulated.violations, told).toEqual([]);
    const rows = (run: typeof simulated | typeof real) => run.tokens.map(({ bytesRead, lookups, misses }) => ({ bytesRead, lookups, misses }));
    expect(rows(real).length, told).toBe(TOKENS - 1);
    expect(rows(simulated), told).toEqual(rows(real));
    expect(simulated.cacheHitRate, told).toBe(real.cacheHitRate);
  };

  /** Bytes of so many clusters of 256 gate rows, and of so many units, of a shape of 4.5 and of 8.5 bits. */
  const some = (hidden: number, clusters: number, units: number) => ({ hot: clusters * 256 * hidden * 0.5625, cold: units * 64 * Math.ceil((hidden * (0.5625 + 1.0625)) / 64) });

  it("one expert: every policy, at budgets below and above what a token needs", async () => {
    for (const policy of POLICIES) for (const units of [60, 700, 3000]) await compare("dense", { policy, segments: some(256, 7, units) });
  });

  it("one expert: every granularity and overlap", async () => {
    for (const granularity of GRANULARITIES) for (const overlap of OVERLAPS) await compare("dense", { granularity, overlap, segments: { hot: 3.5e5, cold: 1.1e6 } });
  });

  it("a mixture of experts: policies, granularities, clusters, budgets", async () => {
    for (const policy of POLICIES) await compare("mixture", { policy, segments: some(256, 13, 900) });
    for (const granularity of GRANULARITIES) for (const size of [0.15, 0.5]) await compare("mixture", { granularity, segments: { hot: size * 2e6, cold: size * 5e6 } });
    for (const cluster of [512, 768, 4096]) await compare("mixture", { cluster, segments: { hot: 4e5, cold: 4e5 } });
  });

  it("every way of reading gate rows, and a way that is not open", async () => {
    for (const gates of GATE_READS)
      for (const name of ["dense", "mixture", "wide"]) for (const segments of [{ hot: 0, cold: 0 }, { hot: 2e5, cold: 2e5 }]) await compare(name, { gates, segments });
    for (const gates of GATE_READS) for (const overlap of OVERLAPS) await compare("dense", { gates, overlap, segments: { hot: 2e5, cold: 4e5 } });
    for (const gates of GATE_READS) await compare("dense", { gates, granularity: "cluster", segments: { hot: 2e5, cold: 4e5 } });
  });

  it("rows of several pages, and models whose neurons all count", async () => {
    for (const granularity of GRANULARITIES) await compare("wide", { granularity, segments: { hot: 3e6, cold: 4e6 } });
    for (const granularity of GRANULARITIES) await compare("silu", { granularity, segments: { hot: 3e5, cold: 8e5 } });
  });

  it("whatever reads, and in whatever depth and number of threads; nothing kept, and everything", async () => {
    for (const name of ["dense", "mixture", "silu"]) {
      // All gates and a little; a hot segment for all FFNs would mean that they are in memory whole.
      const { model } = twins[name]!;
      for (const segments of [{ hot: 0, cold: 0 }, { hot: Math.ceil(1.02 * sizesOf(model).neurons * rowsOf(model).gateRow), cold: 1e9 }]) await compare(name, { segments });
    }
    for (const changed of [{ io: { backend: "io_uring", reads: 16 } }, { depth: 1 }, { threads: 1 }] as const) await compare("mixture", { ...changed, segments: { hot: 3e5, cold: 4e5 } });
  });

  it("a model that was packed is kept in a file and read again", () => {
    for (const { model } of Object.values(twins)) expect(decode(modelCodec, "a model")(encodePackedModel(model))).toEqual(E.right(model));
  });

  it("a prompt of one token", async () => {
    expect(decoded(twins["short"]!.activations).prompt).toBe(1);
    for (const policy of POLICIES) await compare("short", { policy, segments: { hot: 2e5, cold: 2e5 } });
  });
});
