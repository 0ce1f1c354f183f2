/** neuronlab validate host: its words, and the real runs: in order, kept one by one, gone on with, stopped cleanly. Programs are made up. */
import { describe, expect, it } from "vitest";
import { E, TE } from "../../sim/base/fp.js";
import { encodePlan } from "../../sim/domain/plan.js";
import { execute } from "../../cli/run.js";
import type { Capabilities } from "../../cli/program.js";
import { validateHostProgram } from "../../cli/programs/validate/host.js";
import type { Prepared } from "../../cli/programs/models/prepared.js";
import { outOf } from "../../cli/programs/validate/out.js";
import { validateFile } from "../../cli/programs/validate/models.js";
import { engineOfRuns, runTurns, type Contender, type Kept } from "../../cli/programs/validate/runs.js";
import { cellsOf, turnsOf } from "../../experiments/validate/cells.js";
import { planOf } from "../../experiments/validate/plan.js";
import { testModel } from "../arb/neurons.js";
import { systemNamed } from "../arb/runs.js";
import { aPlan, commandNamed, fake, given } from "../fakes/capabilities.js";
import { fakeRunRecord } from "../fakes/run-record.js";

const TOKENS = 4;
const system = systemNamed("neuronlab");
const cells = cellsOf(["one", "two"], 1, true, 2);
const turns = turnsOf(cells, 1, 1);
const models = ["one", "two"].map((name): Prepared => ({ name, file: `/cache/${name}.flash`, model: { ...testModel({ layers: 2, ffn: 1024 }), name }, activations: new Uint8Array() }));

const contenders = cells.map((cell): Contender => {
  const prepared = models.find(({ name }) => name === cell.model)!;
  return { id: cell.id, prepared, with: { plan: planOf(cell, prepared.model) } };
});

/** A machine on which each run takes its number of milliseconds a token; `fails` says at which run something else happens. */
const machine = (files: Readonly<Record<string, string>> = {}, at: (run: number) => "runs" | "fails" | "is stopped" | "is short" = () => "runs") => {
  const asked: Array<ReadonlyArray<string>> = [];
  const abort = new AbortController();
  const f = fake({ files });
  const capabilities: Capabilities = {
    ...f.capabilities,
    interruptible: (work) => work(abort.signal),
    runProgram: ({ command }) => {
      asked.push(command);
      const what = at(asked.length);
      if (what === "is stopped") abort.abort();
      if (what === "fails") return TE.right({ exit: 3, signal: null, stdout: "", stderr: "it does not fit\nat all", spent: null });
      const tokens = what === "is short" ? TOKENS - 1 : TOKENS;
      const request = { device: "this-host", model: "m", system: "neuronlab", memory: { _tag: "All" }, phase: "decode", prompt: 4, tokens, batch: 1, seed: 1, fidelity: "neuron" } as const;
      const record = { ...fakeRunRecord(request, 1000 / asked.length), origin: "measured", plan: encodePlan(aPlan), tokens: Array.from({ length: tokens }, () => ({ latencyNs: 1, bytesRead: 10, lookups: 5, misses: 2 })) };
      f.files.set(command[command.indexOf("--save") + 1]!, JSON.stringify(record));
      return TE.right({ exit: 0, signal: null, stdout: "{}", stderr: "", spent: null });
    },
  };
  return { f, asked, go: (key = "a key", engine = system) => runTurns(capabilities, "/out", key, engine, turns, contenders, TOKENS)(), engineOf: (key: string) => engineOfRuns(capabilities, "/out", key, system)() };
};

const kept = (files: ReadonlyMap<string, string>): Kept => JSON.parse(files.get("/out/runs.json")!) as Kept;

