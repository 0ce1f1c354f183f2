/** What is kept of a sweep, or of one run with all that it came from. */
import { TE, pipe } from "../../../sim/base/fp.js";
import { fault } from "../../../sim/base/errors.js";
import { METRICS } from "../../../sim/report/metrics.js";
import { showNumber, table } from "../../../sim/report/table.js";
import { sweepCodec } from "../../../sim/sweep/declaration.js";
import { decode } from "../../../sim/base/decode.js";
import { E } from "../../../sim/base/fp.js";
import type { Program } from "../../program.js";
import type { Cell, Store } from "../../store.js";
import { storeWords } from "../default-store.js";
import { moreOfReasons, stateShown } from "../sweep/reasons.js";
import { sectionText } from "../sweep/sections.js";
import { shownMetrics } from "../sweep/summary.js";
import { METRIC_NAMES, axesOf, pointMeans } from "./questions.js";
import { storedSweep } from "./stored-sweep.js";
import { batches, begun, begunShown, type Batch, type Begun, type Which } from "./which.js";

export interface Says { readonly text: string; readonly json: unknown }

export const showCell = (cell: Cell | undefined): string => (cell === null || cell === undefined ? "-" : typeof cell === "number" ? showNumber(cell) : String(cell));

const listed = (all: ReadonlyArray<Batch>, waiting: ReadonlyArray<Begun>): string =>
  [
    ...(all.length === 0 ? [] : [table(
      [{ title: "sweep" }, { title: "title", wrap: 60 }, { title: "runs", align: "right" }, { title: "done", align: "right" }, { title: "refused", align: "right" }, { title: "failed", align: "right" }, { title: "last" }, { title: "declared" }, { title: "code" }],
      all.map((one) => [one.id, one.title, ...[one.runs, one.done, one.refused, one.failed].map(String), one.last.slice(0, 16).replace("T", " "), one.key.slice(0, 8), one.code.slice(0, 8)]),
    )]),
    ...(waiting.length === 0 ? [] : [begunShown(waiting)]),
    ...(all.length === 0 && waiting.length === 0 ? ["the store is empty"] : []),
  ].join("\n\n");

export const listSweeps = (store: Store): Program<Says> => () =>
  pipe(
    TE.Do,
    TE.bind("all", () => batches(store)),
    TE.bind("waiting", () => begun(store)),
    TE.map(({ all, waiting }): Says => ({ text: listed(all, waiting), json: all })),
  );

/** The metrics that a stored declaration looks at; all, where it is of a later version than this program. */
export const metricsOf = (store: Store, batch: Batch) =>
  pipe(
    store.ask("SELECT declaration FROM sweeps WHERE key = ?", [batch.key]),
    TE.map(({ rows }): ReadonlyArray<string> => {
      const read = decode(sweepCodec, batch.id)(JSON.parse(String(rows[0]![0])) as unknown);
      return E.isRight(read) ? shownMetrics(read.right) : METRIC_NAMES;
    }),
  );

const showSweep = (store: Store, batch: Batch): Program<Says> => () =>
  pipe(
    TE.Do,
    TE.bind("axes", () => axesOf(store, batch)),
    TE.bind("metrics", () => metricsOf(store, batch)),
    TE.bind("means", ({ axes, metrics }) => store.ask(pointMeans(batch, axes, metrics))),
    TE.bind("whole", () => storedSweep(store, batch)),
    TE.map(({ axes, metrics, means, whole }): Says => {
      const n = axes.length;
      const rows = means.rows.map((row) => ({ coordinates: Object.fromEntries(axes.map(({ name }, i) => [name, row[i]!])), runs: row[n], state: row[n + 1], reason: row[n + 2] as string | null, run: row[n + 3] as string | null, metrics: Object.fromEntries(metrics.map((name, i) => [name, row[n + 4 + i] ?? null])) }));
      const title = `${batch.title} (${batch.id}, declared ${batch.key.slice(0, 8)}, code ${batch.code.slice(0, 8)})`;
      return {
        text: [title, "", table(
          [...axes.map(({ name }) => ({ title: name })), { title: "runs", align: "right" }, ...metrics.map((name) => ({ title: `${name}, ${METRICS[name as keyof typeof METRICS].unit}`, align: "right" as const })), { title: "" , wrap: 60 }],
          rows.map((row) => [...axes.map(({ name }) => String(row.coordinates[name])), String(row.runs), ...metrics.map((name) => showCell(row.metrics[name])), row.state === "done" ? "" : stateShown(String(row.state), row.reason, row.run)]),
        ), "", ...moreOfReasons(rows, storeWords(store.path)), ...(whole?.described.sections ?? []).flatMap((section) => [sectionText(section), ""]), `${batch.runs} runs so far: ${batch.done} done, ${batch.refused} refused, ${batch.failed} failed`].join("\n"),
        json: { ...batch, points: rows.map(({ run: _, ...row }) => row), ...(whole === null ? {} : whole.described.told) },
      };
    }),
  );

