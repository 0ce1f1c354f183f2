/**
 * Fits the calibrated constants to the calibration points of all experiments at once. Pure but for what is handed in: the
 * raw profiles, a function that makes runs, a log. Gives the changed profiles and the account of the fit as files.
 */
import { E, TE, pipe, type Either, type TaskEither } from "../../sim/base/fp.js";
import { stuck, type AppError } from "../../sim/base/errors.js";
import { decode } from "../../sim/base/decode.js";
import { deviceCodec, type DeviceProfile } from "../../sim/domain/device.js";
import { modelCodec, type ModelSpec } from "../../sim/domain/model.js";
import type { SimulatedRun, RunRequest } from "../../sim/domain/run.js";
import { systemCodec, type SystemSpec } from "../../sim/domain/system.js";
import { evaluate } from "../evaluate.js";
import type { Experiment, ResultPoint } from "../experiment.js";
import { applyConstants, currentValue, withFollowersNoted, type RawProfiles } from "./apply.js";
import { constants } from "./constants.js";
import { fit, type Determined, type Evaluate, type FitResult } from "./fit.js";
import { formatProfile } from "./profile-json.js";

interface Inputs { readonly device: DeviceProfile; readonly model: ModelSpec; readonly system: SystemSpec; readonly request: RunRequest }

export interface CalibrateOptions {
  readonly profiles: RawProfiles;
  readonly experiments: ReadonlyArray<Experiment>;
  readonly runMany: (inputs: ReadonlyArray<Inputs>) => TaskEither<AppError, ReadonlyArray<Either<AppError, SimulatedRun>>>;
  readonly log: (line: string) => void;
  readonly rounds: number;
}

export interface Calibrated {
  readonly files: ReadonlyArray<{ readonly path: string; readonly text: string }>;
  readonly text: string;
  readonly json: { readonly constants: ReadonlyArray<Determined & { readonly unit: string; readonly what: string }>; readonly points: number; readonly pointsInAll: number; readonly sumOfSquares: number };
}

/** Means settle within this many tokens; Table 5's 1,024 are run by `reproduce`. */
const TOKENS = 128;
/** No point is asked to be met more closely than this, whatever its printed digits: the model is not that good. */
const CLOSEST = 0.05;
/** Beyond so many of its own scales a residual counts linearly: one point that the model cannot meet must not bend all constants. */
const HUBER = 1.5;

const shorter = (request: RunRequest): RunRequest => (request.phase === "decode" ? { ...request, tokens: Math.min(request.tokens, TOKENS) } : request);

const huber = (residual: number): number => (Math.abs(residual) <= HUBER ? residual : Math.sign(residual) * Math.sqrt(2 * HUBER * Math.abs(residual) - HUBER * HUBER));

interface Decoded { readonly device: ReadonlyMap<string, DeviceProfile>; readonly model: ReadonlyMap<string, ModelSpec>; readonly system: ReadonlyMap<string, SystemSpec> }

const decodeAll = (profiles: RawProfiles): Either<AppError, Decoded> => {
  const device = new Map<string, DeviceProfile>();
  const model = new Map<string, ModelSpec>();
  const system = new Map<string, SystemSpec>();
  for (const [file, raw] of profiles) {
    const name = file.slice(file.indexOf("/") + 1);
    const kept = file.startsWith("devices/") ? E.map((d: DeviceProfile) => void device.set(name, d))(decode(deviceCodec, file)(raw))
      : file.startsWith("models/") ? E.map((m: ModelSpec) => void model.set(name, m))(decode(modelCodec, file)(raw))
      : E.map((s: SystemSpec) => void system.set(name, s))(decode(systemCodec, file)(raw));
    if (E.isLeft(kept)) return kept;
  }
  return E.right({ device, model, system });
};

/** What only calibration points need: their experiments, and the runs those points use. */
const calibrationOf = (experiments: ReadonlyArray<Experiment>): ReadonlyArray<Experiment> =>
  experiments
    .map((experiment) => ({ ...experiment, points: experiment.points.filter((p) => p.role === "calibration"), claims: [], curves: () => [] }))
    .filter((experiment) => experiment.points.length > 0)
    .map((experiment) => ({ ...experiment, cases: experiment.cases.filter((c) => experiment.points.some((p) => p.uses.some((u) => u.key === c.key))) }));

const pointsWith = (options: CalibrateOptions, experiments: ReadonlyArray<Experiment>, vectors: ReadonlyArray<ArrayLike<number>>): TaskEither<AppError, ReadonlyArray<ReadonlyArray<ResultPoint>>> => {
  const cases = [...new Map(experiments.flatMap((e) => e.cases).map((c) => [c.key, c.request])).entries()];
  return pipe(
    E.traverseArray((vector: ArrayLike<number>) => decodeAll(applyConstants(options.profiles, constants, vector)))(vectors),
    TE.fromEither,
    TE.chain((decoded) => {
      const inputs = decoded.flatMap((profiles) =>
        cases.map(([, request]): Inputs => ({ device: profiles.device.get(request.device)!, model: profiles.model.get(request.model)!, system: profiles.system.get(request.system)!, request: shorter(request) })));
      return pipe(
        options.runMany(inputs),
        TE.map((outcomes) =>
          decoded.map((profiles, v) => {
            const records = new Map(cases.map(([key], c) => {
              const outcome = outcomes[v * cases.length + c]!;
              return [key, E.isRight(outcome) ? outcome.right : null] as const;
            }));
            const lab = { run: (key: string) => records.get(key) ?? null, device: (name: string) => profiles.device.get(name)!, model: (name: string) => profiles.model.get(name)! };
            return experiments.flatMap((experiment) => evaluate(experiment, lab).points);
          })),
      );
    }),
  );
};

