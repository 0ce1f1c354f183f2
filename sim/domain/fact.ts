/**
 * A number with its provenance. Every number of a device, model or system profile is one of these, so that a doubter
 * finds in two steps where it comes from. Only `calibrated` and `estimated` ones may be fitted or swept.
 */
import { E } from "../base/fp.js";
import { custom, exactly, oneOf, optional, text, type Codec } from "../base/decode.js";
import { parseQuantity, writtenLike, type Dimension } from "../base/units.js";

export const KINDS = ["printed", "measured", "derived", "calibrated", "estimated"] as const;
export type Kind = (typeof KINDS)[number];

export interface Fact {
  /** In the base unit of its dimension (see base/units.ts). */
  readonly value: number;
  readonly kind: Kind;
  readonly source: string;
  readonly note: string;
}

export const mayBeFitted = (fact: Fact): boolean => fact.kind === "calibrated" || fact.kind === "estimated";

/** The lowest bound that zero does not meet. */
const ABOVE_ZERO = Number.MIN_VALUE;

interface Bounds { readonly low: number; readonly high: number; readonly whole: boolean }

const bounded = (dimension: Dimension, { low, high, whole }: Bounds): Codec<number> =>
  custom(dimension, (raw) => {
    const parsed = parseQuantity(dimension, raw);
    if (E.isLeft(parsed)) return parsed;
    const value = parsed.right;
    if (value < low) return E.left(low === ABOVE_ZERO ? `must be above zero: ${String(raw)}` : low === 0 ? `must not be negative: ${String(raw)}` : `is too small: ${String(raw)}; should be at least ${writtenLike(dimension, low, raw)}`);
    if (value > high) return E.left(`is too large: ${String(raw)}; should be at most ${writtenLike(dimension, high, raw)}`);
    return whole && !Number.isInteger(value) ? E.left(`should be a whole number, got ${String(raw)}`) : parsed;
  });

/** A quantity whose provenance stands elsewhere: a row of a table that has one source. Above zero where `low` says nothing else. */
export const quantity = (dimension: Dimension, low = ABOVE_ZERO): Codec<number> => bounded(dimension, { low, high: Infinity, whole: false });

const factWith = (dimension: Dimension, bounds: Bounds): Codec<Fact> =>
  exactly({ value: bounded(dimension, bounds), kind: oneOf(...KINDS), source: text, note: optional(text, "") });

/** A fact of the given dimension within [low, high] in base units. */
export const fact = (dimension: Dimension, low = 0, high = Infinity): Codec<Fact> => factWith(dimension, { low, high, whole: false });

/** A fact that counts things. */
export const counted = (low: number, high: number): Codec<Fact> => factWith("count", { low, high, whole: true });

/** A fact that must be above zero: a rate or a size that is divided by. */
export const positive = (dimension: Dimension, high = Infinity): Codec<Fact> => fact(dimension, ABOVE_ZERO, high);

export const share: Codec<Fact> = fact("ratio", 0, 1);
