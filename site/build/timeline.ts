/**
 * `npm run timeline`: one token of the engine on this machine, and the same token as the simulator predicts it, for the page on the pipeline. It takes a
 * tour (`neuronlab tour`: this machine measured, the model that comes along packed, and run with half of its FFNs in memory), predicts that run once more with
 * all spans, and cuts both to what is shown. Words: the folder to write to (results/host/timeline), then words for the tour, such as `--dir /mnt/models`.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { cutToOneToken } from "./one-token.js";

const home = resolve(import.meta.dirname, "../..");
const [named, ...words] = process.argv.slice(2);
const out = resolve(named ?? join(home, "results/host/timeline"));
const folder = mkdtempSync(join(tmpdir(), "neuronlab-timeline-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));

/** What it printed; its own exit code ends this too. */
const neuronlab = (...all: ReadonlyArray<string>): string => {
  const { status, stdout } = spawnSync(process.execPath, [join(home, "bin/neuronlab.js"), ...all], { stdio: ["ignore", "pipe", "inherit"], encoding: "utf8", maxBuffer: 1 << 28 });
  if (status !== 0) process.exit(status ?? 70);
  return stdout;
};

interface Toured { readonly steps: ReadonlyArray<{ readonly id: string; readonly result?: { readonly file?: string; readonly tokens?: number } }> }

const at = (name: string): string => join(folder, name);
const { steps } = JSON.parse(neuronlab("tour", "--out", folder, "--format", "json", ...words)) as Toured;
const resultOf = (id: string) => steps.find((step) => step.id === id)?.result;
const [file, tokens] = [resultOf("model")?.file, resultOf("run")?.tokens];
if (file === undefined || tokens === undefined) throw new Error("the tour made no run: neuronlab tour says why");

// As the tour says it at its end, with all spans.
neuronlab("simulate", "--device", "this-host", "--model", at("model.json"), "--plan", at("here.plan.json"), "--activations", file.replace(/\.flash$/, ".trace"), "--fidelity", "neuron", "--prompt", "1", "--tokens", String(tokens), "--save", at("predicted.json"));

mkdirSync(out, { recursive: true });
for (const [from, to] of [["run.json", "measured.json"], ["predicted.json", "predicted.json"]] as const) {
  const cut = cutToOneToken(readFileSync(at(from), "utf8"));
  if (cut === null) throw new Error(`${at(from)} is not a run record`);
  writeFileSync(join(out, to), cut);
  process.stderr.write(`wrote ${join(out, to)}\n`);
}
