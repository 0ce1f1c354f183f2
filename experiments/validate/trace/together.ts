/**
 * Whether the neurons of a token fire independently of each other. If they did, the number that fires in an expert would vary by the sum of p(1 - p) over its
 * neurons; the dispersion is how many times more it varies. Its null is not assumed but made: each neuron's own sequence over the uses of its expert, turned
 * by an offset of its own, keeps its rate and its memory and loses its company.
 */
import { stream } from "../../../sim/base/random.js";
import type { Text } from "./text.js";

/** One expert of one layer: for each neuron that fired, at which of the expert's uses it did. */
interface Visits { readonly uses: number; readonly firedAt: ReadonlyArray<Int32Array> }

const visitsOf = (text: Text, layer: number): ReadonlyArray<Visits> => {
  const { ffn, used } = text;
  const { experts, starts, ids } = text.layers[layer]!;
  const uses = new Int32Array(text.experts);
  const firedAt = Array.from({ length: text.experts * ffn }, (): Array<number> => []);
  for (let token = 0; token < text.tokens; token++) {
    for (let i = starts[token]!; i < starts[token + 1]!; i++) firedAt[ids[i]!]!.push(uses[Math.floor(ids[i]! / ffn)]!);
    for (let i = token * used; i < (token + 1) * used; i++) uses[experts[i]!]!++;
  }
  return Array.from(uses, (count, expert) => ({ uses: count, firedAt: firedAt.slice(expert * ffn, (expert + 1) * ffn).map((all) => Int32Array.from(all)) }));
};

/** Sum over experts of the squared deviation of the number that fires, and what independence expects of it. */
interface Spread { found: number; expected: number; pairs: number }

const spreadOf = (all: ReadonlyArray<Visits>, offsetOf: (uses: number) => number): Spread => {
  const spread: Spread = { found: 0, expected: 0, pairs: 0 };
  for (const { uses, firedAt } of all) {
    if (uses < 2) continue;
    const counts = new Float64Array(uses);
    let [mean, variance, roots] = [0, 0, 0];
    for (const at of firedAt) {
      const rate = at.length / uses;
      mean += rate;
      variance += rate * (1 - rate);
      roots += Math.sqrt(rate * (1 - rate));
      const offset = offsetOf(uses);
      for (const visit of at) counts[visit + offset < uses ? visit + offset : visit + offset - uses]!++;
    }
    for (const count of counts) spread.found += (count - mean) ** 2;
    spread.expected += uses * variance;
    spread.pairs += uses * (roots * roots - variance);
  }
  return spread;
};

export interface Together {
  readonly layer: number;
  /** Variance of the number that fires in an expert, over that of independent neurons. */
  readonly dispersion: number;
  /** The mean correlation of two neurons of one expert that makes it so: the effect size. */
  readonly correlation: number;
  /** The greatest dispersion of the turned texts, and the share of them (with the real one) that reach the real one. */
  readonly greatestTurned: number;
  readonly probability: number;
}

/** `turns`: how many turned texts; 0 for none, and then no probability. */
export const togetherOf = (text: Text, turns: number, seed: number): ReadonlyArray<Together> =>
  text.layers.map((_, layer) => {
    const all = visitsOf(text, layer);
    const random = stream(seed, `trace/turned/layer-${layer}`);
    const real = spreadOf(all, () => 0);
    const turned = Array.from({ length: turns }, () => spreadOf(all, (uses) => Math.floor(random.uniform() * uses))).map(({ found, expected }) => found / expected);
    const dispersion = real.found / real.expected;
    return {
      layer, dispersion, correlation: (real.found - real.expected) / real.pairs,
      greatestTurned: turned.length === 0 ? NaN : Math.max(...turned),
      probability: turned.length === 0 ? NaN : (1 + turned.filter((one) => one >= dispersion).length) / (1 + turns),
    };
  });