describe("the runs of a validation", () => {
  it("are made in the order of the turns, each with its plan, its model's file and the text", async () => {
    const { f, asked, go } = machine();
    const runs = await go();
    expect(E.isRight(runs) && runs.right?.map(({ cell, reference }) => [cell, reference])).toEqual(turns.map(({ cell, reference }) => [cell, reference]));
    expect(asked).toHaveLength(turns.length);
    asked.forEach((words, i) => {
      const model = cells.find(({ id }) => id === turns[i]!.cell)!.model;
      expect(words.slice(0, 4)).toEqual(["neuronlab", "generate", "--model", `/cache/${model}.flash`]);
      expect(words).toContain(String(TOKENS + 1));
    });
    expect(E.isRight(runs) && runs.right![0]).toMatchObject({ outcome: { total: 1, missesPerToken: 2 }, plan: encodePlan(aPlan) });
    expect(kept(f.files).runs).toHaveLength(turns.length);
  });

  it("are kept when one fails, which says which cell it was and why; the next start goes on behind them", async () => {
    const broken = machine({}, (run) => (run === 4 ? "fails" : "runs"));
    const failed = await broken.go();
    expect(failed).toMatchObject({ _tag: "Left", left: { _tag: "Unsupported" } });
    expect(JSON.stringify(failed)).toContain(turns[3]!.cell);
    expect(JSON.stringify(failed)).toMatch(/exit code 3: it does not fit at all/);
    expect(kept(broken.f.files).runs).toHaveLength(3);
    const again = machine(Object.fromEntries(broken.f.files));
    expect(E.isRight(await again.go())).toBe(true);
    expect(again.asked).toHaveLength(turns.length - 3);
    expect(again.f.stderr()).toContain(`3 of ${turns.length} runs are kept`);
    const other = machine(Object.fromEntries(broken.f.files));
    await other.go("another key");
    expect(other.asked).toHaveLength(turns.length);
    // What was there is not lost.
    expect(other.f.files.get("/out/runs.earlier.json")).toBe(broken.f.files.get("/out/runs.json"));
  });

  it("say which engine made them, and are not mixed with those of another", async () => {
    const earlier = { ...system, software: { ...system.software, fixedCost: { ...system.software.fixedCost!, spin: null } } };
    const broken = machine({}, (run) => (run === 4 ? "fails" : "runs"));
    await broken.go("a key", earlier);
    const again = machine(Object.fromEntries(broken.f.files));
    expect(await again.engineOf("a key")).toEqual(E.right(earlier));
    const mixed = await again.go();
    expect(mixed).toMatchObject({ _tag: "Left", left: { _tag: "BadInput" } });
    expect(JSON.stringify(mixed)).toContain("has 3 runs of an engine that describes itself otherwise");
    expect(again.asked).toHaveLength(0);
    expect(E.isRight(await again.go("a key", earlier))).toBe(true);
    // With nothing left to run, runs of an older engine are read by a later one, and stay what they are.
    expect(E.isRight(await again.go())).toBe(true);
    expect(await again.engineOf("a key")).toEqual(E.right(earlier));
    // Of no runs, and of runs that do not say, it is the one that is here.
    expect(await again.engineOf("another key")).toEqual(E.right(system));
    const { engine, ...silent } = kept(again.f.files);
    expect(engine).toBeDefined();
    expect(await machine({ "/out/runs.json": JSON.stringify(silent) }).engineOf("a key")).toEqual(E.right(system));
    expect(await machine({ "/out/runs.json": JSON.stringify({ ...silent, engine: { name: "x" } }) }).engineOf("a key")).toMatchObject({ _tag: "Left", left: { _tag: "BadInput" } });
  });

  it("stop at an interruption with what was run kept, and without what was under way", async () => {
    const { f, go } = machine({}, (run) => (run === 3 ? "is stopped" : "runs"));
    expect(await go()).toEqual(E.right(null));
    expect(kept(f.files).runs).toHaveLength(2);
  });

  it("begin anew from a damaged file, and do not take a record of another length", async () => {
    const { asked, go } = machine({ "/out/runs.json": "{ half" });
    expect(E.isRight(await go())).toBe(true);
    expect(asked).toHaveLength(turns.length);
    expect(await machine({}, () => "is short").go()).toMatchObject({ _tag: "Left", left: { _tag: "Fault" } });
  });
});

const typed = async (named: Readonly<Record<string, unknown>>): Promise<{ readonly code: number; readonly stderr: string }> => {
  const f = fake();
  const code = await execute(validateHostProgram(() => ({ text: "", json: {}, files: [] }))(commandNamed("validate"))(given(named)), f.capabilities);
  return { code, stderr: f.stderr() };
};

describe("what is typed", () => {
  it.each([
    [{}, /host \| tuned \| phone DIR \| trace FILE: is missing/],
    [{ what: "telephone" }, /host \| tuned \| phone DIR \| trace FILE: should be one of host, tuned, phone, trace, got "telephone"/],
    [{ what: "host", device: "oneplus-99" }, /--device: unknown device: oneplus-99; did you mean/],
    [{ what: "host", device: "oneplus-12", models: ["a.gguf", "a.gguf"] }, /--models: names a file twice/],
    [{ what: "host", device: "oneplus-12", system: "nothing" }, /--system: unknown system: nothing/],
    [{ what: "host", device: "oneplus-12", system: "powerinfer-2" }, /--system: is powerinfer-2, which does not decode as this engine does/],
    [{ what: "host", device: "oneplus-12", repetitions: "0" }, /--repetitions: should be a whole number between 1 and 20/],
    [{ what: "host", device: "oneplus-12", models: ["model.flash"] }, /--models: should be GGUF files/],
  ])("%j is refused with what would be right", async (named, message) => {
    const { code, stderr } = await typed(named);
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
  });

  it("a quick run is not put where a full one is stored unless --out says so, and tells where it goes before it begins", async () => {
    for (const what of ["validate", "tuned"] as const) {
      expect(outOf(what, { quick: false, out: null })).toBe(`results/host/${what}`);
      expect(outOf(what, { quick: true, out: null })).toBe(`results/quick/${what}`);
      expect(outOf(what, { quick: true, out: `results/host/${what}` })).toBe(`results/host/${what}`);
    }
    const note = "a quick run is kept and written in results/quick/validate, and what is stored in results/host/validate stays as it is; --out names another folder\n";
    expect((await typed({ what: "host", device: "oneplus-12", quick: true })).stderr).toContain(note);
    expect((await typed({ what: "host", device: "oneplus-12", quick: true, out: "/elsewhere" })).stderr).not.toContain("a quick run");
    expect((await typed({ what: "host", device: "oneplus-12" })).stderr).not.toContain("a quick run");
  });

  it("a machine without the engine's module is told so", async () => {
    expect((await typed({ what: "host", device: "oneplus-12" })).code).toBe(3);
    expect(await validateFile(fake().capabilities, "/cache", "m.gguf", 4)()).toMatchObject({ _tag: "Left" });
  });
});
