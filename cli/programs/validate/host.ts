/** The digital twin against the machine: plans that the engine runs here and that the simulator predicts, cell by cell. */
import { dirname, join } from "node:path";
import { E, RTE, TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import type { Exact } from "../../../sim/base/decode.js";
import { crc32 } from "../../../sim/base/checksum.js";
import { badInput, type AppError, type Mistake } from "../../../sim/base/errors.js";
import type { DeviceProfile } from "../../../sim/domain/device.js";
import type { SystemSpec } from "../../../sim/domain/system.js";
import { cellsOf, referenceOf, shapes, turnsOf, type Cell } from "../../../experiments/validate/cells.js";
import { compared, driftOf, middleOf, outcomeOf, type Outcome } from "../../../experiments/validate/compare.js";
import { fitSystem, withConstants, type Fitted, type Measured } from "../../../experiments/validate/fit.js";
import { planOf } from "../../../experiments/validate/plan.js";
import type { Validation, ValidationReport } from "../../../experiments/validate/report.js";
import { absent, argument, choice, nameOrFile, optional, outputFolder, readWords, shared, switchedOn, wholeNumber, words, type Sound } from "../../args.js";
import type { Command, Words } from "../../command.js";
import { THIS_HOST, gather, inFormat, type Answer, type Capabilities, type Program, type RunInputs } from "../../program.js";
import { knownNames, loadDevice, loadSystem, type Names } from "../load.js";
import { predictionOf, type Prepared } from "../models/prepared.js";
import { validateFile, validateShape } from "./models.js";
import { outOf, placeNote } from "./out.js";
import { engineOfRuns, isSameSystem, planOfRun, runTurns, type Contender, type KeptRun } from "./runs.js";

const DEFAULTS = { seed: 1, tokens: { full: 24, quick: 8 }, repetitions: { full: 2, quick: 1 }, fitRounds: { full: 40, quick: 10 } } as const;

const fieldsWith = (names: Names) => ({
  ...shared,
  what: choice("host", "tuned", "phone", "trace"),
  device: optional(nameOrFile("device", names.device), THIS_HOST),
  system: absent(nameOrFile("system", names.system)),
  quick: switchedOn,
  models: absent(words("name GGUF files")),
  repetitions: absent(wholeNumber(1, 20)),
  out: absent(outputFolder),
});

type Fields = ReturnType<typeof fieldsWith>;
type Args = Exact<Fields>;

const contradictions = ({ models }: Sound<Fields>): ReadonlyArray<Mistake> =>
  Array.isArray(models) && new Set(models).size < models.length ? [{ path: "--models", message: "names a file twice" }] : [];

const checksum = (text: string): number => {
  const bytes = new TextEncoder().encode(text);
  return crc32(bytes, 0, bytes.length);
};

/** `elsewhere`: constants that were fitted on another machine, to be judged on this one beside its own. */
interface Given { readonly args: Args; readonly device: DeviceProfile; readonly system: SystemSpec; readonly elsewhere: SystemSpec | null }
interface Setting extends Given { readonly seed: number; readonly size: "quick" | "full"; readonly tokens: number; readonly out: string }

const settingOf = (given: Given): Setting => {
  const size = given.args.quick ? "quick" : "full";
  return { ...given, seed: given.args.seed ?? DEFAULTS.seed, size, tokens: DEFAULTS.tokens[size], out: outOf("validate", given.args) };
};

const prepared = ({ args, size, tokens }: Setting): Program<ReadonlyArray<Prepared>> => (capabilities) => {
  const folder = join(dirname(dirname(capabilities.thisHost)), "validate", size);
  const files = (all: ReadonlyArray<string>): ReadonlyArray<TaskEither<AppError, Prepared>> => all.map((file) => validateFile(capabilities, folder, file, tokens));
  if (args.models !== null) return TE.sequenceSeqArray(files(args.models));
  // Those that are made up come first, so that their cells are the same with the trained one and without.
  return pipe(capabilities.shippedModels, TE.chain((shipped) => TE.sequenceSeqArray([...shapes(args.quick).map((shape) => validateShape(capabilities, folder, shape, tokens)), ...files(shipped.slice(0, 1))])));
};

const contendersOf = (cells: ReadonlyArray<Cell>, models: ReadonlyArray<Prepared>): ReadonlyArray<Contender> =>
  cells.map((cell) => {
    const model = models.find(({ name }) => name === cell.model)!;
    return { id: cell.id, prepared: model, with: { plan: planOf(cell, model.model) } };
  });

/** The plan of a real run, predicted: the same text at fidelity `neuron`. */
const inputsOf = ({ device, seed, tokens }: Setting, system: SystemSpec, models: ReadonlyArray<Prepared>, cell: Cell, run: KeptRun): E.Either<AppError, RunInputs> =>
  pipe(planOfRun(run), E.map((plan): RunInputs => predictionOf({ device, system, prepared: models.find(({ name }) => name === cell.model)!, plan, tokens, seed, name: cell.id })));

/** Outcomes of the cells under each system. */
const predictor = (capabilities: Capabilities, setting: Setting, models: ReadonlyArray<Prepared>, firsts: ReadonlyArray<readonly [Cell, KeptRun]>) => (systems: ReadonlyArray<SystemSpec>): TaskEither<AppError, ReadonlyArray<ReadonlyArray<Outcome>>> =>
  pipe(
    TE.fromEither(E.sequenceArray(systems.flatMap((system) => firsts.map(([cell, run]) => inputsOf(setting, system, models, cell, run))))),
    TE.chain((inputs) => capabilities.runMany(inputs, { workers: null })),
    TE.chainEitherK((outcomes) => E.sequenceArray(outcomes.map(E.map(outcomeOf)))),
    TE.map((all) => systems.map((_, i) => all.slice(i * firsts.length, (i + 1) * firsts.length))),
  );

/** `engine`: what made the runs, which need not be the one that is here now (`setting.system`). */
const judged = (capabilities: Capabilities, setting: Setting, engine: SystemSpec, models: ReadonlyArray<Prepared>, cells: ReadonlyArray<Cell>, runs: ReadonlyArray<KeptRun>): TaskEither<AppError, Validation> => {
  const ofCell = (cell: Cell): ReadonlyArray<KeptRun> => runs.filter((run) => run.cell === cell.id && !run.reference);
  const firsts = cells.map((cell): readonly [Cell, KeptRun] => [cell, ofCell(cell)[0]!]);
  const fitted = firsts.filter(([cell]) => cell.role === "calibration");
  const cores = setting.device.cpu.clusters.reduce((sum, { count }) => sum + count.value, 0);
  const measured = (some: typeof firsts): ReadonlyArray<Measured> => some.map(([cell]) => ({ ...middleOf(ofCell(cell).map(({ outcome }) => outcome)), hasSpareCore: cell.threads < cores }));
  return pipe(
    fitSystem(engine, measured(fitted), predictor(capabilities, setting, models, fitted), DEFAULTS.fitRounds[setting.size], (line) => capabilities.log(`fit: ${line}`)()),
    TE.chain((fit: Fitted) => pipe(
      predictor(capabilities, setting, models, firsts)([fit.system, engine, ...(setting.elsewhere === null ? [] : [withConstants(engine, setting.elsewhere)])]),
      TE.map(([after, before, foreign]): Validation => ({
        seed: setting.seed, quick: setting.args.quick, tokens: setting.tokens, device: setting.device.title,
        models: models.map(({ name, model }) => ({ name, model })),
        cells: cells.map((cell, i) => compared(cell, after![i]!, before![i]!, ofCell(cell).map(({ outcome }) => outcome))),
        elsewhere: foreign === undefined ? null : { from: setting.args.system!, cells: cells.map((cell, i) => compared(cell, foreign[i]!, before![i]!, ofCell(cell).map(({ outcome }) => outcome))) },
        drift: { cell: referenceOf(cells), ...driftOf(runs.filter(({ reference }) => reference).map(({ outcome }) => outcome)) },
        fit: { ...fit, system: withConstants(setting.system, fit.system) },
        isOfAnotherEngine: !isSameSystem(engine, setting.system),
      })),
    )),
  );
};

const said = (line: string | null): Program<void> => (capabilities) => TE.fromIO(line === null ? () => undefined : capabilities.log(line));

export const validateHostProgram = (report: (validation: Validation) => ValidationReport) => (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    knownNames,
    RTE.chain((names) => {
      const reading = readWords(command, fieldsWith(names), contradictions)(given);
      const elsewhere = pipe(
        RTE.fromEither(argument(reading, "system")),
        RTE.chain((system): Program<SystemSpec | null> => (system === null ? RTE.right(null) : loadSystem(system))),
        RTE.filterOrElse(
          (system) => system === null || system.mechanisms.computation === "gated",
          (system): AppError => badInput("neuronlab validate host", [{ path: "--system", message: `is ${system!.name}, which does not decode as this engine does; give a system.json that validate host wrote` }]),
        ),
      );
      return gather({ args: RTE.fromEither(reading.args), device: pipe(RTE.fromEither(argument(reading, "device")), RTE.chain(loadDevice)), system: loadSystem("neuronlab"), elsewhere });
    }),
    RTE.map(settingOf),
    RTE.chainFirst(({ args }): Program<void> => said(placeNote("validate", args))),
    RTE.chain((setting): Program<Answer> => pipe(
      prepared(setting),
      RTE.chain((models): Program<Answer> => (capabilities) => {
        const { args, device, seed, size, out } = setting;
        return pipe(
          capabilities.host,
          TE.chain(({ cores }) => {
            const cells = cellsOf(models.map(({ name }) => name), seed, args.quick, cores);
            const most = cells.reduce((threads, cell) => Math.max(threads, cell.threads), 0);
            const big = device.cpu.clusters.reduce((sum, { kind, count }) => sum + (kind === "big" ? count.value : 0), 0);
            if (big < most) return TE.left(badInput("neuronlab validate host", [{ path: "--device", message: `is ${device.title} with ${big} big ${big === 1 ? "core" : "cores"}, and the plans run here have up to ${most} threads; give the profile that neuronlab probe wrote on this machine` }]));
            const repetitions = args.repetitions ?? DEFAULTS.repetitions[size];
            const key = `${capabilities.version} ${size} ${seed} ${setting.tokens} ${cores} ${checksum(JSON.stringify([cells, models.map(({ model }) => model)]))}`;
            return pipe(
              runTurns(capabilities, out, key, setting.system, turnsOf(cells, repetitions, seed), contendersOf(cells, models), setting.tokens),
              TE.chain((runs): TaskEither<AppError, Answer> => (runs === null
                ? TE.right({ stdout: "", notes: [`interrupted: what was run is kept in ${join(out, "runs.json")}`] })
                : pipe(engineOfRuns(capabilities, out, key, setting.system), TE.chain((engine) => judged(capabilities, setting, engine, models, cells, runs)), TE.map((validation): Answer => {
                    const { text, json, files } = report(validation);
                    const placed = files.map((file) => ({ ...file, path: join(out, file.path) }));
                    return { stdout: inFormat(args.format, { text, json }), files: placed, notes: placed.map(({ path }) => `wrote ${path}`) };
                  })))),
            );
          }),
        );
      }),
    )),
  );
