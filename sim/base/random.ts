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

/** Mean up to which walking up the distribution is as cheap as a normal draw. */
const LARGEST_WALK = 12;

/**
 * Number of successes in `trials` of the given probability. Small counts are drawn exactly, by walking up the distribution
 * from zero with one uniform number: a rounded normal cut off at zero would raise their mean by several percent. Above that
 * the normal approximation, rounded and clamped, is off by far less than the spread of the thing counted.
 */
export const binomial = (random: RandomStream, trials: number, probability: number): number => {
  if (trials <= 0 || probability <= 0) return 0;
  if (probability >= 1) return trials;
  const rarer = probability > 0.5 ? 1 - probability : probability;
  const count = trials * rarer > LARGEST_WALK ? nearNormal(random, trials, rarer) : walkUp(random, trials, rarer, (1 - rarer) ** trials);
  return probability > 0.5 ? trials - count : count;
};

/** `binomial` for one probability and many draws: the same numbers, but the power that a walk begins with is found once for each number of trials. */
export class BinomialLaw {
  private readonly rarer: number;
  /** Probability of no success, by number of trials; 0 where it was not asked for yet. */
  private readonly none: Float64Array;

  constructor(
    private readonly probability: number,
    mostTrials: number,
  ) {
    this.rarer = probability > 0.5 ? 1 - probability : probability;
    this.none = new Float64Array(mostTrials + 1);
  }

  draw(random: RandomStream, trials: number): number {
    const { probability, rarer } = this;
    if (trials <= 0 || probability <= 0) return 0;
    if (probability >= 1) return trials;
    if (trials * rarer > LARGEST_WALK) return binomial(random, trials, probability);
    if (this.none[trials] === 0) this.none[trials] = (1 - rarer) ** trials;
    const count = walkUp(random, trials, rarer, this.none[trials]);
    return probability > 0.5 ? trials - count : count;
  }
}

const nearNormal = (random: RandomStream, trials: number, probability: number): number => {
  const mean = trials * probability;
  const draw = Math.round(mean + Math.sqrt(mean * (1 - probability)) * random.normal());
  return draw < 0 ? 0 : draw > trials ? trials : draw;
};

/** `none` is the probability of no success at all. */
const walkUp = (random: RandomStream, trials: number, probability: number, none: number): number => {
  const odds = probability / (1 - probability);
  let term = none;
  let left = random.uniform() - term;
  let count = 0;
  while (left >= 0 && count < trials) {
    term *= (odds * (trials - count)) / (count + 1);
    left -= term;
    count++;
  }
  return count;
};
