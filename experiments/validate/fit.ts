/**
 * The constants of the engine's software that nobody measures by themselves, fitted to the calibration cells alone: least squares over
 * logarithms, of the whole token and, with less weight, of the time with reads under way and, where a core is spare, of computing; each constant held by its
 * first estimate, as firmly as the cells say (hold.ts). Without computing single constants ran off by factors to make up for others; without a spare core it is not the same thing in both.
 */
import { TE, pipe, type TaskEither } from "../../sim/base/fp.js";
import type { AppError } from "../../sim/base/errors.js";
import { mayBeFitted, type Fact } from "../../sim/domain/fact.js";
import type { SystemSpec } from "../../sim/domain/system.js";
import { fit, type Determined, type FitResult, type Parameter } from "../calibration/fit.js";
import type { Outcome } from "./compare.js";
import { byLeavingOut, type Held } from "./hold.js";

interface Constant { readonly id: string; readonly what: string; readonly of: (system: SystemSpec) => Fact | null; readonly put: (system: SystemSpec, fact: Fact) => SystemSpec; readonly low: number; readonly high: number; readonly guess: number }

const software = (system: SystemSpec, changed: Partial<SystemSpec["software"]>): SystemSpec => ({ ...system, software: { ...system.software, ...changed } });

export const CONSTANTS: ReadonlyArray<Constant> = [
  { id: "dense", what: "share of the device's dense rate that gates, attention and head reach", of: (s) => s.software.denseEfficiency, put: (s, fact) => software(s, { denseEfficiency: fact }), low: 0.2, high: 1.2, guess: 2 },
  { id: "sparse", what: "share of the device's sparse rate that up and down reach", of: (s) => s.software.sparseEfficiency, put: (s, fact) => software(s, { sparseEfficiency: fact }), low: 0.2, high: 1.2, guess: 2 },
  { id: "reads", what: "speed of a run's reads, relative to the flash curve; above 1 where reads that lie next to each other, or fewer at a time, are faster than the probe's", of: (s) => s.software.streamEfficiency, put: (s, fact) => software(s, { streamEfficiency: fact }), low: 0.2, high: 1.5, guess: 2 },
  { id: "copy", what: "bytes/ns that a thread copies out of pages that were read", of: (s) => s.software.cacheUpkeep, put: (s, fact) => software(s, { cacheUpkeep: fact }), low: 0.5, high: 40, guess: 2 },
  { id: "memory", what: "bytes/ns at which the system gives memory that is used for the first time", of: (s) => s.software.memorySupply, put: (s, memorySupply) => software(s, { memorySupply }), low: 0.1, high: 100, guess: 8 },
  { id: "own-read", what: "ns of a compute thread for one small read of its own, beside the read itself", of: (s) => s.software.readCost?.own ?? null, put: (s, own) => software(s, { readCost: { ...s.software.readCost!, own } }), low: 50, high: 40e3, guess: 8 },
  { id: "handed-read", what: "ns of processor time for one read that another thread makes, beside the read itself", of: (s) => s.software.readCost?.handed ?? null, put: (s, handed) => software(s, { readCost: { ...s.software.readCost!, handed } }), low: 1e3, high: 400e3, guess: 8 },
  { id: "handing", what: "ns of a compute thread for handing one read to another", of: (s) => s.software.readCost?.handing ?? null, put: (s, handing) => software(s, { readCost: { ...s.software.readCost!, handing } }), low: 50, high: 40e3, guess: 8 },
  { id: "command", what: "ns of the device for one read beside its bytes, more than its curve says", of: (s) => s.software.readCost?.command ?? null, put: (s, command) => software(s, { readCost: { ...s.software.readCost!, command } }), low: 10, high: 50e3, guess: 8 },
  { id: "layer", what: "ns of a layer beside its products", of: (s) => s.software.fixedCost?.layer ?? null, put: (s, layer) => software(s, { fixedCost: { ...s.software.fixedCost!, layer } }), low: 1e3, high: 2e6, guess: 8 },
  { id: "meeting", what: "ns of a layer in which compute threads find each other, where there are several", of: (s) => s.software.fixedCost?.meeting ?? null, put: (s, meeting) => software(s, { fixedCost: { ...s.software.fixedCost!, meeting } }), low: 1e3, high: 2e6, guess: 8 },
  { id: "token", what: "ns of a token beside its layers", of: (s) => s.software.fixedCost?.token ?? null, put: (s, token) => software(s, { fixedCost: { ...s.software.fixedCost!, token } }), low: 1e3, high: 2e6, guess: 8 },
];

/** An engine with what was fitted to runs of another: constants that it has, too. What else the other is said to be is not taken. */
export const withConstants = (engine: SystemSpec, fitted: SystemSpec): SystemSpec =>
  CONSTANTS.reduce((changed, { of, put }) => {
    const [own, found] = [of(changed), of(fitted)];
    return own !== null && found !== null && found.kind === "calibrated" ? put(changed, found) : changed;
  }, engine);

