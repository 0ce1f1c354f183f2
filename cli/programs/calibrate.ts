/** Fits the calibrated constants. The fitting is experiments/calibration's; here are only its inputs and outputs. */
import { join } from "node:path";
import { RTE, TE, pipe, type TaskEither } from "../../sim/base/fp.js";
import type { AppError } from "../../sim/base/errors.js";
import type { Experiment } from "../../experiments/experiment.js";
import type { CalibrateOptions, Calibrated } from "../../experiments/calibration/calibrate.js";
import { decodeWords, shared, switchedOn, workers } from "../args.js";
import type { Command, Words } from "../command.js";
import { inFormat, type Answer, type Program, type ProfileKind } from "../program.js";
import { knownNames } from "./load.js";

export type Calibrate = (options: CalibrateOptions) => TaskEither<AppError, Calibrated>;

/** Rounds of the fit; it stops earlier when a round gains nothing. */
const ROUNDS = 8;

const FOLDER: Readonly<Record<ProfileKind, string>> = { device: "devices", model: "models", system: "systems" };

/** All profiles as they stand in their files: the fit changes single values and keeps the rest as written. */
const rawProfiles: Program<ReadonlyMap<string, unknown>> = pipe(
  knownNames,
  RTE.chain((names) => (capabilities) => {
    const wanted = (["device", "model", "system"] as const).flatMap((kind) => names[kind].map((name) => ({ kind, name })));
    return pipe(
      wanted,
      TE.traverseSeqArray(({ kind, name }) => pipe(capabilities.readProfile(kind, name), TE.map(({ raw }) => [`${FOLDER[kind]}/${name}`, raw] as const))),
      TE.map((entries) => new Map(entries)),
    );
  }),
);

export const calibrateProgram = (calibrate: Calibrate, experiments: ReadonlyArray<Experiment>) => (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    RTE.fromEither(decodeWords(command, { ...shared, workers, "dry-run": switchedOn })(given)),
    RTE.bindTo("args"),
    RTE.bind("profiles", () => rawProfiles),
    RTE.chain(({ args, profiles }): Program<Answer> => (capabilities) =>
      pipe(
        calibrate({ profiles, experiments, rounds: ROUNDS, runMany: (inputs) => capabilities.runMany(inputs, { workers: args.workers }), log: (text) => capabilities.log(text)() }),
        TE.map(({ files, text, json }): Answer => {
          const placed = args["dry-run"] ? [] : files.map((file) => ({ ...file, path: join(capabilities.home, file.path) }));
          return { stdout: inFormat(args.format, { text, json }), files: placed, notes: placed.map((file) => `wrote ${file.path}`) };
        }),
      ),
    ),
  );
