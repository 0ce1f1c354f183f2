/** Fits the calibrated constants. The fitting is experiments/calibration's; here are only its inputs and outputs. */
import { RTE, TE, pipe, type TaskEither } from "../../sim/base/fp.js";
import type { AppError } from "../../sim/base/errors.js";
import { decodeWords, shared, workers } from "../args.js";
import type { Command, Words } from "../command.js";
import { inFormat, type Answer, type Outcome, type OutputFile, type Program, type RunInputs } from "../program.js";
import { loadProfiles, type Profiles } from "./load.js";

export interface CalibrateOptions {
  readonly profiles: Profiles;
  readonly runMany: (inputs: ReadonlyArray<RunInputs>) => TaskEither<AppError, ReadonlyArray<Outcome>>;
  readonly log: (text: string) => void;
}
export type Calibrate = (options: CalibrateOptions) => TaskEither<AppError, { readonly files: ReadonlyArray<OutputFile>; readonly text: string }>;

export const calibrateProgram = (calibrate: Calibrate) => (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    RTE.fromEither(decodeWords(command, { ...shared, workers })(given)),
    RTE.bindTo("args"),
    RTE.bind("profiles", () => loadProfiles),
    RTE.chain(({ args, profiles }): Program<Answer> => (capabilities) =>
      pipe(
        calibrate({ profiles, runMany: (inputs) => capabilities.runMany(inputs, { workers: args.workers }), log: (text) => capabilities.log(text)() }),
        TE.map(({ files, text }): Answer => ({ stdout: inFormat(args.format, { text, json: { files: files.map((file) => file.path), text } }), files, notes: files.map((file) => `wrote ${file.path}`) })),
      ),
    ),
  );
