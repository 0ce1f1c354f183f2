/** Facts that a draw moves: which, by which law, and that every profile is still one under any draw. */
import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { E } from "../../../../sim/base/fp.js";
import { decode, type Codec } from "../../../../sim/base/decode.js";
import { deviceCodec } from "../../../../sim/domain/device.js";
import { modelCodec } from "../../../../sim/domain/model.js";
import { systemCodec } from "../../../../sim/domain/system.js";
import { asOne, weakFacts } from "../../../../sim/planner/weak-facts.js";
import { acceptedOf } from "../../../../sim/sweep/stability/accepted.js";
import { movedBy } from "../../../../sim/sweep/stability/drawn.js";
import { doubtsOf, factorsOf, type Doubt, type Named } from "../../../../sim/sweep/stability/laws.js";

const CODECS = { device: deviceCodec, model: modelCodec, system: systemCodec } as const;
const all = (["device", "model", "system"] as const).flatMap((profile) => readdirSync(`${profile}s`).filter((file) => file.endsWith(".json")).map((file): Named => ({ profile, name: file.slice(0, -5), document: JSON.parse(readFileSync(`${profile}s/${file}`, "utf8")) as unknown })));
const moved = (of: Named, doubts: ReadonlyArray<Doubt>, factor: (doubt: Doubt, i: number) => number): unknown =>
  doubts.reduce((before, doubt, i) => doubt.moves.filter(({ profile, name }) => profile === of.profile && name === of.name).flatMap(({ paths }) => paths).reduce((document, path) => movedBy(document, path, factor(doubt, i)), before), of.document);

describe("the facts of a profile that may be off", () => {
  it.each(all)("$profile $name is a profile still under every draw that is accepted", (of) => {
    const doubts = doubtsOf([of], [], 0.2);
    const read = (document: unknown): ReadonlyArray<string> => {
      const decoded = decode(CODECS[of.profile] as Codec<unknown>, of.name)(document);
      return E.isRight(decoded) ? [] : decoded.left._tag === "BadInput" ? decoded.left.mistakes.map(({ path, message }) => `${path}: ${message}`) : ["?"];
    };
    const accepted = acceptedOf([of], doubts, 40, 1)!;
    const factors = doubts.map((doubt) => factorsOf(doubt, accepted, 1));
    for (let draw = 0; draw <= 40; draw++) expect(read(moved(of, doubts, (_, i) => factors[i]![draw]!)), `draw ${draw}`).toEqual([]);
    // Hardly ever thrown away: the law of what is left is close to the one that was stated.
    expect(accepted.at(-1)! / 40).toBeLessThan(6);
  });
});

const device = all.find(({ name }) => name === "oneplus-12")!;
const model = all.find(({ name }) => name === "bamboo-7b")!;

