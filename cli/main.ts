/** The entry of the built program: words in, exit code out. See command-line.ts for yargs and run.ts for the code. */
import { RTE, pipe } from "../sim/base/fp.js";
import { commands } from "./commands/index.js";
import { readCommandLine } from "./command-line.js";
import { packageVersion } from "./node/package.js";
import { runProgram } from "./run.js";
import type { Answer, Program } from "./program.js";

export const commandLineProgram = (words: ReadonlyArray<string>, version: string): Program<Answer> =>
  pipe(
    RTE.fromTaskEither(() => readCommandLine(words, commands, version)),
    RTE.chain((reading): Program<Answer> => {
      if (reading._tag === "Shown") return RTE.right({ stdout: reading.text });
      return pipe(RTE.fromTask(reading.command.load), RTE.chain((program) => program(reading.words)));
    }),
  );

export const main = (words: ReadonlyArray<string>): Promise<void> => runProgram(commandLineProgram(words, packageVersion()));
