/**
 * Named random streams. Each consumer owns a stream derived from the run's seed and its own name, so that adding a
 * consumer never shifts another's numbers, and runs may execute in any order on any number of workers.
 */
import xor128 from "seedrandom/lib/xor128.js";

export interface RandomStream {
  /** Uniform in [0, 1). */
  readonly uniform: () => number;
  /** Standard normal, by Box-Muller with the second value kept. */
  readonly normal: () => number;
}

export const stream = (seed: number, name: string): RandomStream => {
  const next = xor128(`${seed}/${name}`);
  let spare = NaN;
  return {
    uniform: next,
    normal: () => {
      if (!Number.isNaN(spare)) {
        const kept = spare;
        spare = NaN;
        return kept;
      }
      const radius = Math.sqrt(-2 * Math.log(1 - next()));
      const angle = 2 * Math.PI * next();
      spare = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    },
  };
};

/**
 * Number of successes in `n` trials of probability `p`. Exact by counting for small n; above that the normal
 * approximation, rounded and clamped: its error is far under the spread of the thing counted.
 */
export const binomial = (random: RandomStream, n: number, p: number): number => {
  if (n <= 0 || p <= 0) return 0;
  if (p >= 1) return n;
  if (n < 16) {
    let count = 0;
    for (let i = 0; i < n; i++) if (random.uniform() < p) count++;
    return count;
  }
  const draw = Math.round(n * p + Math.sqrt(n * p * (1 - p)) * random.normal());
  return draw < 0 ? 0 : draw > n ? n : draw;
};
