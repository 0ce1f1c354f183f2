/** What a run says of itself as a plan brings the same run about again: where the FFNs are, and how memory is divided. Needs the native module: npm run build:engine. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { decode } from "../../sim/base/decode.js";
import { describeError, type AppError } from "../../sim/base/errors.js";
import { encodePlan, planCodec, type Plan } from "../../sim/domain/plan.js";
import { bindingPath } from "../../engine/binding.js";
import { mapPlan } from "../../cli/programs/generate/engine-plan.js";
import { measuredRun } from "../../cli/programs/generate/measured-run.js";
import { engine, type GenerateReport, type GenerateRequest, type SynthRequest } from "../../engine/index.js";

const built = existsSync(bindingPath());
const folder = mkdtempSync(join(tmpdir(), "neuronlab-again-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const quiet = { onStep: () => undefined };

const right = <A>(outcome: E.Either<AppError, A | null>): A => {
  if (E.isLeft(outcome)) throw new Error(describeError(outcome.left));
  if (outcome.right === null) throw new Error("it was cancelled");
  return outcome.right;
};

const synthetic: SynthRequest = {
  out: "", name: "made", architecture: "smallthinker", activation: "relu", weights: "q4_0", hidden: 256, neurons: 768, layers: 2, heads: 4, kvHeads: 2, headDim: 64, experts: 4, expertsUsed: 2, vocabulary: 1024, context: 512,
  share: 0.12, skew: "bamboo", overlap: 0.3, repeat: null, upShare: 0.8, gateRank: null, seed: 1, threads: 2,
};
const SHAPES = { relu: synthetic, silu: { ...synthetic, architecture: "llama", activation: "silu", experts: 1, expertsUsed: 1 } } as const;
const fileOf = (name: keyof typeof SHAPES, kind: "gguf" | "flash"): string => join(folder, `${name}.${kind}`);
const predictor = join(folder, "predictor.gguf");

const asking = (changes: Partial<GenerateRequest> & Pick<GenerateRequest, "model">): GenerateRequest => ({
  prompt: "the other one is that of the time", tokens: 6, memory: null, segments: null, threads: 2, cores: null, ioCore: null, shape: null, planned: null, io: { backend: "io_uring", reads: 16 }, depth: 4, cluster: 256, policy: "lru",
  granularity: "neuron", overlap: "cluster", gates: "joined", preload: false, ffn: "auto", predictor: null, audit: false, slow: null, adapt: null, temperature: 0, topK: 0, topP: 1, seed: 1, stopAtEnd: false, trace: true, ...changes,
});

const generated = async (request: GenerateRequest): Promise<GenerateReport> => right(await engine.generate(request, quiet)());

/** What a file of the run has of its plan, read again. */
const planIn = (request: GenerateRequest, report: GenerateReport, given: Plan | null): Plan =>
  right(decode(planCodec, "plan")(JSON.parse(JSON.stringify(encodePlan(measuredRun({ request, report, given, shapedTo: null })!.plan)))));

/** As `generate --plan` asks, with nothing else but the file, the text and what no plan says. */
const askedBy = (plan: Plan, { model, predictor: predicts }: Pick<GenerateRequest, "model" | "predictor">): GenerateRequest => {
  const { memory, segments, threads, io, depth, cluster, granularity, policy, overlap, gates, ffn, planned } = mapPlan(plan, 64, predicts !== null).request;
  return asking({ model, predictor: predicts, memory: memory!, segments: segments ?? null, threads: threads!, io: io!, depth: depth!, cluster: cluster!, granularity: granularity!, policy: policy!, overlap: overlap!, gates: gates!, ffn: ffn ?? "auto", planned: planned ?? null });
};

/** Without what the process held when the run began: by and by it holds more, and it is counted in steps of 64 MiB. */
const division = ({ ffn, ffnBytes, hot, cold, fixed, phases, tokens, decode: { misses } }: GenerateReport): unknown => ({ ffn, ffnBytes, hot, cold, phases, tokens, misses, fixed: fixed.filter(({ part }) => !part.startsWith("the process")) });

