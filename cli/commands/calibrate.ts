import { workersFlag, type Command } from "../command.js";

export const calibrateCommand: Command = {
  name: "calibrate",
  summary: "Fit the few constants that no source gives to the declared calibration points, and say how well they are met",
  flags: [workersFlag],
  examples: [["calibrate", "fit, and write the fitted values into the profiles"]],
  load: async () => {
    const [{ calibrateProgram }, { calibrate }] = await Promise.all([import("../programs/calibrate.js"), import("../../experiments/calibration/calibrate.js")]);
    return calibrateProgram(calibrate)(calibrateCommand);
  },
};
