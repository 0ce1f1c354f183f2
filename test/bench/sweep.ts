/**
 * What a sweep costs: 1,000 runs of the 47B by cluster, 128 tokens each, on two workers, by the program as a user starts it; and what of that is not
 * simulation. Checks that all runs were made, and that a second call makes none.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Sweep } from "../../sim/sweep/declaration.js";

const BIN = fileURLToPath(new URL("../../../bin/neuronlab.js", import.meta.url));
const RUNS = 1000;

const THOUSAND: Sweep = {
  schema: "neuronlab/sweep@1",
  id: "thousand",
  title: "A thousand plans of the 47B",
  base: { tokens: 128 },
  axes: [{
    sample: "sobol", points: RUNS,
    axes: [
      { over: "memory", range: { from: "8GiB", to: "18GiB" } },
      { over: "plan.hotShare", range: { from: 0, to: 1 } },
      { over: "plan.cluster.neurons", range: { from: 256, to: 4096, scale: "log" } },
      { over: "plan.pipeline.depth", range: { from: 2, to: 64, scale: "log" } },
      { over: "device.flash.secondPhaseRatio", as: "factor", range: { from: 0.8, to: 1.2 } },
    ],
  }],
};

const MS = 1e3;

export const benchSweep = async (): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "neuronlab-bench-sweep-"));
  const [file, store] = [join(folder, "thousand.json"), join(folder, "store.duckdb")];
  writeFileSync(file, JSON.stringify(THOUSAND));
  const call = (words: ReadonlyArray<string>): { readonly seconds: number; readonly stdout: string } => {
    const began = performance.now();
    const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...words, "--store", store, "--format", "json"], { encoding: "utf8", maxBuffer: 1e9 });
    if (status !== 0) throw new Error(`neuronlab ${words.join(" ")} exits ${status}: ${stderr}`);
    return { seconds: (performance.now() - began) / MS, stdout };
  };
  const print = (what: string, value: number, unit: string): void => console.log(`  ${what.padEnd(58)}${value.toPrecision(4).padStart(9)}  ${unit}`);
  try {
    const whole = call(["sweep", file, "--workers", "2"]);
    const again = call(["sweep", file, "--workers", "2"]);
    if (again.stdout !== whole.stdout) throw new Error("a second call answers something else");
    const [kept] = JSON.parse(call(["results", "query", "SELECT count(*) FILTER (state = 'done') AS runs, sum(seconds) AS seconds FROM results"]).stdout) as ReadonlyArray<{ readonly runs: number; readonly seconds: number }>;
    if (kept!.runs !== RUNS) throw new Error(`${kept!.runs} runs are done`);
    print(`${RUNS} runs of the 47B by cluster, 128 tokens, 2 workers`, whole.seconds, "s");
    print("of that outside of workers, for each run", (MS * (whole.seconds - kept!.seconds / 2)) / RUNS, "ms");
    print("a call that finds all of them known", again.seconds, "s");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
