/** What a sweep would do: its axes, its runs, what is known already, and how long the rest would take, by timing a few. Nothing is kept. */
import { E, TE, pipe } from "../../../sim/base/fp.js";
import { METRICS } from "../../../sim/report/metrics.js";
import { table } from "../../../sim/report/table.js";
import { axesOf, stepsOf, type Axis } from "../../../sim/sweep/axis.js";
import { designShown } from "../../../sim/sweep/sensitivity/analysis.js";
import type { Place } from "../../../sim/sweep/schedule.js";
import type { Program } from "../../program.js";
import { raised, type Declared } from "./load.js";
import type { Way, Wishes } from "./make.js";
import { shownMetrics } from "./summary.js";

/** Runs are timed until they have taken so many seconds on each worker, and at most so many. Runs of one sweep can differ tenfold, so a few are too few. */
const TIMED = { seconds: 3, atMost: 60 } as const;

/** Part of the golden ratio: steps of it, folded into the points, lie spread over them wherever one stops. */
const GOLDEN = 0.6180339887498949;

/** Different points, as evenly spread as they can be, however many of them are taken. */
export const spreadOver = (points: number, atMost: number): ReadonlyArray<number> =>
  [...new Set(Array.from({ length: 4 * atMost }, (_, i) => Math.floor((((i + 0.5) * GOLDEN) % 1) * points)))].slice(0, atMost);

const spreadOf = (axis: Axis): string => {
  const values = axis.spread._tag === "Ranged" && axis.spread.steps === null ? [axis.spread.range.from, axis.spread.range.to].map(({ amount, unit }) => `${amount}${unit}`).join(" … ") : stepsOf(axis).join(", ");
  return `${axis.as === "factor" ? "× " : ""}${values.length > 70 ? `${values.slice(0, 67)}...` : values}`;
};

const axisRows = ({ declaration }: Declared): ReadonlyArray<ReadonlyArray<string>> =>
  declaration.axes.flatMap((dimension) => axesOf(dimension).map((axis) => [
    axis.name, axis.over.map(({ word }) => word).join(", "), spreadOf(axis),
    dimension._tag === "Single" ? "crossed" : dimension._tag === "Zipped" ? "zipped" : dimension._tag === "Designed" ? designShown(dimension.design, dimension.axes.length) : `${dimension.points} points, ${dimension.method}`, axis.whatIf ?? "",
  ]));

const showSeconds = (seconds: number): string => (seconds < 90 ? `${seconds.toFixed(seconds < 10 ? 1 : 0)} s` : seconds < 5400 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(1)} h`);

/** Seconds of single runs beside as many others as there will be; the first of each worker warms it up and is left out. */
const timed = <W extends { readonly of: Place }, F>(way: Way<W, F>, inputs: ReadonlyArray<W>, workers: number): Program<ReadonlyArray<number>> => (capabilities) => {
  const warming = inputs.slice(0, workers);
  const all = [...warming, ...inputs];
  let [at, spent] = [0, 0];
  const seconds: Array<number> = [];
  let settledSoFar = 0;
  const settled = (_: Place, __: F, took: number): boolean => {
    if (settledSoFar++ < warming.length) return true;
    seconds.push(took);
    spent += took;
    return spent < TIMED.seconds * workers;
  };
  const next = (): W | null => all[at++] ?? null;
  return pipe(capabilities.interruptible((signal) => way.run({ next, settled }, { where: { _tag: "Pool", workers }, signal })), TE.map(() => seconds));
};

export interface Outlook { readonly text: string; readonly json: unknown }

export const dryRun = <W extends { readonly of: Place }, F>(declared: Declared, wishes: Wishes, way: Way<W, F>): Program<Outlook> => (capabilities) =>
  pipe(
    way.code,
    TE.chain((code) => {
      const { declaration, points } = declared;
      const jobs = way.jobs({ digest: capabilities.digest, code: code.hash, manifest: "dry run", now: capabilities.clock });
      const places = points.kept.flatMap((_, point) => Array.from({ length: declaration.repetitions }, (__, repetition): Place => ({ point, repetition })));
      const workers = way.measuring !== null ? 1 : (wishes.workers ?? capabilities.machine.cores);
      const few = spreadOver(points.kept.length, TIMED.atMost).flatMap((point) => {
        const wanted = jobs.wantedAt({ point, repetition: 0 });
        return E.isRight(wanted) ? [wanted.right] : [];
      });
      return pipe(
        TE.Do,
        TE.bind("known", () => wishes.store.peek([...new Set(places.map(jobs.keyOf))])),
        TE.bind("seconds", () => timed(way, few, workers)(capabilities)),
        TE.map(({ known, seconds }): Outlook => {
          const fresh = places.filter((place) => !known.has(jobs.keyOf(place))).length;
          const mean = seconds.length === 0 ? 0 : seconds.reduce((sum, s) => sum + s, 0) / seconds.length;
          const estimate = (fresh * mean) / Math.min(workers, Math.max(1, fresh));
          const more = declaration.stop === null ? "" : `, and up to ${declaration.stop.atMost - declaration.repetitions} more of each until ${declaration.stop.metric} is known to ${100 * declaration.stop.halfWidth}%`;
          const text = [
            declaration.title,
            "",
            table([{ title: "axis" }, { title: "varies", wrap: 50 }, { title: "values", wrap: 72 }, { title: "how" }, { title: "what if", wrap: 40 }], axisRows(declared)),
            "",
            `${points.kept.length} points${points.ruledOut > 0 ? ` (${points.ruledOut} more ruled out by where)` : ""} × ${declaration.repetitions} repetition${declaration.repetitions === 1 ? "" : "s"}${more}`,
            ...(raised(declared) === null ? [] : [raised(declared)!]),
            `${places.length} runs, ${places.length - fresh} of them known already; looked at: ${shownMetrics(declaration).map((name) => `${name} (${METRICS[name].unit})`).join(", ")}`,
            seconds.length === 0 ? "no run could be timed" : `about ${showSeconds(estimate)} with ${workers} worker${workers === 1 ? "" : "s"}: ${seconds.length} runs took ${showSeconds(mean)} each`,
          ].join("\n");
          return { text, json: { id: declaration.id, key: declared.key, points: points.kept.length, ruledOut: points.ruledOut, runs: places.length, known: places.length - fresh, secondsPerRun: mean, estimatedSeconds: estimate, workers } };
        }),
      );
    }),
  );
