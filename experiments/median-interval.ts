/** How well a median of a few measurements is known, whatever their distribution. Pure. */

/** 0 of none. */
export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length === 0 ? 0 : sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

/** What an interval is meant to cover. */
const CONFIDENCE = 0.95;

/** Probability that so many pairs (independent, of one distribution) have at most `rank - 1` on one side of the true median: of a fair coin. */
const tail = (count: number, rank: number): number => {
  let [term, sum] = [0.5 ** count, 0];
  for (let k = 0; k < rank; k++) {
    sum += term;
    term *= (count - k) / (k + 1);
  }
  return sum;
};

export interface Interval { readonly low: number; readonly high: number; readonly confidence: number }

/**
 * An interval for the median that assumes no distribution: from the r-th smallest to the r-th greatest, with the greatest r that still covers the true
 * median in 95 % of cases. Fewer than six values cannot: then it is the least and the greatest, and `confidence` says what they cover, 1 - 2^(1-n).
 * (Order statistics: David and Nagaraja, Order Statistics, 3rd edition, section 7.1.)
 */
export const medianInterval = (values: ReadonlyArray<number>): Interval => {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  let rank = 1;
  while (rank + 1 <= n / 2 && 1 - 2 * tail(n, rank + 1) >= CONFIDENCE) rank++;
  return { low: sorted[rank - 1]!, high: sorted[n - rank]!, confidence: Math.max(0, 1 - 2 * tail(n, rank)) };
};
