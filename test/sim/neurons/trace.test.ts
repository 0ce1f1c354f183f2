import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { E } from "../../../sim/base/fp.js";
import { describeError } from "../../../sim/base/errors.js";
import { ranksOf, traceProcess } from "../../../sim/neurons/trace-process.js";
import { asRecorded, traceStatistics } from "../../../sim/neurons/trace-statistics.js";
import { decodeTrace, type ActivationTrace } from "../../../sim/neurons/trace.js";
import { simulate } from "../../../sim/inference/simulate.js";
import { stream } from "../../../sim/base/random.js";
import { loadDevice, loadModel, loadSystem } from "../../data/profiles.js";
import { told, writeSlow, type Shape, type Text } from "../../fakes/trace-writer.js";

const read = (bytes: Uint8Array): ActivationTrace => {
  const decoded = decodeTrace("x.trace")(bytes);
  if (E.isLeft(decoded)) throw new Error(describeError(decoded.left));
  return decoded.right;
};

describe("an activation trace", () => {
  const vector = new Uint8Array(readFileSync("test/vectors/activation-trace.bin"));

  it("that the engine wrote says what the engine says it says", () => {
    const trace = read(vector);
    expect(trace).toMatchObject({ name: "a näme", layers: 3, experts: 5, active: 2, ffn: 40, neuronsRecorded: true, tokens: 12, prompt: 7 });
    const lines = readFileSync("test/vectors/activation-trace.jsonl", "utf8").trim().split("\n").map((line) => JSON.parse(line) as { readonly token: number; readonly layer: number; readonly experts: unknown });
    const all = told(trace);
    expect(lines).toHaveLength(36);
    for (const line of lines) expect(all[line.token]![line.layer], `token ${line.token}, layer ${line.layer}`).toEqual(line.experts);
  });

  it("cut anywhere or changed anywhere is refused, with the file's name", () => {
    for (let length = 0; length < vector.length; length++) expect(E.isLeft(decodeTrace("x.trace")(vector.subarray(0, length))), `cut at ${length}`).toBe(true);
    for (let place = 0; place < vector.length; place++) {
      const changed = Uint8Array.from(vector);
      changed[place]! ^= 0x55;
      expect(E.isLeft(decodeTrace("x.trace")(changed)), `changed at ${place}`).toBe(true);
    }
    expect(decodeTrace("x.trace")(new Uint8Array(100))).toEqual(E.left({ _tag: "BadInput", where: "x.trace", mistakes: [{ path: "(whole)", message: "is no sound activation trace: it does not begin with NLABTRCE; neuronlab record writes them" }] }));
  });

  it("with sound checksums and wrong contents is refused all the same", () => {
    const shape = { layers: 1, experts: 2, active: 1, ffn: 8 };
    const refused = (text: Text, of: Shape = shape): string => {
      const decoded = decodeTrace("x.trace")(writeSlow(of, text));
      return E.isLeft(decoded) ? describeError(decoded.left) : "it was taken";
    };
    expect(refused([[[[0, [3]]]]])).toBe("it was taken");
    expect(refused([[[[2, [3]]]]])).toContain("expert 2, out of range or order");
    expect(refused([[[[0, [8]]]]])).toContain("a set of neurons that does not add up");
    expect(refused([[[[1, [0]], [0, [0]]]]], { ...shape, active: 2 })).toContain("expert 0, out of range or order");
    expect(refused([[[[0, [3]], [1, [3]]]]])).toContain("a chunk longer than its tokens");
    expect(refused([], shape)).toContain("it has no tokens");
    expect(refused([[[[0, [3]]]]], { ...shape, layers: 1 << 13 })).toContain("layers: 8192; should be from 1 to 4096");
  });

  it("is played neuron by neuron, numbered hottest first, and again from its beginning when it ends", () => {
    const text: Text = [[[[0, [1, 3]]]], [[[0, [3]]]], [[[1, [2]]]]];
    const trace = read(writeSlow({ layers: 1, experts: 2, active: 1, ffn: 4 }, text));
    const ranks = ranksOf(trace);
    // Of expert 0, neuron 3 fires twice, 1 once, the others never; of expert 1, neuron 2 once.
    expect([...ranks]).toEqual([2, 1, 3, 0, 1, 2, 0, 3]);
    const play = traceProcess(trace, ranks, 1);
    const out = new Int32Array(play.mostActive);
    const next = (): ReadonlyArray<number> => (play.nextToken(), [...out.subarray(0, play.drawLayer(0, out))]);
    expect([next(), next(), next(), next()]).toEqual([[0], [4], [0, 1], [0]]);
    expect(play.neurons).toBe(8);
  });

  it("has the statistics of a text worked out by hand", () => {
    // As in engine/crates/synth/src/firing.rs: one pair of tokens shares an expert; 0 and 1 were active before, 1 is again.
    const text: Text = [[[[0, [0, 1]]]], [[[0, [1, 2]]]], [[[1, [3]]]], [[[0, [0]]]]];
    const statistics = traceStatistics(read(writeSlow({ layers: 1, experts: 2, active: 1, ffn: 4 }, text)));
    expect(statistics.activeShare).toBeCloseTo(6 / 16, 12);
    expect(statistics.expertRepeat).toBeCloseTo(1 / 3, 12);
    // By chance 2/3 + 2/3 of the two would be active again; one was, which is less: no overlap, and never a negative one.
    expect(statistics.tokenOverlap).toBe(0);
  });

  it("has in its hottest what those hold in the half that did not choose them, both ways", () => {
    // Halves take turns after 32 tokens. How often each neuron fires in one and in the other: the hottest of one is not the other's.
    const [ones, others] = [[32, 16, 12, 4], [24, 32, 0, 8]];
    const text: Text = Array.from({ length: 128 }, (_, token) => [[[0, [0, 1, 2, 3].filter((neuron) => token % 32 < (token % 64 < 32 ? ones : others)[neuron]!)] as const]]);
    const { skew } = traceStatistics(read(writeSlow({ layers: 1, experts: 1, active: 1, ffn: 4 }, text)));
    const carried = (neurons: number): number => skew.find((point) => point.neurons === neurons)!.activations;
    // Ranked by the first half 0, 1, 2, 3, which fire 24, 32, 0, 8 times in the second; by the second 1, 0, 3, 2: 16, 32, 4, 12 times in the first.
    expect(carried(0.25)).toBeCloseTo((24 / 64 + 16 / 64) / 2, 12);
    expect(carried(0.5)).toBeCloseTo((56 / 64 + 48 / 64) / 2, 12);
    expect(carried(0.75)).toBeCloseTo((56 / 64 + 52 / 64) / 2, 12);
  });

  it("has no skew where what is hot in one half is cold in the other", () => {
    const often = [24, 16, 8, 4];
    const text: Text = Array.from({ length: 128 }, (_, token) => [[[0, [0, 1, 2, 3].filter((neuron) => token % 32 < often[token % 64 < 32 ? neuron : 3 - neuron]!)] as const]]);
    const { skew } = traceStatistics(read(writeSlow({ layers: 1, experts: 1, active: 1, ffn: 4 }, text)));
    for (const point of skew) expect(point.activations, `${point.neurons}`).toBeCloseTo(point.neurons, 12);
  });

  it("varies from token to token by the deviation of the logarithms of what all layers fire, tokens without any left out", () => {
    // 1, 2, 4 and 32 neurons: logarithms 0, 1, 2 and 5 times that of 2, which are 2, 1, 0 and 3 from their mean.
    const first = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, neuron) => neuron);
    const text: Text = [[1, 0], [1, 1], [0, 0], [0, 4], [16, 16]].map((layers) => layers.map((count) => [[0, first(count)] as const]));
    const { tokenVariation } = traceStatistics(read(writeSlow({ layers: 2, experts: 1, active: 1, ffn: 16 }, text)));
    expect(tokenVariation).toBeCloseTo(Math.sqrt((4 + 1 + 0 + 9) / 4) * Math.log(2), 12);
  });

  it("has the statistics that it was drawn with", () => {
    const [ffn, tokens, overlap] = [2000, 400, 0.3];
    const random = stream(1, "a text");
    // A tenth of the neurons fire in 40 % of the tokens, the rest in 4 %: the tenth has 0.04 / 0.076 of all activations.
    const rates = Float64Array.from({ length: ffn }, (_, neuron) => (neuron % 10 === 0 ? 0.4 : 0.04));
    const state = rates.map((rate) => (random.uniform() < rate ? 1 : 0));
    const text: Text = Array.from({ length: tokens }, () => {
      for (let neuron = 0; neuron < ffn; neuron++) state[neuron] = random.uniform() < (state[neuron] === 1 ? overlap + (1 - overlap) * rates[neuron]! : rates[neuron]! * (1 - overlap)) ? 1 : 0;
      return [[[0, [...state.keys()].filter((neuron) => state[neuron] === 1)] as const]];
    });
    const statistics = traceStatistics(read(writeSlow({ layers: 1, experts: 1, active: 1, ffn }, text)));
    expect(statistics.activeShare).toBeCloseTo(0.076, 2);
    expect(statistics.tokenOverlap).toBeGreaterThan(0.28);
    expect(statistics.tokenOverlap).toBeLessThan(0.32);
    expect(statistics.skew.find((point) => point.neurons === 0.1)!.activations).toBeCloseTo(0.04 / 0.076, 1);
    expect(statistics.expertRepeat).toBe(1);
    // Independent neurons: the variation of a sum of 2000, a few percent.
    expect(statistics.tokenVariation).toBeLessThan(0.15);
    expect(statistics.skew.map((point) => point.neurons)).toEqual([0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 0.75, 0.9, 1]);
  });
});

