import type { Command } from "../command.js";

export const devicesCommand: Command = {
  name: "devices",
  positional: { key: "name", shown: "[NAME]", many: false, help: "a known device, or a path to your own .json" },
  summary: "The phones that are known; with a name, every number of one and where it is from",
  flags: [],
  examples: [
    ["devices", "list them"],
    ["devices oneplus-12", "every fact with its value, kind, source and note, the weakest first"],
    ["devices oneplus-12 --format json", "the same for a program"],
  ],
  load: async () => (await import("../programs/profiles.js")).devicesProgram(devicesCommand),
};
