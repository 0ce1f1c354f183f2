/** Questions to the store about one batch of runs. Names of axes come from a user's file, so they are quoted. */
import { TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import type { AppError } from "../../../sim/base/errors.js";
import { METRICS } from "../../../sim/report/metrics.js";
import type { Store } from "../../store.js";
import type { Batch } from "./which.js";

export const METRIC_NAMES: ReadonlyArray<string> = Object.keys(METRICS);

const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;
const column = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** The runs of a batch at their places. */
export const placesOf = ({ key, code }: Batch): string =>
  `SELECT results.* FROM results JOIN manifests ON manifests.id = results.manifest WHERE results.sweepKey = ${text(key)} AND json_extract_string(manifests.content, '$.code') = ${text(code)}`;

export interface AxisColumn { readonly name: string; readonly isNumber: boolean }

/** Axes in the order of the declaration, which every point keeps. */
export const axesOf = (store: Store, batch: Batch): TaskEither<AppError, ReadonlyArray<AxisColumn>> =>
  pipe(
    store.ask(`WITH places AS (${placesOf(batch)}), named AS (SELECT coordinates, unnest(json_keys(coordinates)) AS name FROM places)
      SELECT name, bool_and(json_type(coordinates, '$."' || name || '"') IN ('BIGINT', 'UBIGINT', 'DOUBLE')), min(list_position(json_keys(coordinates), name)) AS place FROM named GROUP BY name ORDER BY place`),
    TE.map(({ rows }) => rows.map(([name, isNumber]): AxisColumn => ({ name: String(name), isNumber: isNumber === true }))),
  );

const coordinate = ({ name, isNumber }: AxisColumn): string => {
  const path = `json_extract_string(coordinates, ${text(`$."${name}"`)})`;
  return `${isNumber ? `CAST(${path} AS DOUBLE)` : path} AS ${column(name)}`;
};

/** A row a run, in order. `provenance`: when it was made and by which command, which differs from machine to machine. */
export const flatRows = (batch: Batch, axes: ReadonlyArray<AxisColumn>, provenance: boolean): string =>
  `SELECT point, repetition, ${[...axes.map(coordinate), "state", "reason", ...METRIC_NAMES, '"limit"', "run", ...(provenance ? ["manifest", "seconds", "finishedAt"] : [])].join(", ")} FROM (${placesOf(batch)}) ORDER BY point, repetition, run`;

/** A row a point: coordinates, the number of its runs, their state, a reason and the run that has it, and means over its repetitions. */
export const pointMeans = (batch: Batch, axes: ReadonlyArray<AxisColumn>, metrics: ReadonlyArray<string>): string =>
  `SELECT ${[...axes.map(coordinate), "count(*)", "max(state)", "min(reason)", "arg_min(run, reason)", ...metrics.map((name) => `avg(${name})`)].join(", ")} FROM (${placesOf(batch)}) GROUP BY point, coordinates ORDER BY point`;
