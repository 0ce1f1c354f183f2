/**
 * The store's tables. A version is never changed once files of it may exist: a change is a further entry of MIGRATIONS, and a file is brought up
 * from whatever version it has, each step in one transaction.
 */
import { METRICS } from "../../../sim/report/metrics.js";

/** The statements that make version i + 1 of version i; version 0 is an empty file. */
export const MIGRATIONS: ReadonlyArray<ReadonlyArray<string>> = [
  [
    "CREATE TABLE store (version INTEGER NOT NULL)",
    "INSERT INTO store VALUES (1)",
    "CREATE TABLE manifests (id VARCHAR PRIMARY KEY, sweep VARCHAR NOT NULL, startedAt VARCHAR NOT NULL, content JSON NOT NULL)",
    "CREATE TABLE sweeps (key VARCHAR PRIMARY KEY, id VARCHAR NOT NULL, title VARCHAR NOT NULL, declaration JSON NOT NULL)",
    "CREATE TABLE documents (hash VARCHAR PRIMARY KEY, kind VARCHAR NOT NULL, name VARCHAR NOT NULL, content JSON NOT NULL)",
    "CREATE TABLE runs (key VARCHAR PRIMARY KEY, manifest VARCHAR NOT NULL, state VARCHAR NOT NULL, reason VARCHAR, request JSON NOT NULL, device VARCHAR NOT NULL, model VARCHAR NOT NULL, system VARCHAR NOT NULL, plan VARCHAR, metrics JSON NOT NULL, bound VARCHAR, seconds DOUBLE NOT NULL, finishedAt VARCHAR NOT NULL)",
    "CREATE TABLE members (sweep VARCHAR NOT NULL, point INTEGER NOT NULL, repetition INTEGER NOT NULL, coordinates JSON NOT NULL, run VARCHAR NOT NULL, PRIMARY KEY (sweep, point, repetition, run))",
  ],
  // A failed run keeps the exit code that it would have had alone; of runs that were kept before, only the reason is known.
  [
    "ALTER TABLE runs ADD COLUMN exit INTEGER",
    "UPDATE runs SET exit = CASE state WHEN 'done' THEN 0 WHEN 'refused' THEN 3 ELSE 70 END",
    "UPDATE store SET version = 2",
  ],
  // Runs of the engine write a text, kept as a document.
  ["ALTER TABLE runs ADD COLUMN text VARCHAR", "UPDATE store SET version = 3"],
];

export const VERSION = MIGRATIONS.length;

const metricColumns = Object.keys(METRICS).map((name) => `CAST(runs.metrics->>'${name}' AS DOUBLE) AS ${name}`).join(", ");

/** Every run at its place in every sweep. A view and not a table, so that a new metric needs no migration; made anew whenever a file is opened to be written. */
export const RESULTS_VIEW = `CREATE OR REPLACE VIEW results AS SELECT sweeps.id AS sweep, members.sweep AS sweepKey, members.point, members.repetition, members.coordinates, runs.state, runs.reason, ${metricColumns}, runs.bound AS "limit", runs.seconds, runs.finishedAt, runs.key AS run, runs.manifest FROM members JOIN runs ON runs.key = members.run JOIN sweeps ON sweeps.key = members.sweep`;

/** Columns by table, in the order in which rows are appended. */
export const COLUMNS = {
  manifests: ["id", "sweep", "startedAt", "content"],
  sweeps: ["key", "id", "title", "declaration"],
  documents: ["hash", "kind", "name", "content"],
  runs: ["key", "manifest", "state", "reason", "request", "device", "model", "system", "plan", "metrics", "bound", "seconds", "finishedAt", "exit", "text"],
  members: ["sweep", "point", "repetition", "coordinates", "run"],
} as const;
export type Table = keyof typeof COLUMNS;
