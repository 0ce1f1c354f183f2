/**
 * The model that comes along: given half of its FFN memory the engine writes the same text as with all of it, whatever reads, threads and policy; and what it
 * writes is what it wrote when it was stored. `UPDATE_VECTORS=1 npx vitest run test/engine/shipped-model.test.ts` stores the text of another model.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { describeError, type AppError } from "../../sim/base/errors.js";
import { bindingPath } from "../../engine/binding.js";
import { engine, type GenerateReport, type GenerateRequest } from "../../engine/index.js";
import { shippedModels } from "../../cli/node/profiles.js";

const models = await shippedModels(resolve("."))();
const gguf = E.isRight(models) ? models.right[0] : undefined;
const built = existsSync(bindingPath());
const reason = !built ? " (SKIPPED: the native module is absent; run npm run build:engine)" : gguf === undefined ? " (SKIPPED: no model came along)" : "";
const folder = mkdtempSync(join(tmpdir(), "neuronlab-shipped-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const VECTOR = resolve("test/vectors/shipped-model.json");
const PROMPT = "It was a fine morning, and the whole party";
/** The likeliest words soon repeat themselves: the beginnings of several texts say more than a long one. */
const PROMPTS = [PROMPT, "The old house stood", "\"I do not believe\", said she,", "In the year 1809"] as const;
/** Rounding keys and values to half precision is enough to change the text that follows, some twenty words later. */
const CLOSE = "She comforted her father better than she could comfort herself, by representing";
const BEGINNING = 16;
const TOKENS = 64;
/** Drawn words do not repeat themselves, and a bit that differs in a logit soon shows. */
const DRAWN = { temperature: 0.8, seed: 1 } as const;
const quiet = { onStep: () => undefined };
const packed = join(folder, "model.flash");

const right = <A>(outcome: E.Either<AppError, A | null>): A => {
  if (E.isLeft(outcome)) throw new Error(describeError(outcome.left));
  if (outcome.right === null) throw new Error("it was cancelled");
  return outcome.right;
};
const asking = (model: string): GenerateRequest => ({
  model, prompt: PROMPT, tokens: TOKENS, memory: null, segments: null, threads: 2, cores: null, ioCore: null, shape: null, planned: null, io: { backend: "lanes", reads: 4 }, depth: 4, cluster: 256, policy: "lru",
  granularity: "neuron", overlap: "cluster", gates: "joined", preload: false, ffn: "auto", predictor: null, audit: false, slow: null, adapt: null, temperature: 0, topK: 0, topP: 1, seed: 1, stopAtEnd: false, trace: false,
});
const generated = async (request: GenerateRequest): Promise<GenerateReport> => right(await engine.generate(request, quiet)());

describe.skipIf(reason !== "")(`the model that comes along${reason}`, () => {
  let whole: GenerateReport;
  /** Of the FFNs: in the file that came along, and in the packed one, whose down is larger. */
  let [inFile, inPacked] = [0, 0];
  beforeAll(async () => {
    const report = right(await engine.pack({ model: gguf!, out: packed, down: "f32", group: null, arrangement: "bundles", threads: 2 }, quiet)());
    inPacked = report.payloadBytes;
    inFile = (await generated({ ...asking(gguf!), tokens: 1, ffn: "dense" })).ffnBytes;
    whole = await generated({ ...asking(packed), memory: 4e9, ...DRAWN });
  }, 120_000);

  const half = (): GenerateRequest => ({ ...asking(packed), memory: 4e9, ...DRAWN, segments: { hot: Math.floor(inFile / 4), cold: Math.floor(inFile / 4) } });

  it("writes the same text with half of its FFN memory as with all of it, bit for bit, for any threads, reads and policy", async () => {
    expect(whole.hot + whole.cold).toBeGreaterThanOrEqual(inPacked);
    expect(inFile).toBeGreaterThan(1e7);
    expect(inFile).toBeLessThan(inPacked);
    expect(whole.tokens).toHaveLength(TOKENS);
    expect(whole.labels).toEqual(["lossless"]);
    for (const way of [{}, { threads: 1 }, { policy: "sieve" }, { gates: "bundles", cluster: 384 }, { granularity: "expert", depth: 1 }] as const) {
      const report = await generated({ ...half(), ...way });
      expect(report.hot + report.cold, JSON.stringify(way)).toBeLessThanOrEqual(inFile / 2);
      expect(report.decode.diskBytes, JSON.stringify(way)).toBeGreaterThan(0);
      expect({ tokens: report.tokens, text: report.text, labels: report.labels }, JSON.stringify(way)).toEqual({ tokens: whole.tokens, text: whole.text, labels: whole.labels });
    }
  }, 120_000);

  it("keeps keys and values in single precision where that is asked for, in twice the room, and writes another text where two words are nearly as likely", async () => {
    const [narrow, single] = [await generated({ ...asking(gguf!), prompt: CLOSE, ffn: "dense" }), await generated({ ...asking(gguf!), prompt: CLOSE, ffn: "dense", kv: "f32" })];
    const kv = ({ fixed }: GenerateReport): number => fixed.find(({ part }) => part === "KV cache")!.bytes;
    expect(kv(single)).toBe(2 * kv(narrow));
    expect(single.tokens.slice(0, 16)).toEqual(narrow.tokens.slice(0, 16));
    expect(single.tokens).not.toEqual(narrow.tokens);
  });

  it("writes the text that is stored, from the file as it came", async () => {
    const texts = [];
    for (const prompt of PROMPTS) {
      const { tokens, text, labels } = await generated({ ...asking(gguf!), prompt, tokens: BEGINNING, ffn: "dense" });
      expect(labels).toEqual(["lossless"]);
      texts.push({ prompt, tokens, text });
    }
    const now = { model: basename(gguf!), sha256: createHash("sha256").update(readFileSync(gguf!)).digest("hex"), texts };
    if (process.env["UPDATE_VECTORS"] !== undefined) writeFileSync(VECTOR, `${JSON.stringify(now, null, 1)}\n`);
    expect(now).toEqual(JSON.parse(readFileSync(VECTOR, "utf8")));
  }, 60_000);
});
