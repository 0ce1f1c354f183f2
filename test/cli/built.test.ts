/** The built program, as a user starts it. Needs dist/: npm run build. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

const BIN = resolve("bin/neuronlab.js");
const built = existsSync("dist/cli/main.js");
const reason = built ? "" : " (SKIPPED: dist/ is absent; run npm run build)";
const folder = mkdtempSync(join(tmpdir(), "neuronlab-built-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ended { readonly code: number | null; readonly stdout: string; readonly stderr: string }
const start = (...args: ReadonlyArray<string>): Promise<Ended> =>
  new Promise((done, fail) => {
    const child = spawn(process.execPath, [BIN, ...args], { cwd: folder });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.on("error", fail);
    child.on("close", (code) => done({ code, stdout, stderr }));
  });

describe.skipIf(!built)(`the built program${reason}`, () => {
  it("simulates from any folder, with only JSON on stdout", async () => {
    const { code, stdout, stderr } = await start("simulate", "--model", "bamboo-7b", "--offload", "50%", "--tokens", "4", "--format", "json");
    expect([code, stderr]).toEqual([0, ""]);
    expect((JSON.parse(stdout) as { tokensPerSec: number }).tokensPerSec).toBeGreaterThan(0);
  });

  it("gives the same bytes for the same seed and others for another", async () => {
    const ask = (seed: string) => start("simulate", "--model", "bamboo-7b", "--offload", "50%", "--tokens", "4", "--format", "json", "--seed", seed);
    const [a, b, c] = [await ask("5"), await ask("5"), await ask("6")];
    expect(a.stdout).toBe(b.stdout);
    expect(a.stdout).not.toBe(c.stdout);
  });

  it("a breakdown sums to the mean token time", async () => {
    const { stdout } = await start("simulate", "--model", "bamboo-7b", "--offload", "50%", "--tokens", "4", "--format", "json");
    const { breakdown, msPerToken } = JSON.parse(stdout) as { breakdown: ReadonlyArray<{ msPerToken: number }>; msPerToken: { mean: number } };
    expect(breakdown.reduce((sum, row) => sum + row.msPerToken, 0)).toBeCloseTo(msPerToken.mean, 6);
  });

  it("exits 2 on a wrong word and 3 when it does not fit, with nothing on stdout", async () => {
    expect(await start("simulate", "--memory", "19")).toMatchObject({ code: 2, stdout: "" });
    expect(await start("simulate", "--memory", "1GB")).toMatchObject({ code: 3, stdout: "" });
    expect(await start("nonsense")).toMatchObject({ code: 2, stdout: "" });
  });

  it("saves a run and turns it into the very timeline that simulate writes", async () => {
    expect((await start("simulate", "--model", "bamboo-7b", "--offload", "50%", "--tokens", "2", "--trace", "t/a.json", "--save", "r.json")).code).toBe(0);
    expect((await start("trace", "r.json", "--out", "t/b.json")).code).toBe(0);
    expect(readFileSync(join(folder, "t/b.json"), "utf8")).toBe(readFileSync(join(folder, "t/a.json"), "utf8"));
    expect(readdirSync(join(folder, "t"))).toEqual(["a.json", "b.json"]);
  });

  it("writes into what the shell has opened, and the shell's file keeps all of it", async () => {
    const sh = (script: string): Promise<number | null> => new Promise((done) => spawn("sh", ["-c", script], { cwd: folder, stdio: "ignore" }).on("close", done));
    const simulate = `"${process.execPath}" "${BIN}" simulate --model bamboo-7b --offload 50% --tokens 2`;
    expect(await sh(`${simulate} --save /dev/stdout --save-plan /dev/fd/3 --trace u/t.json > both.txt 3> plan.json`)).toBe(0);
    const [record, ...table] = readFileSync(join(folder, "both.txt"), "utf8").split("\n");
    expect((JSON.parse(record) as { schema: string }).schema).toBe("neuronlab/run@1");
    expect(table.join("\n")).toMatch(/\ntimeline: u\/t\.json/);
    expect((JSON.parse(readFileSync(join(folder, "plan.json"), "utf8")) as { schema: string }).schema).toBe("neuronlab/plan@1");
    expect(await sh(`${simulate} --save /dev/stdout 2> err.txt | head -c 100 > head.txt`)).toBe(0);
    expect([readFileSync(join(folder, "head.txt")).length, readFileSync(join(folder, "err.txt"), "utf8")]).toEqual([100, "wrote /dev/stdout\n"]);
  });

  it("two commands that make one sweep in one store at once share its runs, and say the same", async () => {
    const depths = Array.from({ length: 24 }, (_, i) => i + 1);
    writeFileSync(join(folder, "two.json"), JSON.stringify({ schema: "neuronlab/sweep@1", id: "two", title: "Two at once", base: { model: "bamboo-7b", offload: "50%", tokens: 256 }, axes: [{ over: "plan.pipeline.depth", values: depths }] }));
    const both = await Promise.all([1, 2].map(() => start("sweep", "two.json", "--workers", "1", "--store", "two.duckdb", "--format", "json")));
    expect([...both.map(({ code }) => code), both[0]!.stdout === both[1]!.stdout]).toEqual([0, 0, true]);
    // Each alone would make all of them; what both have under way at one moment is made twice, and kept once.
    const made = both.map(({ stderr }) => Number(/^(\d+) runs made/m.exec(stderr)![1]));
    expect(made[0]! + made[1]!, both.map(({ stderr }) => stderr).join("")).toBeLessThan(1.5 * depths.length);
    expect(JSON.parse((await start("results", "query", "SELECT count(*) AS runs FROM members", "--store", "two.duckdb", "--format", "json")).stdout)).toEqual([{ runs: depths.length }]);
  });

  it("lists and explains", async () => {
    for (const words of [["devices"], ["models", "bamboo-7b"], ["systems", "powerinfer-2"], ["doctor"], ["--version"], ["simulate", "--help"]]) expect((await start(...words)).code, words.join(" ")).toBe(0);
  });

  it("a reader that stops early is no fault", async () => {
    const child = spawn("sh", ["-c", `"${process.execPath}" "${BIN}" devices oneplus-12 | head -1`], { cwd: folder });
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    await new Promise((done) => child.on("close", done));
    expect(stderr).toBe("");
  });
});

describe.skipIf(!built)(`the built pool${reason}`, () => {
  it("gives the same outcomes in the same order for one worker and for three", async () => {
    const script = `
      const { runMany } = await import(${JSON.stringify(`file://${resolve("dist/cli/node/pool.js")}`)});
      const { readFileSync } = await import("node:fs");
      const { decode } = await import(${JSON.stringify(`file://${resolve("dist/sim/base/decode.js")}`)});
      const load = async (file, module, codec) => decode((await import("file://${resolve("dist/sim/domain")}/" + module))[codec], file)(JSON.parse(readFileSync("${resolve(".")}/" + file, "utf8"))).right;
      const device = await load("devices/oneplus-12.json", "device.js", "deviceCodec");
      const model = await load("models/bamboo-7b.json", "model.js", "modelCodec");
      const system = await load("systems/powerinfer-2.json", "system.js", "systemCodec");
      // The long runs come first, so that they end last.
      const inputs = [64, 32, 8, 1, 2, 1].map((tokens, i) => ({ device, model, system, request: { device: device.name, model: model.name, system: system.name, memory: i === 3 ? { _tag: "Bytes", bytes: 1 } : { _tag: "OffloadFfn", share: 0.5 }, phase: "decode", prompt: 64, tokens, batch: 1, seed: i, fidelity: "cluster" } }));
      console.log(JSON.stringify(await runMany(inputs, { workers: Number(process.argv[1]) })()));
    `;
    const ask = (workers: string): Promise<Ended> =>
      new Promise((done) => {
        const child = spawn(process.execPath, ["--input-type=module", "-e", script, workers]);
        let [stdout, stderr] = ["", ""];
        child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
        child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
        child.on("close", (code) => done({ code, stdout, stderr }));
      });
    const [one, three] = [await ask("1"), await ask("3")];
    expect([one.code, one.stderr, three.code, three.stderr]).toEqual([0, "", 0, ""]);
    expect(three.stdout).toBe(one.stdout);
    const outcomes = (JSON.parse(one.stdout) as { right: ReadonlyArray<{ _tag: string; right?: { inputs: { tokens: number } } }> }).right;
    expect(outcomes.map((outcome) => outcome.right?.inputs.tokens ?? outcome._tag)).toEqual([64, 32, 8, "Left", 2, 1]);
  });
});

describe.skipIf(!built || !existsSync("dist/experiments/report.js"))(`the built reproduction${existsSync("dist/experiments/report.js") ? reason : " (SKIPPED: dist/experiments/report.js is absent)"}`, () => {
  it("gives the same bytes for one worker and for three", async () => {
    const ask = (workers: string) => start("reproduce", "--format", "json", "--workers", workers, "--out", `paper-${workers}`);
    const [a, b] = [await ask("1"), await ask("3")];
    expect([a.code, b.code]).toEqual([0, 0]);
    expect(a.stdout).toBe(b.stdout);
    const files = (name: string): ReadonlyArray<readonly [string, string]> => readdirSync(join(folder, name), { recursive: true, withFileTypes: true }).filter((f) => f.isFile()).map((f) => join(f.parentPath, f.name)).sort().map((path) => [path.replace(name, ""), readFileSync(path, "utf8")]);
    expect(files("paper-1")).toEqual(files("paper-3"));
  }, 600_000);
});