/** What a cell took. Without a spare core the spans of what threads compute have in them what readers and the system took from the core meanwhile. */
export interface Measured extends Outcome { readonly hasSpareCore: boolean }

export interface FittedConstant extends Determined { readonly what: string; readonly before: number }
export interface Fitted { readonly system: SystemSpec; readonly constants: ReadonlyArray<FittedConstant>; readonly evaluations: number; readonly rounds: number; readonly isConverged: boolean; readonly sumOfSquares: number;
  /** How firmly constants were held, the best way first, by cells that were left out. */
  readonly holds: ReadonlyArray<Held>;
}

/** What reads, and what threads spend computing, weigh beside the whole: without them one wrong share hides in another. */
const COMPONENT_WEIGHT = 0.3;
/**
 * The first fit's hold: a constant that is off by the factor within which it was guessed costs as much as a cell that is off by 10 %: 2 for rates, of which
 * tables of kernels and reads are the base, 8 for what nothing was known of but that it is there. Where the fit ends, cells that are left out say which is better.
 */
const FIRST_HOLD = 0.1;
/** Times below this many ms a token are noise. */
const LEAST_MS = 0.5;

/** Of a cell: its whole, reads, computing. */
const ROWS = 3;

const residualsOf = (predicted: Outcome, measured: Measured): ReadonlyArray<number> => {
  const log = (name: "total" | "io" | "compute"): number => Math.log(Math.max(predicted[name], LEAST_MS) / Math.max(measured[name], LEAST_MS));
  return [log("total"), COMPONENT_WEIGHT * log("io"), measured.hasSpareCore ? COMPONENT_WEIGHT * log("compute") : 0];
};

/** `predict` gives the outcomes of the calibration cells under a system, in their order. */
export const fitSystem = (system: SystemSpec, measured: ReadonlyArray<Measured>, predict: (systems: ReadonlyArray<SystemSpec>) => TaskEither<AppError, ReadonlyArray<ReadonlyArray<Outcome>>>, rounds: number, log: (line: string) => void): TaskEither<AppError, Fitted> => {
  const free = CONSTANTS.flatMap((constant) => {
    const fact = constant.of(system);
    return fact !== null && mayBeFitted(fact) ? [{ ...constant, fact, start: Math.min(constant.high, Math.max(constant.low, fact.value)) }] : [];
  });
  const scales = Float64Array.from(free, ({ guess }) => 1 / Math.log(guess));
  const under = (values: ArrayLike<number>): SystemSpec =>
    free.reduce((changed, constant, i) => constant.put(changed, { value: values[i]!, kind: "calibrated", source: "neuronlab validate host", note: `fitted to the calibration cells; ${constant.what}` }), system);
  const moved = (values: ArrayLike<number>): Float64Array => Float64Array.from(free, ({ start }, i) => Math.log(values[i]! / start));
  const fitFrom = (starts: ArrayLike<number>, hold: number): TaskEither<AppError, FitResult> =>
    fit(
      free.map(({ id, low, high }, i): Parameter => ({ id, start: starts[i]!, low, high })),
      (vectors) => pipe(predict(vectors.map(under)), TE.map((all) => all.map((cells, v) => Float64Array.from([...cells.flatMap((cell, i) => residualsOf(cell, measured[i]!)), ...moved(vectors[v]!).map((by, i) => hold * scales[i]! * by)])))),
      rounds, log,
    );
  const rows = ROWS * measured.length;
  const holdsOf = ({ values, residuals, jacobian }: FitResult): ReadonlyArray<Held> => byLeavingOut({ jacobian: jacobian.map((column) => column.slice(0, rows)), residuals: residuals.slice(0, rows), rows: ROWS, moved: moved(values), scales });
  return pipe(
    fitFrom(free.map(({ start }) => start), FIRST_HOLD),
    TE.chain((first) => {
      const holds = holdsOf(first);
      const { hold } = holds[0]!;
      log(`cells that are left out say: ${holds.map((one) => `hold ${one.hold}: ${(100 * one.leftOut).toFixed(1)} %`).join(", ")}`);
      return pipe(hold === FIRST_HOLD ? TE.right(first) : fitFrom(first.values, hold), TE.map((found) => ({ found, holds, before: hold === FIRST_HOLD ? 0 : first.rounds, evaluated: hold === FIRST_HOLD ? 0 : first.evaluations })));
    }),
    TE.map(({ found, holds, before, evaluated }): Fitted => ({
      system: under(found.values),
      constants: found.determined.map((one, i) => ({ ...one, what: free[i]!.what, before: free[i]!.start })),
      evaluations: evaluated + found.evaluations,
      rounds: before + found.rounds,
      isConverged: found.isConverged,
      sumOfSquares: found.sumOfSquares,
      holds,
    })),
  );
};
