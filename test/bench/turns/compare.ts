/** Two programs' turns at one product, as figures; and whether it was one product. Pure. */
import { median } from "../../../experiments/median-interval.js";
import { exactly, list, number, text, type TypeOf } from "../../../sim/base/decode.js";
import type { Cell } from "./asked.js";
import type { Taken } from "./partner.js";

const places = list(number(-Number.MAX_VALUE, Number.MAX_VALUE), 1);
const count = number(1, Number.MAX_SAFE_INTEGER, true);

/** What engine/crates/neuron/examples/bench/turns.rs says first. */
export const ours = exactly({ kernels: text, copies: count, truths: places, values: places });
/** What engine/rivals/llama.cpp/product.c says first. */
export const theirs = exactly({ tried: list(exactly({ name: text, seconds: number(0, 1e6) })), buffer: text, copies: count, features: list(text), truths: places, values: places });

export type Ours = TypeOf<typeof ours>;
export type Theirs = TypeOf<typeof theirs>;

/** Sums in double of the same numbers differ by their order only, and one side prints nine digits. */
const SAME = 1e-6;

/** Null where both multiplied the same numbers (each has compared its own product with what stands there), else what differs. */
export const different = (one: Ours, other: Theirs): string | null => {
  if (one.copies !== other.copies) return `${one.copies} copies of the weights here, ${other.copies} there`;
  if (one.truths.length !== other.truths.length) return `${one.truths.length} places compared here, ${other.truths.length} there`;
  const size = Math.max(...one.truths.map(Math.abs));
  const at = one.truths.findIndex((truth, place) => !(Math.abs(truth - other.truths[place]!) <= SAME * size));
  return at < 0 ? null : `place ${at} of the product is ${one.truths[at]} here and ${other.truths[at]} there: they do not multiply the same numbers`;
};

export interface Pair { readonly ours: Taken; readonly theirs: Taken }

/** GOP/s; a weight times an activation, added, is two operations. */
interface Rate { readonly best: number; readonly median: number }

export interface Figures {
  readonly ours: Rate;
  readonly theirs: Rate;
  /** Our speed over theirs, pair by pair: the median, the least and the greatest. */
  readonly ratio: number;
  readonly least: number;
  readonly greatest: number;
  /**
   * The median in processor time, which others on the machine disturb less. Of one thread only, null of more: theirs spin while they wait for each
   * other, and so do ours for a while.
   */
  readonly processor: number | null;
}

const GIGA = 1e9;

/** Of one pair or more. Whatever slows the machine for a while slows both of a pair. */
export const figures = ({ rows, columns, tokens, threads }: Cell, pairs: ReadonlyArray<Pair>): Figures => {
  const operations = 2 * rows * columns * tokens;
  const rate = (side: "ours" | "theirs"): Rate => {
    const seconds = pairs.map((pair) => pair[side].seconds);
    return { best: operations / Math.min(...seconds) / GIGA, median: operations / median(seconds) / GIGA };
  };
  const ratios = (clock: keyof Taken): ReadonlyArray<number> => pairs.map((pair) => pair.theirs[clock] / pair.ours[clock]);
  const wall = ratios("seconds");
  return { ours: rate("ours"), theirs: rate("theirs"), ratio: median(wall), least: Math.min(...wall), greatest: Math.max(...wall), processor: threads === 1 ? median(ratios("processor")) : null };
};