describe("a run with a trace", () => {
  const [device, system, base] = [loadDevice("devices/oneplus-12.json"), loadSystem("systems/powerinfer-2.json"), loadModel("models/bamboo-7b.json")];
  const model = { ...base, name: "small", layers: 2, ffn: 1024, hidden: 1024, heads: 8 };
  const random = stream(2, "a text");
  const hot = Uint8Array.from({ length: 1024 }, () => (random.uniform() < 0.2 ? 1 : 0));
  const text: Text = Array.from({ length: 128 }, () => Array.from({ length: 2 }, () => [[0, [...hot.keys()].filter((neuron) => random.uniform() < (hot[neuron] === 1 ? 0.5 : 0.03))] as const]));
  const activations = writeSlow({ layers: 2, experts: 1, active: 1, ffn: 1024 }, text);
  const request = { device: device.name, model: "small", system: system.name, memory: { _tag: "OffloadFfn", share: 0.5 }, phase: "decode", prompt: 64, tokens: 40, batch: 1, seed: 1, fidelity: "neuron", activations: "x.trace" } as const;
  const run = (over: Partial<Parameters<typeof simulate>[0]["request"]> = {}, bytes = activations) => {
    const outcome = simulate({ device, model, system, request: { ...request, ...over }, activations: bytes });
    if (E.isLeft(outcome)) throw new Error(describeError(outcome.left));
    return outcome.right;
  };

  it("plays its neurons, the same each time, and fewer where the trace has fewer", () => {
    const record = run();
    expect(record.violations).toEqual([]);
    expect(record.inputs.activations).toBe("x.trace");
    expect(run()).toEqual(record);
    const other = run({}, writeSlow({ layers: 2, experts: 1, active: 1, ffn: 1024 }, text.map((token) => token.map((layer) => layer.map(([expert, neurons]) => [expert, neurons.slice(0, Math.floor(neurons.length / 2))] as const)))));
    expect(other.tokens[0]!.lookups).toBeLessThan(record.tokens[0]!.lookups);
  });

  it("agrees with its own statistics, drawn: two ways to one answer", () => {
    const [played, drawn] = [run(), run({ fidelity: "cluster" })];
    expect(Math.abs(played.cacheHitRate - drawn.cacheHitRate)).toBeLessThan(0.05);
    expect(played.tokensPerSec / drawn.tokensPerSec).toBeGreaterThan(0.9);
    expect(played.tokensPerSec / drawn.tokensPerSec).toBeLessThan(1.1);
  });

  it("of a batch plays each sequence from another place", () => {
    expect(run({ batch: 2 }).tokens[0]!.lookups).toBeGreaterThan(run().tokens[0]!.lookups);
  });

  it("of another model is refused, each number that differs", () => {
    const outcome = simulate({ device, model: { ...model, layers: 3, ffn: 2048 }, system, request, activations });
    expect(E.isLeft(outcome) && describeError(outcome.left)).toBe("x.trace: 2 mistakes\n  layers: 2; small has 3\n  neurons: 1024; small has 2048");
  });

  it("takes the place of the model's statistics and of nothing else", () => {
    const recorded = asRecorded(model, read(activations), "a test");
    expect(recorded.activations.activeShare).toMatchObject({ value: expect.closeTo(0.2 * 0.5 + 0.8 * 0.03, 1) as unknown, kind: "measured", source: "a test" });
    expect(recorded.activations.gateFires).toBe(model.activations.gateFires);
    expect({ ...recorded, activations: null, experts: null }).toEqual({ ...model, activations: null, experts: null });
  });
});
