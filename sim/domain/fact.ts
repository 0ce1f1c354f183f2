/**
 * A number with its provenance. Every number of a device, model or system profile is one of these, so that a doubter
 * finds in two steps where it comes from. Only `calibrated` and `estimated` ones may be fitted or swept.
 */
import { E } from "../base/fp.js";
import { custom, exactly, oneOf, optional, text, type Codec } from "../base/decode.js";
import { parseQuantity, type Dimension } from "../base/units.js";

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

const bounded = (dimension: Dimension, low: number, high: number): Codec<number> =>
  custom(dimension, (raw) => {
    const parsed = parseQuantity(dimension, raw);
    if (E.isLeft(parsed)) return parsed;
    if (parsed.right < low) return E.left(`${low === ABOVE_ZERO ? "must be above zero" : low === 0 ? "must not be negative" : "is too small"}: ${String(raw)}`);
    return parsed.right > high ? E.left(`is too large: ${String(raw)}`) : parsed;
  });

/** A fact of the given dimension within [low, high] in base units. */
export const fact = (dimension: Dimension, low = 0, high = Infinity): Codec<Fact> =>
  exactly({ value: bounded(dimension, low, high), kind: oneOf(...KINDS), source: text, note: optional(text, "") });

/** A fact that must be above zero: a rate or a size that is divided by. */
export const positive = (dimension: Dimension, high = Infinity): Codec<Fact> => fact(dimension, ABOVE_ZERO, high);

export const share: Codec<Fact> = fact("ratio", 0, 1);
