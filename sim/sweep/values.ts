/** What an axis gives to its targets: a number, a word, or a quantity with its unit, as a file writes them. */
import { E, type Either } from "../base/fp.js";
import { parseQuantity, type Dimension } from "../base/units.js";

export type Value = number | string;

const DIMENSIONS: ReadonlyArray<Dimension> = ["bytes", "time", "bandwidth", "rate", "frequency", "power", "energyPerByte", "ratio", "temperature", "thermalResistance"];

/** A value as a number in its base unit ("64KiB" → 65536); null for a word. */
export const numberOf = (value: Value): number | null => {
  if (typeof value === "number") return value;
  for (const dimension of DIMENSIONS) {
    const parsed = parseQuantity(dimension, value);
    if (E.isRight(parsed)) return parsed.right;
  }
  return null;
};

export interface Measure { readonly amount: number; readonly unit: string }

/** "43.9GB/s" → 43.9 and "GB/s". */
export const measureOf = (value: unknown): Measure | null => {
  if (typeof value === "number") return { amount: value, unit: "" };
  const match = /^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\D.*?)?\s*$/.exec(String(value));
  return match === null ? null : { amount: Number(match[1]), unit: match[2] ?? "" };
};

export const valueOf = ({ amount, unit }: Measure): Value => (unit === "" ? amount : `${amount}${unit}`);

export type Scale = "linear" | "log";

export interface Range { readonly from: Measure; readonly to: Measure; readonly scale: Scale }

/** Both ends in one unit, so that what lies between them has it too. */
export const rangeOf = (from: Value, to: Value, scale: Scale): Either<string, Range> => {
  const [a, b] = [measureOf(from), measureOf(to)];
  if (a === null || b === null) return E.left(`should run between two quantities, got ${JSON.stringify(from)} and ${JSON.stringify(to)}`);
  if (a.unit !== b.unit) return E.left(`should have one unit at both ends, got ${JSON.stringify(from)} and ${JSON.stringify(to)}`);
  if (a.amount === b.amount) return E.left(`begins where it ends: ${JSON.stringify(from)}`);
  if (scale === "log" && (a.amount <= 0 || b.amount <= 0)) return E.left(`a logarithmic range lies above zero, got ${JSON.stringify(from)} to ${JSON.stringify(to)}`);
  return E.right({ from: a, to: b, scale });
};

/** Twelve digits: 0.1 + 0.2 is 0.3 in a file, and the ends are what was written. */
const rounded = (value: number): number => Number(value.toPrecision(12));

/** The value at `share` of the way, 0 to 1. */
export const between = ({ from, to, scale }: Range, share: number): Value => {
  const amount = share <= 0 ? from.amount : share >= 1 ? to.amount : scale === "log" ? from.amount * (to.amount / from.amount) ** share : from.amount + (to.amount - from.amount) * share;
  return valueOf({ amount: rounded(amount), unit: from.unit });
};
