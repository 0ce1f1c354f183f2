#!/usr/bin/env node
// Builds the native engine: engine/node with Cargo, copied to engine/node/neuronlab-engine.<platform>-<arch>.node.
//
//   node engine/build.mjs
//
// Without Cargo it says in one line what does not work and what to install, and succeeds: the simulator needs none of this.
// When Cargo fails, so does this, with Cargo's own text. CARGO_TARGET_DIR and CARGO_BUILD_JOBS are Cargo's to read.
import { spawnSync } from "node:child_process";
import { copyFileSync, renameSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("node/", import.meta.url));
const target = `${folder}neuronlab-engine.${process.platform}-${process.arch}.node`;
const say = (line) => process.stderr.write(`${line}\n`);

const present = spawnSync("cargo", ["--version"], { stdio: "ignore" });
if (present.error !== undefined || present.status !== 0) {
  say("native engine not built, so neuronlab synth, pack, generate, bench, record, replay, train-predictor, probe, validate and perplexity do not run: install Rust (https://rustup.rs), then npm run build:engine");
  process.exit(0);
}

// The artifacts come as JSON lines on stdout, wherever the target folder is; what people read goes to stderr.
const words = ["build", "--release", "--locked", "--message-format=json-render-diagnostics"];
const built = spawnSync("cargo", words, { cwd: folder, stdio: ["ignore", "pipe", "inherit"], encoding: "utf8", maxBuffer: 1 << 28 });
if (built.error !== undefined || built.status !== 0) {
  say(`native engine: cargo ${words.slice(0, 3).join(" ")} in ${folder} failed${built.error === undefined ? "" : `: ${built.error.message}`}`);
  process.exit(built.status === null || built.status === 0 ? 1 : built.status);
}
const artifacts = built.stdout.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
const library = artifacts.findLast((one) => one.reason === "compiler-artifact" && one.target.name === "neuronlab_node" && one.target.crate_types.includes("cdylib"))?.filenames.find((file) => /\.(?:so|dylib|dll)$/.test(file));
if (library === undefined) {
  say("native engine: cargo built no library; is [lib] crate-type in engine/node/Cargo.toml still cdylib?");
  process.exit(1);
}
// A process that has the old module loaded keeps its file.
const temporary = `${target}.${process.pid}.tmp`;
try {
  copyFileSync(library, temporary);
  renameSync(temporary, target);
} finally {
  rmSync(temporary, { force: true });
}
say(`native engine: ${target}`);
