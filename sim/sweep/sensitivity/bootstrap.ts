/** How far a figure would move if the blocks of a design had been others: percentiles over blocks drawn anew, with replacement (Efron 1979). */
import type { RandomStream } from "../../base/random.js";

export interface Between { readonly low: number; readonly high: number }

export const RESAMPLES = 1000;

/** The value below which `share` of the sorted ones lie, straight between neighbours. */
export const quantile = (sorted: ArrayLike<number>, share: number): number => {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(sorted.length - 1, below + 1);
  return sorted[below]! + (sorted[above]! - sorted[below]!) * (at - below);
};

/**
 * 95 % intervals of the figures that `figures` makes of `count` blocks, given by their numbers. Fewer than two blocks say nothing of their spread, and
 * neither does a figure that is not a number in some sample: null.
 */
export const bootstrap = (random: RandomStream, count: number, figures: (blocks: Int32Array) => ReadonlyArray<number>): ReadonlyArray<Between | null> => {
  if (count < 2) return figures(Int32Array.from({ length: count }, (_, i) => i)).map(() => null);
  const samples: Array<ReadonlyArray<number>> = [];
  const drawn = new Int32Array(count);
  for (let sample = 0; sample < RESAMPLES; sample++) {
    for (let i = 0; i < count; i++) drawn[i] = Math.floor(random.uniform() * count);
    samples.push(figures(drawn));
  }
  return samples[0]!.map((_, i) => {
    const sorted = Float64Array.from(samples, (sample) => sample[i]!).sort();
    return sorted.every(Number.isFinite) ? { low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) } : null;
  });
};
