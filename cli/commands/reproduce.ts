import { workersFlag, type Command } from "../command.js";

export const reproduceCommand: Command = {
  name: "reproduce",
  positional: { key: "ids", shown: "[ID…]", many: true, help: "figures and tables, such as f10 t5; all when none is named" },
  summary: "The paper's figures and tables: simulated beside reported, with signed errors and pictures",
  flags: [
    { name: "out", value: "DIR", help: "write there instead of results/paper" },
    { name: "check", value: null, help: "write nothing; compare with the stored points, byte for byte, and exit 70 if any differs" },
    workersFlag,
  ],
  examples: [
    ["reproduce", "everything, into results/paper"],
    ["reproduce f10 t5", "Figure 10 and Table 5"],
    ["reproduce --check", "is what is stored still what comes out?"],
    ["reproduce --seed 2 --out /tmp/seed-2", "the same with other random draws"],
    ["reproduce --format json --out /tmp/paper", "points and claims for a program"],
  ],
  load: async () => {
    const [{ reproduceProgram }, { experiments }, { evaluate }, { report }, { drawingTools }] = await Promise.all([
      import("../programs/reproduce.js"),
      import("../../experiments/index.js"),
      import("../../experiments/evaluate.js"),
      import("../../experiments/report.js"),
      import("../node/drawing.js"),
    ]);
    return reproduceProgram({ experiments, evaluate, report: report({ ...drawingTools(), total: experiments.length }) })(reproduceCommand);
  },
};
