/** Which file an error is about: the one that is wrong, once, and first. Needs dist/ and the native module: npm run build. */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bindingPath } from "../../engine/binding.js";

const built = existsSync(bindingPath()) && existsSync("dist/cli/main.js");
const reason = built ? "" : " (SKIPPED: dist/ or the native module is absent; run npm run build)";
const folder = mkdtempSync(join(tmpdir(), "neuronlab-errors-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const model = resolve("engine/rivals/llama.cpp/fixtures/smallthinker-dense-f32.gguf");
const at = (name: string): string => join(folder, name);
const neuronlab = (...words: ReadonlyArray<string>) => spawnSync(process.execPath, [resolve("bin/neuronlab.js"), ...words], { encoding: "utf8" });

/** Turns over one byte, so many before the end. */
const spoiled = (from: string, to: string, before: number): void => {
  const bytes = readFileSync(at(from));
  bytes[bytes.length - before]! ^= 0xff;
  writeFileSync(at(to), bytes);
};

describe.skipIf(!built)(`what an error says of files${reason}`, () => {
  beforeAll(() => {
    neuronlab("pack", model, "--out", at("m.flash"));
    neuronlab("train-predictor", "--model", model, "--out", at("p.gguf"), "--tokens", "256", "--rank", "8");
    copyFileSync(at("m.flash"), at("cut.flash"));
    truncateSync(at("cut.flash"), 20_000);
    spoiled("m.flash", "spoiled.flash", 3 * 4096);
    spoiled("p.gguf", "spoiled.gguf", 64);
    mkdirSync(at("folder"));
  }, 60_000);

  const run = (name: string, ...more: ReadonlyArray<string>): ReadonlyArray<string> => ["generate", "--model", at(name), "--prompt", "x", "--tokens", "2", ...more];
  const CASES: ReadonlyArray<readonly [string, number, string, ReadonlyArray<string>]> = [
    ["a packed file that is cut short", 2, "cut.flash", run("cut.flash")],
    ["a damaged page", 74, "spoiled.flash", run("spoiled.flash")],
    ["a damaged predictor beside a sound model", 74, "spoiled.gguf", run("m.flash", "--predictor", at("spoiled.gguf"))],
    ["a folder for a packed file", 2, "folder", ["pack", model, "--out", at("folder")]],
    ["a folder for a trace", 2, "folder", ["record", "--model", model, "--prompt", "x", "--tokens", "2", "--out", at("folder")]],
    ["a folder for a predictor", 2, "folder", ["train-predictor", "--model", model, "--tokens", "256", "--rank", "8", "--out", at("folder")]],
    ["a folder for a record", 2, "folder", ["simulate", "--model", "bamboo-7b", "--offload", "50%", "--tokens", "2", "--save", at("folder")]],
  ];
  it.each(CASES)("%s", (_what, code, file, words) => {
    const { status, stderr } = neuronlab(...words);
    expect(status).toBe(code);
    expect(stderr.startsWith(`${at(file)}: `)).toBe(true);
    expect(stderr.split(at(file)).length - 1).toBe(1);
  });

  it("a name that can only be a folder's is refused as it is typed", () => {
    for (const out of [".", "..", "./", `${at("folder")}/`]) expect(neuronlab("pack", model, "--out", out)).toMatchObject({ status: 2, stderr: `neuronlab pack: 1 mistake\n  --out: ${out} names a folder; name a file in it\n` });
  });

  it("a folder for a model that is made up is a mistake of --out", () => {
    expect(neuronlab("synth", "--layers", "1", "--out", at("folder"))).toMatchObject({ status: 2, stderr: "neuronlab synth: 1 mistake\n  --out: creating the file failed: the path is a folder; name a file in it\n" });
  });

  it("a test beyond the model's context is refused, with the context", () => {
    expect(neuronlab("bench", "--model", model, "-p", "8000", "-n", "0")).toMatchObject({ status: 2, stdout: "", stderr: "neuronlab bench: 1 mistake\n  --n-prompt: 8000 tokens are more than the model's context of 512; give at most that\n" });
  });

  it("help says nothing of types", () => {
    for (const command of ["bench", "generate", "perplexity", "synth", "simulate"]) expect(neuronlab(command, "--help").stdout).not.toMatch(/\[(?:string|boolean)\]/);
  });
});