const WAYS: ReadonlyArray<readonly [GenerateReport["ffn"], string, Partial<GenerateRequest> & Pick<GenerateRequest, "model">]> = [
  ["sparse in memory", "a file of matrices", { model: fileOf("relu", "gguf") }],
  ["dense in memory", "a file of matrices, densely", { model: fileOf("relu", "gguf"), ffn: "dense" }],
  ["dense in memory", "a file whose neurons all count", { model: fileOf("silu", "gguf") }],
  ["predicted in memory", "a file of matrices under a predictor", { model: fileOf("relu", "gguf"), predictor }],
  ["sparse in memory", "a packed file", { model: fileOf("relu", "flash") }],
  ["predicted in memory", "a packed file under a predictor", { model: fileOf("relu", "flash"), predictor }],
  ["from flash", "a packed file whose neurons all count", { model: fileOf("silu", "flash") }],
  ["from flash", "a limit", { model: fileOf("relu", "flash"), memory: 1e9 }],
  ["from flash", "segments", { model: fileOf("relu", "flash"), memory: 1e9, segments: { hot: 4e5, cold: 1e6 } }],
  ["predicted from flash", "segments under a predictor", { model: fileOf("relu", "flash"), memory: 1e9, segments: { hot: 4e5, cold: 1e6 }, predictor }],
];

describe.skipIf(!built)(`the plan of a run, given back${built ? "" : " (SKIPPED: the native module is absent; run npm run build:engine)"}`, () => {
  beforeAll(async () => {
    for (const name of ["relu", "silu"] as const) {
      right(await engine.synth({ ...SHAPES[name], out: fileOf(name, "gguf") }, quiet)());
      right(await engine.pack({ model: fileOf(name, "gguf"), out: fileOf(name, "flash"), down: "auto", group: null, arrangement: "bundles", threads: 2 }, quiet)());
    }
    right(await engine.trainPredictor({ model: fileOf("relu", "gguf"), out: predictor, text: null, tokens: 256, rank: 16, recall: 0.95, hidden: "identity", weights: "auto", passes: 2, seed: 1, threads: 2 }, quiet)());
  }, 120_000);

  it.each(WAYS)("%s, of %s: the same division of memory, the same tokens, and the same plan again", async (where, _, changes) => {
    const request = asking(changes);
    const report = await generated(request);
    expect(report.ffn).toBe(where);
    const plan = planIn(request, report, null);
    const again = askedBy(plan, request);
    const repeated = await generated(again);
    expect(division(repeated)).toEqual(division(report));
    // All but what the process held, which is in the runtime's share.
    const { cache: { runtime: _first, ...cache }, ...rest } = plan;
    const { cache: { runtime: _second, ...cacheAgain }, ...restAgain } = planIn(again, repeated, plan);
    expect({ ...restAgain, cache: cacheAgain }).toEqual({ ...rest, cache });
  }, 60_000);

  it("is good for the same model in the other kind of file", async () => {
    for (const [from, to] of [["gguf", "flash"], ["flash", "gguf"]] as const) {
      const request = asking({ model: fileOf("relu", from) });
      const plan = planIn(request, await generated(request), null);
      expect((await generated(askedBy(plan, { model: fileOf("relu", to), predictor: null }))).ffn).toBe("sparse in memory");
    }
  }, 60_000);

  it("is taken literally where its hot segment has room for less than all", async () => {
    const request = asking({ model: fileOf("relu", "flash") });
    const plan = planIn(request, await generated(request), null);
    const tight = await generated({ ...askedBy(plan, request), memory: 1e9, segments: { hot: plan.cache.hot - 1, cold: 0 } });
    expect([tight.ffn, tight.cold]).toEqual(["from flash", 0]);
  }, 60_000);
});
