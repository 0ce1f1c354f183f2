/** Claims and metrics over the draws of the uncertain facts. */
import type { Coordinates } from "../constraint.js";
import type { Declaration } from "../declaration.js";
import type { Points } from "../points.js";
import { quantile } from "../sensitivity/bootstrap.js";
import { verdictOf, type Found } from "./claims.js";
import { withoutDraw } from "./draw.js";
import { factorsOf, type Doubt } from "./laws.js";
import { byChance, rankCorrelation, wilson, type Share } from "./statistics.js";

/** Facts that are told of a claim. */
const TOLD = 3;

export interface JudgedClaim {
  readonly claim: string;
  /** With the profiles as they are; null where a run that it needs is not there. */
  readonly asProfiled: boolean | null;
  /** Of the draws that say; null without draws. */
  readonly held: (Share & { readonly hits: number; readonly of: number }) | null;
  /** Draws in which a run that it needs is not there. */
  readonly unknown: number;
  /** Rank correlation of a fact's factor with how far the claim is from failing: below zero, a larger fact makes it fail. */
  readonly facts: ReadonlyArray<{ readonly fact: string; readonly correlation: number }>;
}

export interface Spread { readonly draws: number; readonly low: number; readonly median: number; readonly high: number }
/** 5 %, 50 % and 95 % of a metric over the draws; null where no draw says. */
export interface SpreadPoint { readonly coordinates: Coordinates; readonly metrics: Readonly<Record<string, { readonly asProfiled: number | null; readonly spread: Spread | null }>> }

export interface Stability {
  readonly draws: number;
  /** Candidates among which the draws were found: the others contradicted themselves. */
  readonly tried: number; readonly facts: ReadonlyArray<Doubt>; readonly claims: ReadonlyArray<JudgedClaim>; readonly points: ReadonlyArray<SpreadPoint>;
}

const associated = (facts: ReadonlyArray<{ readonly fact: string; readonly factors: ReadonlyArray<number> }>, told: ReadonlyArray<{ readonly draw: number; readonly margin: number }>): JudgedClaim["facts"] => {
  if (told.length < 3) return [];
  const margins = told.map(({ margin }) => margin);
  const bound = byChance(facts.length, told.length);
  return facts
    .flatMap(({ fact, factors }) => {
      const correlation = rankCorrelation(told.map(({ draw }) => factors[draw]!), margins);
      return correlation === null || Math.abs(correlation) < bound ? [] : [{ fact, correlation }];
    })
    .sort((a, b) => Math.abs(b.correlation) - Math.abs(a.correlation))
    .slice(0, TOLD);
};

const spreadOf = (values: ReadonlyArray<number>): Spread | null => {
  if (values.length === 0) return null;
  const sorted = Float64Array.from(values).sort();
  return { draws: sorted.length, low: quantile(sorted, 0.05), median: quantile(sorted, 0.5), high: quantile(sorted, 0.95) };
};

/** null where nothing was claimed and nothing is uncertain. `at` gives a metric at a kept point. */
export const stabilityOf = (declaration: Declaration, points: Points, metrics: ReadonlyArray<string>, at: (point: number, metric: string) => Found): Stability | null => {
  const { uncertain, claims, seed } = declaration;
  if (uncertain === null && claims.length === 0) return null;
  const draws = uncertain?.draws ?? 0;
  const each = draws + 1;
  // The draw is the fastest coordinate: those of one point stand beside each other.
  const base = points.kept.filter((_, i) => i % each === 0).map(withoutDraw);
  const facts = uncertain?.facts ?? [];
  const drawn = facts.map((doubt) => ({ fact: doubt.fact, factors: factorsOf(doubt, uncertain?.accepted ?? [], seed) }));
  const found = (draw: number) => (point: number, metric: string | null): Found => at(point * each + draw, metric ?? metrics[0]!);
  return {
    draws, tried: uncertain?.accepted?.at(-1) ?? 0, facts,
    claims: claims.map(({ claim, holds }): JudgedClaim => {
      const told = Array.from({ length: draws }, (_, i) => i + 1).flatMap((draw) => {
        const verdict = verdictOf(holds, base, found(draw));
        return verdict === null ? [] : [{ draw, ...verdict }];
      });
      const hits = told.filter((one) => one.holds).length;
      return { claim, asProfiled: verdictOf(holds, base, found(0))?.holds ?? null, held: told.length === 0 ? null : { ...wilson(hits, told.length), hits, of: told.length }, unknown: draws - told.length, facts: associated(drawn, told) };
    }),
    points: uncertain === null ? [] : base.map((coordinates, point) => ({
      coordinates,
      metrics: Object.fromEntries(metrics.map((metric) => {
        const values = Array.from({ length: draws }, (_, i) => found(i + 1)(point, metric)).filter((value) => typeof value === "number");
        const here = found(0)(point, metric);
        return [metric, { asProfiled: typeof here === "number" ? here : null, spread: spreadOf(values) }];
      })),
    })),
  };
};