const ONE_RUN = `SELECT runs.key, runs.state, runs.reason, runs.request, runs.metrics, runs.bound, runs.seconds, runs.finishedAt, manifests.content,
  (SELECT name FROM documents WHERE hash = runs.device), (SELECT name FROM documents WHERE hash = runs.model), (SELECT name FROM documents WHERE hash = runs.system), (SELECT content FROM documents WHERE hash = runs.plan),
  runs.device, runs.model, runs.system, runs.plan
  FROM runs JOIN manifests ON manifests.id = runs.manifest WHERE runs.key = ?`;
const PLACES = "SELECT sweeps.id, members.point, members.repetition, members.coordinates FROM members JOIN sweeps ON sweeps.key = members.sweep WHERE members.run = ? ORDER BY sweeps.id, members.point";

export interface RunFacts { readonly key: string; readonly state: string; readonly reason: string | null; readonly request: unknown; readonly metrics: Readonly<Record<string, number | null>>; readonly limit: string | null; readonly seconds: number; readonly finishedAt: string; readonly manifest: Readonly<Record<string, unknown>>; readonly documents: Readonly<Record<string, { readonly name: string | null; readonly hash: string | null }>>; readonly plan: unknown }

export const runFacts = (store: Store, key: string) =>
  pipe(
    store.ask(ONE_RUN, [key]),
    TE.chain(({ rows }) => {
      const row = rows[0];
      if (row === undefined) return TE.left(fault(`run ${key} has no manifest`));
      const parsed = (i: number): unknown => (row[i] === null ? null : (JSON.parse(String(row[i])) as unknown));
      const document = (i: number) => ({ name: row[i] as string | null, hash: row[i + 4] as string | null });
      return TE.right<never, RunFacts>({
        key, state: String(row[1]), reason: row[2] as string | null, request: parsed(3), metrics: parsed(4) as RunFacts["metrics"], limit: row[5] as string | null, seconds: Number(row[6]), finishedAt: String(row[7]),
        manifest: parsed(8) as RunFacts["manifest"], documents: { device: document(9), model: document(10), system: document(11) }, plan: parsed(12),
      });
    }),
  );

const showRun = (store: Store, key: string): Program<Says> => () =>
  pipe(
    TE.Do,
    TE.bind("facts", () => runFacts(store, key)),
    TE.bind("places", () => store.ask(PLACES, [key])),
    TE.map(({ facts, places }): Says => {
      const manifest = facts.manifest;
      const host = manifest.host as { readonly name: string; readonly cpu: string };
      const rows: ReadonlyArray<readonly [string, string]> = [
        ["run", key], ["state", facts.reason === null ? facts.state : `${facts.state}: ${facts.reason}`],
        ...places.rows.map(([id, point, repetition, at]) => ["in", `${id}, point ${point}, repetition ${repetition}: ${at}`] as const),
        ...Object.entries(facts.metrics).map(([name, value]) => [name, value === null ? "-" : `${showNumber(value)} ${METRICS[name as keyof typeof METRICS]?.unit ?? ""}`] as const),
        ["limit", facts.limit ?? "-"],
        ...Object.entries(facts.documents).map(([kind, { name, hash }]) => [kind, name === null ? "-" : `${name} (${hash})`] as const),
        ["request", JSON.stringify(facts.request)],
        ["made by", `${manifest.command} (neuronlab ${manifest.version}, code ${manifest.code}, commit ${manifest.commit ?? "unknown"}${manifest.dirty === true ? " with changes" : ""}, Node ${manifest.node})`],
        ["on", `${host.name}, ${host.cpu}, ${facts.finishedAt}, in ${facts.seconds.toFixed(3)} s`],
      ];
      return { text: table([{ title: "what" }, { title: "", wrap: 110 }], rows), json: { ...facts, places: places.rows.map(([sweep, point, repetition, at]) => ({ sweep, point, repetition, coordinates: JSON.parse(String(at)) as unknown })) } };
    }),
  );

export const show = (store: Store, found: Which): Program<Says> => (found._tag === "Sweep" ? showSweep(store, found.batch) : showRun(store, found.key));
