import { workersFlag, type Command } from "../command.js";

export const validateCommand: Command = {
  name: "validate",
  positional: { key: "what", shown: "host | tuned | phone DIR", many: true, help: "host: this machine; tuned: what the planner finds for this machine, run on it; phone: the recorded runs of a phone in this folder" },
  summary: "The simulator against a machine, cell by cell: plans that the engine runs here (host), the tuned plan beside others (tuned), or runs that were recorded on a phone (phone)",
  flags: [
    { name: "device", value: "NAME", help: "the profile that predicts, or a path to a .json (default: host and tuned: this-host, as neuronlab probe wrote it; phone: oneplus-15r)" },
    { name: "system", value: "NAME", help: "tuned: whose constants predict, such as results/host/validate/system.json (default: neuronlab)" },
    { name: "quick", value: null, help: "host: 12 plans over smaller models, once each, in under two minutes; without it 48 plans, twice each; tuned: likewise, 3 rounds instead of 8" },
    { name: "models", value: "FILE", help: "host: GGUF files instead of the three models that are made up; may repeat" },
    { name: "repetitions", value: "N", help: "host: runs of each plan (default: 2, with --quick 1); tuned: rounds of the last ones" },
    { name: "out", value: "DIR", help: "where the page, the picture and the cells are written (default: host: results/host/validate, tuned: results/host/tuned, where runs are kept while it goes on; phone: results/phone)" },
    { ...workersFlag, help: `phone: ${workersFlag.help}` },
  ],
  examples: [
    ["validate host --quick", "some plans, after neuronlab probe"],
    ["validate host --format json", "cells and summary for a program"],
    ["validate host --device laptop.json --seed 2 --out /tmp/validate", "other plans, another profile"],
    ["validate tuned --quick", "is the tuned plan better here, and by how much?"],
    ["validate phone ../shared/data/bigmoe-oneplus15r", "runs of Helldez/BigMoeOnEdge on a OnePlus 15R, predicted"],
  ],
  load: async () => {
    const [{ validateProgram }, { validateHostProgram }, { validateTunedProgram }, { validatePhoneProgram }, { reportValidation }, { reportPhone }, { drawingTools }] = await Promise.all([
      import("../programs/validate.js"), import("../programs/validate-host.js"), import("../programs/validate-tuned.js"), import("../programs/validate-phone.js"), import("../../experiments/validate/report.js"), import("../../experiments/validate/phone/report.js"), import("../node/drawing.js"),
    ]);
    const tools = drawingTools();
    return validateProgram({ host: validateHostProgram(reportValidation(tools)), tuned: validateTunedProgram, phone: validatePhoneProgram(reportPhone(tools)) })(validateCommand);
  },
};
