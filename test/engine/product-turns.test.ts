/** What `npm run bench -- gemm` is made of: its words, the talk with the two programs, their answers held against each other, and what is missing. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { asked, wordsOf, type Cell } from "../bench/turns/asked.js";
import { different, figures, ours, theirs, type Ours, type Theirs } from "../bench/turns/compare.js";
import { busyCores, othersBusy, type Times } from "../bench/turns/others.js";
import { partner } from "../bench/turns/partner.js";
import { builtTheirs, executableIn } from "../bench/turns/programs.js";

const folder = mkdtempSync(join(tmpdir(), "neuronlab-turns-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const build = resolve("engine/rivals/llama.cpp/build.mjs");
const location = resolve("engine/rivals/llama.cpp/location.mjs");
const check = (environment: Readonly<Record<string, string>>) => spawnSync(process.execPath, [build, "--check"], { encoding: "utf8", env: { ...process.env, ...environment } });

const built = check({});
const product = built.status === 0 ? (JSON.parse(built.stdout) as { readonly default: Readonly<Record<string, string>> }).default.product : undefined;

const cell: Cell = { format: "Q8_0", rows: 40, columns: 64, tokens: 8, threads: 1 };
const mine: Ours = { kernels: "avx512", copies: 2, truths: [1, -20, 3], values: [1.1, -20, 3] };
const other: Theirs = { tried: [], buffer: "CPU", copies: 2, features: ["AVX2"], truths: [1.000001, -20.00001, 3], values: [1, -20.1, 3] };

/** A program that says `first`, then answers each line with the next of `answers`, and ends with `exit` when its input does. */
const fake = (first: string, answers: ReadonlyArray<string>, exit = 0, complaint = ""): ReadonlyArray<string> => [
  "-e",
  `console.log(${JSON.stringify(first)}); const left = ${JSON.stringify(answers)};
   const lines = require("node:readline").createInterface({ input: process.stdin });
   lines.on("line", () => { const next = left.shift(); if (next === undefined) process.exit(9); console.log(next); });
   lines.on("close", () => { process.stderr.write(${JSON.stringify(complaint)}); process.exitCode = ${exit}; });`,
];
const started = (words: ReadonlyArray<string>) => partner("somebody", process.execPath, words, ours);

