/** Mean of repetitions with its interval of confidence, and when there are enough of them. */

export interface Interval {
  readonly n: number;
  readonly mean: number;
  /** Half the width of the 95 % interval by Student's t; null for a single value. */
  readonly halfWidth: number | null;
}

/** Two-sided 95 % points of Student's t by degrees of freedom, as any table has them. */
const T95 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042];

/** Beyond the table the first terms of the expansion about the normal point (Abramowitz and Stegun 26.7.5) are exact to three digits. */
const t95 = (freedom: number): number => {
  const normal = 1.959964;
  return T95[freedom - 1] ?? normal + (normal ** 3 + normal) / (4 * freedom) + (5 * normal ** 5 + 16 * normal ** 3 + 3 * normal) / (96 * freedom ** 2) + (3 * normal ** 7 + 19 * normal ** 5 + 17 * normal ** 3 - 15 * normal) / (384 * freedom ** 3);
};

export const intervalOf = (values: ReadonlyArray<number>): Interval => {
  const n = values.length;
  const mean = values.reduce((sum, v) => sum + v, 0) / n;
  if (n < 2) return { n, mean, halfWidth: null };
  const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (n - 1);
  return { n, mean, halfWidth: t95(n - 1) * Math.sqrt(variance / n) };
};

export interface StoppingRule {
  readonly metric: string;
  /** Half the width of the interval over the mean. */
  readonly halfWidth: number;
  readonly atMost: number;
}

/** Whether a point needs another repetition: it has fewer than it began with, or its interval is still too wide. Looks at nothing but the point's own values, in order. */
export const wantsMore = (values: ReadonlyArray<number | null>, least: number, rule: StoppingRule | null): boolean => {
  if (values.length < least) return true;
  if (rule === null || values.length >= rule.atMost) return false;
  const known = values.filter((v) => v !== null);
  // A run that failed, or does not say: more of the same would not say more.
  if (known.length < values.length) return false;
  const { mean, halfWidth } = intervalOf(known);
  return halfWidth === null || halfWidth > rule.halfWidth * Math.abs(mean);
};
