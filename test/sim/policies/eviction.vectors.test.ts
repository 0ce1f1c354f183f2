import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { evictionPolicies } from "../../../sim/policies/eviction/index.js";
import { evictionVectors } from "../../vectors/eviction.js";

const FOLDER = new URL("../../vectors/", import.meta.url);
const fileOf = (name: string): string => `eviction-${name}.jsonl`;

if (process.env["UPDATE_VECTORS"] === "1") for (const name of evictionPolicies.names) writeFileSync(new URL(fileOf(name), FOLDER), evictionVectors(name));

describe("shared eviction vectors", () => {
  it.each(evictionPolicies.names)("are what %s decides today (else: UPDATE_VECTORS=1 npx vitest run test/sim/policies)", (name) => {
    expect(readFileSync(new URL(fileOf(name), FOLDER), "utf8")).toBe(evictionVectors(name));
  });

  it("exist for every policy and for nothing else, and stay small", () => {
    const files = readdirSync(FOLDER).filter((file) => file.startsWith("eviction-"));
    expect(files.sort()).toEqual(evictionPolicies.names.map(fileOf).sort());
    expect(files.reduce((bytes, file) => bytes + readFileSync(new URL(file, FOLDER)).length, 0)).toBeLessThan(100_000);
  });
});
