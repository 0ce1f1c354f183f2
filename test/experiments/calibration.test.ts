import { describe, expect, it } from "vitest";
import { E, TE } from "../../sim/base/fp.js";
import { applyConstants, currentValue } from "../../experiments/calibration/apply.js";
import { constants } from "../../experiments/calibration/constants.js";
import { fit, solve } from "../../experiments/calibration/fit.js";
import { expandPath, formatProfile, valueAt, withValueAt } from "../../experiments/calibration/profile-json.js";
import { PHONE_CONSTANTS } from "../../experiments/validate/phone/fit.js";
import { factsOf, filesIn, rawOf } from "../data/profiles.js";

const profiles: ReadonlyMap<string, unknown> = new Map<string, unknown>(["devices", "models", "systems"].flatMap((folder) => filesIn(folder).map((file) => [`${folder}/${file.replace(/\.json$/, "")}`, rawOf(`${folder}/${file}`)] as const)));

describe("the calibrated constants", () => {
  it("are at most fifteen", () => {
    expect(constants.length).toBeLessThanOrEqual(15);
  });

  it("each stand in a profile as a calibrated fact, within their limits", () => {
    for (const constant of constants) {
      const target = constant.targets[0]!;
      expect([constant.id, valueAt(profiles.get(target.file), `${target.path}.kind`)]).toEqual([constant.id, "calibrated"]);
      const value = currentValue(profiles, constant);
      expect([constant.id, value >= constant.low && value <= constant.high]).toEqual([constant.id, true]);
    }
  });

  it("are all the calibrated facts there are", () => {
    const reached = new Set([...PHONE_CONSTANTS.map(({ key }) => `systems/expert-streaming software.${key}`), ...constants.flatMap((c) => c.targets.flatMap((t) => (profiles.has(t.file) ? expandPath(profiles.get(t.file), t.path).map((path) => `${t.file} ${path}`) : [])))]);
    const plain = (path: string): string => path.replace(/\[(\d+)\]/g, ".$1");
    const calibrated = [...profiles].flatMap(([file, raw]) => factsOf(raw).filter((fact) => fact.kind === "calibrated").map((fact) => `${file} ${plain(fact.path)}`));
    expect(calibrated.filter((place) => !reached.has(place))).toEqual([]);
  });

  it("never touch a printed or measured number", () => {
    const values = constants.map((constant) => currentValue(profiles, constant) * 1.1);
    const changed = applyConstants(profiles, constants, values);
    const moved = [...changed].flatMap(([file, raw]) => {
      const before = factsOf(profiles.get(file));
      return factsOf(raw).filter((fact, i) => fact.value !== before[i]!.value).map((fact) => ({ file, kind: fact.kind, path: fact.path }));
    });
    expect(moved.length).toBeGreaterThan(constants.length);
    expect(moved.filter((fact) => fact.kind === "printed" || fact.kind === "measured")).toEqual([]);
  });
});

describe("putting values into profiles", () => {
  it("keeps the ratio of the other targets", () => {
    const [sparse] = constants.filter((c) => c.id === "sparse-core");
    const changed = applyConstants(profiles, [sparse!], [2 * currentValue(profiles, sparse!)]);
    const of = (map: ReadonlyMap<string, unknown>, core: number): number => parseFloat(String(valueAt(map.get("devices/oneplus-12"), `cpu.clusters.${core}.sparseBandwidth.value`)));
    for (const core of [0, 1, 2]) expect(of(changed, core) / of(profiles, core)).toBeCloseTo(2, 3);
  });

  it("writes profiles in the layout that they are kept in", () => {
    for (const [file, raw] of profiles) expect([file, JSON.parse(formatProfile(raw))]).toEqual([file, raw]);
  });

  it("replaces one value and nothing else", () => {
    expect(withValueAt({ a: [{ b: 1 }, { b: 2 }], c: 3 }, "a.1.b", 9)).toEqual({ a: [{ b: 1 }, { b: 9 }], c: 3 });
  });
});

describe("the fit", () => {
  const exponential = (vectors: ReadonlyArray<Float64Array>) => TE.right(vectors.map(([a, b]) => Float64Array.from([0, 1, 2, 3], (x) => Math.log((a! * b! ** x) / (2 * 1.5 ** x)))));

  it("finds the constants of a known law and calls them well determined", async () => {
    const result = await fit([{ id: "a", start: 1, low: 0.1, high: 10 }, { id: "b", start: 1, low: 0.5, high: 3 }], exponential, 12, () => {})();
    if (E.isLeft(result)) throw new Error("no fit");
    expect(result.right.values[0]).toBeCloseTo(2, 2);
    expect(result.right.values[1]).toBeCloseTo(1.5, 2);
    for (const d of result.right.determined) expect(d.to / d.from).toBeLessThan(1.2);
  });

  it("stays within the limits and says so", async () => {
    const result = await fit([{ id: "a", start: 1, low: 0.1, high: 1.2 }, { id: "b", start: 1, low: 0.5, high: 3 }], exponential, 12, () => {})();
    if (E.isLeft(result)) throw new Error("no fit");
    expect(result.right.determined[0]).toMatchObject({ id: "a", atLimit: true });
  });

  it("tells a constant that no point sees", async () => {
    const blind = (vectors: ReadonlyArray<Float64Array>) => TE.right(vectors.map(([a]) => Float64Array.from([Math.log(a! / 2), 0.1])));
    const result = await fit([{ id: "seen", start: 1, low: 0.1, high: 10 }, { id: "unseen", start: 1, low: 0.1, high: 10 }], blind, 12, () => {})();
    if (E.isLeft(result)) throw new Error("no fit");
    expect(result.right.determined.map((d) => d.rise10 < 0.01)).toEqual([false, true]);
  });

  it("solves a small system as worked by hand", () => {
    expect([...solve(Float64Array.of(4, 2, 2, 3), Float64Array.of(10, 9))].map((x) => Number(x.toFixed(9)))).toEqual([1.5, 2]);
  });
});
