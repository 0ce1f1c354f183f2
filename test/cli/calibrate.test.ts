import { describe, expect, it } from "vitest";
import { TE, pipe } from "../../sim/base/fp.js";
import { calibrateProgram, type Calibrate } from "../../cli/programs/calibrate.js";
import { execute } from "../../cli/run.js";
import { commandNamed, fake, given } from "../fakes/capabilities.js";

const handedOver: Calibrate = ({ profiles, experiments, runMany, log }) => {
  log(`${profiles.has("systems/llama.cpp")} ${profiles.has("devices/oneplus-12")} ${profiles.has("models/bamboo-7b")} ${experiments.length}`);
  const files = [{ path: "fit.json", text: "{}" }];
  return pipe(runMany([]), TE.map(() => ({ files, text: "fitted", json: { constants: [], points: 0, pointsInAll: 0, sumOfSquares: 0 } })));
};

describe("calibrate", () => {
  it("hands over all raw profiles, the experiments, the pool and a log, and writes below the package's root", async () => {
    const f = fake();
    const program = calibrateProgram(handedOver, [])(commandNamed("calibrate"));
    expect(await execute(program(given({ workers: "3" })), f.capabilities)).toBe(0);
    expect([f.stdout(), f.stderr(), [...f.files], f.workers]).toEqual(["fitted\n", "true true true 0\nwrote /home/fit.json\n", [["/home/fit.json", "{}"]], [3]]);
  });

  it("writes nothing with --dry-run", async () => {
    const f = fake();
    const program = calibrateProgram(handedOver, [])(commandNamed("calibrate"));
    expect(await execute(program(given({ "dry-run": true })), f.capabilities)).toBe(0);
    expect([f.stdout(), [...f.files]]).toEqual(["fitted\n", []]);
  });
});