describe("turns of two programs", () => {
  it("measures one and two threads, three formats and three shapes larger than a cache, or what it is told", () => {
    const usual = asked([]);
    if (E.isLeft(usual)) throw new Error(usual.left);
    expect(usual.right.turns).toBe(5);
    expect(new Set(usual.right.cells.map(({ format, rows, columns, tokens }) => `${format} ${rows} ${columns} ${tokens}`)).size).toBe(9);
    expect(usual.right.cells.every(({ tokens }) => tokens === 512)).toBe(true);
    expect(asked(["--format", "F16", "--weights", "64x32", "--threads", "3", "--threads", "1", "--tokens", "7", "--turns", "2"])).toEqual(
      E.right({ turns: 2, cells: [3, 1].map((threads) => ({ format: "F16", rows: 64, columns: 32, tokens: 7, threads })) }),
    );
    expect(wordsOf(cell, 99)).toEqual(["--format", "Q8_0", "--rows", "40", "--columns", "64", "--tokens", "8", "--threads", "1", "--bytes", "99"]);
  });

  it.each([
    [["--format", "Q5_0"], "--format: Q5_0; Q4_0, Q8_0, F16"],
    [["--weights", "64"], "--weights: 64; ROWSxCOLUMNS"],
    [["--weights", "64x33"], "a multiple of 32"],
    [["--weights", "0x32"], "a whole number from 1"],
    [["--turns", "0"], "--turns: 0; a whole number from 1"],
    [["--threads", "two"], "--threads: two"],
    [["--speed", "9"], "--speed"],
  ])("refuses %j", (words, why) => {
    expect(asked(words)).toMatchObject({ left: expect.stringContaining(why) as unknown });
  });

  it("asks a program for one turn at a time, and lets it end", async () => {
    const one = await started(fake(JSON.stringify(mine), ['{"seconds":0.5,"processor":0.25}', '{"seconds":2,"processor":0}']));
    expect(one.prepared).toEqual(mine);
    expect(await one.turn()).toEqual({ seconds: 0.5, processor: 0.25 });
    expect(await one.turn()).toEqual({ seconds: 2, processor: 0 });
    await one.end();
  });

  it("says who failed, and with which words", async () => {
    await expect(started(["-e", "console.error('row 3 is wrong'); process.exit(1)"])).rejects.toThrow("somebody: row 3 is wrong (exit code 1)");
    await expect(partner("somebody", join(folder, "absent"), [], ours)).rejects.toThrow("ENOENT");
    await expect(started(fake('{"kernels":"avx2","copies":1,"truths":[]}', []))).rejects.toThrow(/truths.*at least 1|values.*missing/s);
    await expect(started(fake("warming up", []))).rejects.toThrow("is not JSON");
    const short = await started(fake(JSON.stringify(mine), []));
    await expect(short.turn()).rejects.toThrow("exit code 9");
    const wrong = await started(fake(JSON.stringify(mine), ['{"seconds":0,"processor":0}']));
    await expect(wrong.turn()).rejects.toThrow("seconds");
    wrong.kill();
    const late = await started(fake(JSON.stringify(mine), [], 1, "row 7 is wrong"));
    await expect(late.end()).rejects.toThrow("somebody: row 7 is wrong");
  });

  it("holds both to one product", () => {
    expect(different(mine, other)).toBeNull();
    expect(different(mine, { ...other, truths: [1.0001, -20, 3] })).toContain("place 0 of the product is 1 here and 1.0001 there");
    expect(different(mine, { ...other, truths: [1, Number.NaN, 3] })).toContain("place 1");
    expect(different(mine, { ...other, truths: [1, -20] })).toContain("3 places compared here, 2 there");
    expect(different(mine, { ...other, copies: 3 })).toContain("2 copies");
  });

  it("gives speeds, and their ratio pair by pair; processor time of one thread only", () => {
    const pairs = [[1, 3], [2, 3], [4, 4]].map(([a, b]) => ({ ours: { seconds: a!, processor: a! / 2 }, theirs: { seconds: b!, processor: b! } }));
    const large = { ...cell, rows: 1e6, columns: 500, tokens: 4 };
    expect(figures(large, pairs)).toEqual({ ours: { best: 4, median: 2 }, theirs: { best: 4 / 3, median: 4 / 3 }, ratio: 1.5, least: 1, greatest: 3, processor: 3 });
    expect(figures({ ...large, threads: 2 }, pairs).processor).toBeNull();
  });

  it("finds the bench in what Cargo prints", () => {
    const artefact = (name: string, kind: string, executable: string | null) => JSON.stringify({ reason: "compiler-artifact", target: { name, kind: [kind] }, executable });
    expect(executableIn(["", artefact("bench", "lib", null), artefact("bench", "example", "/t/bench"), '{"reason":"build-finished","success":true}'].join("\n"))).toBe("/t/bench");
    expect(executableIn(artefact("pool", "lib", null))).toBeNull();
  });
});

