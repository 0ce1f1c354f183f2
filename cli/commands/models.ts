import type { Command } from "../command.js";

export const modelsCommand: Command = {
  name: "models",
  positional: { key: "name", shown: "[NAME]", many: false, help: "a known model, or a path to your own .json" },
  summary: "The models that are known; with a name, every number of one and where it is from",
  flags: [],
  examples: [
    ["models", "list them"],
    ["models turbosparse-mixtral-47b", "every fact with its value, kind, source and note, the weakest first"],
    ["models turbosparse-mixtral-47b --format json", "the same for a program"],
  ],
  load: async () => (await import("../programs/profiles.js")).modelsProgram(modelsCommand),
};
