/** Runs the benches: `npm run bench`, or `node dist/test/bench/main.js kernel` for those whose name contains a word. */
import { cpus } from "node:os";
import { benchKernel } from "./kernel.js";

interface Bench {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/** To add a bench, write its file beside this one and name it here. */
const benches: ReadonlyArray<Bench> = [{ name: "kernel", run: benchKernel }];

const wanted = process.argv[2] ?? "";
const chosen = benches.filter(({ name }) => name.includes(wanted));
if (chosen.length === 0) {
  console.error(`unknown bench: ${wanted}; known: ${benches.map(({ name }) => name).join(", ")}`);
  process.exitCode = 2;
}
const processors = cpus();
console.log(`${processors[0]?.model.trim() ?? "unknown processor"} x ${processors.length}, ${process.platform} ${process.arch}, node ${process.version}, ${new Date().toISOString().slice(0, 10)}`);
for (const { name, run } of chosen) {
  console.log(`\n== ${name}`);
  await run();
}
