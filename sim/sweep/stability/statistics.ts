/** Shares with their intervals, and what goes along with what. */

export interface Share { readonly share: number; readonly low: number; readonly high: number }

const Z = 1.959964;

/** Wilson's 95 % interval of a binomial share (1927): it has a width at 0 and 1 too. */
export const wilson = (hits: number, of: number): Share => {
  const share = hits / of;
  const centre = (share + Z ** 2 / (2 * of)) / (1 + Z ** 2 / of);
  const half = (Z / (1 + Z ** 2 / of)) * Math.sqrt((share * (1 - share)) / of + Z ** 2 / (4 * of ** 2));
  return { share, low: hits === 0 ? 0 : Math.max(0, centre - half), high: hits === of ? 1 : Math.min(1, centre + half) };
};

/** Places in the order of size; equal ones share the mean of theirs. */
const ranks = (values: ReadonlyArray<number>): ReadonlyArray<number> => {
  const order = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const placed = new Float64Array(values.length);
  for (let first = 0; first < order.length; ) {
    let last = first;
    while (last + 1 < order.length && values[order[last + 1]!] === values[order[first]!]) last++;
    for (let i = first; i <= last; i++) placed[order[i]!] = (first + last) / 2;
    first = last + 1;
  }
  return Array.from(placed);
};

/** Spearman's, with ties; null where one of both does not vary. */
export const rankCorrelation = (one: ReadonlyArray<number>, other: ReadonlyArray<number>): number | null => {
  const [a, b] = [ranks(one), ranks(other)];
  const middle = (a.length - 1) / 2;
  const sums = a.reduce((sum, x, i) => ({ both: sum.both + (x - middle) * (b[i]! - middle), a: sum.a + (x - middle) ** 2, b: sum.b + (b[i]! - middle) ** 2 }), { both: 0, a: 0, b: 0 });
  return sums.a === 0 || sums.b === 0 ? null : sums.both / Math.sqrt(sums.a * sums.b);
};

/** What the largest of `count` correlations between unrelated things over `n` draws passes at most once in twenty, by the union bound over a sub-Gaussian tail: on the safe side. */
export const byChance = (count: number, n: number): number => Math.min(1, Math.sqrt((2 * Math.log((2 * count) / 0.05)) / (n - 1)));
