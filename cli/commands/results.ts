import type { Command } from "../command.js";

export const resultsCommand: Command = {
  name: "results",
  positional: { key: "words", shown: "[list | show X | diff A B | export X | query SQL]", many: true, help: "X, A, B: a sweep's id, id@code, or the beginning of a run's key" },
  summary: "What sweeps have found, also while one is running: each row leads to its inputs, seeds, code, machine and time",
  flags: [
    { name: "store", value: "FILE", help: "where results are kept (default: results/neuronlab.duckdb)" },
    { name: "out", value: "FILE", help: "for export: a file that ends in .csv, .parquet or .jsonl" },
    { name: "provenance", value: null, help: "for export: also when and by which command each run was made" },
  ],
  examples: [
    ["results", "the sweeps that are kept"],
    ["results show io-lanes", "point by point, so far"],
    ["results export io-lanes --out io-lanes.parquet", "for other programs"],
    ["results query \"SELECT sweep, max(tokensPerSec) FROM results GROUP BY sweep\"", "any question; it can only read"],
  ],
  load: async () => (await import("../programs/results/program.js")).resultsProgram(resultsCommand),
};