describe("llama.cpp's side", () => {
  it("is absent, with what to install, where a tool is missing", async () => {
    const tools = join(folder, "tools");
    mkdirSync(tools);
    for (const name of ["npm", "tar", "git", "ninja", "g++", "nice"]) {
      writeFileSync(join(tools, name), "#!/bin/sh\n");
      chmodSync(join(tools, name), 0o755);
    }
    const run = `process.env.PATH = ${JSON.stringify(tools)}; process.env.XDG_CACHE_HOME = ${JSON.stringify(join(folder, "empty"))}; import(${JSON.stringify(build)})`;
    const script = join(folder, "without.mjs");
    writeFileSync(script, run);
    expect(await builtTheirs(script)).toEqual(E.left({ missing: true, reason: "llama.cpp: missing: cmake, gcc; on Debian: apt-get install cmake gcc" }));
  });

  it("failed, which is not missing, where a step fails", async () => {
    const script = join(folder, "fails.mjs");
    writeFileSync(script, "console.error('cmake: exit code 1'); process.exitCode = 1;");
    expect(await builtTheirs(script)).toEqual(E.left({ missing: false, reason: "cmake: exit code 1" }));
  });

  it("counts as built only while the sources of our programs are those that were compiled", () => {
    const cache = join(folder, "cache");
    const located = spawnSync(process.execPath, ["--input-type=module", "-e", `import { cacheFolder, sourceDigests } from ${JSON.stringify(location)}; console.log(JSON.stringify([cacheFolder(), sourceDigests()]))`], { encoding: "utf8", env: { ...process.env, XDG_CACHE_HOME: cache } });
    const [at, digests] = JSON.parse(located.stdout) as readonly [string, Readonly<Record<string, string>>];
    mkdirSync(at, { recursive: true });
    const manifest = (sources: Readonly<Record<string, string | undefined>>) => writeFileSync(join(at, "built.json"), JSON.stringify({ version: "0.5.0", ...sources }));
    expect(Object.keys(digests)).toEqual(["reference", "product"]);
    manifest(digests);
    expect(check({ XDG_CACHE_HOME: cache }).status).toBe(0);
    manifest({ ...digests, product: "another" });
    expect(check({ XDG_CACHE_HOME: cache }).status).toBe(3);
    manifest({ ...digests, product: undefined });
    expect(check({ XDG_CACHE_HOME: cache }).status).toBe(3);
  });

  const here = product === undefined ? " (SKIPPED: llama.cpp is not built: node engine/rivals/llama.cpp/build.mjs)" : "";

  it.skipIf(product === undefined).each(["Q4_0", "Q8_0", "F16"] as const)(`multiplies %s, and its product is right${here}`, async (format) => {
    const side = await partner("llama.cpp", product!, wordsOf({ ...cell, format, threads: 2 }, 10_000), theirs);
    expect(side.prepared.copies).toBe(Math.ceil(10_000 / (40 * { Q4_0: 36, Q8_0: 68, F16: 128 }[format])));
    expect(side.prepared.truths).toHaveLength(64);
    const size = Math.max(...side.prepared.truths.map(Math.abs));
    side.prepared.values.forEach((value, place) => expect(Math.abs(value - side.prepared.truths[place]!)).toBeLessThan(0.03 * size));
    expect((await side.turn()).seconds).toBeGreaterThan(0);
    await side.end();
  });

  it.skipIf(product === undefined)(`refuses what it cannot do${here}`, async () => {
    const words = (changed: Readonly<Record<string, string>>) => { const all = [...wordsOf(cell, 1)]; for (const [option, value] of Object.entries(changed)) all[all.indexOf(option) + 1] = value; return all; };
    await expect(partner("llama.cpp", product!, words({ "--columns": "33" }), theirs)).rejects.toThrow("--columns: a multiple of 32 is needed (exit code 2)");
    await expect(partner("llama.cpp", product!, words({ "--format": "Q5_0" }), theirs)).rejects.toThrow("Q4_0, Q8_0 or F16, not: Q5_0 (exit code 2)");
  });
});

describe("other work on the machine", () => {
  const core = (busy: number, idle: number): Times => ({ user: busy / 2, nice: 0, sys: busy / 4, irq: busy / 4, idle });

  it("is the share of each core's time that was not idle, over all of them", () => {
    expect(busyCores([core(1000, 500), core(80, 0)], [core(1400, 1500), core(1080, 0)])).toBeCloseTo(0.4 / 1.4 + 1, 9);
    // A core without a tick between the looks, and one that came in between, say nothing.
    expect(busyCores([core(7, 7)], [core(7, 7), core(100, 0)])).toBe(0);
  });

  it("is told of the time between two looks alone, and not of what this program did before", async () => {
    const looks = [[core(90_000, 10)], [core(90_000, 1010)]];
    const began = performance.now();
    expect(await othersBusy(20, () => looks.shift()!)).toBe(0);
    expect(performance.now() - began).toBeGreaterThan(15);
  });
});
