#!/usr/bin/env node
// Writes what the fuzz targets begin with to fuzz/corpus/: one folder a target. Files of the right form, small ones, made anew each time.
//
//   npm run build && node engine/fuzz/seeds.mjs
//
// Needs Cargo and the built program. What is in a folder already stays.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bool, f32, i32, list, text, u32, writeGguf } from "../rivals/llama.cpp/fixtures/gguf.mjs";

const ENGINE = fileURLToPath(new URL("..", import.meta.url));
const PROGRAM = join(ENGINE, "../bin/neuronlab.js");
const FIXTURES = join(ENGINE, "rivals/llama.cpp/fixtures");
const CORPUS = fileURLToPath(new URL("corpus", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "neuronlab-seeds-"));

const folder = (target) => {
  mkdirSync(join(CORPUS, target), { recursive: true });
  return join(CORPUS, target);
};
const neuronlab = (...words) => execFileSync(process.execPath, [PROGRAM, ...words], { stdio: ["ignore", "ignore", "inherit"] });
const example = (crate) => (target) =>
  execFileSync("cargo", ["run", "--locked", "--quiet", "--release", "-p", crate, "--example", "fuzz", "--", "--write-seeds", folder(target)], { cwd: ENGINE, stdio: ["ignore", "ignore", "inherit"] });

/** A vocabulary of a few tokens, of each form that the tokeniser knows. */
const LETTERS = ["a", "b", "c", "aa", "ab", "abc", "\u2581", "\u2581a", "\u65e5", "1", "'", "s", "\u0120", "\u0120a", "\u010a"];
const pieces = () => {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, ...LETTERS];
  return [
    ["tokenizer.ggml.model", text("llama")],
    ["tokenizer.ggml.tokens", list(text, tokens)],
    ["tokenizer.ggml.scores", list(f32, tokens.map((_, id) => -id))],
    ["tokenizer.ggml.token_type", list(i32, tokens.map((_, id) => (id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1)))],
    ["tokenizer.ggml.bos_token_id", u32(1)],
    ["tokenizer.ggml.eos_token_id", u32(2)],
    ["tokenizer.ggml.unknown_token_id", u32(0)],
    ["tokenizer.ggml.add_space_prefix", bool(true)],
  ];
};
const pairs = (pre) => {
  const tokens = ["<s>", "</s>", ...LETTERS];
  return [
    ["tokenizer.ggml.model", text("gpt2")],
    ["tokenizer.ggml.pre", text(pre)],
    ["tokenizer.ggml.tokens", list(text, tokens)],
    ["tokenizer.ggml.token_type", list(i32, tokens.map((_, id) => (id < 2 ? 3 : 1)))],
    ["tokenizer.ggml.merges", list(text, ["a a", "a b", "ab c", "\u0120 a"])],
    ["tokenizer.ggml.eos_token_id", u32(1)],
    ["tokenizer.ggml.add_bos_token", bool(false)],
  ];
};

const tokeniser = (target) => {
  for (const name of ["spm", "bpe"]) copyFileSync(join(ENGINE, `crates/text/tests/data/${name}.gguf`), join(folder(target), `${name}.gguf`));
  writeGguf(join(folder(target), "pieces.gguf"), pieces(), []);
  for (const pre of ["default", "gpt-2", "llama-bpe", "qwen2", "gpt-4o", "tekken", "deepseek-v3", "viking", "falcon", "seed-coder"]) {
    writeGguf(join(folder(target), `pairs-${pre}.gguf`), pairs(pre), []);
  }
};

const trace = (target) => {
  for (const model of ["smallthinker-dense-f32", "smallthinker-softmax-f32", "llama-f32"]) {
    const file = join(scratch, `${model}.trace`);
    neuronlab("record", "--model", join(FIXTURES, `${model}.gguf`), "--prompt", "once upon a time", "--tokens", "8", "--ignore-end", "--out", file);
    for (const sealed of [0, 1]) writeFileSync(join(folder(target), `${model}-${sealed}`), Buffer.concat([Buffer.of(sealed), readFileSync(file)]));
  }
};

const predictor = (target) => {
  for (const [rank, weights] of [[8, "f16"], [32, "q8_0"]]) {
    const model = join(FIXTURES, "smallthinker-dense-f32.gguf");
    neuronlab("train-predictor", "--model", model, "--out", join(folder(target), `rank-${rank}.gguf`), "--tokens", "256", "--rank", String(rank), "--weights", weights);
  }
};

try {
  const all = { gguf: example("neuronlab-gguf"), flash: example("neuronlab-flash"), tokeniser, trace, predictor };
  for (const [target, write] of Object.entries(all)) write(target);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
