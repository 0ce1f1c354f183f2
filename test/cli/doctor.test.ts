import { describe, expect, it } from "vitest";
import { doctorProgram, findings } from "../../cli/programs/doctor.js";
import { hostFacts } from "../../cli/node/host.js";
import { packageRoot } from "../../cli/node/package.js";
import { execute } from "../../cli/run.js";
import { aHost, commandNamed, fake, given } from "../fakes/capabilities.js";

describe("doctor", () => {
  it("says what is missing and what it would enable, changes nothing and exits 0", async () => {
    const f = fake();
    expect(await execute(doctorProgram(commandNamed("doctor"))(given({})), f.capabilities)).toBe(0);
    expect(f.stdout()).toMatch(/\nnative engine +-- +not built +synth, pack, generate, bench, record, replay, train-predictor, probe, validate, perplexity and three steps of tour \(npm run build:engine\); simulation does not need it\n/);
    expect(f.stdout()).toMatch(/\nSimPy +-- +missing +npm run bench against SimPy/);
    expect(f.stdout()).toMatch(/\nSlurm +-- +missing +sweep --executor slurm: submitting;/);
    expect(f.stdout()).toMatch(/\nBullMQ +ok +BullMQ 6\.7\.0 +sweep --executor bullmq and worker/);
    expect(f.stdout()).toMatch(/\nmissing or short: native engine, SimPy, ns-3, Slurm\n$/);
    expect(f.files.size).toBe(0);
  });

  it("knows an old Node, a lone core, a full disk and a folder it may not write to", () => {
    const bad = findings({ ...aHost, node: "20.18.9", cores: 1, freeMemoryBytes: 1e8, freeDiskBytes: 1e6, resultsWritable: false, sbatchAt: "/usr/bin/sbatch", bullmq: null });
    expect(bad.filter((finding) => !finding.ok).map((finding) => finding.check)).toEqual(["Node", "cores", "memory", "disk", "results/", "native engine", "SimPy", "ns-3", "Slurm", "BullMQ"]);
    expect(bad.slice(-2).map(({ found }) => found)).toEqual(["/usr/bin/sbatch finds no cluster", "cannot be loaded"]);
    expect(findings({ ...aHost, sbatch: "slurm-wlm 24.11.5", sbatchAt: "/usr/bin/sbatch" }).find(({ check }) => check === "Slurm")).toMatchObject({ ok: true, found: "slurm-wlm 24.11.5" });
    expect(findings({ ...aHost, node: "22.0.0" })[0].ok).toBe(true);
  });

  it("looks at this very machine without failing", async () => {
    expect(await hostFacts(packageRoot())()).toMatchObject({ right: { node: process.versions.node, cores: expect.any(Number), freeDiskBytes: expect.any(Number), bullmq: expect.stringMatching(/^BullMQ \d+\.\d+\.\d+$/) } });
  });
});
