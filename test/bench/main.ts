/** Runs the benches: `npm run bench`, or `node dist/test/bench/main.js kernel` for one, or for those whose name contains a word. Further words are for gemm alone. */
import { cpus } from "node:os";
import { benchGemm } from "./gemm.js";
import { benchInference } from "./inference.js";
import { benchKernel } from "./kernel.js";
import { benchKernels } from "./kernels.js";
import { benchNeurons } from "./neurons.js";
import { benchReplay } from "./replay.js";
import { benchSweep } from "./sweep.js";
import { widenInlining } from "../../cli/node/inlining.js";

interface Bench {
  readonly name: string;
  readonly run: (words: ReadonlyArray<string>) => Promise<void>;
  /** Whether words behind its name mean something. */
  readonly words?: true;
}

interface Row {
  readonly what: string;
  readonly unit: string;
  readonly best: number;
  readonly median: number;
}

/** A bench that hands its figures back, as one that prints them. */
const printed = (rows: () => ReadonlyArray<Row>) => async (): Promise<void> => {
  for (const { what, unit, best, median } of rows()) console.log(`  ${what.padEnd(58)}${median.toPrecision(4).padStart(9)}  best ${best.toPrecision(4).padStart(8)}  ${unit}`);
};

// As the program itself does.
widenInlining();

/** To add a bench, write its file beside this one and name it here. */
const benches: ReadonlyArray<Bench> = [
  { name: "kernel", run: benchKernel },
  { name: "neurons", run: printed(benchNeurons) },
  { name: "inference", run: printed(benchInference) },
  { name: "kernels", run: benchKernels },
  { name: "replay", run: benchReplay },
  { name: "gemm", run: benchGemm, words: true },
  { name: "sweep", run: benchSweep },
];

const [wanted = "", ...words] = process.argv.slice(2);
const named = benches.filter(({ name }) => name === wanted);
const chosen = named.length > 0 ? named : benches.filter(({ name }) => name.includes(wanted));
if (chosen.length === 0) {
  console.error(`unknown bench: ${wanted}; known: ${benches.map(({ name }) => name).join(", ")}`);
  process.exitCode = 2;
}
if (words.length > 0 && chosen.some((bench) => bench.words !== true)) {
  console.error(`unknown word: ${words[0]}; a bench's name, or none, is all that is wanted`);
  process.exit(2);
}
const processors = cpus();
console.log(`${processors[0]?.model.trim() ?? "unknown processor"} x ${processors.length}, ${process.platform} ${process.arch}, node ${process.version}, ${new Date().toISOString().slice(0, 10)}`);
for (const { name, run } of chosen) {
  console.log(`\n== ${name}`);
  await run(words);
}
