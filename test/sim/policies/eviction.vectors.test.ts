import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { evictionPolicies } from "../../../sim/policies/eviction/index.js";
import { decide, evictionVectors, readVectors } from "../../vectors/eviction.js";

const FOLDER = new URL("../../vectors/", import.meta.url);
const fileOf = (name: string): string => `eviction-${name}.jsonl`;
const engineFileOf = (name: string): string => `eviction-rust-${name}.jsonl`;
const read = (file: string): string => readFileSync(new URL(file, FOLDER), "utf8");

if (process.env["UPDATE_VECTORS"] === "1") for (const name of evictionPolicies.names) writeFileSync(new URL(fileOf(name), FOLDER), evictionVectors(name));

describe("shared eviction vectors", () => {
  it.each(evictionPolicies.names)("are what %s decides today (else: UPDATE_VECTORS=1 npx vitest run test/sim/policies)", (name) => {
    expect(read(fileOf(name))).toBe(evictionVectors(name));
  });

  it.each(evictionPolicies.all)("of the engine are what $name decides here (written by UPDATE_VECTORS=1 cargo test -p neuronlab-cache)", (policy) => {
    const vectors = readVectors(read(engineFileOf(policy.name)));
    expect(vectors.length).toBeGreaterThan(0);
    for (const { outcome, evicted, ...situation } of vectors) {
      expect(situation.policy).toBe(policy.name);
      expect({ situation: situation.situation, ...decide(policy, situation) }).toEqual({ situation: situation.situation, outcome, evicted });
    }
  });

  it("exist for every policy from both sides and for nothing else, and stay small", () => {
    const files = readdirSync(FOLDER).filter((file) => file.startsWith("eviction-"));
    expect(files.sort()).toEqual(evictionPolicies.names.flatMap((name) => [fileOf(name), engineFileOf(name)]).sort());
    expect(files.reduce((bytes, file) => bytes + read(file).length, 0)).toBeLessThan(250_000);
  });
});
