/** A weight that is no number, met by every command that reads weights: one answer. Needs dist/ and the native module: npm run build. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { bindingPath } from "../../engine/binding.js";

const built = existsSync(bindingPath()) && existsSync("dist/cli/main.js");
const reason = built ? "" : " (SKIPPED: dist/ or the native module is absent; run npm run build)";
const folder = mkdtempSync(join(tmpdir(), "neuronlab-nan-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The fixture with NaN for its last number, which is one of the last layer's experts. */
const model = join(folder, "nan.gguf");
const bytes = readFileSync(resolve("engine/rivals/llama.cpp/fixtures/smallthinker-softmax-f32.gguf"));
bytes.writeFloatLE(NaN, bytes.length - 4);
writeFileSync(model, bytes);
const text = join(folder, "text.txt");
writeFileSync(text, "one of the other things that are there ".repeat(40));

const COMMANDS: ReadonlyArray<ReadonlyArray<string>> = [
  ["generate", "--prompt", "once", "--tokens", "2"],
  ["bench", "-p", "4", "-n", "2", "-r", "1"],
  ["perplexity", "--text", text, "--window", "16"],
  ["record", "--prompt", "once", "--tokens", "4", "--out", join(folder, "out.trace")],
  ["train-predictor", "--out", join(folder, "out.gguf"), "--tokens", "256", "--rank", "8"],
];

describe.skipIf(!built)(`NaN among the weights${reason}`, () => {
  it.each([...COMMANDS.map(([command, ...words]) => [command!, ["--model", model, ...words]] as const), ["pack", [model, "--out", join(folder, "out.flash")]] as const])("%s exits 2, names file and tensor, and leaves nothing", (command, words) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [resolve("bin/neuronlab.js"), command, ...words], { encoding: "utf8" });
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(model);
    expect(stderr).toMatch(/tensor blk\.1\.ffn_\w+_exps\.weight holds NaN in row \d+; expected finite numbers/);
    expect(readdirSync(folder).sort()).toEqual(["nan.gguf", "text.txt"]);
  });
});
