import type { Command } from "../command.js";

export const viewCommand: Command = {
  name: "view",
  summary: "The notebooks and the phone in your browser, on this machine, with your own results; ends with Ctrl-C",
  flags: [
    { name: "port", value: "N", help: "where to listen on 127.0.0.1 (default: any port that is free)" },
    { name: "results", value: "DIR", help: "your results: what lies there is shown in the place of what came along (default: results)" },
    { name: "store", value: "FILE", help: "the sweeps of this store are shown (default: results/neuronlab.duckdb)" },
  ],
  examples: [
    ["view", "then open the address that it prints"],
    ["view --port 8080 --results my-results", "your own runs, figures and comparisons"],
  ],
  load: async () => (await import("../programs/view.js")).viewProgram(viewCommand),
};
