import type { Command } from "../command.js";

export const traceCommand: Command = {
  name: "trace",
  positional: { key: "file", shown: "FILE", many: false, help: "a run record, as simulate --save writes it" },
  summary: "What each lane of a saved run did; with --out, its timeline for Perfetto",
  flags: [{ name: "out", value: "FILE", help: "write the timeline (Chrome trace JSON)" }],
  examples: [
    ["simulate --model bamboo-7b --offload 50% --tokens 4 --save run.json", "make a record"],
    ["trace run.json", "sum it up"],
    ["trace run.json --out timeline.json", "convert it for ui.perfetto.dev"],
  ],
  load: async () => (await import("../programs/trace.js")).traceProgram(traceCommand),
};
