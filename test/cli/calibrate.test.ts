import { describe, expect, it } from "vitest";
import { TE, pipe } from "../../sim/base/fp.js";
import { calibrateProgram } from "../../cli/programs/calibrate.js";
import { execute } from "../../cli/run.js";
import { commandNamed, fake, given } from "../fakes/capabilities.js";

describe("calibrate", () => {
  it("hands over all profiles, the pool and a log, and delivers what comes back", async () => {
    const f = fake();
    const program = calibrateProgram(({ profiles, runMany, log }) => {
      log(`${profiles.systems.has("llama.cpp")} ${profiles.devices.has("oneplus-12")} ${profiles.models.has("bamboo-7b")}`);
      return pipe(runMany([]), TE.map(() => ({ files: [{ path: "fit.json", text: "{}" }], text: "fitted" })));
    })(commandNamed("calibrate"));
    expect(await execute(program(given({ workers: "3" })), f.capabilities)).toBe(0);
    expect([f.stdout(), f.stderr(), [...f.files], f.workers]).toEqual(["fitted\n", "true true true\nwrote fit.json\n", [["fit.json", "{}"]], [3]]);
  });
});
