/** Recorded runs of a phone against the simulator: files to cells, constants fitted to some, all predicted and compared. */
import { dirname, join } from "node:path";
import { E, RTE, TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import type { Exact } from "../../../sim/base/decode.js";
import type { AppError, Mistake } from "../../../sim/base/errors.js";
import type { DeviceProfile } from "../../../sim/domain/device.js";
import type { ModelSpec } from "../../../sim/domain/model.js";
import type { SimulatedRun } from "../../../sim/domain/run.js";
import type { SystemSpec } from "../../../sim/domain/system.js";
import { reuseOf, repeatOf } from "../../../sim/neurons/expert-reuse.js";
import { cellsOf, PHONE_MODELS, type PhoneCell } from "../../../experiments/validate/phone/cells.js";
import { comparedPhone } from "../../../experiments/validate/phone/compare.js";
import { fitPhone, type PhoneFit } from "../../../experiments/validate/phone/fit.js";
import { inputsOf, recordedOutcome, simulatedOutcome, type PhoneSystems } from "../../../experiments/validate/phone/predict.js";
import { readFolder } from "../../../experiments/validate/phone/read-folder.js";
import type { Recordings } from "../../../experiments/validate/phone/recorded.js";
import { checkResidency, comparePolicies, curveOf } from "../../../experiments/validate/phone/replay.js";
import type { PhoneValidation } from "../../../experiments/validate/phone/report.js";
import type { ValidationReport } from "../../../experiments/validate/words.js";
import { argument, nameOrFile, optional, outputFolder, readWords, shared, word, workers, type Sound } from "../../args.js";
import type { Command, Words } from "../../command.js";
import { gather, gatherEach, inFormat, type Answer, type Capabilities, type Program } from "../../program.js";
import { knownNames, loadDevice, loadModel, loadSystem, type Names } from "../load.js";

const DEFAULTS = { seed: 1, out: "results/phone", device: "oneplus-15r", system: "expert-streaming", mapped: "llama.cpp" } as const;

/** Of `validate host` alone. */
const HOST_ONLY = ["quick", "models", "repetitions"] as const;

const fieldsWith = (names: Names) => ({
  ...shared,
  folder: word("name the folder with the recordings, such as ../shared/data/bigmoe-oneplus15r"),
  device: optional(nameOrFile("device", names.device), DEFAULTS.device as string),
  out: optional(outputFolder, DEFAULTS.out as string),
  workers,
});

type Fields = ReturnType<typeof fieldsWith>;
type Args = Exact<Fields>;

/** A page, a picture and rows would overwrite what they are made from. */
const contradictions = ({ folder, out }: Sound<Fields>): ReadonlyArray<Mistake> =>
  typeof folder === "string" && typeof out === "string" && join(folder, ".") === join(out, ".") ? [{ path: "--out", message: "is the folder with the recordings; name another" }] : [];

interface Setting { readonly args: Args; readonly device: DeviceProfile; readonly systems: PhoneSystems; readonly models: ReadonlyMap<string, ModelSpec>; readonly recordings: Recordings; readonly cells: ReadonlyArray<PhoneCell>; readonly seed: number }

/** Runs of cells under each of several systems, in their order. */
const runsUnder = (capabilities: Capabilities, { args, device, models, systems, seed }: Setting, cells: ReadonlyArray<PhoneCell>, silent: boolean) => (streaming: ReadonlyArray<SystemSpec>): TaskEither<AppError, ReadonlyArray<ReadonlyArray<SimulatedRun>>> =>
  pipe(
    TE.fromEither(E.sequenceArray(streaming.flatMap((system) => cells.map((cell) => inputsOf(cell, device, models, { ...systems, streaming: system }, seed))))),
    TE.chain((inputs) => capabilities.runMany(inputs, { workers: args.workers, silent })),
    TE.chainEitherK((outcomes) => E.sequenceArray(outcomes)),
    TE.map((all) => streaming.map((_, i) => all.slice(i * cells.length, (i + 1) * cells.length))),
  );

const judged = (capabilities: Capabilities, setting: Setting): TaskEither<AppError, PhoneValidation> => {
  const { cells, models, systems, recordings, device, seed } = setting;
  const fitted = cells.filter(({ role }) => role === "calibration");
  const predict = (all: ReadonlyArray<SystemSpec>) => pipe(
    runsUnder(capabilities, setting, fitted, true)(all),
    TE.map((runs) => runs.map((of, s) => of.map((run, i) => simulatedOutcome(fitted[i]!, run, all[s]!)))),
  );
  return pipe(
    fitPhone(systems.streaming, fitted.map((cell) => recordedOutcome(cell, models.get(cell.setting.model)!)), predict, (line) => capabilities.log(`fit: ${line}`)()),
    TE.chain((fit: PhoneFit) => pipe(
      runsUnder(capabilities, setting, cells, false)([fit.system]),
      TE.map(([runs]): PhoneValidation => {
        const routed = cells.flatMap((cell) => (cell.route === null ? [] : [{ cell, route: cell.route }]));
        return {
          seed, device: device.title, models, fit,
          results: cells.map((cell, i) => comparedPhone(cell, runs![i]!, models.get(cell.setting.model)!, { ...systems, streaming: fit.system })),
          residency: routed.map(({ cell, route }) => checkResidency(route, cell.setting.cacheMib)),
          policies: routed.flatMap(({ route }) => {
            const curve = curveOf(route, recordings.curves);
            return curve === undefined ? [] : comparePolicies(route, curve, seed);
          }),
          reuse: routed.map(({ cell, route }) => ({ path: route.path, model: cell.setting.model, repeat: Math.round(1e4 * repeatOf(route.routing)) / 1e4, ranks: reuseOf(route.routing) })),
        };
      }),
    )),
  );
};

const answered = (report: (validation: PhoneValidation) => ValidationReport, { args }: Setting) => (validation: PhoneValidation): Answer => {
  const { text, json, files } = report(validation);
  const placed = files.map((file) => ({ ...file, path: join(args.out, file.path) }));
  return { stdout: inFormat(args.format, { text, json }), files: placed, notes: [`wrote ${placed.length} files to ${dirname(placed[0]!.path)}`] };
};

const loadedModels: Program<ReadonlyMap<string, ModelSpec>> = pipe(
  PHONE_MODELS,
  gatherEach((name: string) => pipe(loadModel(name), RTE.map((model) => [name, model] as const))),
  RTE.map((all) => new Map(all)),
);

const recordingsIn = (folder: string): Program<Recordings> => (capabilities) =>
  pipe(capabilities.readFolder(folder), TE.chainEitherK((files) => readFolder(folder, files)));

export const validatePhoneProgram = (report: (validation: PhoneValidation) => ValidationReport) => (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    knownNames,
    RTE.chain((names) => {
      const misplaced = HOST_ONLY.filter((flag) => flag in given.named).map((flag): Mistake => ({ path: `--${flag}`, message: "is for validate host: recorded runs are as they were recorded" }));
      const named = Object.fromEntries(Object.entries(given.named).filter(([flag]) => !(HOST_ONLY as ReadonlyArray<string>).includes(flag)));
      const reading = readWords(command, fieldsWith(names), (sound) => [...misplaced, ...contradictions(sound)])({ ...given, named });
      return gather({
        args: RTE.fromEither(reading.args), device: pipe(RTE.fromEither(argument(reading, "device")), RTE.chain(loadDevice)),
        recordings: pipe(RTE.fromEither(argument(reading, "folder")), RTE.chain(recordingsIn)),
        streaming: loadSystem(DEFAULTS.system), mapped: loadSystem(DEFAULTS.mapped), models: loadedModels,
      });
    }),
    RTE.chainEitherK(({ args, device, recordings, streaming, mapped, models }) => pipe(
      cellsOf(args.folder, recordings, models),
      E.map((cells): Setting => ({ args, device, recordings, models, systems: { streaming, mapped }, cells, seed: args.seed ?? DEFAULTS.seed })),
    )),
    RTE.chain((setting): Program<Answer> => (capabilities) => pipe(judged(capabilities, setting), TE.map(answered(report, setting)))),
  );

