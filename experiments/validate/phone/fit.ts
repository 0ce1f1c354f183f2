/**
 * Three constants of the engine that ran on the phone, fitted to the calibration cells alone: the share of the device's bandwidth that its kernels reach,
 * making room in the cache, and the start of a layer's reads. Least squares over logarithms of the
 * two components that a serial run keeps apart: wall time blocked on reads, and the rest.
 */
import { TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import type { AppError } from "../../../sim/base/errors.js";
import { mayBeFitted, type Fact } from "../../../sim/domain/fact.js";
import type { SystemSpec } from "../../../sim/domain/system.js";
import { fit, type Determined, type Parameter } from "../../calibration/fit.js";
import type { PhoneOutcome } from "./predict.js";

interface Constant { readonly id: string; readonly what: string; readonly key: "denseEfficiency" | "cacheUpkeep" | "readStart"; readonly low: number; readonly high: number }

export const PHONE_CONSTANTS: ReadonlyArray<Constant> = [
  { id: "dense", what: "share of the device's bandwidth that the kernels reach", key: "denseEfficiency", low: 0.02, high: 1.2 },
  { id: "room", what: "bytes/ns for which room is made in the cache", key: "cacheUpkeep", low: 0.5, high: 100 },
  { id: "start", what: "ns from the router's word to the first byte of a layer's reads", key: "readStart", low: 1e3, high: 2e7 },
];

export interface FittedConstant extends Determined { readonly what: string; readonly before: number }
export interface PhoneFit { readonly system: SystemSpec; readonly constants: ReadonlyArray<FittedConstant>; readonly evaluations: number; readonly sumOfSquares: number }

const ROUNDS = 12;

/** Four digits: more are not determined, and a file with them is the same on any machine. */
const rounded = (value: number): number => Number(value.toPrecision(4));

const residualsOf = (predicted: PhoneOutcome, measured: PhoneOutcome): ReadonlyArray<number> => [Math.log(predicted.io / measured.io), Math.log(predicted.rest / measured.rest)];

/** `predict` gives the outcomes of the calibration cells under each system, in their order. Without such cells the constants stay as they are. */
export const fitPhone = (system: SystemSpec, measured: ReadonlyArray<PhoneOutcome>, predict: (systems: ReadonlyArray<SystemSpec>) => TaskEither<AppError, ReadonlyArray<ReadonlyArray<PhoneOutcome>>>, log: (line: string) => void): TaskEither<AppError, PhoneFit> => {
  const free = PHONE_CONSTANTS.flatMap((constant) => {
    const fact = system.software[constant.key];
    return fact !== null && mayBeFitted(fact) ? [{ ...constant, fact }] : [];
  });
  if (measured.length === 0 || free.length === 0) return TE.right({ system, constants: [], evaluations: 0, sumOfSquares: 0 });
  const parameters = free.map(({ id, fact, low, high }): Parameter => ({ id, start: Math.min(high, Math.max(low, fact.value)), low, high }));
  const under = (values: ArrayLike<number>): SystemSpec => ({
    ...system,
    software: { ...system.software, ...Object.fromEntries(free.map(({ key, what }, i): readonly [string, Fact] => [key, { value: values[i]!, kind: "calibrated", source: "neuronlab validate phone", note: `fitted to the serial runs of Helldez/BigMoeOnEdge (commit 2d4f2b1) on a OnePlus 15R; ${what}` }])) },
  });
  return pipe(
    fit(parameters, (vectors) => pipe(predict(vectors.map(under)), TE.map((all) => all.map((cells) => Float64Array.from(cells.flatMap((cell, i) => residualsOf(cell, measured[i]!)))))), ROUNDS, log),
    TE.map((found): PhoneFit => ({
      system: under(found.values.map(rounded)),
      constants: found.determined.map((one, i) => ({ ...one, value: rounded(one.value), what: free[i]!.what, before: free[i]!.fact.value })),
      evaluations: found.evaluations, sumOfSquares: found.sumOfSquares,
    })),
  );
};
