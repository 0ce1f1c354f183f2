#!/usr/bin/env node
// The full comparison of this machine: neuronlab beside llama.cpp, in memory and under limits of memory, on models made here. `npm run versus`.
//
//   node engine/rivals/llama.cpp/host-comparison.mjs [--quick | --large] [--models DIR] [--out DIR] [--rounds N] [--threads N]
//
// What it writes lies below --out (results/host/llama.cpp): a folder for each question, each with a page, a picture and all rows. It goes on where an
// earlier call stopped. Models are made once, in --models (the cache folder of neuronlab), 10 GB in all; --quick takes models of 200 MB and few tests,
// to see that everything works; --large adds a sweep of a model of 7 billion parameters (15 GB more), which takes the longest.
// Takes about an hour on two idle cores, a few minutes with --quick, two hours more with --large. Exit codes: 0, 2 wrong option, that of the command that failed, 128 + signal.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { constants, homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");

const SHAPES = {
  full: { hidden: 2048, neurons: 8192, layers: 24, heads: 16, "kv-heads": 8, "head-dim": 128, vocabulary: 32000, context: 8192 },
  large: { hidden: 4096, neurons: 14336, layers: 32, heads: 32, "kv-heads": 8, "head-dim": 128, vocabulary: 32000, context: 8192 },
  quick: { hidden: 1024, neurons: 8192, layers: 12, heads: 8, "kv-heads": 4, "head-dim": 128, vocabulary: 8192, context: 2048 },
};

/** The first of the models in models/, as `generate` takes it. A checkout may have none. */
const SHIPPED = readdirSync(join(ROOT, "models"), { recursive: true }).filter((file) => file.endsWith(".gguf") && !file.endsWith(".predictor.gguf")).sort().slice(0, 1).map((file) => join(ROOT, "models", file));

/** Activations after Bamboo's: one neuron in ten fires. The dense SiLU model has the same shape, and is what llama.cpp is made for. */
const modelsOf = (shape, large) => ({
  "relu-large": { ...large, arch: "smallthinker", share: "10%", skew: "bamboo", overlap: 0.3 },
  "silu-large": { ...large, arch: "llama", activation: "silu" },
  relu: { ...shape, arch: "smallthinker", share: "10%", skew: "bamboo", overlap: 0.3 },
  // Gates whose rank is a quarter of the width, which a predictor of that rank can hold: by their size those of TurboSparse-Mixtral have rank 1036 of 4096.
  ranked: { ...shape, arch: "smallthinker", share: "10%", skew: "bamboo", overlap: 0.3, "gate-rank": shape.hidden / 4 },
  silu: { ...shape, arch: "llama", activation: "silu" },
  experts: { ...shape, arch: "smallthinker", layers: shape.layers / 2, neurons: shape.neurons / 2, experts: 8, used: 2, repeat: 0.4, share: "10%", overlap: 0.3 },
});

/**
 * What is asked, each in a folder of its own. `limits` runs over shares of the model's GGUF file; both programs begin with what they could keep of it:
 * llama.cpp's unmeasured first token reads the mapped file, and our cache is filled from the packed one.
 */
const questionsOf = (quick, large) => [
  { name: "in-memory", about: "a dense ReLU model in memory, prompt and generation", model: "relu", pair: "silu", words: quick ? ["-p", "32", "-n", "4", "-r", "2"] : ["-p", "512", "-n", "64", "-r", "3"] },
  { name: "in-memory-predicted", about: "a dense ReLU model whose gates have a low rank, in memory, generation under a predictor of that rank", model: "ranked", pair: "silu", rank: (quick ? SHAPES.quick : SHAPES.full).hidden / 4, words: ["-p", "0", ...(quick ? ["-n", "4", "-r", "2"] : ["-n", "64", "-r", "3"])] },
  ...SHIPPED.map((file) => ({ name: "shipped", about: `${basename(file, ".gguf")}, the trained model that comes along, in memory`, file, pair: null, words: quick ? ["-p", "32", "-n", "8", "-r", "2"] : ["-p", "512", "-n", "64", "-r", "3"] })),
  { name: "limits-dense", about: "the same model under limits of memory", model: "relu", pair: "silu", words: ["--memory", quick ? "100%..200%/2" : "10%..120%/8", "--preload", "-p", "0", "-n", quick ? "4" : "8", "-r", "2"] },
  { name: "limits-experts", about: "a mixture of eight experts, two in use, under limits of memory", model: "experts", pair: null, words: ["--memory", quick ? "100%..200%/2" : "10%..120%/8", "--preload", "-p", "0", "-n", quick ? "4" : "8", "-r", "2"] },
  ...(large ? [{ name: "limits-large", about: "a dense ReLU model of 7 billion parameters under limits of memory", model: "relu-large", pair: "silu-large", words: ["--memory", "10%..120%/8", "--preload", "-p", "0", "-n", "8", "-r", "2"] }] : []),
];