describe("what moves", () => {
  it("is what tune calls weak, sizes and decisions apart, each in one law, entries of a table together", () => {
    const decoded = decode(deviceCodec, "x")(device.document);
    if (E.isLeft(decoded)) throw new Error("x");
    const paths = new Set(doubtsOf([device], [], 0.2).flatMap(({ moves }) => moves.flatMap((move) => move.paths.map(asOne))));
    for (const { path } of weakFacts(decoded.right)) expect(paths.has(path), path).toBe(true);
    // A table's entries are one fact, and the temperatures between which a phone slows down keep their order.
    const found = doubtsOf(all, [], 0.2);
    expect(found.filter(({ fact, moves }) => fact.includes("[]") && moves[0]!.paths.length > 1).length).toBeGreaterThan(0);
    expect(new Set(found.map(({ fact }) => fact)).size).toBe(found.length);
    expect(found.find(({ fact }) => fact === "oneplus-12: thermal.throttle")!.moves[0]!.paths).toEqual(["thermal.throttleStart", "thermal.throttleFull"]);
  });

  it("leaves to a given law what that moves", () => {
    const given: Doubt = { fact: "sparse-core", moves: [{ profile: "device", name: "oneplus-12", paths: ["cpu.clusters[0].sparseBandwidth", "cpu.clusters[1].sparseBandwidth"] }], law: "log-normal", low: 0.8, high: 1.25, from: "a fit" };
    const [plain, with_] = [doubtsOf([device], [], 0.2), doubtsOf([device], [given], 0.2)];
    expect(with_[0]).toBe(given);
    expect(with_).toHaveLength(plain.length - 1);
    expect(with_.slice(1).flatMap(({ moves }) => moves.flatMap(({ paths }) => paths)).some((path) => given.moves[0]!.paths.includes(path))).toBe(false);
  });

  it("a fact keeps its unit and its kind, and a share stays one", () => {
    const at = (document: unknown, ...path: ReadonlyArray<string>): { readonly value: unknown; readonly kind: string } => path.reduce((node, key) => (node as Record<string, unknown>)[key], document) as never;
    expect(at(movedBy(device.document, "flash.latency", 1.1), "flash", "latency")).toMatchObject({ value: "66us", kind: "estimated" });
    expect(at(movedBy(device.document, "npu.streamedRatio", 5), "npu", "streamedRatio").value).toBe(1);
    expect(movedBy(device.document, "flash.nothing", 2)).toEqual(device.document);
  });

  it("the curve of a model goes from the lowest to the highest that its source has, and stays where it is at 0", () => {
    const pointsOf = (document: unknown) => (document as { readonly activations: { readonly skew: { readonly points: ReadonlyArray<{ readonly activations: number; readonly low: number; readonly high: number }> } } }).activations.skew.points;
    const before = pointsOf(model.document);
    for (const [place, to] of [[-1, "low"], [0, "activations"], [1, "high"]] as const)
      pointsOf(movedBy(model.document, "activations.skew", place)).forEach(({ activations }, i) => expect(activations).toBeCloseTo(before[i]![to], 12));
  });
});

describe("a law", () => {
  const doubt = (law: Doubt["law"], low: number, high: number): Doubt => ({ fact: "f", moves: [{ profile: "device", name: "d", paths: ["p"] }], law, low, high, from: "x" });
  const drawn = (of: Doubt): ReadonlyArray<number> => factorsOf(of, Array.from({ length: 4000 }, (_, i) => i + 1), 1).slice(1);
  const share = (values: ReadonlyArray<number>, low: number, high: number): number => values.filter((v) => v >= low && v <= high).length / values.length;

  it.each([["uniform", 0.8, 1.2, 1], ["log-uniform", 0.5, 2, 1], ["log-normal", 0.8, 1.25, 0.95]] as const)("%s has its share between its ends", (law, low, high, expected) => {
    const values = drawn(doubt(law, low, high));
    const error = 4 * Math.sqrt((0.95 * 0.05) / 4000);
    expect(Math.abs(share(values, low, high) - expected)).toBeLessThan(error);
    // Half of it below the middle.
    const middle = law === "uniform" ? (low + high) / 2 : Math.sqrt(low * high);
    expect(Math.abs(share(values, 0, middle) - 0.5)).toBeLessThan(4 * Math.sqrt(0.25 / 4000));
  });

  it("begins with the profile as it is, gives the same for the same seed, and draws do not depend on how many there are", () => {
    const of = doubt("uniform", 0.8, 1.2);
    expect(factorsOf(of, [1, 2, 3], 1)).toEqual(factorsOf(of, [1, 2, 3, 9], 1).slice(0, 4));
    expect(factorsOf(of, [], 1)).toEqual([1]);
    expect(factorsOf(of, [2], 1)[1]).toBe(factorsOf(of, [1, 2], 1)[2]);
    expect(factorsOf({ ...of, fact: "g" }, [1], 1)).not.toEqual(factorsOf(of, [1], 1));
    expect(factorsOf(of, [1], 2)).not.toEqual(factorsOf(of, [1], 1));
  });
});
