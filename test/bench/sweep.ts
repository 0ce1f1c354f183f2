/**
 * What a sweep costs: 1,000 runs of the 47B by cluster, 64 tokens each, on two workers, by the program as a user starts it; then, of fewer of them, how
 * many a second one worker and two make beside a plain loop of runs that keeps nothing, in processor time too: beside other work only that means
 * something. Checks that all runs were made, that a second call makes none, and that the loop's speeds are those in the store.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decode } from "../../sim/base/decode.js";
import { E } from "../../sim/base/fp.js";
import { simulate } from "../../sim/inference/simulate.js";
import { sweepCodec, type Sweep } from "../../sim/sweep/declaration.js";
import { identities, seedOf } from "../../sim/sweep/identity.js";
import { pointsOf } from "../../sim/sweep/points.js";
import { resolver, type Shelf } from "../../sim/sweep/resolve.js";
import { digest } from "../../cli/node/code-version.js";

const BIN = fileURLToPath(new URL("../../../bin/neuronlab.js", import.meta.url));
const RUNS = 1000;
const TOKENS = 64;

const THOUSAND: Sweep = {
  schema: "neuronlab/sweep@1",
  id: "thousand",
  title: "A thousand plans of the 47B",
  base: { tokens: TOKENS },
  axes: [{
    sample: "sobol", points: RUNS,
    axes: [
      { over: "memory", range: { from: "7GiB", to: "19GiB" } },
      { over: "plan.cluster.neurons", range: { from: 64, to: 4096, scale: "log" } },
      { over: "plan.pipeline.depth", range: { from: 1, to: 64, scale: "log" } },
    ],
  }],
};

const MS = 1e3;
/** For one worker, two and the plain loop in turn. */
const FEW = 120;

interface Spent { readonly seconds: number; readonly processor: number }

/** Of this process and of those that it has waited for. */
const processorSeconds = (): number => {
  // The kernel's own count, in hundredths of a second: utime, stime, and those of ended children.
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ")[1]!.split(" ");
  return [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0) / 100;
};

const spentBy = (work: () => void): Spent => {
  const [began, before] = [performance.now(), processorSeconds()];
  work();
  return { seconds: (performance.now() - began) / MS, processor: processorSeconds() - before };
};

const cutTo = (points: number): Sweep => ({ ...THOUSAND, id: "few", axes: THOUSAND.axes.map((axis) => ({ ...axis, points }) as Sweep["axes"][number]) });

/** The runs of a sweep, one after the other in this process; speeds by point. */
const plainLoop = (file: string): { readonly spent: Spent; readonly speeds: ReadonlyArray<number> } => {
  const right = <A>(found: E.Either<unknown, A>): A => {
    if (E.isLeft(found)) throw new Error(JSON.stringify(found.left));
    return found.right;
  };
  const declaration = right(decode(sweepCodec, file)(JSON.parse(readFileSync(file, "utf8"))));
  const documents = new Map<string, unknown>();
  const shelf: Shelf = {
    document: (profile, name) => {
      const path = `../../../${profile}s/${name}.json`;
      if (!documents.has(path)) documents.set(path, JSON.parse(readFileSync(fileURLToPath(new URL(path, import.meta.url)), "utf8")));
      return documents.get(path);
    },
    plan: null,
  };
  const resolve = resolver(declaration, shelf);
  const identify = identities(digest);
  const all = pointsOf(declaration).kept.map((at) => {
    const inputs = right(resolve(at));
    return { ...inputs, request: { ...inputs.request, seed: seedOf(digest, declaration.seed, identify(inputs).point, 0) } };
  });
  const speeds: Array<number> = [];
  const spent = spentBy(() => {
    for (const inputs of all) speeds.push(right(simulate(inputs)).tokensPerSec);
  });
  return { spent, speeds };
};

export const benchSweep = async (): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "neuronlab-bench-sweep-"));
  const at = (name: string): string => join(folder, name);
  const call = (store: string, words: ReadonlyArray<string>): string => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...words, "--store", at(store), "--format", "json"], { encoding: "utf8", maxBuffer: 1e9 });
    if (status !== 0) throw new Error(`neuronlab ${words.join(" ")} exits ${status}: ${stderr}`);
    return stdout;
  };
  const print = (what: string, value: number, unit: string): void => console.log(`  ${what.padEnd(66)}${value.toPrecision(4).padStart(9)}  ${unit}`);
  try {
    writeFileSync(at("thousand.json"), JSON.stringify(THOUSAND));
    writeFileSync(at("few.json"), JSON.stringify(cutTo(FEW)));

    const loop = plainLoop(at("few.json"));
    const one = spentBy(() => call("one.duckdb", ["sweep", at("few.json"), "--workers", "1"]));
    const two = spentBy(() => call("two.duckdb", ["sweep", at("few.json"), "--workers", "2"]));
    const kept = JSON.parse(call("two.duckdb", ["results", "query", "SELECT tokensPerSec FROM results ORDER BY point"])) as ReadonlyArray<{ readonly tokensPerSec: number }>;
    if (kept.some(({ tokensPerSec }, i) => tokensPerSec !== loop.speeds[i])) throw new Error("the sweep and the plain loop differ");
    for (const [what, { seconds, processor }] of [["a plain loop, nothing kept", loop.spent], ["a sweep with one worker, its start included", one], ["a sweep with two workers, its start included", two]] as const) {
      print(`${FEW} runs: ${what}`, FEW / seconds, "runs per s");
      print("  processor time a run", (MS * processor) / FEW, "ms");
    }
    print("efficiency of the second worker (two over twice one)", one.seconds / (2 * two.seconds), "");

    let stdout = "";
    const whole = spentBy(() => (stdout = call("store.duckdb", ["sweep", at("thousand.json"), "--workers", "2"])));
    const again = spentBy(() => {
      if (call("store.duckdb", ["sweep", at("thousand.json"), "--workers", "2"]) !== stdout) throw new Error("a second call answers something else");
    });
    const [made] = JSON.parse(call("store.duckdb", ["results", "query", "SELECT count(*) FILTER (state = 'done') AS runs, sum(seconds) AS seconds FROM results"])) as ReadonlyArray<{ readonly runs: number; readonly seconds: number }>;
    if (made!.runs !== RUNS) throw new Error(`${made!.runs} runs are done`);
    print(`${RUNS} runs of the 47B by cluster, ${TOKENS} tokens, 2 workers`, whole.seconds, "s");
    print("  processor time in all", whole.processor, "s");
    print("  of the time outside of workers, for each run", (MS * (whole.seconds - made!.seconds / 2)) / RUNS, "ms");
    print("a call that finds all of them known", again.seconds, "s");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
