/** Finished runs to what is shown of a sweep: a row a point, its metrics as means with intervals. Nothing here depends on when or where a run was made. */
import type { Declaration, MetricName } from "../../../sim/sweep/declaration.js";
import { coveredShare, paretoFront, turned } from "../../../sim/sweep/front.js";
import { intervalOf, type Interval } from "../../../sim/sweep/interval.js";
import { metricsIn } from "../../../sim/sweep/stability/claims.js";
import type { Coordinates } from "../../../sim/sweep/constraint.js";
import type { RunState, StoredRun } from "../../store.js";
import type { Declared } from "./load.js";
import type { Place } from "../../../sim/sweep/schedule.js";

/** A finished run at its place, as far as it is shown: just made, or from a store. */
export interface Finished { readonly place: Place; readonly run: Pick<StoredRun, "key" | "state" | "reason" | "metrics" | "limit"> }

export interface PointRow {
  readonly point: number;
  readonly coordinates: Coordinates;
  /** Of its repetitions: the worst. */
  readonly state: RunState | "not run";
  readonly runs: number;
  readonly reason: string | null;
  /** The run that this is the reason of. */
  readonly run: string | null;
  /** Means over repetitions that are done; null where there is none. */
  readonly metrics: Readonly<Record<string, Interval | null>>;
  readonly limit: string | null;
}

/** Every metric that the declaration looks at: named, aimed at or drawn. */
export const shownMetrics = ({ metrics, aims, picture, stop, claims }: Declaration): ReadonlyArray<MetricName> => [
  ...new Set([
    ...metrics,
    ...aims.map(({ metric }) => metric),
    ...(stop === null ? [] : [stop.metric]),
    ...claims.flatMap(({ holds }) => metricsIn(holds) as ReadonlyArray<MetricName>),
    ...(picture === null ? [] : picture.kind === "lines" ? [picture.y] : picture.kind === "heat" ? [picture.colour] : picture.kind === "indices" ? [picture.metric] : [picture.x, picture.y]),
  ]),
];

const WORST: ReadonlyArray<RunState> = ["failed", "refused", "done"];

export const pointRows = ({ declaration, points }: Pick<Declared, "declaration" | "points">, settled: ReadonlyArray<Finished>): ReadonlyArray<PointRow> => {
  const byPoint = new Map<number, Array<Finished>>();
  for (const one of settled) {
    const before = byPoint.get(one.place.point);
    if (before === undefined) byPoint.set(one.place.point, [one]);
    else before.push(one);
  }
  return points.kept.map((coordinates, point): PointRow => {
    const all = byPoint.get(point) ?? [];
    const done = all.filter(({ run }) => run.state === "done");
    const state = WORST.find((one) => all.some(({ run }) => run.state === one)) ?? "not run";
    const metrics = Object.fromEntries(shownMetrics(declaration).map((name) => {
      const values = done.flatMap(({ run }) => (typeof run.metrics[name] === "number" ? [run.metrics[name]] : []));
      return [name, values.length === 0 ? null : intervalOf(values)];
    }));
    const why = all.find(({ run }) => run.state === state && run.reason !== null)?.run;
    return { point, coordinates, state, runs: all.length, reason: why?.reason ?? null, run: why?.key ?? null, metrics, limit: done[0]?.run.limit ?? null };
  });
};

export interface Front { readonly points: ReadonlyArray<number>; readonly hypervolume: number }

/** The points that no other beats in all aims, and the share of the box between the worst and the best that they cover. */
export const frontOf = ({ declaration: { aims } }: Pick<Declared, "declaration">, rows: ReadonlyArray<PointRow>): Front | null => {
  const judged = rows.filter(({ metrics }) => aims.every(({ metric }) => metrics[metric] !== null && metrics[metric] !== undefined));
  if (aims.length < 2 || judged.length === 0) return null;
  const values = judged.map(({ metrics }) => turned(aims.map(({ metric }) => metrics[metric]!.mean), aims));
  return { points: paretoFront(values).map((i) => judged[i]!.point), hypervolume: coveredShare(values) };
};
