import type { Command } from "../command.js";

export const systemsCommand: Command = {
  name: "systems",
  positional: { key: "name", shown: "[NAME]", many: false, help: "a known system, or a path to your own .json" },
  summary: "The ways of running a model that are known; with a name, its mechanisms and constants",
  flags: [],
  examples: [
    ["systems", "list them"],
    ["systems powerinfer-2", "every fact with its value, kind, source and note, the weakest first"],
    ["systems powerinfer-2 --format json", "the same for a program"],
  ],
  load: async () => (await import("../programs/profiles.js")).systemsProgram(systemsCommand),
};
