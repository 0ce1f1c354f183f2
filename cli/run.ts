/** Runs a program and sets the exit code: the one place that does. */
import { E, RTE, pipe } from "../sim/base/fp.js";
import { describeError, exitCode } from "../sim/base/errors.js";
import { deliver, type Answer, type Capabilities, type Program } from "./program.js";

/** The exit code of a finished program, after its answer was delivered or its error explained on stderr. */
export const execute = async (program: Program<Answer>, capabilities: Capabilities): Promise<number> => {
  try {
    const outcome = await pipe(program, RTE.chain(deliver))(capabilities)();
    if (E.isRight(outcome)) return outcome.right;
    capabilities.log(describeError(outcome.left))();
    return exitCode(outcome.left);
  } catch (fault) {
    capabilities.log(`internal fault, please report it: ${fault instanceof Error ? (fault.stack ?? fault.message) : String(fault)}`)();
    return 70;
  }
};

export const runProgram = async (program: Program<Answer>): Promise<void> => {
  const { nodeCapabilities } = await import("./node/capabilities.js");
  process.exitCode = await execute(program, nodeCapabilities());
};
