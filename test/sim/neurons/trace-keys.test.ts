import { describe, expect, it } from "vitest";
import { E } from "../../../sim/base/fp.js";
import { describeError } from "../../../sim/base/errors.js";
import { decodeTrace, type ActivationTrace } from "../../../sim/neurons/trace.js";
import { END_OF_TOKEN, keyCount, traceKeys } from "../../../sim/neurons/trace-keys.js";
import { evictionPolicies } from "../../../sim/policies/eviction/index.js";
import { replayThrough } from "../../../sim/policies/eviction/replay.js";
import { decide } from "../../vectors/eviction.js";
import { writeSlow, type Shape, type Text } from "../../fakes/trace-writer.js";

const read = (shape: Shape, text: Text): ActivationTrace => {
  const decoded = decodeTrace("x.trace")(writeSlow(shape, text));
  if (E.isLeft(decoded)) throw new Error(describeError(decoded.left));
  return decoded.right;
};

/** Tokens of two experts of three, in two layers, each with some of seven neurons. */
const text: Text = Array.from({ length: 40 }, (_, token) => [0, 1].map((layer) => [token % 2, 2].map((expert) => [expert, [0, 1, 2, 3, 4, 5, 6].filter((neuron) => (token * (neuron + 3) + layer + expert) % 5 < 2)] as const)));
const trace = read({ layers: 2, experts: 3, active: 2, ffn: 7 }, text);

describe("look-ups of a recorded text", () => {
  it("go token by token, layer by layer and neuron by neuron, numbered over all layers", () => {
    const keys = traceKeys(trace);
    const expected = text.flatMap((token) => [...token.flatMap((layer, l) => layer.flatMap(([expert, neurons]) => neurons.map((neuron) => (l * 3 + expert) * 7 + neuron))), END_OF_TOKEN]);
    expect([...keys.requests]).toEqual(expected);
    expect([...keys.lookUps]).toEqual(expected.filter((key) => key !== END_OF_TOKEN));
    expect([keys.what, keys.keys, keyCount(trace)]).toEqual(["neurons", 42, 42]);
    expect([...keys.heat]).toEqual(Array.from({ length: 42 }, (_, key) => expected.filter((one) => one === key).length / 40));
  });

  it("are of experts where neurons are not recorded", () => {
    const keys = traceKeys(read({ layers: 2, experts: 3, active: 2, ffn: 7, neuronsRecorded: false }, text));
    expect([...keys.requests.subarray(0, 10)]).toEqual([0, 2, 3, 5, END_OF_TOKEN, 1, 2, 4, 5, END_OF_TOKEN]);
    expect([keys.what, keys.keys, keys.heat[0], keys.heat[2]]).toEqual(["experts", 6, 0.5, 1]);
  });

  it("of a long text are all there, however often room for them had to grow", () => {
    const many = { ...trace, tokens: 200 * trace.tokens, neuronsInto: (token: number, layer: number, out: Int32Array) => trace.neuronsInto(token % trace.tokens, layer, out) };
    const [keys, once] = [traceKeys(many), traceKeys(trace)];
    expect(keys.requests).toHaveLength(200 * once.requests.length);
    expect(keys.requests.length).toBeGreaterThan(1 << 16);
    for (let round = 0; round < 200; round += 33) expect([...keys.requests.subarray(round * once.requests.length, (round + 1) * once.requests.length)]).toEqual([...once.requests]);
  });

  it.each(evictionPolicies.all)("replayed through $name become what stepping through them says", (policy) => {
    const keys = traceKeys(trace);
    for (const slots of [0, 1, 5, 20, 42]) {
      const { hits, misses, outcomes } = replayThrough(policy, keys, { slots, windowTokens: 2 });
      const { outcome } = decide(policy, { slots, windowTokens: 2, heat: [...keys.heat], steps: Array.from(keys.requests, (key) => (key === END_OF_TOKEN ? -1 : key)) });
      expect(Array.from(outcomes, (one) => "01-"[one]).join(""), `${slots} slots`).toBe(outcome);
      expect([hits, misses]).toEqual([outcome.split("1").length - 1, outcome.split("0").length - 1]);
    }
  });
});
