/** Laws of adapting, over a storage in closed form; and the vectors that the engine replays. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CONFIRM, LEAST_GAIN, THRESHOLD } from "../../../sim/policies/adaptation/adapt.js";
import { readingNs } from "../../../sim/policies/adaptation/rates.js";
import { GATE_READS, type GateReads } from "../../../sim/domain/plan.js";
import { adaptationVectors, played, SETTING, SITUATIONS, type Made, type Step } from "../../vectors/adaptation.js";

const situation = (name: string): Made => SITUATIONS.find((made) => made.situation === name)!;
const decided = (steps: ReadonlyArray<Step>): ReadonlyArray<string> => steps.flatMap(({ decision }) => (decision === null ? [] : [`${decision.token} ${decision.verdict} ${decision.gates.from} ${decision.gates.to}`]));
const wallOf = (step: Step): number => step.window.wallNs / step.window.tokens;

/** A token's time in a way, under conditions without noise. */
const fixed = (made: Made, gates: GateReads): ReadonlyArray<number> => played({ ...made, gates, setting: { ...made.setting, choices: [gates] } }).map(wallOf);

describe("adapting", () => {
  it("decides what is stored for the engine to replay", () => {
    expect(readFileSync(new URL("../../vectors/adaptation.jsonl", import.meta.url), "utf8")).toBe(adaptationVectors());
  });

  it("does nothing while what is measured is what was predicted, whatever the noise within the threshold", () => {
    fc.assert(
      fc.property(fc.constantFrom(...GATE_READS), fc.double({ min: 0, max: 0.1, noNaN: true }), fc.nat(1e6), (gates, noise, seed) => {
        const steps = played({ ...situation("as predicted"), situation: `noise ${seed}`, windows: 80, gates, at: () => ({ storage: SETTING.rates, kernels: 1, noise }) });
        expect(decided(steps)).toEqual([]);
      }),
      { seed: 20241212, numRuns: 60 },
    );
    expect(decided(played(situation("noise within the threshold")))).toEqual([]);
    expect(decided(played(situation("one bad window in three")))).toEqual([]);
  });

  it("settles after a step: within a few windows, on the best way, and stays there", () => {
    fc.assert(
      fc.property(fc.constantFrom(...GATE_READS), fc.double({ min: 1, max: 8, noNaN: true }), fc.double({ min: 1, max: 8, noNaN: true }), fc.double({ min: 0, max: 0.04, noNaN: true }), (gates, commands, bytes, noise) => {
        const at = 5;
        const storage = { commandNs: SETTING.rates.commandNs * commands, byteNs: SETTING.rates.byteNs * bytes };
        const made: Made = { ...situation("as predicted"), situation: "a step", gates, windows: 60, at: (window) => ({ storage: window < at ? SETTING.rates : storage, kernels: 1, noise }) };
        // A step of about the threshold's size is seen when the noise lets it.
        const before = played({ ...made, windows: at })[at - 1]!.window;
        const ratio = readingNs(storage, before.reads, before.bytes) / readingNs(SETTING.rates, before.reads, before.bytes);
        fc.pre(Math.abs(Math.log(ratio)) < Math.log(THRESHOLD) - 3 * noise || Math.abs(Math.log(ratio)) > Math.log(THRESHOLD) + 3 * noise);
        const steps = played(made);
        // Two windows to be sure, one for each other way to be tried.
        const settled = at + CONFIRM + 2;
        expect(steps.slice(0, at).every(({ decision }) => decision === null)).toBe(true);
        const late = steps.slice(settled + 1).filter(({ decision }) => decision !== null && decision.gates.from !== decision.gates.to);
        expect(late.map(({ decision }) => decision?.token)).toEqual([]);
        // A change that is not seen for its size may cost as much; what was judged may be judged within a change's least gain and the noise.
        const best = Math.min(...GATE_READS.map((way) => fixed({ ...made, at: () => ({ storage, kernels: 1, noise: 0 }), windows: 1 }, way)[0]!));
        const moved = steps.some(({ decision }) => decision !== null);
        if (moved) expect(wallOf(steps.at(-1)!) / best).toBeLessThan((1 + LEAST_GAIN) * (1 + 4 * noise) * THRESHOLD ** (steps.at(-1)!.gates === gates ? 1 : 0));
      }),
      { seed: 20241212, numRuns: 1000 },
    );
  });

  it("tells commands from bytes: what is better if it was the one, and worse if it was the other, is tried and kept or given up", () => {
    expect(decided(played(situation("bytes four times slower")))).toEqual(["28 tried bundles apart", "32 kept apart apart"]);
    expect(decided(played(situation("all four times slower"))).at(-1)).toMatch(/returned apart bundles/);
    const steps = played(situation("bytes four times slower"));
    const { to } = steps.find(({ decision }) => decision?.verdict === "kept")!.decision!.rates;
    expect(to.commandNs / SETTING.rates.commandNs).toBeCloseTo(1, 6);
    expect(to.byteNs / SETTING.rates.byteNs).toBeCloseTo(4, 6);
    // Read apart, no single number tells either; bundles are better for slow commands and are kept.
    expect(decided(played(situation("commands four times slower, read apart"))).at(-1)).toMatch(/ bundles$/);
    expect(decided(played(situation("commands four times slower, read in bundles"))).every((line) => !line.endsWith(" apart") || line.includes("tried"))).toBe(true);
    expect(played(situation("commands four times slower, read in bundles")).at(-1)!.gates).toBe("bundles");
  });

  it("gives up what looked better and was not, and does not try it again for the same reason", () => {
    const steps = played({ ...situation("a way that reads less and takes longer"), windows: 60 });
    expect(decided(steps).filter((line) => line.includes("tried bundles apart"))).toHaveLength(1);
    expect(steps.at(-1)!.gates).toBe("bundles");
  });

  it("is not misled by tokens that differ in what they lack", () => {
    for (const [name, way] of [["bytes slower, and tokens that differ", "apart"], ["all slower, and tokens that differ", "bundles"]] as const) {
      const steps = played(situation(name));
      expect(decided(steps).length, name).toBeLessThan(5);
      expect(steps.at(-1)!.gates, name).toBe(way);
    }
  });

  it("goes back when the storage is itself again", () => {
    const steps = played(situation("bytes slower for a while"));
    expect(steps[14]!.gates).toBe("apart");
    expect(steps.at(-1)!.gates).toBe("bundles");
  });

  it("corrects the kernels' time, and changes nothing where nothing is to be gained or only one way is open", () => {
    const slower = played(situation("slower kernels")).flatMap(({ decision }) => (decision === null ? [] : [decision]));
    expect(slower.map(({ verdict, cause }) => `${verdict} ${cause}`)).toEqual(["corrected kernels"]);
    expect(decided(played(situation("computing is all that matters")))).toEqual([]);
    expect(decided(played(situation("nothing is read")))).toEqual([]);
    for (const name of ["no gate is missing", "one way is open"]) expect(played(situation(name)).flatMap(({ decision }) => (decision === null ? [] : [decision.verdict])), name).toEqual(["corrected"]);
  });

  it("says what was measured and what was predicted", () => {
    const { decision, window } = played(situation("bytes four times slower")).find((step) => step.decision !== null)!;
    expect(decision).toMatchObject({ token: 28, verdict: "tried", cause: "storage", predicted: { readingNs: readingNs(SETTING.rates, window.reads / 4, window.bytes / 4) } });
    expect(decision!.measured.readingNs / decision!.predicted.readingNs).toBeGreaterThan(THRESHOLD);
    expect(decision!.measured.bytesPerSec).toBeCloseTo(window.bytes / window.readingNs * 1e9, 3);
    expect(decision!.measured.hitRate).toBeCloseTo(1 - (window.clusters + window.units) / window.lookUps, 12);
    expect(decision!.saves!.least).toBeLessThan(0);
    expect(decision!.saves!.most).toBeGreaterThan(LEAST_GAIN);
  });
});
