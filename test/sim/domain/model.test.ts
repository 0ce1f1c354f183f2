import { describe, expect, it } from "vitest";
import { decode } from "../../../sim/base/decode.js";
import { describeError } from "../../../sim/base/errors.js";
import { E } from "../../../sim/base/fp.js";
import { modelCodec, sizesOf } from "../../../sim/domain/model.js";
import { filesIn, loadModel, rawOf } from "../../data/profiles.js";
import { edited } from "./edit.js";

const raw = rawOf("models/bamboo-7b.json");
const told = (document: unknown): string => {
  const result = decode(modelCodec, "models/toy.json")(document);
  return E.isLeft(result) ? describeError(result.left) : "(accepted)";
};
const point = (neurons: number, activations: number): unknown => ({ neurons, activations, low: activations, high: activations });

/** Layers that are told apart. */
const ownLayers = (layers: number, expertUse: ReadonlyArray<number>, carried: ReadonlyArray<number>): unknown => ({
  source: "a test", table: Array.from({ length: layers }, () => ({ activeShare: 0.161, carried, tokenOverlap: 0.1, expertRepeat: 1, expertUse })),
});

describe("a model", () => {
  it("takes layers of their own, and refuses those that do not fit it", () => {
    const points = (raw as { readonly activations: { readonly skew: { readonly points: ReadonlyArray<unknown> } } }).activations.skew.points.length;
    const carried = Array.from({ length: points }, (_, i) => i / (points - 1));
    const at = ["activations", "layers"];
    expect(told(edited(raw, at, ownLayers(32, [1], carried)))).toBe("(accepted)");
    expect(told(edited(raw, at, ownLayers(31, [1], carried)))).toContain("activations.layers.table: should have 32 entries, one a layer, has 31");
    expect(told(edited(raw, at, ownLayers(32, [0.5, 0.5], carried)))).toContain("activations.layers.table[0].expertUse: should have 1 shares, one an expert, that add up to 1");
    expect(told(edited(raw, at, ownLayers(32, [0.9], carried)))).toContain("activations.layers.table[31].expertUse: should have 1 shares");
    expect(told(edited(raw, at, ownLayers(32, [1], [...carried].reverse())))).toContain(`activations.layers.table[0].carried: should ascend from 0 to 1, with one share for each of the ${points} points of the skew`);
    expect(told(edited(raw, at, ownLayers(32, [1], carried.slice(1))))).toContain("activations.layers.table[3].carried: should ascend");
    expect(told(edited(raw, at, ownLayers(32, [1], [0.1, ...carried.slice(1)])))).toContain("activations.layers.table[0].carried: should ascend from 0 to 1");
    const two = edited(edited(raw, ["experts"], { ...(raw as { readonly experts: object }).experts, count: 3, active: 2 }), at, ownLayers(32, [0.6, 0.2, 0.2], carried));
    expect(told(two)).toContain("activations.layers.table[7].expertUse: should have no share above 0.5: a token uses 2 experts, each once");
    const other = edited(raw, ["activations", "activeShare", "value"], 0.2);
    expect(told(edited(other, at, ownLayers(32, [1], carried)))).toContain("activations.layers.table: has a mean activeShare of 0.16");
  });

  it.each([
    ["more experts in use than there are", ["experts", "active"], 2, "experts.active: must not exceed experts.count (1)"],
    ["heads that KV heads do not divide", ["kvHeads"], 5, "kvHeads: should divide heads (32)"],
    ["heads that do not divide the hidden size", ["hidden"], 4100, "heads: should divide hidden (4100)"],
    ["an activation that is not known", ["activation"], "GELU", 'activation: should be one of dReLU, ReLU, SiLU, got "GELU"; did you mean ReLU?'],
    ["a part of a layer", ["layers"], 31.5, "layers: should be a whole number, got 31.5"],
    ["one point for a curve", ["activations", "skew", "points"], [point(0, 0)], "activations.skew.points: should have at least 2 entries, got 1"],
    ["a curve that falls", ["activations", "skew", "points"], [point(0, 0), point(0.5, 0.9), point(0.6, 0.8)], "activations.skew.points: should ascend in neurons and in activations"],
    ["a mean outside its range", ["activations", "skew", "points"], [point(0, 0), { neurons: 1, activations: 0.5, low: 0.6, high: 0.7 }], "activations.skew.points: should have low ≤ activations ≤ high"],
    ["a curve beyond the whole", ["activations", "skew", "points", 10, "neurons"], 1.1, "activations.skew.points[10].neurons: should be between 0 and 1, got 1.1"],
    ["no predictor said by silence", ["predictorParameters"], undefined, "predictorParameters: is missing"],
  ] as const)("refuses %s", (_what, path, value, message) => {
    expect(told(edited(raw, path, value))).toBe(`models/toy.json: 1 mistake\n  ${message}`);
  });
});

