/** Fits the calibrated constants. The fitting is experiments/calibration's; here are only its inputs and outputs. */
import { join } from "node:path";
import { RTE, TE, pipe, type TaskEither } from "../../sim/base/fp.js";
import type { AppError } from "../../sim/base/errors.js";
import type { Experiment } from "../../experiments/experiment.js";
import type { CalibrateOptions, Calibrated } from "../../experiments/calibration/calibrate.js";
import { decodeWords, shared, switchedOn, workers } from "../args.js";
import type { Command, Words } from "../command.js";
import { gatherEach, inFormat, type Answer, type Loaded, type Program, type ProfileKind } from "../program.js";
import { checkProfile, shippedNames } from "./load.js";

export type Calibrate = (options: CalibrateOptions) => TaskEither<AppError, Calibrated>;

/** Rounds of the fit; it stops earlier when a round gains nothing. */
const ROUNDS = 8;

const FOLDER: Readonly<Record<ProfileKind, string>> = { device: "devices", model: "models", system: "systems" };

/** A profile as it stands in its file, once it decodes: the fit changes single values and keeps the rest as written. */
const rawProfile = ({ kind, name }: { readonly kind: ProfileKind; readonly name: string }): Program<readonly [string, unknown]> =>
  pipe(
    checkProfile(kind)(name),
    RTE.chain((): Program<Loaded> => (capabilities) => capabilities.readProfile(kind, name)),
    RTE.map(({ raw }) => [`${FOLDER[kind]}/${name}`, raw] as const),
  );

const rawProfiles: Program<ReadonlyMap<string, unknown>> = pipe(
  shippedNames,
  RTE.map((names) => (["device", "model", "system"] as const).flatMap((kind) => names[kind].map((name) => ({ kind, name })))),
  RTE.chain(gatherEach(rawProfile)),
  RTE.map((entries) => new Map(entries)),
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
