#!/usr/bin/env node
// Plans that were tuned for a phone, run by the engine of this machine on a synthesised file of their model's shape. `npm run plans`.
//
//   node engine/published-plans.mjs [--device NAME] [--model NAME] [--models DIR] [--out DIR] [--tokens N] [--rounds N] [--threads N]
//
// Takes the plans of results/tuned for one device and one model (oneplus-12, bamboo-7b), makes the file once in --models (the cache folder of
// neuronlab; 4 GB and 7 GB for the 7B) and runs each plan --rounds times (3), in turn, forwards and backwards, --tokens tokens (32) after a short
// prompt. What it writes lies in --out (results/host/plans): README.md, and runs.json with every run, what made it and on what. Nothing is written
// before all runs are done. Takes some minutes a plan and round, on idle cores. Exit codes: 0, 2 wrong option, that of the command that failed.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, homedir, totalmem } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const TUNED = join(ROOT, "results", "tuned");

const say = (line) => process.stderr.write(`plans: ${line}\n`);

/** Ends with the command's own exit code when it fails. Its stdout, where that is asked for. */
const neuronlab = (words, reads = false) => {
  const done = spawnSync(process.execPath, [join(ROOT, "bin", "neuronlab.js"), ...words.map(String)], { stdio: ["ignore", reads ? "pipe" : 2, 2], encoding: "utf8", maxBuffer: 1 << 28 });
  if (done.status !== 0) {
    say(`neuronlab ${words.join(" ")} ended with ${done.status ?? done.signal}`);
    process.exit(done.status ?? 70);
  }
  return done.stdout;
};

const git = (...words) => {
  const done = spawnSync("git", ["-C", ROOT, ...words], { encoding: "utf8" });
  return done.status === 0 ? done.stdout.trim() : null;
};

const made = (folder, model) => {
  const [gguf, flash] = [join(folder, `${model}.gguf`), join(folder, `${model}.flash`)];
  if (existsSync(flash)) return flash;
  if (!existsSync(gguf)) {
    say(`making ${gguf}`);
    neuronlab(["synth", "--model", model, "--out", gguf, "--seed", 1, "--verify-tokens", 0]);
  }
  say(`packing ${flash}`);
  neuronlab(["pack", gguf, "--out", flash]);
  return flash;
};

const median = (all) => {
  const sorted = [...all].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

const table = (head, rows) => [head, head.map((_, i) => (i === 0 ? "---" : "---:")), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
const megabytes = (bytes) => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(1)} MB`);

const page = ({ manifest, plans }) => {
  const { machine, model } = manifest;
  const rows = plans.map(({ plan, simulated, runs }) => {
    const of = (part) => runs.map(part);
    const speeds = of((run) => run.tokensPerSec);
    return [`[${plan}](../../tuned/${plan}.json)`, megabytes(runs[0].memory.allowed), simulated.tokensPerSec.toFixed(2), `**${median(speeds).toFixed(2)}** (${Math.min(...speeds).toFixed(2)} to ${Math.max(...speeds).toFixed(2)})`,
      megabytes(median(of((run) => run.bytesReadPerToken))), `${(100 * median(of((run) => run.cacheHitRate))).toFixed(1)} %`, megabytes(Math.max(...of((run) => run.memory.peakResident)))];
  });
  const lines = new Map();
  for (const { plan, runs } of plans) for (const line of runs[0].unmapped) lines.set(line, [...(lines.get(line) ?? []), plan]);
  const told = [...lines].map(([line, named]) => `- ${line}${named.length === plans.length ? "" : ` (${named.map((plan) => plan.split("--").at(-1)).join(", ")})`}`);
  return [
    `# Plans for a ${manifest.device}, run here`,
    `Made by \`${manifest.command}\` on ${manifest.date} (neuronlab ${manifest.version}, commit ${manifest.commit ?? "unknown"}${manifest.dirty === true ? " with changes" : ""}, Node ${manifest.node}) on ${machine.cores} cores of ${machine.cpu}, ${megabytes(machine.memoryBytes)}. Do not edit.`,
    `The plans of [results/tuned](../../tuned/README.md) for ${model.name}, as they are, on a file of its shape with random weights whose neurons fire as often (${megabytes(model.bytes)} packed), ${manifest.tokens} tokens after a short prompt, the median of ${manifest.rounds} runs with the least and the most. This machine has no NPU and another disk, and no predictor is given: the speeds show that a plan runs unedited and what of it does not carry over, and say nothing of the phone. The phone's are simulated.`,
    table(["plan", "memory", `on the ${manifest.device}, simulated`, "here, tokens/s", "read a token", "cache hits", "peak of the process"], rows),
    `All texts the same: ${manifest.sameText ? "yes" : "**no**"}; plans decide how fast a text comes and not which.`,
    "## What was not mapped",
    told.join("\n"),
  ].join("\n\n");
};

