/** What a sweep would do: its axes, its runs, what is known already, and how long the rest would take, by timing a few. Nothing is kept. */
import { E, TE, pipe } from "../../../sim/base/fp.js";
import { METRICS } from "../../../sim/report/metrics.js";
import { table } from "../../../sim/report/table.js";
import { axesOf, stepsOf, type Axis } from "../../../sim/sweep/axis.js";
import type { Place } from "../../../sim/sweep/schedule.js";
import type { Wanted } from "../../executor.js";
import type { Finding } from "../../finding.js";
import type { Program } from "../../program.js";
import { jobsOf } from "./jobs.js";
import type { Declared } from "./load.js";
import type { Wishes } from "./make.js";
import { shownMetrics } from "./summary.js";

/** Runs that are timed, spread over the points; one before them warms up. */
const TIMED = 6;

const spreadOf = (axis: Axis): string => {
  const values = axis.spread._tag === "Ranged" && axis.spread.steps === null ? [axis.spread.range.from, axis.spread.range.to].map(({ amount, unit }) => `${amount}${unit}`).join(" … ") : stepsOf(axis).join(", ");
  return `${axis.as === "factor" ? "× " : ""}${values.length > 70 ? `${values.slice(0, 67)}...` : values}`;
};

const axisRows = ({ declaration }: Declared): ReadonlyArray<ReadonlyArray<string>> =>
  declaration.axes.flatMap((dimension) => axesOf(dimension).map((axis) => [
    axis.name, axis.over.map(({ word }) => word).join(", "), spreadOf(axis),
    dimension._tag === "Single" ? "crossed" : dimension._tag === "Zipped" ? "zipped" : `${dimension.points} points, ${dimension.method}`, axis.whatIf ?? "",
  ]));

const showSeconds = (seconds: number): string => (seconds < 90 ? `${seconds.toFixed(seconds < 10 ? 1 : 0)} s` : seconds < 5400 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(1)} h`);

/** Seconds of single runs, one after the other, the first left out. */
const timed = (wanted: ReadonlyArray<Wanted<Place>>): Program<ReadonlyArray<number>> => (capabilities) => {
  let at = 0;
  const seconds: Array<number> = [];
  const settled = (_: Place, __: Finding, took: number): boolean => seconds.push(took) > 0;
  const next = (): Wanted<Place> | null => wanted[at++] ?? null;
  return pipe(capabilities.interruptible((signal) => capabilities.execute({ _tag: "Pool", workers: 1 }, { next, settled }, signal)), TE.map(() => seconds.slice(1)));
};

export interface Outlook { readonly text: string; readonly json: unknown }

export const dryRun = (declared: Declared, wishes: Wishes): Program<Outlook> => (capabilities) =>
  pipe(
    capabilities.code,
    TE.chain((code) => {
      const { declaration, points } = declared;
      const jobs = jobsOf(declared, { digest: capabilities.digest, code: code.hash, manifest: "dry run", now: capabilities.clock });
      const places = points.kept.flatMap((_, point) => Array.from({ length: declaration.repetitions }, (__, repetition): Place => ({ point, repetition })));
      const stride = Math.max(1, Math.floor(points.kept.length / TIMED));
      const few = Array.from({ length: Math.min(TIMED, points.kept.length) }, (_, i) => ({ point: Math.min(points.kept.length - 1, i * stride), repetition: 0 })).flatMap((place) => {
        const wanted = jobs.wantedAt(place);
        return E.isRight(wanted) ? [wanted.right] : [];
      });
      return pipe(
        TE.Do,
        TE.bind("known", () => wishes.store.peek([...new Set(places.map(jobs.keyOf))])),
        TE.bind("seconds", () => timed(few.length === 0 ? [] : [few[0]!, ...few])(capabilities)),
        TE.map(({ known, seconds }): Outlook => {
          const fresh = places.filter((place) => !known.has(jobs.keyOf(place))).length;
          const mean = seconds.length === 0 ? 0 : seconds.reduce((sum, s) => sum + s, 0) / seconds.length;
          const workers = wishes.workers ?? capabilities.machine.cores;
          const estimate = (fresh * mean) / Math.min(workers, Math.max(1, fresh));
          const more = declaration.stop === null ? "" : `, and up to ${declaration.stop.atMost - declaration.repetitions} more of each until ${declaration.stop.metric} is known to ${100 * declaration.stop.halfWidth}%`;
          const text = [
            declaration.title,
            "",
            table([{ title: "axis" }, { title: "varies", wrap: 50 }, { title: "values", wrap: 72 }, { title: "how" }, { title: "what if", wrap: 40 }], axisRows(declared)),
            "",
            `${points.kept.length} points${points.ruledOut > 0 ? ` (${points.ruledOut} more ruled out by where)` : ""} × ${declaration.repetitions} repetition${declaration.repetitions === 1 ? "" : "s"}${more}`,
            `${places.length} runs, ${places.length - fresh} of them known already; looked at: ${shownMetrics(declaration).map((name) => `${name} (${METRICS[name].unit})`).join(", ")}`,
            seconds.length === 0 ? "no run could be timed" : `about ${showSeconds(estimate)} with ${workers} worker${workers === 1 ? "" : "s"}: ${seconds.length} runs took ${showSeconds(mean)} each`,
          ].join("\n");
          return { text, json: { id: declaration.id, key: declared.key, points: points.kept.length, ruledOut: points.ruledOut, runs: places.length, known: places.length - fresh, secondsPerRun: mean, estimatedSeconds: estimate, workers } };
        }),
      );
    }),
  );
