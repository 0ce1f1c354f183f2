import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { E, TE } from "../../sim/base/fp.js";
import { disk, stuck, unsupported } from "../../sim/base/errors.js";
import { simulate } from "../../sim/inference/simulate.js";
import { encodePlan } from "../../sim/domain/plan.js";
import type { SimulatedRun } from "../../sim/domain/run.js";
import { simulateProgram, typedCommand } from "../../cli/programs/simulate.js";
import { execute } from "../../cli/run.js";
import { aPlan, aRecord, commandNamed, fake, given } from "../fakes/capabilities.js";

const command = commandNamed("simulate");
const run = async (named: Readonly<Record<string, unknown>>, options: Parameters<typeof fake>[0] = {}, extra: ReadonlyArray<string> = []) => {
  const f = fake(options);
  const code = await execute(simulateProgram(command)(given(named, extra)), f.capabilities);
  return { code, stdout: f.stdout(), stderr: f.stderr(), f };
};

describe("simulate", () => {
  it("says every mistake at once, each under the flag that was typed", async () => {
    const { code, stdout, stderr, f } = await run({ devcie: "x", device: "oneplus12", model: "bambo-7b", memory: "19", offload: "150%", phase: "decoding", prompt: "1.5", tokens: "abc", batch: "0", seed: "-1", set: ["overlap=matrx", "cache", "loading=rows", "loading=mmap"], trace: "", format: ["table", "json"] }, {}, ["stray"]);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(f.ran).toEqual([]);
    const lines = stderr.trimEnd().split("\n");
    expect(lines[0]).toBe("neuronlab simulate: 14 mistakes");
    expect(lines.slice(1).map((line) => line.trim().split(":")[0]).sort()).toEqual(["--batch", "--devcie", "--device", "--format", "--memory", "--model", "--offload", "--phase", "--prompt", "--seed", "--set", "--tokens", "--trace", "stray"]);
    expect(stderr).toMatch(/--devcie: unknown flag; did you mean --device\? known: /);
    expect(stderr).toMatch(/--device: unknown device: oneplus12; did you mean oneplus-12\? known: .*oneplus-12.*; or a path to your own \.json\n/);
    expect(stderr).toMatch(/--model: unknown model: bambo-7b; did you mean bamboo-7b\? known: /);
    expect(stderr).toContain('  --memory: has no unit: 19; write it like "19GB" or "19GiB", or all\n');
    expect(stderr).toContain("  --offload: should be between 0% and 100%, got 150%\n");
    expect(stderr).toContain('  --phase: should be one of prefill, decode, got "decoding"; did you mean decode?\n');
    expect(stderr).toContain("  --prompt: should be a whole number between 1 and 1048576, got 1.5\n");
    expect(stderr).toContain("  --tokens: should be a whole number between 1 and 1048576, got abc\n");
    expect(stderr).toContain("  --batch: should be a whole number between 1 and 4096, got 0\n");
    expect(stderr).toContain("  --set: should be KEY=VALUE such as overlap=none, got cache; loading: is given twice; overlap: should be one of none, matrix, cluster, got \"matrx\"; did you mean matrix?\n");
    expect(stderr).toContain("  --trace: has no value; name a file\n");
    expect(stderr).toContain("  --format: is given 2 times; give it once\n");
    expect(stderr).toContain("  stray: nothing is expected here; see neuronlab simulate --help\n");
  });

  it("refuses combinations that contradict each other, also several at once", async () => {
    const { code, stderr } = await run({ memory: "7GB", offload: "50%", phase: "prefill", tokens: "8", batch: "2", fidelity: "analytic", trace: "a.json", save: "a.json" });
    expect(code).toBe(2);
    expect(stderr.match(/^ {2}--\w+/gm)).toEqual(["  --offload", "  --tokens", "  --batch", "  --trace", "  --save"]);
    expect((await run({ plan: "p.json", memory: "7GB" })).stderr).toBe(["neuronlab simulate: 1 mistake", "  --memory: is fixed by the plan; leave it out, or leave out --plan", "p.json: 1 mistake", "  (whole): there is no such file", ""].join("\n"));
  });

  it("tells a contradiction beside an argument that is wrong by itself, and none that the wrong one would be part of", async () => {
    expect((await run({ memory: "7GB", offload: "50%", seed: "x" })).stderr.match(/^ {2}--\w+/gm)).toEqual(["  --seed", "  --offload"]);
    expect((await run({ memory: "7", offload: "50%" })).stderr.match(/^ {2}--\w+/gm)).toEqual(["  --memory"]);
  });

  it("refuses to write over what it reads, however the path is spelt", async () => {
    const { stderr } = await run({ device: "d.json", model: "m.json", plan: "p.json", trace: "./d.json", save: "x/../m.json", "save-plan": "p.json" });
    expect(stderr.split("\n").slice(0, 4)).toEqual([
      "neuronlab simulate: 3 mistakes",
      "  --trace: names the file that --device reads: ./d.json",
      "  --save: names the file that --model reads: x/../m.json",
      "  --save-plan: names the file that --plan reads: p.json",
    ]);
  });

  it("tells mistakes in arguments and in every file that they name at once, arguments first", async () => {
    const device = JSON.parse(readFileSync("devices/oneplus-12.json", "utf8")) as { dram: { total: { value: unknown } }; npu: { lanch?: unknown } };
    device.dram.total.value = 24;
    device.npu.lanch = 1;
    const files = { "d.json": JSON.stringify(device), "m.json": JSON.stringify({ ...(JSON.parse(readFileSync("models/bamboo-7b.json", "utf8")) as object), layers: 0, hidden: "4096" }), "s.json": "{", "p.json": JSON.stringify({ schema: "neuronlab/plan@1" }) };
    const { code, stdout, stderr, f } = await run({ device: "d.json", model: "m.json", system: "s.json", plan: "p.json", memory: "19", tokens: "0", format: "yaml" }, { files });
    expect([code, stdout, f.ran]).toEqual([2, "", []]);
    expect(stderr).toBe(
      [
        "neuronlab simulate: 3 mistakes",
        '  --format: should be one of table, json, got "yaml"',
        '  --memory: has no unit: 19; write it like "19GB" or "19GiB", or all',
        "  --tokens: should be a whole number between 1 and 1048576, got 0",
        "p.json: 10 mistakes",
        ...["device", "model", "system", "memory", "mechanisms", "compute", "cluster", "cache", "pipeline", "io"].map((key) => `  ${key}: is missing`),
        "d.json: 2 mistakes",
        "  npu.lanch: unknown key; did you mean launch? allowed: name, prefillRate, bulkBandwidth, matvecBandwidth, launch, graphSwap, streamedRatio, activePower",
        '  dram.total.value: has no unit: 24; write it like "19GB" or "19GiB"',
        "m.json: 2 mistakes",
        "  layers: should be between 1 and 1000, got 0",
        '  hidden: should be a number, got "4096"',
        "s.json: 1 mistake",
        stderr.split("\n").find((line) => line.startsWith("  (whole): is not JSON: ")),
        "",
      ].join("\n"),
    );
  });

  it("an unknown name, a size without a unit and a broken plan are told together", async () => {
    const { code, stderr } = await run({ device: "oneplus-21", memory: "19", plan: "broken.json" }, { files: { "broken.json": "[]" } });
    expect(code).toBe(2);
    expect(stderr.split("\n").map((line) => line.replace(/known: .*/, "known: …").replace(/with schema, .*/, "with …"))).toEqual([
      "neuronlab simulate: 2 mistakes",
      "  --device: unknown device: oneplus-21; did you mean oneplus-12? known: …",
      '  --memory: has no unit: 19; write it like "19GB" or "19GiB", or all',
      "broken.json: 1 mistake",
      "  (whole): should be an object with …",
      "",
    ]);
  });

  it("unknown names in a plan are mistakes of the plan, told together, with the flags that would mend them", async () => {
    const plan = { ...(encodePlan(aPlan) as object), device: "oneplus-21", model: "mine", system: "powerinfer2" };
    const { code, stderr } = await run({ plan: "p.json", seed: "x" }, { files: { "p.json": JSON.stringify(plan) } });
    expect(code).toBe(2);
    expect(stderr.split("\n").map((line) => line.replace(/known: .*; or/, "known: …; or"))).toEqual([
      "neuronlab simulate: 1 mistake",
      "  --seed: should be a whole number between 0 and 4294967295, got x",
      "p.json: 3 mistakes",
      "  device: unknown device: oneplus-21; did you mean oneplus-12? known: …; or a path to your own .json, with --device",
      "  model: unknown model: mine; known: …; or a path to your own .json, with --model",
      "  system: unknown system: powerinfer2; did you mean powerinfer-2? known: …; or a path to your own .json, with --system",
      "",
    ]);
  });

  it("what the phone cannot do of a plan is told under the plan's file", async () => {
    const plan = { ...(encodePlan(aPlan) as object), compute: { ...aPlan.compute, threads: { big: 9, mid: 0, little: 0 }, ioCore: "none" } };
    const { code, stderr } = await run({ plan: "p.json", system: "llama.cpp" }, { simulate, files: { "p.json": JSON.stringify(plan) } });
    expect(code).toBe(2);
    expect(stderr).toBe(["p.json: 2 mistakes", "  system: is for powerinfer-2, the run is with llama.cpp", "  compute.threads.big: is 9, and OnePlus 12 (24 GB) has 1 big core", ""].join("\n"));
  });

  it("a file that cannot be read is the disk's fault beside other mistakes", async () => {
    const f = fake();
    const program = simulateProgram(command)(given({ seed: "x", plan: "p.json" }));
    const code = await execute(program, { ...f.capabilities, readJson: (path) => TE.left(disk(path, "permission denied")) });
    expect([code, f.stderr()]).toEqual([74, "neuronlab simulate: 1 mistake\n  --seed: should be a whole number between 0 and 4294967295, got x\np.json: permission denied\n"]);
  });

  it("runs the documented defaults when nothing is given, in the memory that the phone gives one app", async () => {
    const { f, code } = await run({});
    expect(code).toBe(0);
    const [{ request, device }] = f.ran;
    expect(request).toEqual({ device: "oneplus-12", model: "turbosparse-mixtral-47b", system: "powerinfer-2", memory: { _tag: "Bytes", bytes: device.dram.usable.value }, phase: "decode", prompt: 64, tokens: 128, batch: 1, seed: 1, fidelity: "cluster" });
  });

  it("passes on what was asked", async () => {
    const { f } = await run({ device: "oneplus-ace-2", model: "bamboo-7b", system: "llama.cpp", offload: "75%", phase: "prefill", prompt: "128", seed: "7", fidelity: "analytic", set: "overlap=none" });
    expect(f.ran[0].request).toEqual({ device: "oneplus-ace-2", model: "bamboo-7b", system: "llama.cpp", memory: { _tag: "OffloadFfn", share: 0.75 }, phase: "prefill", prompt: 128, tokens: 1, batch: 1, seed: 7, fidelity: "analytic", mechanisms: { overlap: "none" } });
    expect((await run({ memory: "all" })).f.ran[0].request.memory).toEqual({ _tag: "All" });
    expect((await run({ memory: "7GiB" })).f.ran[0].request.memory).toEqual({ _tag: "Bytes", bytes: 7 * 2 ** 30 });
  });

  it("with --format json, stdout is only the JSON and the rest goes to stderr", async () => {
    const { stdout, stderr } = await run({ model: "bamboo-7b", format: "json", trace: "out/t.json" });
    expect(JSON.parse(stdout)).toMatchObject({ tokensPerSec: expect.any(Number), msPerToken: { mean: expect.any(Number), p50: expect.any(Number), p90: expect.any(Number), p99: expect.any(Number) }, bytesReadPerToken: 12.5e6, cacheHitRate: 0.9, joulesPerToken: 0.4, bound: { lower: 5, upper: 20 }, inputs: { model: "bamboo-7b" } });
    expect(stderr).toBe("wrote out/t.json\n");
  });

  it("the last line of the table is a command that makes the timeline", async () => {
    const { stdout } = await run({ device: "my phone.json", model: "bamboo-7b", set: ["overlap=none", "loading=rows"] }, { files: { "my phone.json": await import("node:fs").then((fs) => fs.readFileSync("devices/oneplus-12.json", "utf8")) } });
    expect(stdout.trimEnd().split("\n").at(-1)).toBe("timeline: neuronlab simulate --device 'my phone.json' --model bamboo-7b --set overlap=none --set loading=rows --trace timeline.json   (open it at ui.perfetto.dev)");
  });

  it("--trace writes a Chrome trace and --save the whole record, and both ask for spans", async () => {
    const { f } = await run({ model: "bamboo-7b", trace: "t.json", save: "r.json" });
    expect(f.ran[0].request.trace).toBe(true);
    expect((JSON.parse(f.files.get("t.json")!) as { traceEvents: ReadonlyArray<{ ph: string }> }).traceEvents.filter((e) => e.ph === "X")).toHaveLength(2);
    expect((JSON.parse(f.files.get("r.json")!) as SimulatedRun).spans).toHaveLength(2);
  });

  it("a plan names the device, model, system and memory; --set switches its mechanisms", async () => {
    const { f, code } = await run({ plan: "p.json", set: "overlap=none" }, { files: { "p.json": JSON.stringify({ ...aPlan, memory: "4GB", cache: Object.fromEntries(Object.entries(aPlan.cache).map(([k, v]) => [k, `${v}B`])), io: { streamBlock: "512KiB", lanes: 1 } }) } });
    expect(code).toBe(0);
    expect(f.ran[0].request).toMatchObject({ model: "bamboo-7b", memory: { _tag: "Bytes", bytes: 4e9 }, plan: { memory: 4e9, mechanisms: { ...aPlan.mechanisms, overlap: "none" } } });
  });

  it("the plan that ran, saved or printed, runs again to the same result", async () => {
    const real = { simulate };
    const asked = { model: "bamboo-7b", memory: "3GiB", tokens: "4", format: "json" };
    const first = await run({ ...asked, "save-plan": "p.json" }, real);
    expect([first.code, first.stderr]).toEqual([0, "wrote p.json\n"]);
    const saved = first.f.files.get("p.json")!;
    const printed = JSON.parse(first.stdout) as { plan: unknown; tokensPerSec: number; cacheHitRate: number };
    expect(printed.plan).toEqual(JSON.parse(saved));
    expect(printed.plan).toMatchObject({ memory: `${3 * 2 ** 30}B`, io: { streamBlock: "524288B" } });
    const again = await run({ plan: "p.json", tokens: "4", format: "json", "save-plan": "q.json" }, { ...real, files: { "p.json": saved } });
    expect([again.code, again.stderr]).toEqual([0, "wrote q.json\n"]);
    expect(again.f.files.get("q.json")).toBe(saved);
    const repeated = JSON.parse(again.stdout) as typeof printed;
    expect(repeated.tokensPerSec).toBeCloseTo(printed.tokensPerSec, 6);
    expect(repeated.cacheHitRate).toBeCloseTo(printed.cacheHitRate, 9);
    const kept = await run({ plan: "p.json", tokens: "1", format: "json", save: "r.json" }, { ...real, files: { "p.json": saved } });
    const record = JSON.parse(kept.f.files.get("r.json")!) as { plan: unknown; inputs: { plan: unknown } };
    expect([record.plan, record.inputs.plan]).toEqual([JSON.parse(saved), JSON.parse(saved)]);
    expect(JSON.parse(kept.stdout)).toMatchObject({ plan: record.plan, inputs: record.inputs });
    expect((await run({ save: "a.json", "save-plan": "a.json" })).stderr).toBe("neuronlab simulate: 1 mistake\n  --save-plan: names the same file as --save: a.json\n");
  });

  it("a faulty plan or profile is named with the path inside it, exit 2", async () => {
    const { code, stderr } = await run({ plan: "p.json" }, { files: { "p.json": "{}" } });
    expect([code, stderr.split("\n")[0]]).toEqual([2, "p.json: 11 mistakes"]);
    expect((await run({ plan: "none.json" })).stderr).toBe("none.json: 1 mistake\n  (whole): there is no such file\n");
    expect((await run({ device: "d.json" }, { files: { "d.json": "{" } })).stderr).toMatch(/^d\.json: 1 mistake\n {2}\(whole\): is not JSON: /);
  });

  it("exits 3 when the honest answer is no, 70 for our own faults, 74 for the disk's", async () => {
    expect((await run({}, { simulate: () => E.left(unsupported("x", "cannot")) })).code).toBe(3);
    expect((await run({}, { simulate: () => E.left({ _tag: "DoesNotFit", needed: 2e9, allowed: 1e9, parts: [], hint: "h" }) })).code).toBe(3);
    expect((await run({}, { simulate: () => E.left(stuck(1, ["flash"])) })).code).toBe(70);
    const full = await run({ trace: "t.json" }, { diskIsFull: true });
    expect([full.code, full.stdout, full.stderr]).toEqual([74, "", "t.json: the disk is full\n"]);
    const thrown = await run({}, { simulate: () => { throw new Error("boom"); } });
    expect(thrown.code).toBe(70);
    expect(thrown.stderr).toMatch(/^internal fault, please report it: Error: boom/);
  });

  it("a run that broke its own checks is shown, named on stderr and exits 70", async () => {
    const { code, stdout, stderr } = await run({ format: "json" }, { simulate: ({ request }) => E.right(aRecord(request, { violations: ["bytes lost"] })) });
    expect(code).toBe(70);
    expect(JSON.parse(stdout)).toMatchObject({ violations: ["bytes lost"] });
    expect(stderr).toBe("this run broke 1 of its own checks, a fault of ours: bytes lost\n");
  });
});

describe("storage that becomes slower in mid-run", () => {
  it("has to begin before the last token: later it would change nothing", async () => {
    const system = "neuronlab";
    expect(await run({ system, "slow-storage": "3@100", tokens: "4" })).toMatchObject({ code: 2, stdout: "", stderr: "neuronlab simulate: 1 mistake\n  --slow-storage: begins after 100 tokens, and only 4 tokens are decoded: it would change nothing; begin earlier, or give more --tokens\n" });
    expect((await run({ system, "slow-storage": "3@4", tokens: "4" })).code).toBe(2);
    expect((await run({ system, "slow-storage": "3@3", tokens: "4" })).code).toBe(0);
    // Without a word 128 tokens are decoded; a number that is wrong by itself is all that is said.
    expect((await run({ system, "slow-storage": "3@128" })).stderr).toContain("only 128 tokens are decoded");
    expect((await run({ system, "slow-storage": "3@100", tokens: "0" })).stderr).not.toContain("decoded");
  });
});

describe("a command as it can be typed again", () => {
  it("quotes what a shell would split", () => {
    expect(typedCommand(command, given({ device: "a'b c", check: true }))).toBe("neuronlab simulate --device 'a'\\''b c' --check");
  });
});