/** A run without what the manifest says already, and without paths of this machine. */
const kept = (run) => Object.fromEntries(Object.entries(run).filter(([name]) => name !== "inputs" && name !== "tokens"));

const write = (file, text) => {
  writeFileSync(`${file}.part`, text);
  renameSync(`${file}.part`, file);
};

const main = () => {
  const text = { type: "string" };
  const { values } = parseArgs({ options: { device: text, model: text, models: text, out: text, tokens: text, rounds: text, threads: text } });
  const [device, model] = [values.device ?? "oneplus-12", values.model ?? "bamboo-7b"];
  const [tokens, rounds] = [Number(values.tokens ?? 32), Number(values.rounds ?? 3)];
  const budget = (plan) => Number.parseFloat(plan.split("--").at(-1));
  const plans = readdirSync(TUNED).filter((file) => file.startsWith(`${device}--${model}--`)).map((file) => file.replace(/\.json$/, "")).sort((a, b) => budget(a) - budget(b));
  if (plans.length === 0 || !(Number.isInteger(tokens) && Number.isInteger(rounds) && tokens >= 2 && rounds >= 1)) {
    say(plans.length === 0 ? `results/tuned has no plan of ${model} for ${device}` : `--tokens and --rounds should be whole numbers of at least 2 and 1, got ${values.tokens} and ${values.rounds}`);
    process.exit(2);
  }
  const folder = resolve(values.models ?? join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "neuronlab", "plans"));
  mkdirSync(folder, { recursive: true });
  const file = made(folder, model);
  const date = new Date().toISOString();
  const all = plans.map((plan) => ({ plan, simulated: JSON.parse(neuronlab(["simulate", "--plan", join(TUNED, `${plan}.json`), "--format", "json"], true)), runs: [] }));
  for (let round = 0; round < rounds; round++)
    for (const one of round % 2 === 0 ? all : [...all].reverse()) {
      say(`round ${round + 1} of ${rounds}: ${one.plan}`);
      // The first token is chosen from the prompt's logits.
      const words = ["generate", "--model", file, "--prompt", "Once", "--tokens", tokens + 1, "--ignore-end", "--seed", 1, "--plan", join(TUNED, `${one.plan}.json`), "--format", "json", ...(values.threads === undefined ? [] : ["--threads", values.threads])];
      one.runs.push(JSON.parse(neuronlab(words, true)));
    }
  const texts = new Set(all.flatMap(({ runs }) => runs.map((run) => run.text)));
  const manifest = {
    date, command: `npm run plans${process.argv.length > 2 ? ` -- ${process.argv.slice(2).join(" ")}` : ""}`, version: JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).version,
    commit: git("rev-parse", "--short", "HEAD"), dirty: git("status", "--porcelain") === null ? null : git("status", "--porcelain") !== "", node: process.version,
    machine: { cpu: cpus()[0]?.model ?? "an unknown processor", cores: availableParallelism(), memoryBytes: totalmem() }, model: { name: model, bytes: statSync(file).size }, device, tokens, rounds, sameText: texts.size === 1,
  };
  const plansKept = all.map(({ plan, simulated, runs }) => ({ plan, simulated: { tokensPerSec: simulated.tokensPerSec, bytesReadPerToken: simulated.bytesReadPerToken, cacheHitRate: simulated.cacheHitRate }, runs: runs.map(kept) }));
  const out = resolve(values.out ?? join(ROOT, "results", "host", "plans"));
  mkdirSync(out, { recursive: true });
  write(join(out, "runs.json"), `${JSON.stringify({ manifest, plans: plansKept }, null, 1)}\n`);
  write(join(out, "README.md"), `${page({ manifest, plans: plansKept })}\n`);
  say(`wrote ${out}`);
  process.exitCode = texts.size === 1 ? 0 : 70;
};

try {
  main();
} catch (error) {
  say(error.message);
  process.exitCode = error.code?.startsWith("ERR_PARSE_ARGS") ? 2 : 70;
}
