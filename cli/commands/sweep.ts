import { workersFlag, type Command } from "../command.js";
import { whereFlags } from "./executor-flags.js";

export const sweepCommand: Command = {
  name: "sweep",
  positional: { key: "file", shown: "FILE", many: false, help: "a declaration: JSON, or a TypeScript module that exports sweep (docs/sweeps.md)" },
  summary: "A declared sweep: every run once, in parallel, kept as soon as it is finished; go on later where it was stopped",
  flags: [
    { name: "store", value: "FILE", help: "keep results there (default: results/neuronlab.duckdb)" },
    { name: "out", value: "DIR", help: "also write a table of all runs and the declared picture there" },
    { name: "dry-run", value: null, help: "run nothing that is kept: what would be run, and about how long it would take" },
    { name: "uncertain", value: "N", help: "every point again under N draws of the facts that nobody measured (200 without a number), and how often each claim holds" },
    { name: "live", value: "PORT", help: "a page on 127.0.0.1 that shows it while it runs, at this port or, without a number, at any that is free" },
    { name: "retry-failed", value: null, help: "make the failed runs again, and nothing else" },
    { name: "fail-fast", value: null, help: "stop at the first run that fails" },
    { name: "keep-going", value: null, help: "go on after a run that fails; the default, said aloud" },
    workersFlag,
    ...whereFlags,
  ],
  examples: [
    ["sweep experiments/sweeps/io-lanes/sweep.ts --dry-run", "what it would do, and how long that takes"],
    ["sweep experiments/sweeps/io-lanes/sweep.ts", "run it; again after Ctrl-C, and it goes on"],
    ["sweep experiments/sweeps/io-lanes/sweep.ts --executor bullmq --redis redis://127.0.0.1:6379", "its runs made by every neuronlab worker of that server"],
    ["sweep experiments/sweeps/lanes-uncertain/sweep.ts --uncertain 16", "do its conclusions stand, should the facts that nobody measured be others?"],
    ["sweep experiments/sweeps/io-lanes/sweep.ts --live", "with a page that shows it while it runs"],
    ["sweep experiments/sweeps/io-lanes/sweep.ts --store /tmp/mine.duckdb --out /tmp/io-lanes", "kept elsewhere, with table and picture"],
  ],
  load: async () => {
    const [{ sweepProgram }, { pictureOf }, { drawDeclared }, { drawingTools }] = await Promise.all([
      import("../programs/sweep/program.js"),
      import("../programs/sweep/picture.js"),
      import("../../experiments/plots/declared.js"),
      import("../node/drawing.js"),
    ]);
    return sweepProgram(pictureOf({ draw: (figure) => drawDeclared(drawingTools().document, figure), png: (svg) => drawingTools().png(svg) }))(sweepCommand);
  },
};
