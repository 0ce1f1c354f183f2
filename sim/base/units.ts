/**
 * Quantities as people write them ("19GB", "43.9 GB/s", "88us") and as the simulator holds them. Inside, every quantity
 * is a plain number in ONE base unit, and names carry the unit: bytes, ns, bytes per ns (which is GB/s), watts, joules.
 * "GB" is 10^9 bytes and "GiB" 2^30; a bare number is refused where a unit is due, so that nobody has to guess.
 */
import { E, type Either } from "./fp.js";
import { editDistance, nearest } from "./nearest.js";

export type Dimension = "bytes" | "time" | "bandwidth" | "rate" | "frequency" | "power" | "energyPerByte" | "ratio" | "count" | "temperature" | "thermalResistance";

const decimal = { "": 1, K: 1e3, M: 1e6, G: 1e9, T: 1e12 } as const;
const binary = { Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3, Ti: 1024 ** 4 } as const;

const sizes = (suffix: string, per: number): Record<string, number> =>
  Object.fromEntries([...Object.entries(decimal), ...Object.entries(binary)].map(([prefix, factor]) => [`${prefix}B${suffix}`, factor / per]));

const UNITS: Readonly<Record<Dimension, Readonly<Record<string, number>>>> = {
  bytes: sizes("", 1),
  time: { ns: 1, us: 1e3, ms: 1e6, s: 1e9, min: 60e9 },
  bandwidth: sizes("/s", 1e9),
  rate: { "GOPS": 1, "TOPS": 1e3, "GFLOPS": 1, "TFLOPS": 1e3 },
  frequency: { GHz: 1, MHz: 1e-3 },
  power: { W: 1, mW: 1e-3 },
  energyPerByte: { "nJ/B": 1, "pJ/bit": 8e-3, "pJ/B": 1e-3 },
  ratio: { "": 1, "%": 0.01 },
  count: { "": 1 },
  temperature: { C: 1 },
  thermalResistance: { "K/W": 1 },
};

const EXAMPLE: Readonly<Record<Dimension, string>> = {
  bytes: '"19GB" or "19GiB"', time: '"88us"', bandwidth: '"43.9GB/s"', rate: '"10.5TOPS"', frequency: '"3.3GHz"', power: '"1.5W"',
  energyPerByte: '"4pJ/bit"', ratio: '0.4 or "40%"', count: "6", temperature: '"42C"', thermalResistance: '"3.4K/W"',
};

/** Units are short, so any two are near each other: what is suggested must share something with what was typed. */
const nearUnit = (typed: string, known: ReadonlyArray<string>): string => {
  const near = nearest(typed, known);
  if (near === null) return "";
  const [a, b] = [typed.toLowerCase(), near.toLowerCase()];
  return editDistance(a, b) < a.length || (a.length > 1 && b.startsWith(a)) ? ` did you mean ${near}?` : "";
};

/** Parses a quantity of the given dimension to its base unit; the message says what would be right, or `example` where more than the dimension's is. */
export const parseQuantity = (dimension: Dimension, raw: unknown, example = EXAMPLE[dimension]): Either<string, number> => {
  const units = UNITS[dimension];
  const right = `write it like ${example}`;
  if (typeof raw === "number") {
    if (!("" in units)) return E.left(`has no unit: ${raw}; ${right}`);
    return Number.isFinite(raw) ? E.right(raw) : E.left(`is not a finite number: ${raw}`);
  }
  if (typeof raw !== "string") return E.left(`should be a quantity like ${example}, got ${JSON.stringify(raw)}`);
  const match = /^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*$/.exec(raw);
  // "19,5GB" and "1_000B" are no number with a strange unit.
  if (match === null || /^[^\p{L}%]/u.test(match[2]!)) return E.left(`is not a quantity: "${raw}"; ${right}`);
  const unit = match[2]!;
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  if (factor === undefined) {
    const known = Object.keys(units).filter((u) => u !== "");
    if (known.length === 0) return E.left(`takes no unit, got "${raw}"; ${right}`);
    return E.left(unit === "" ? `has no unit: ${raw.trim()}; ${right}` : `has an unknown unit "${unit}";${nearUnit(unit, known)} known: ${known.join(", ")}`);
  }
  const value = Number(match[1]) * factor;
  return Number.isFinite(value) ? E.right(value) : E.left(`is not a finite number: ${raw}`);
};

export const exampleOf = (dimension: Dimension): string => EXAMPLE[dimension];

/** A value in base units as a file may write it; a share as a percentage beside other percentages. */
export const writtenLike = (dimension: Dimension, value: number, beside: unknown): string => {
  if (dimension === "ratio" && typeof beside === "string" && beside.includes("%")) return `${Number((100 * value).toPrecision(12))}%`;
  return `${value}${Object.entries(UNITS[dimension]).find(([, factor]) => factor === 1)![0]}`;
};

/** Sizes for people: three significant digits, decimal. */
export const showBytes = (bytes: number): string => {
  const abs = Math.abs(bytes);
  if (abs >= 1e9) return `${(bytes / 1e9).toFixed(2)}GB`;
  if (abs >= 1e6) return `${(bytes / 1e6).toFixed(1)}MB`;
  if (abs >= 1e3) return `${(bytes / 1e3).toFixed(1)}kB`;
  return `${Math.round(bytes)}B`;
};

/** Times for people. */
export const showNs = (ns: number): string => {
  const abs = Math.abs(ns);
  if (abs >= 1e9) return `${(ns / 1e9).toFixed(2)}s`;
  if (abs >= 1e6) return `${(ns / 1e6).toFixed(2)}ms`;
  if (abs >= 1e3) return `${(ns / 1e3).toFixed(1)}us`;
  return `${Math.round(ns)}ns`;
};