/** Neurons = layers x experts x FFN; FFN parameters = neurons x 3 x hidden; bytes at 4.5 bits a weight; a bundle is three rows of 4 bits a weight. Shapes: each model's `shapesSource`. */
describe("sizes that follow from the shapes", () => {
  it.each([
    ["prosparse-llama-2-7b", 352_256, 4.329, 2.43, 6144],
    ["prosparse-llama-2-13b", 552_960, 8.493, 4.78, 7680],
    ["bamboo-7b", 458_752, 5.637, 3.17, 6144],
    ["mistral-7b", 458_752, 5.637, 3.17, 6144],
    ["qwen2-7b-sparse", 530_432, 5.703, 3.21, 5376],
    ["turbosparse-mixtral-47b", 3_670_016, 45.097, 25.37, 6144],
  ])("%s has %d FFN neurons, %d billion FFN parameters in %d GB, and bundles of %d bytes", (name, neurons, billions, gigabytes, bundle) => {
    const model = loadModel(`models/${name}.json`);
    const sizes = sizesOf(model);
    expect(sizes.neurons).toBe(neurons);
    expect((sizes.neurons * 3 * model.hidden) / 1e9).toBeCloseTo(billions, 3);
    expect(sizes.ffnBytes / 1e9).toBeCloseTo(gigabytes, 1);
    expect(3 * sizes.rowBytes).toBe(bundle);
  });

  it("gives the paper's budget of the 47B model: 1 GB outside the FFN, 2.6 GiB of predictors, 2.6 GiB of scales", () => {
    const model = loadModel("models/turbosparse-mixtral-47b.json");
    const sizes = sizesOf(model);
    expect(sizes.nonFfnBytes / 1e9).toBeCloseTo(1.02, 2);
    expect((sizes.predictorBytesPerLayer * model.layers) / 2 ** 30).toBeCloseTo(2.56, 2);
    expect((sizes.neurons * sizes.neuronScaleBytes) / 2 ** 30).toBeCloseTo(2.62, 1);
  });

  it("counts operations of a 7B prefill as the NPU's rate was derived from", () => {
    const model = loadModel("models/bamboo-7b.json");
    const sizes = sizesOf(model);
    expect((770 * model.layers * (sizes.attentionOps + sizes.ffnOps)) / 1e12).toBeCloseTo(10.75, 2);
  });

  it("adds up over every shipped model", () => {
    for (const file of filesIn("models")) {
      const model = loadModel(`models/${file}`);
      const sizes = sizesOf(model);
      expect(sizes.neuronsPerLayer * model.layers).toBe(sizes.neurons);
      expect(sizes.ffnBytes).toBeCloseTo(sizes.neurons * sizes.neuronBytes, 0);
      expect(sizes.ffnOps * model.experts.count).toBeCloseTo(2 * 3 * model.hidden * sizes.neuronsPerLayer * model.experts.active, 0);
      expect(sizes.kvBytesPerToken).toBe((4 * model.layers * model.kvHeads * model.hidden) / model.heads);
    }
  });
});
