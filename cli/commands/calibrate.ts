import { workersFlag, type Command } from "../command.js";

export const calibrateCommand: Command = {
  name: "calibrate",
  summary: "Fit the few constants that no source gives to the declared calibration points, and say how well each is determined",
  flags: [workersFlag, { name: "dry-run", value: null, help: "fit and report, and write nothing" }],
  examples: [
    ["calibrate", "fit, write the fitted values into the profiles and the account into results/paper/calibration.md"],
    ["calibrate --dry-run", "the same without writing"],
  ],
  load: async () => {
    const [{ calibrateProgram }, { calibrate }, { experiments }] = await Promise.all([import("../programs/calibrate.js"), import("../../experiments/calibration/calibrate.js"), import("../../experiments/index.js")]);
    return calibrateProgram(calibrate, experiments)(calibrateCommand);
  },
};
