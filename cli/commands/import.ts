import type { Command } from "../command.js";

export const importCommand: Command = {
  name: "import",
  positional: { key: "files", shown: "FILE…", many: true, help: "reports that llama-bench -o json or -o jsonl wrote, on a phone for example" },
  summary: "llama-bench's reports from a device beside the simulator's speeds for the same tests",
  flags: [
    { name: "device", value: "NAME", help: "where they were made: a device by name, or a path to your own .json; a warning says where the report's processor is another" },
    { name: "model", value: "NAME", help: "which model they are of: by name, or a path to your own .json; its parameters must agree with the report's, and a warning says where its name or its bytes do not" },
    { name: "system", value: "NAME", help: "the system that is simulated (default: llama.cpp)" },
    { name: "memory", value: "SIZE", help: "what the simulated run may hold, such as 8GB (default: everything in memory)" },
  ],
  examples: [
    ["import report.json --device oneplus-12 --model llama-2-7b", "measured, simulated, and the error of each test"],
    ["import a.jsonl b.jsonl --device oneplus-13 --model qwen2-7b --format json", "two reports, for a program"],
  ],
  load: async () => (await import("../programs/llama-bench/import.js")).importProgram(importCommand),
};
