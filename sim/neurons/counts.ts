/**
 * Binomial counts for small means. base/random.ts goes over to a rounded normal at 16 trials; for clusters of cold neurons,
 * where a handful of hundreds fire, cutting that normal off at zero would raise the mean by several percent. Here such
 * counts are drawn exactly, by walking up the distribution from zero with one uniform number.
 */
import { binomial, type RandomStream } from "../base/random.js";

/** Mean up to which walking is as cheap as a normal draw. */
const LARGEST_WALK = 12;

export const drawCount = (random: RandomStream, trials: number, probability: number): number => {
  if (trials <= 0 || probability <= 0) return 0;
  if (probability >= 1) return trials;
  if (probability > 0.5) return trials - drawCount(random, trials, 1 - probability);
  if (trials * probability > LARGEST_WALK) return binomial(random, trials, probability);
  const odds = probability / (1 - probability);
  let term = (1 - probability) ** trials;
  let left = random.uniform() - term;
  let count = 0;
  while (left >= 0 && count < trials) {
    term *= (odds * (trials - count)) / (count + 1);
    left -= term;
    count++;
  }
  return count;
};