const residualsOf = (points: ReadonlyArray<ResultPoint>): Float64Array =>
  Float64Array.from(points, (p) => huber(Math.log((p.simulated ?? NaN) / p.reported) / Math.max(CLOSEST, p.printed / Math.abs(p.reported))));

const percent = (share: number | null): string => (share === null ? "no value" : `${share >= 0 ? "+" : ""}${(100 * share).toFixed(1)} %`);
const digits = (value: number): string => String(Number(value.toPrecision(4)));

const howWell = (d: Determined): string => (d.atLimit ? "at its limit" : d.rise10 < 0.01 ? "hardly seen by the points" : d.to / d.from < 1.5 ? "well determined" : d.to / d.from < 4 ? "determined" : "poorly determined beside the others");

const account = (result: FitResult, points: ReadonlyArray<ResultPoint>, inAll: number): string =>
  [
    "# Calibration",
    "",
    "Written by `neuronlab calibrate`; do not edit. These are all the constants that are fitted, over all devices, models and systems. Every other",
    "number of the simulator stands in a profile with its source. Intervals are 95 % of the linearised fit; `rise` is how much the sum of squares",
    "grows when the constant alone is 10 % off, so a small one means that the points hardly determine it.",
    `Decode runs are cut to ${TOKENS} tokens here, so percentiles and means differ a little from the results page. Residuals are logarithms of simulated`,
    `over reported, each in units of its print's rounding or ${100 * CLOSEST} %, whichever is larger, and count linearly beyond ${HUBER} of them.`,
    "",
    `${constants.length} constants; ${points.length} calibration points of ${inAll} points in all; sum of squares ${result.sumOfSquares.toFixed(2)} after ${result.rounds} rounds and ${result.evaluations} evaluations.`,
    "",
    "| constant | what it is | value | 95 % interval | rise | verdict |",
    "|---|---|---:|---:|---:|---|",
    ...result.determined.map((d, i) => {
      const constant = constants[i]!;
      return `| ${d.id} | ${constant.what} | ${digits(d.value)} ${constant.unit} | ${digits(d.from)} – ${digits(d.to)} | ${(100 * d.rise10).toFixed(1)} % | ${howWell(d)} |`;
    }),
    "",
    "## The points it was fitted to, worst first",
    "",
    "| point | reported | fitted | error |",
    "|---|---:|---:|---:|",
    ...[...points].sort((a, b) => Math.abs(b.signedError ?? 0) - Math.abs(a.signedError ?? 0)).map((p) => `| ${p.id} | ${digits(p.reported)} ${p.unit} | ${p.simulated === null ? "no value" : digits(p.simulated)} | ${percent(p.signedError)} |`),
    "",
  ].join("\n");

export const calibrate = (options: CalibrateOptions): TaskEither<AppError, Calibrated> => {
  const experiments = calibrationOf(options.experiments);
  const inAll = options.experiments.reduce((sum, e) => sum + e.points.length, 0);
  const parameters = constants.map((c) => ({ id: c.id, start: currentValue(options.profiles, c), low: c.low, high: c.high }));
  const unreadable = parameters.filter((p) => !(p.start > 0));
  if (unreadable.length > 0) return TE.left(stuck(0, unreadable.map((p) => `constant ${p.id} has no value in the profiles`)));
  const evaluateAll: Evaluate = (vectors) => pipe(pointsWith(options, experiments, vectors), TE.map((all) => all.map(residualsOf)));
  return pipe(
    fit(parameters, evaluateAll, options.rounds, options.log),
    TE.chain((result) =>
      pipe(
        pointsWith(options, experiments, [result.values]),
        TE.map(([points]): Calibrated => {
          const changed = withFollowersNoted(applyConstants(options.profiles, constants, result.values), constants);
          const files = [...changed].filter(([file, raw]) => raw !== options.profiles.get(file)).map(([file, raw]) => ({ path: `${file}.json`, text: formatProfile(raw) }));
          const text = account(result, points!, inAll);
          const json = result.determined.map((d, i) => ({ ...d, unit: constants[i]!.unit, what: constants[i]!.what }));
          return {
            files: [...files, { path: "results/paper/calibration.md", text }, { path: "results/paper/calibration.json", text: `${JSON.stringify({ schema: "neuronlab/calibration@1", constants: json }, null, 1)}\n` }],
            text,
            json: { constants: json, points: points!.length, pointsInAll: inAll, sumOfSquares: result.sumOfSquares },
          };
        }),
      )),
  );
};
