import type { Command } from "../command.js";

export const validateCommand: Command = {
  name: "validate",
  positional: { key: "what", shown: "host", many: false, help: "host: this machine" },
  summary: "The simulator against the machine: plans that the engine runs here beside what was predicted, cell by cell",
  flags: [
    { name: "device", value: "NAME", help: "the profile that predicts: this-host, as neuronlab probe wrote it, or a path to a .json (default: this-host)" },
    { name: "quick", value: null, help: "12 plans over smaller models, once each, in under two minutes; without it 48 plans, twice each" },
    { name: "models", value: "FILE", help: "GGUF files instead of the three models that are made up; may repeat" },
    { name: "repetitions", value: "N", help: "runs of each plan (default: 2, with --quick 1)" },
    { name: "out", value: "DIR", help: "where the page, the picture and the cells are written, and runs are kept while it goes on (default: results/host/validate)" },
  ],
  examples: [
    ["validate host --quick", "some plans, after neuronlab probe"],
    ["validate host --format json", "cells and summary for a program"],
    ["validate host --device laptop.json --seed 2 --out /tmp/validate", "other plans, another profile"],
  ],
  load: async () => {
    const [{ validateHostProgram }, { reportValidation }, { drawingTools }] = await Promise.all([import("../programs/validate-host.js"), import("../../experiments/validate/report.js"), import("../node/drawing.js")]);
    return validateHostProgram(reportValidation(drawingTools()))(validateCommand);
  },
};
