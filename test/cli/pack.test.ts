import { describe, expect, it } from "vitest";
import { E, TE } from "../../sim/base/fp.js";
import { badInput, disk } from "../../sim/base/errors.js";
import { execute } from "../../cli/run.js";
import { packProgram } from "../../cli/programs/pack.js";
import type { Engine, PackReport, PackRequest } from "../../engine/index.js";
import { commandNamed, fake, given } from "../fakes/capabilities.js";

const report: PackReport = { bytes: 2.5e9, denseBytes: 0.2e9, ffnBytes: 2.3e9, payloadBytes: 1.3e9, padding: 0.435, layers: 24, group: 1, downForm: "rows", down: "q8_0", requantisation: 0.0039, fingerprint: "00ff", seconds: 15.51 };

const start = async (named: Readonly<Record<string, unknown>>, pack?: Engine["pack"]) => {
  const asked: Array<PackRequest> = [];
  const f = fake({ engine: { pack: (request, hooks) => (asked.push(request), (pack ?? (() => TE.right(report)))(request, hooks)) } });
  const code = await execute(packProgram(commandNamed("pack"))(given(named)), f.capabilities);
  return { code, asked, stdout: f.stdout(), stderr: f.stderr() };
};

describe("pack", () => {
  it("asks for what was typed, with the defaults of --help, and says what came out", async () => {
    const { code, asked, stdout, stderr } = await start({ model: "m.gguf", out: "m.flash" });
    expect(asked).toEqual([{ model: "m.gguf", out: "m.flash", down: "auto", group: null, arrangement: "bundles", threads: null }]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toBe(
      "m.flash: 2.50GB in 15.5 s\n" +
        "outside the FFNs 200.0MB; FFNs 2.30GB, 43.5% of it padding to whole pages\n" +
        "24 layers, groups of 1 neuron, down in rows of q8_0\n" +
        "requantised: down changed by 0.4% (root mean square), so the model is numerically another one; results say so\n" +
        "fingerprint 00ff\n",
    );
  });

  it("says that tiles do not run from flash, and that exact weights are the source's", async () => {
    const { requantisation: _, ...exact } = report;
    const { stdout } = await start({ model: "m.gguf", out: "m.flash", down: "exact" }, () => TE.right({ ...exact, downForm: "tiles" }));
    expect(stdout).toContain("\nlossless: the weights are the source's\ndown in tiles cannot be read neuron by neuron");
  });

  it("prints only JSON when JSON is asked for", async () => {
    const { stdout } = await start({ model: "m.gguf", out: "m.flash", format: "json" });
    expect(JSON.parse(stdout)).toEqual({ out: "m.flash", ...report });
  });

  it("tells all mistakes at once and starts nothing", async () => {
    const { code, asked, stderr } = await start({ out: "-", down: "q5", group: "0", arrangement: "heap", threads: "two", outt: "x" });
    expect([code, asked]).toEqual([2, []]);
    expect(stderr).toBe(
      "neuronlab pack: 7 mistakes\n" +
        "  --outt: unknown flag; did you mean --out? known: --out, --down, --group, --arrangement, --threads, --format, --seed\n" +
        "  MODEL.gguf: is missing\n" +
        "  --out: stdout is for the answer; name a file (/dev/stdout mixes both, ./- is a file of that name)\n" +
        "  --down: should be one of auto, exact, q8_0, q4_0, f16, f32, got \"q5\"\n" +
        "  --group: should be a whole number between 1 and 1048576, got 0\n" +
        "  --arrangement: should be one of bundles, matrices, got \"heap\"\n" +
        "  --threads: should be a whole number between 1 and 1024, got two\n",
    );
  });

  it("does not write over what it reads", async () => {
    const { code, stderr } = await start({ model: "m.gguf", out: "./m.gguf" });
    expect([code, stderr]).toEqual([2, "neuronlab pack: 1 mistake\n  --out: names the file that is read: m.gguf\n"]);
  });

  it("passes on what the engine answers: 2 with the flag that is meant, 74 for the disk, 3 where there is no engine", async () => {
    const group = await start({ model: "m.gguf", out: "m.flash", group: "3" }, () => TE.left(badInput("m.gguf", [{ path: "group", message: "3; a power of two" }])));
    expect([group.code, group.stderr]).toEqual([2, "m.gguf: 1 mistake\n  --group: 3; a power of two\n"]);
    const full = await start({ model: "m.gguf", out: "m.flash" }, () => TE.left(disk("m.flash", "no room")));
    expect([full.code, full.stderr]).toEqual([74, "m.flash: no room\n"]);
    const f = fake();
    expect(await execute(packProgram(commandNamed("pack"))(given({ model: "m.gguf", out: "m.flash" })), f.capabilities)).toBe(3);
    expect(f.stderr()).toMatch(/^the native engine is not built: /);
  });

  it("says that nothing was written when it was interrupted", async () => {
    const { code, stdout, stderr } = await start({ model: "m.gguf", out: "m.flash" }, () => () => Promise.resolve(E.right(null)));
    expect([code, stdout, stderr]).toEqual([0, "", "interrupted: nothing was written\n"]);
  });
});
