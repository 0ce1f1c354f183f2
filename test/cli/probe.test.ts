import { afterEach, describe, expect, it, vi } from "vitest";
import { TE } from "../../sim/base/fp.js";
import { badInput, disk, type AppError } from "../../sim/base/errors.js";
import { packageRoot } from "../../cli/node/package.js";
import { profileNames, readProfile, thisHost } from "../../cli/node/profiles.js";
import { execute } from "../../cli/run.js";
import { probeProgram } from "../../cli/programs/probe/probe.js";
import { devicesProgram } from "../../cli/programs/profiles.js";
import { simulateProgram } from "../../cli/programs/simulate.js";
import type { Engine, ProbeReport, ProbeRequest } from "../../engine/index.js";
import { commandNamed, fake, given, HOST_PROFILE } from "../fakes/capabilities.js";
import { probed, tables } from "../fakes/probed.js";

const report: ProbeReport = { profile: JSON.stringify(probed("this-host")), notes: ["flash: other processes took 9% of the cores' time"], seconds: 21.4 };

const start = async (named: Readonly<Record<string, unknown>>, probe?: Engine["probe"]) => {
  const asked: Array<ProbeRequest> = [];
  const f = fake({ engine: { probe: (request, hooks) => (asked.push(request), (probe ?? (() => TE.right(report)))(request, hooks)) } });
  const code = await execute(probeProgram(commandNamed("probe"))(given(named)), f.capabilities);
  return { code, asked, files: f.files, stdout: f.stdout(), stderr: f.stderr(), fake: f };
};

describe("probe", () => {
  it("measures here by default, and writes what simulate reads as this-host", async () => {
    const { code, asked, files, stdout, stderr, fake: f } = await start({ quick: true });
    expect(asked).toEqual([{ depth: "quick", dir: process.cwd(), scratch: null, only: null, name: "this-host", command: "neuronlab probe --quick" }]);
    expect([code, stderr]).toEqual([0, "note: flash: other processes took 9% of the cores' time\n"]);
    expect(stdout).toContain(`\n${HOST_PROFILE}: measured in 21 s; neuronlab simulate --device this-host reads it\n`);
    expect(files.get(HOST_PROFILE)).toBe(`${report.profile}\n`);
    expect(await execute(simulateProgram(commandNamed("simulate"))(given({ device: "this-host", tokens: "2" })), f.capabilities)).toBe(0);
    expect(f.ran[0]!.device.name).toBe("this-host");
    expect(await execute(devicesProgram(commandNamed("devices"))(given({ name: "this-host" })), f.capabilities)).toBe(0);
    expect(f.stdout()).not.toContain("measurements");
  });

  it("names a profile as its file, and rounds the scratch file up to whole pieces", async () => {
    const { asked, files } = await start({ out: "some/laptop.json", dir: "/mnt", scratch: "1GB" });
    expect(asked[0]).toMatchObject({ depth: "full", dir: "/mnt", scratch: 477 * 2 ** 21, name: "laptop", command: "neuronlab probe --scratch 1000000000B" });
    expect([...files.keys()]).toEqual(["some/laptop.json"]);
  });

  it("prints the profile as JSON when JSON is asked for", async () => {
    const { stdout } = await start({ format: "json", out: "x.json" });
    expect(JSON.parse(stdout)).toEqual({ out: "x.json", seconds: 21.4, notes: report.notes, profile: JSON.parse(report.profile) });
  });

  it("shows one part's rows and writes nothing", async () => {
    const part: Engine["probe"] = () => TE.right({ ...report, profile: JSON.stringify(tables) });
    const { code, files, stdout } = await start({ only: "flash" }, part);
    expect([code, files.size]).toEqual([0, 0]);
    expect(stdout).toMatch(/random 16 KiB over 128 MiB +io_uring 64, core 0 +800\.0 MB\/s +720\.0 MB\/s to 880\.0 MB\/s +90\.0us +3\.0us/);
    expect(stdout).toMatch(/up-down q4_0 14336x4096, 5% +core 0 +5\.00 GB\/s/);
    expect(JSON.parse((await start({ only: "flash", format: "json" }, part)).stdout)).toEqual({ only: "flash", seconds: 21.4, measurements: tables });
  });

  it("tells all mistakes at once and starts nothing", async () => {
    const { code, asked, stderr } = await start({ only: "flsh", scratch: "4", out: "-", quik: true });
    expect([code, asked]).toEqual([2, []]);
    expect(stderr).toMatch(/^neuronlab probe: 4 mistakes\n {2}--quik: unknown flag; did you mean --quick\?.*\n {2}--out: stdout is for the answer.*\n {2}--scratch: has no unit: 4; .*\n {2}--only: should be one of kernels, threads, memory, flash, got "flsh"; did you mean flash\?\n$/);
    expect((await start({ only: "flash", out: "x.json" })).stderr).toContain("--out: a profile needs all parts");
  });

  it("passes on what the engine says, under the flags that were typed", async () => {
    const ends = async (error: AppError) => start({ dir: "/no" }, () => TE.left(error));
    expect(await ends(badInput("/no", [{ path: "dir", message: "cannot create a scratch file" }]))).toMatchObject({ code: 2, stderr: "/no: 1 mistake\n  --dir: cannot create a scratch file\n" });
    expect((await ends(disk("/no", "no space"))).code).toBe(74);
  });

  it("writes no profile that could not be read again", async () => {
    for (const profile of ["{", JSON.stringify({ ...probed("x"), flash: null })]) {
      const { code, files, stderr } = await start({}, () => TE.right({ ...report, profile }));
      expect([code, files.size]).toEqual([70, 0]);
      expect(stderr).toContain("that was measured cannot be read");
    }
  });

  it("writes nothing when it is interrupted", async () => {
    const { code, files, stdout, stderr } = await start({}, () => TE.right(null));
    expect([code, files.size, stdout, stderr]).toEqual([0, 0, "", "interrupted: nothing was written\n"]);
  });
});

describe("this machine, before it was probed", () => {
  afterEach(() => vi.unstubAllEnvs());
  it("is not listed, and who names it hears what to do", async () => {
    vi.stubEnv("XDG_CACHE_HOME", "/no/such/folder");
    expect(thisHost()).toBe("/no/such/folder/neuronlab/devices/this-host.json");
    expect(await profileNames(packageRoot())("device")()).toMatchObject({ right: expect.not.arrayContaining(["this-host"]) });
    const f = fake();
    const code = await execute(simulateProgram(commandNamed("simulate"))(given({ device: "this-host" })), { ...f.capabilities, readProfile: readProfile(packageRoot()) });
    expect([code, f.stderr()]).toEqual([2, "this-host: 1 mistake\n  (whole): this machine was not probed yet; run neuronlab probe\n"]);
  });
});
