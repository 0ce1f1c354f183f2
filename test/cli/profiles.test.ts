import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { TE } from "../../sim/base/fp.js";
import { devicesProgram, factsOf, modelsProgram, systemsProgram } from "../../cli/programs/profiles.js";
import { packageRoot } from "../../cli/node/package.js";
import { profileNames, readProfile } from "../../cli/node/profiles.js";
import { execute } from "../../cli/run.js";
import { commandNamed, fake, given } from "../fakes/capabilities.js";

const run = async (name: "devices" | "models" | "systems", named: Readonly<Record<string, unknown>>, files: Readonly<Record<string, string>> = {}) => {
  const f = fake({ files });
  const program = { devices: devicesProgram, models: modelsProgram, systems: systemsProgram }[name];
  return { code: await execute(program(commandNamed(name))(given(named)), f.capabilities), stdout: f.stdout(), stderr: f.stderr() };
};

describe("devices, models and systems", () => {
  it("list all that is known, one a line", async () => {
    for (const [name, one] of [["devices", "oneplus-12"], ["models", "bamboo-7b"], ["systems", "powerinfer-2"]] as const) {
      const { code, stdout, stderr } = await run(name, {});
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout.split("\n").filter((line) => line.startsWith(`${one} `))).toHaveLength(1);
      expect(JSON.parse((await run(name, { format: "json" })).stdout)).toHaveLength(stdout.trimEnd().split("\n").length - 1);
    }
  });

  it("show every fact of one as its file writes it, the weakest first", async () => {
    const { stdout } = await run("devices", { name: "oneplus-12", format: "json" });
    const { facts } = JSON.parse(stdout) as { facts: ReadonlyArray<{ path: string; kind: string; value: number; unit: string; source: string }> };
    expect(facts.length).toBe((readFileSync("devices/oneplus-12.json", "utf8").match(/"kind": "(printed|measured|derived|calibrated|estimated)"/g) ?? []).length);
    const rank = ["estimated", "calibrated", "derived", "measured", "printed"];
    expect(facts.map((fact) => rank.indexOf(fact.kind))).toEqual(facts.map((fact) => rank.indexOf(fact.kind)).sort((a, b) => a - b));
    expect(facts.find((fact) => fact.path === "cpu.bandwidth")).toMatchObject({ value: 43.9, unit: "GB/s", kind: "printed" });
  });

  it("end with how many facts of each kind there are", async () => {
    expect((await run("systems", { name: "powerinfer-2" })).stdout).toMatch(/\n\d+ facts, the weakest first: (\d+ \w+(, )?)+\n$/);
  });

  it("refuse an unknown name with the nearest, and a faulty file with the path in it", async () => {
    expect(await run("devices", { name: "oneplus12" })).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(/^unknown device: oneplus12; did you mean oneplus-12\?\n {2}known: .*oneplus-12/) });
    const mine = JSON.parse(readFileSync("devices/oneplus-12.json", "utf8")) as { cpu: { clusters: Array<{ coers?: number }> } };
    mine.cpu.clusters[1].coers = 3;
    const { code, stderr } = await run("devices", { name: "mine.json" }, { "mine.json": JSON.stringify(mine) });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^mine\.json: 1 mistake\n {2}cpu\.clusters\[1\]\.coers: unknown key.* did you mean core\?/);
  });
});

describe("a path in place of a name", () => {
  it("that leads to a folder is refused as one that leads nowhere", async () => {
    const f = fake();
    const show = (name: string) => execute(devicesProgram(commandNamed("devices"))(given({ name })), { ...f.capabilities, readProfile: readProfile(packageRoot()) });
    expect([await show("/"), await show("/no/such.json")]).toEqual([2, 2]);
    expect(f.stderr()).toBe("/: 1 mistake\n  (whole): is a folder, not a file\n/no/such.json: 1 mistake\n  (whole): there is no such file\n");
  });
});

describe("devices, models and systems with several mistakes", () => {
  it("tell arguments and file together", async () => {
    expect(await run("devices", { name: "mine.json", format: "yaml" }, { "mine.json": "[]" })).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(/^neuronlab devices: 1 mistake\n {2}--format: .*\nmine\.json: 1 mistake\n {2}\(whole\): should be an object with /) });
    expect((await run("systems", { name: "powerinfer2", format: "yaml" })).stderr).toMatch(/^neuronlab systems: 1 mistake\n {2}--format: .*\nunknown system: powerinfer2; did you mean powerinfer-2\?\n {2}known: /);
    expect((await run("models", { name: " " })).stderr).toBe("neuronlab models: 1 mistake\n  NAME: has no value; name a known model, or a path to your own .json\n");
  });

  it("list nothing while any file is faulty, and tell the faults of all", async () => {
    const f = fake();
    const broken = (name: string) => ({ where: `devices/${name}.json`, raw: {} });
    const code = await execute(devicesProgram(commandNamed("devices"))(given({})), { ...f.capabilities, profileNames: () => TE.right(["a", "b"]), readProfile: (_kind, name) => TE.right(broken(name)) });
    expect([code, f.stdout(), f.stderr().match(/^\S.*/gm)]).toEqual([2, "", ["devices/a.json: 12 mistakes", "devices/b.json: 12 mistakes"]]);
  });
});

describe("facts of a document", () => {
  it("keep the unit of the file and name each by its path", () => {
    expect(factsOf({ a: [{ b: { value: "1.5 GB/s", kind: "printed", source: "s" } }], c: { value: 2, kind: "estimated", source: "t", note: "n" }, d: 1 })).toEqual([
      { path: "c", value: 2, unit: "", written: "2", kind: "estimated", source: "t", note: "n" },
      { path: "a[0].b", value: 1.5, unit: "GB/s", written: "1.5 GB/s", kind: "printed", source: "s", note: "" },
    ]);
  });
});

describe("profiles on the disk", () => {
  it("are found from the package, wherever the program is started", async () => {
    expect(await profileNames(packageRoot())("system")()).toMatchObject({ right: expect.arrayContaining(["llama.cpp", "powerinfer-2"]) });
    expect(await readProfile(packageRoot())("system", "llama.cpp")()).toMatchObject({ right: { where: "systems/llama.cpp.json" } });
  });

  it("a name never leaves its folder", async () => {
    expect(await readProfile(packageRoot())("device", "..")()).toMatchObject({ left: { _tag: "UnknownName" } });
  });
});
