import { workersFlag, type Command } from "../command.js";

export const validateCommand: Command = {
  name: "validate",
  positional: { key: "what", shown: "host | tuned | phone DIR | trace [FILE]", many: true, help: "host: this machine; tuned: what the planner finds for this machine, run on it; phone: the recorded runs of a phone in this folder; trace: the simulator's picture of neurons against a recorded text (default: of the model that comes along)" },
  summary: "The simulator against a machine, cell by cell: plans that the engine runs here (host), the tuned plan beside others (tuned), runs that were recorded on a phone (phone), or the neurons of a recorded text (trace)",
  flags: [
    { name: "device", value: "NAME", help: "the profile that predicts, or a path to a .json (default: host and tuned: this-host, as neuronlab probe wrote it; phone: oneplus-15r; trace: oneplus-12)" },
    { name: "system", value: "NAME", help: "tuned: whose constants predict, such as results/host/validate/system.json (default: neuronlab); host: constants that were fitted on another machine, judged beside those that are fitted here" },
    { name: "quick", value: null, help: "host: 16 plans over smaller models, once each, in some two minutes; without it 64 plans, twice each; tuned: smaller models, 3 rounds instead of 8" },
    { name: "models", value: "FILE", help: "host: GGUF files instead of the three models that are made up and the one that comes along; may repeat" },
    { name: "repetitions", value: "N", help: "host: runs of each plan (default: 2, with --quick 1); tuned: rounds of the last ones" },
    { name: "out", value: "DIR", help: "where the page, the picture and the cells are written (default: host: results/host/validate, tuned: results/host/tuned, where runs are kept while it goes on, with --quick results/quick/validate and results/quick/tuned; phone: results/phone; trace: results/model)" },
    { name: "check", value: null, help: "trace: write nothing; compare with what is stored, exit 70 where it differs" },
    { ...workersFlag, help: `tuned, phone, trace: ${workersFlag.help}` },
  ],
  examples: [
    ["validate host --quick", "some plans, after neuronlab probe"],
    ["validate host --format json", "cells and summary for a program"],
    ["validate host --device laptop.json --seed 2 --out /tmp/validate", "other plans, another profile"],
    ["validate tuned --quick", "is the tuned plan better here, and by how much?"],
    ["validate phone ../shared/data/bigmoe-oneplus15r", "runs of Helldez/BigMoeOnEdge on a OnePlus 15R, predicted"],
    ["validate trace", "the statistics and assumptions of the simulator, against the model that comes along"],
  ],
  load: async () => {
    const [{ validateProgram }, { validateHostProgram }, { validateTunedProgram }, { validatePhoneProgram }, { validateTraceProgram }, { reportValidation }, { reportPhone }, { reportTrace }, { drawingTools }] = await Promise.all([
      import("../programs/validate/validate.js"), import("../programs/validate/host.js"), import("../programs/validate/tuned.js"), import("../programs/validate/phone.js"), import("../programs/validate/trace.js"), import("../../experiments/validate/report.js"), import("../../experiments/validate/phone/report.js"), import("../../experiments/validate/trace/report.js"), import("../node/drawing.js"),
    ]);
    const tools = drawingTools();
    return validateProgram({ host: validateHostProgram(reportValidation(tools)), tuned: validateTunedProgram, phone: validatePhoneProgram(reportPhone(tools)), trace: validateTraceProgram(reportTrace(tools)) })(validateCommand);
  },
};
