/**
 * Builders of claims. A claim with a number holds within ONE tolerance, fixed before the first simulation and never
 * adapted to make a claim pass.
 */
import type { ClaimSpec, Evidence, Verdict } from "./experiment.js";

export const TOLERANCE = 0.25;

const NO_RUN: Verdict = { holds: false, found: "cannot be judged: a run is missing" };

/** The simulated value of a point by its id. */
export const simulatedAt = ({ points }: Evidence, id: string): number | null => {
  const point = points.find((p) => p.id === id);
  if (point === undefined) throw new Error(`a claim names an unknown point: ${id}`);
  return point.simulated;
};

/** Values of a curve's series by ascending x. */
export const curveOf = ({ curves }: Evidence, series: string, panel = ""): ReadonlyArray<{ readonly x: number; readonly value: number }> =>
  curves.filter((c) => c.series === series && (c.panel ?? "") === panel).map((c) => ({ x: Number(c.x), value: c.value })).sort((a, b) => a.x - b.x);

export const curveAt = (evidence: Evidence, series: string, x: number, panel = ""): number | null =>
  curveOf(evidence, series, panel).find((c) => c.x === x)?.value ?? null;

/** The numbers themselves, or null when one of them is missing. */
export const known = (values: ReadonlyArray<number | null>): ReadonlyArray<number> | null => (values.every((v) => v !== null && Number.isFinite(v)) ? (values as ReadonlyArray<number>) : null);

export const round = (value: number): string => {
  const size = Math.abs(value);
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : size >= 1 ? value.toFixed(2) : value.toPrecision(2);
};

/** The claim names a number: it holds when the simulated one lies within the tolerance of it. */
export const numberClaim = (claim: { readonly id: string; readonly text: string; readonly reported: number; readonly unit?: string; readonly of: (evidence: Evidence) => number | null }): ClaimSpec => ({
  id: claim.id,
  text: `${claim.text} (holds within ${100 * TOLERANCE} %)`,
  judge: (evidence) => {
    const value = claim.of(evidence);
    if (value === null || !Number.isFinite(value)) return NO_RUN;
    return { holds: Math.abs(value / claim.reported - 1) <= TOLERANCE, found: `${round(value)}${claim.unit ?? "×"}` };
  },
});

/** The claim names an order or a shape: `judge` gets the numbers that it names, once none is missing. */
export const shapeClaim = (claim: {
  readonly id: string;
  readonly text: string;
  readonly of: (evidence: Evidence) => ReadonlyArray<number | null>;
  readonly judge: (values: ReadonlyArray<number>) => boolean;
  readonly found?: (values: ReadonlyArray<number>) => string;
}): ClaimSpec => ({
  id: claim.id,
  text: claim.text,
  judge: (evidence) => {
    const values = known(claim.of(evidence));
    if (values === null || values.length === 0) return NO_RUN;
    return { holds: claim.judge(values), found: claim.found === undefined ? values.map(round).join(", ") : claim.found(values) };
  },
});

export const ratioOf = (evidence: Evidence, over: string, under: string): number | null => {
  const values = known([simulatedAt(evidence, over), simulatedAt(evidence, under)]);
  return values === null ? null : values[0] / values[1];
};

export const scaled = (factor: number, value: number | null): number | null => (value === null ? null : factor * value);

export const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, v) => sum + v, 0) / values.length;
/** Mean or maximum of ratios; null when one of them is missing. */
export const over = (fold: (values: ReadonlyArray<number>) => number, values: ReadonlyArray<number | null>): number | null => {
  const all = known(values);
  return all === null ? null : fold(all);
};
export const max = (values: ReadonlyArray<number>): number => Math.max(...values);
export const min = (values: ReadonlyArray<number>): number => Math.min(...values);
export const ascending = (values: ReadonlyArray<number>): boolean => values.every((v, i) => i === 0 || v > values[i - 1]);
