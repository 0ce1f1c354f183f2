import { describe, expect, it } from "vitest";
import { encodeRecord, type RunRequest } from "../../sim/domain/run.js";
import { traceProgram } from "../../cli/programs/trace.js";
import { execute } from "../../cli/run.js";
import { aRecord, commandNamed, fake, given } from "../fakes/capabilities.js";

const request: RunRequest = { device: "oneplus-12", model: "bamboo-7b", system: "powerinfer-2", memory: { _tag: "All" }, phase: "decode", prompt: 64, tokens: 8, batch: 1, seed: 1, fidelity: "cluster", trace: true };
const run = async (record: unknown, named: Readonly<Record<string, unknown>> = {}) => {
  const f = fake({ files: { "r.json": typeof record === "string" ? record : JSON.stringify(record) } });
  const code = await execute(traceProgram(commandNamed("trace"))(given({ file: "r.json", ...named })), f.capabilities);
  return { code, stdout: f.stdout(), stderr: f.stderr(), f };
};

describe("trace", () => {
  it("sums up what each lane of a saved run did", async () => {
    const { code, stdout } = await run(aRecord(request));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^bamboo-7b on oneplus-12 with powerinfer-2 \(simulated decode\)\n2 spans over 808\.80ms\n/);
    expect(stdout).toMatch(/\nflash +1 +606\.60ms +0\.75 +2\.0us +read gate\n/);
  });

  it("reads what simulate --save writes, and a record with bare sizes as before", async () => {
    const saved = JSON.stringify(encodeRecord(aRecord(request)));
    expect(saved).toContain('"memory":"4000000000B"');
    expect((await run(saved)).stdout).toBe((await run(aRecord(request))).stdout);
  });

  it("converts it with --out, and names the file", async () => {
    const { f, stderr } = await run(aRecord(request), { out: "t.json" });
    expect(JSON.parse(f.files.get("t.json")!)).toHaveProperty("traceEvents");
    expect(stderr).toBe("wrote t.json\n");
  });

  it("refuses what is not a run record, each with what would be right", async () => {
    const says = async (record: unknown) => { const { code, stderr } = await run(record); expect(code).toBe(2); return stderr; };
    expect(await says(3)).toMatch(/is not a run record; make one with neuronlab simulate --save FILE/);
    expect(await says({ traceEvents: [] })).toMatch(/is a timeline already; open it at ui\.perfetto\.dev/);
    expect(await says({ schema: "neuronlab/plan@1" })).toMatch(/schema: should be neuronlab\/run@1/);
    expect(await says({ ...aRecord(request), spans: [] })).toMatch(/spans: holds none/);
    expect(await says({ ...aRecord(request), lanes: [{ lane: "npu", busyNs: -1, servers: 1 }] })).toMatch(/lanes\[0\]\.busyNs: should be between 0/);
  });

  it("tells mistakes in arguments and in the file together, and never writes over what it reads", async () => {
    const { code, stderr } = await run({ ...aRecord(request), wallNs: -1 }, { out: "./r.json", seed: "x" });
    expect([code, stderr]).toEqual([2, ["neuronlab trace: 2 mistakes", "  --seed: should be a whole number between 0 and 4294967295, got x", "  --out: names the file that is read: r.json", "r.json: 1 mistake", "  wallNs: should be between 0 and 9007199254740991, got -1", ""].join("\n")]);
  });

  it("needs a file", async () => {
    const f = fake();
    expect(await execute(traceProgram(commandNamed("trace"))(given({})), f.capabilities)).toBe(2);
    expect(f.stderr()).toBe("neuronlab trace: 1 mistake\n  FILE: is missing\n");
  });
});
