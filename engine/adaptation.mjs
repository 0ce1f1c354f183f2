#!/usr/bin/env node
// What adapting recovers on this machine: the engine, on the storage of a device that slows down in mid-run, with every fixed way of
// reading gate rows and adapting, in turn, ROUNDS times. Fixed is the way that is best before, oracle the one that is best after;
// recovered is (fixed - adapting) / (fixed - oracle), in time a token after the change, trials included. The simulator's figures:
// neuronlab tune --adaptation. The modelled device must be slower than this disk: late reads are told.
//
//   node engine/adaptation.mjs --model model.flash --memory 560MB --shape-flash DEVICE --slow-storage bytes:8@16 [--tokens 81] [--rounds 3] [--threads N] [--adapt-from WAY]
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const text = (name) => [name, { type: "string" }];
const { values } = parseArgs({ options: Object.fromEntries(["model", "memory", "shape-flash", "slow-storage", "tokens", "rounds", "threads", "adapt-from"].map(text)) });
for (const name of ["model", "memory", "shape-flash", "slow-storage"])
  if (values[name] === undefined) {
    process.stderr.write(`--${name} is missing; see the head of ${fileURLToPath(import.meta.url)}\n`);
    process.exit(2);
  }
const WAYS = ["apart", "joined", "bundles"];
const [tokens, rounds, at] = [Number(values.tokens ?? 81), Number(values.rounds ?? 3), Number(values["slow-storage"].split("@")[1])];
const program = fileURLToPath(new URL("../bin/neuronlab.js", import.meta.url));

const run = (way, adapts) => {
  const words = ["generate", "--model", values.model, "--memory", values.memory, "--prompt", "Once upon a time", "--tokens", String(tokens), "--ignore-end", "--format", "json",
    "--gates", way, "--shape-flash", values["shape-flash"], "--slow-storage", values["slow-storage"], ...(values.threads === undefined ? [] : ["--threads", values.threads]), ...(adapts ? ["--adapt"] : [])];
  const done = spawnSync(process.execPath, [program, ...words], { encoding: "utf8", maxBuffer: 1 << 28 });
  if (done.status !== 0) {
    process.stderr.write(done.stderr);
    process.exit(done.status ?? 70);
  }
  const report = JSON.parse(done.stdout);
  // The first token is chosen from the prompt's logits.
  const ms = report.tokenMs.slice(1);
  const mean = (from, to) => ms.slice(from, to).reduce((sum, one) => sum + one, 0) / (to - from);
  return { text: report.text, before: mean(4, at), after: mean(at, ms.length), late: report.shapedTo.lateShare, decisions: report.adaptation };
};

const median = (all) => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)];
const runs = { apart: [], joined: [], bundles: [], adapting: [] };
let best = values["adapt-from"] ?? null;
for (let round = 0; round < rounds; round++) {
  for (const way of WAYS) runs[way].push(run(way, false));
  best ??= WAYS.reduce((found, way) => (runs[way][0].before < runs[found][0].before ? way : found));
  runs.adapting.push(run(best, true));
}
const texts = new Set(Object.values(runs).flat().map((one) => one.text));
const of = (name, part) => median(runs[name].map((one) => one[part]));
const oracle = WAYS.reduce((found, way) => (of(way, "after") < of(found, "after") ? way : found));
const [fixedMs, oracleMs, adaptingMs] = [of(best, "after"), of(oracle, "after"), of("adapting", "after")];
process.stdout.write(`${JSON.stringify({
  inputs: values,
  ways: WAYS.map((way) => ({ way, beforeMs: of(way, "before"), afterMs: of(way, "after"), lateShare: of(way, "late") })),
  fixed: { way: best, afterMs: fixedMs }, oracle: { way: oracle, afterMs: oracleMs }, adapting: { afterMs: adaptingMs, lateShare: of("adapting", "late"), decisions: runs.adapting.at(-1).decisions },
  recovered: fixedMs - oracleMs < 0.02 * fixedMs ? null : (fixedMs - adaptingMs) / (fixedMs - oracleMs),
  sameText: texts.size === 1,
}, null, 1)}\n`);
process.exit(texts.size === 1 ? 0 : 70);