const say = (line) => process.stderr.write(`comparison: ${line}\n`);

/** Ends with the command's own exit code when it fails; Ctrl-C reaches the command by itself, other signals are passed on. */
const neuronlab = async (...words) => {
  const child = spawn(process.execPath, [join(ROOT, "bin", "neuronlab.js"), ...words.map(String)], { stdio: ["ignore", 2, 2] });
  const pass = () => child.kill("SIGTERM");
  process.on("SIGTERM", pass).on("SIGINT", () => {});
  const { code, signal } = await new Promise((done) => child.on("close", (exit, name) => done({ code: exit, signal: name })));
  process.off("SIGTERM", pass).removeAllListeners("SIGINT");
  if (code !== 0) process.exit(code ?? 128 + constants.signals[signal]);
};

const made = async (folder, name, shape, packed) => {
  const [file, flash] = [join(folder, `${name}.gguf`), join(folder, `${name}.flash`)];
  if (!existsSync(file)) {
    say(`making ${file}`);
    await neuronlab("synth", "--out", file, "--name", name, "--seed", 1, "--verify-tokens", 0, ...Object.entries(shape).flatMap(([flag, value]) => [`--${flag}`, value]));
  }
  if (packed && !existsSync(flash)) {
    say(`packing ${flash}`);
    await neuronlab("pack", file, "--out", flash);
  }
  return { file, flash };
};

/** A predictor of that rank in four bits, fitted to what the model says; the analytic start is near the end where gates have that rank, so one pass is enough. */
const fitted = async (file, rank) => {
  const predictor = file.replace(/\.gguf$/, ".predictor.gguf");
  if (!existsSync(predictor)) {
    say(`fitting ${predictor}`);
    await neuronlab("train-predictor", "--model", file, "--out", predictor, "--rank", rank, "--weights", "q4_0", "--tokens", 768, "--passes", 1);
  }
  return predictor;
};

/** The page that leads to the others; it appears whole. */
const writeIndex = (out, questions, command) => {
  const lines = ["# neuronlab beside llama.cpp, on one machine", "", `Made by \`${command}\`. What the figures mean, and when llama.cpp is the better choice: docs/beside-llama-cpp.md.`, "", ...questions.map(({ name, about }) => `- [${name}](${name}/README.md): ${about}`), ""];
  const file = join(out, "README.md");
  writeFileSync(`${file}.part`, lines.join("\n"));
  renameSync(`${file}.part`, file);
};

const main = async () => {
  const { values } = parseArgs({ options: { quick: { type: "boolean", default: false }, large: { type: "boolean", default: false }, models: { type: "string" }, out: { type: "string" }, rounds: { type: "string" }, threads: { type: "string" } } });
  const size = values.quick ? "quick" : "full";
  const folder = resolve(values.models ?? join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "neuronlab", "comparison", size));
  const out = resolve(values.out ?? join(ROOT, "results", "host", "llama.cpp"));
  mkdirSync(folder, { recursive: true });
  const shapes = modelsOf(SHAPES[size], SHAPES.large);
  const questions = questionsOf(values.quick, values.large);
  for (const { name, model, file, pair, rank, words } of questions) {
    const own = file === undefined ? await made(folder, model, shapes[model], words.includes("--memory")) : { file };
    const predictor = rank === undefined ? [] : ["--predictor", await fitted(own.file, rank)];
    const best = pair === null ? null : await made(folder, pair, shapes[pair], false);
    say(`${name}: into ${join(out, name)}`);
    // A packed file and a GGUF file hold the same weights; in memory the engine takes the GGUF file, as llama.cpp does.
    const files = words.includes("--memory") ? ["--model", own.flash, "--llama-model", own.file] : ["--model", own.file];
    await neuronlab("bench", "--vs", "llama.cpp", ...files, ...predictor, ...(best === null ? [] : ["--pair", best.file]), ...words, "--rounds", values.rounds ?? (values.quick ? 1 : 3), ...(values.threads === undefined ? [] : ["--threads", values.threads]), "--out", join(out, name));
  }
  writeIndex(out, questions, `npm run versus${process.argv.length > 2 ? ` -- ${process.argv.slice(2).join(" ")}` : ""}`);
};

main().catch((error) => {
  say(error.message);
  process.exitCode = error.code?.startsWith("ERR_PARSE_ARGS") ? 2 : 1;
});
