/** What a run is known by: nothing that its result depends on may be left out of it. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { RunRequest } from "../../../sim/domain/run.js";
import { identities, keyOf, seedOf } from "../../../sim/sweep/identity.js";
import type { Resolved } from "../../../sim/sweep/resolve.js";
import { loadDevice, loadModel, loadSystem } from "../../data/profiles.js";
import { fakeRunRecord } from "../../fakes/run-record.js";

const digest = (text: string): string => createHash("sha256").update(text).digest("hex");

const request: RunRequest = { device: "oneplus-12", model: "bamboo-7b", system: "powerinfer-2", memory: { _tag: "Bytes", bytes: 4e9 }, phase: "decode", prompt: 64, tokens: 16, batch: 1, seed: 7, fidelity: "cluster", mechanisms: { overlap: "none" } };
const run: Resolved = {
  device: loadDevice("devices/oneplus-12.json"), model: loadModel("models/bamboo-7b.json"), system: loadSystem("systems/powerinfer-2.json"),
  request: { ...request, plan: fakeRunRecord(request, 10).plan },
};

const otherLeaf = (leaf: unknown): unknown => (typeof leaf === "number" && Number.isFinite(leaf) ? 2 * leaf + 1 : typeof leaf === "boolean" ? !leaf : typeof leaf === "string" ? `${leaf}'` : 0);

/** The value with one number or word in it changed, for each of them, by its path. */
const variants = (node: unknown, path: string): ReadonlyArray<readonly [string, unknown]> => {
  if (typeof node !== "object" || node === null) return [[path, otherLeaf(node)]];
  const withInner = (key: string, inner: unknown): unknown => (Array.isArray(node) ? node.map((one: unknown, i) => (String(i) === key ? inner : one)) : { ...node, [key]: inner });
  return Object.entries(node).flatMap(([key, inner]) => variants(inner, path === "" ? key : `${path}.${key}`).map(([at, changed]) => [at, withInner(key, changed)] as const));
};

describe("a point", () => {
  const identify = identities(digest);
  const changed = variants(run, "") as ReadonlyArray<readonly [string, Resolved]>;
  const base = identify(run).point;
  const unmoved = (of: (one: Resolved) => string | number): ReadonlyArray<string> => changed.filter(([, one]) => of(one) === of(run)).map(([path]) => path);

  it("is another for every number and word of its profiles, its request and its plan; the seed is the repetition's", () => {
    for (const part of ["device.", "model.", "system.", "request.", "request.plan.cache.", "request.mechanisms."]) expect(changed.some(([path]) => path.startsWith(part)), part).toBe(true);
    expect(changed.length).toBeGreaterThan(200);
    expect(unmoved((one) => identify(one).point)).toEqual(["request.seed"]);
    expect(new Set(changed.map(([, one]) => identify(one).point)).size).toBe(changed.length);
  });

  it("has another seed, and its run another key, for each of these", () => {
    expect(unmoved((one) => seedOf(digest, 1, identify(one).point, 0))).toEqual(["request.seed"]);
    expect(unmoved((one) => keyOf(digest, "c0de", identify(one).point, one.request.seed))).toEqual([]);
  });

  it("is another where something is said that was not said before", () => {
    const said: ReadonlyArray<Partial<RunRequest>> = [{}, { plan: run.request.plan! }, { activations: "a.trace" }, { slowStorage: { of: "all", factor: 3, token: 32 } }, { adapt: true }, { trace: true }, { memory: { _tag: "All" } }, { memory: { _tag: "OffloadFfn", share: 0.5 } }, { mechanisms: {} }];
    expect(new Set(said.map((more) => identify({ ...run, request: { ...request, ...more } }).point)).size).toBe(said.length);
  });

  it("names each document by a hash of its own, the same for equal documents however they were built", () => {
    const { device, model, system } = identify(run);
    expect(new Set([device, model, system, base]).size).toBe(4);
    const again = identities(digest)({ ...run, device: Object.fromEntries(Object.entries(run.device).reverse()) as unknown as Resolved["device"] });
    expect(again).toEqual(identify(run));
  });
});

describe("a run", () => {
  it("has another key for other code, another point and another seed", () => {
    expect(new Set([keyOf(digest, "c0de", "point", 1), keyOf(digest, "c0df", "point", 1), keyOf(digest, "c0de", "other", 1), keyOf(digest, "c0de", "point", 2)]).size).toBe(4);
  });

  it("has another seed in another sweep, at another point and in another repetition: a whole number of 32 bits", () => {
    const seeds = [seedOf(digest, 1, "point", 0), seedOf(digest, 2, "point", 0), seedOf(digest, 1, "other", 0), seedOf(digest, 1, "point", 1)];
    expect(new Set(seeds).size).toBe(4);
    for (const seed of seeds) expect(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32).toBe(true);
  });
});
