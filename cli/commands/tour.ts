import type { Command } from "../command.js";
import { generateCommand } from "./generate.js";

export const tourCommand: Command = {
  name: "tour",
  summary: "The whole loop, small: measure this machine, predict a run and make it, plan for a phone, a figure of the paper",
  flags: [
    { name: "fresh", value: null, help: "measure again and make the model again, instead of taking what an earlier tour or probe kept" },
    { name: "dir", value: "FOLDER", help: "where the model is kept and the disk is measured (default: neuronlab/tour in the user's cache)" },
    { name: "out", value: "FOLDER", help: "where plans, the run's record and the figure are written (default: tour)" },
  ],
  examples: [
    ["tour", "in under three minutes on two cores; npm start is this"],
    ["tour --fresh --dir /mnt/models", "another disk, measured now"],
    ["tour --format json", "all of it as one document"],
  ],
  load: async () => {
    const [{ tourProgram }, { generation }, { f10 }, { evaluate }, { report }, { drawingTools }] = await Promise.all([
      import("../programs/tour/tour.js"),
      import("../programs/generate/generate.js"),
      import("../../experiments/f10/experiment.js"),
      import("../../experiments/evaluate.js"),
      import("../../experiments/report.js"),
      import("../node/drawing.js"),
    ]);
    // Of one figure no page is written.
    return tourProgram({ generation: generation(generateCommand), figure: f10, evaluate, report: report({ ...drawingTools(), total: Infinity }) })(tourCommand);
  },
};
