/** The store: journals beside a DuckDB file, taken in whenever somebody asks. */
import { renameSync, rmSync } from "node:fs";
import { dirname, join, resolve, basename } from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";
import { E, TE, pipe, type Either, type TaskEither } from "../../../sim/base/fp.js";
import { badInput, disk, type AppError } from "../../../sim/base/errors.js";
import type { Line, Rows, Store, StoredRun } from "../../store.js";
import { reasonOf } from "../files.js";
import { exists, inTransaction, reading, rowsOf, writing } from "./database.js";
import { openJournal, readJournals, removeJournal } from "./journal.js";
import { COLUMNS, type Table } from "./schema.js";

type Row = ReadonlyArray<string | number | null>;

const rowOf = (line: Line): { readonly table: Table; readonly key: string; readonly row: Row } | null => {
  switch (line.line) {
    case "manifest": {
      const { line: _, ...content } = line;
      return { table: "manifests", key: line.id, row: [line.id, line.sweep, line.startedAt, JSON.stringify(content)] };
    }
    case "sweep":
      return { table: "sweeps", key: line.key, row: [line.key, line.id, line.title, JSON.stringify(line.declaration)] };
    case "document":
      return { table: "documents", key: line.hash, row: [line.hash, line.kind, line.name, JSON.stringify(line.content)] };
    case "run":
      return {
        table: "runs", key: line.key,
        row: [line.key, line.manifest, line.state, line.reason, JSON.stringify(line.request), line.device, line.model, line.system, line.plan, JSON.stringify(line.metrics), line.limit, line.seconds, line.finishedAt, line.exit, line.text ?? null],
      };
    case "member":
      return { table: "members", key: `${line.sweep}/${line.point}/${line.repetition}/${line.run}`, row: [line.sweep, line.point, line.repetition, JSON.stringify(line.coordinates), line.run] };
    case "end":
      return null;
  }
};

const STATE = COLUMNS.runs.indexOf("state");

/** Rows by table, each key once; a run that failed gives way to one that did not. */
const rowsIn = (lines: ReadonlyArray<Line>): ReadonlyMap<Table, ReadonlyArray<Row>> => {
  const tables = new Map<Table, Map<string, Row>>();
  for (const line of lines) {
    const made = rowOf(line);
    if (made === null) continue;
    const rows = tables.get(made.table) ?? new Map<string, Row>();
    tables.set(made.table, rows);
    const before = rows.get(made.key);
    if (before === undefined || (made.table === "runs" && before[STATE] === "failed")) rows.set(made.key, made.row);
  }
  return new Map([...tables].map(([table, rows]) => [table, [...rows.values()]]));
};

const append = async (connection: DuckDBConnection, table: Table, rows: ReadonlyArray<Row>): Promise<void> => {
  await connection.run(`CREATE OR REPLACE TEMP TABLE incoming AS SELECT ${COLUMNS[table].join(", ")} FROM ${table} LIMIT 0`);
  const appender = await connection.createAppender("incoming", "main", "temp");
  const types = COLUMNS[table].map((_, i) => String(appender.columnType(i)));
  for (const row of rows) {
    row.forEach((value, i) => {
      if (value === null) appender.appendNull();
      else if (typeof value === "string") appender.appendVarchar(value);
      else if (types[i] === "INTEGER") appender.appendInteger(value);
      else appender.appendDouble(value);
    });
    appender.endRow();
  }
  appender.closeSync();
  const columns = COLUMNS[table].join(", ");
  if (table === "runs") await connection.run(`INSERT OR REPLACE INTO runs (${columns}) SELECT ${COLUMNS.runs.map((name) => `incoming.${name}`).join(", ")} FROM incoming LEFT JOIN runs ON runs.key = incoming.key WHERE runs.key IS NULL OR runs.state = 'failed'`);
  else await connection.run(`INSERT OR IGNORE INTO ${table} (${columns}) SELECT ${columns} FROM incoming`);
};

/** Takes journals in and puts the finished ones away; doing it twice changes nothing. */
const takeIn = async (connection: DuckDBConnection, path: string): Promise<number> => {
  const journals = readJournals(path);
  const tables = rowsIn(journals.flatMap(({ lines }) => lines));
  const count = async (): Promise<number> => (await rowsOf(connection, "SELECT count(*)::INTEGER FROM runs WHERE state <> 'failed'")).rows[0]![0] as number;
  const before = await count();
  if (tables.size > 0)
    await inTransaction(connection, async () => {
      for (const [table, rows] of tables) await append(connection, table, rows);
    });
  // Now that they are in the file, and on the disk.
  for (const journal of journals) if (journal.finished) removeJournal(journal);
  return (await count()) - before;
};

const storedRun = (row: ReadonlyArray<unknown>): StoredRun => {
  const of = (name: (typeof COLUMNS.runs)[number]): unknown => row[COLUMNS.runs.indexOf(name)];
  return {
    key: of("key") as string, manifest: of("manifest") as string, state: of("state") as StoredRun["state"], reason: of("reason") as string | null, exit: of("exit") as number,
    request: JSON.parse(of("request") as string) as unknown, device: of("device") as string, model: of("model") as string, system: of("system") as string, plan: of("plan") as string | null,
    metrics: JSON.parse(of("metrics") as string) as StoredRun["metrics"], limit: of("bound") as string | null, seconds: of("seconds") as number, finishedAt: of("finishedAt") as string,
    ...(of("text") === null ? {} : { text: of("text") as string }),
  };
};

const wrongQuestion = (fault: AppError, sql: string): AppError => (fault._tag === "Disk" && /^(Parser|Binder|Catalog|Conversion|Invalid Input|Permission|Not implemented|Out of Range|Invalid) /.test(fault.reason) ? badInput("the query", [{ path: sql.length > 60 ? `${sql.slice(0, 57)}...` : sql, message: fault.reason }]) : fault);

export const storeAt = (named: string): Store => {
  const path = resolve(named);
  const absorb: TaskEither<AppError, number> = () => writing(path, (connection) => takeIn(connection, path));
  /** A file that is not there is made only when something is to be kept in it. */
  const present = (): Either<AppError, void> => (exists(path) || readJournals(path).length > 0 ? E.right(undefined) : E.left(badInput(path, [{ path: "(whole)", message: "there is no store of results yet; `neuronlab sweep FILE` makes one" }])));
  const fresh: TaskEither<AppError, void> = async () => {
    const there = present();
    if (E.isLeft(there)) return there;
    const taken = await absorb();
    return E.isLeft(taken) ? taken : E.right(undefined);
  };
  const known: Store["known"] = (keys) => () =>
    writing(path, async (connection) => {
      await takeIn(connection, path);
      const { rows } = await rowsOf(connection, `SELECT ${COLUMNS.runs.join(", ")} FROM runs WHERE key IN (SELECT unnest(string_split(?, ',')))`, [keys.join(",")]);
      return new Map(rows.map((row) => [row[0] as string, storedRun(row)]));
    });
  return {
    path,
    absorb,
    journal: (id) => openJournal(path, id),
    known,
    peek: (keys) => (E.isLeft(present()) ? TE.right(new Map()) : known(keys)),
    ask: (sql, values = []) => pipe(
      fresh,
      TE.chain((): TaskEither<AppError, Rows> => () => reading(path, (connection) => rowsOf(connection, sql, values))),
      TE.mapLeft((fault) => wrongQuestion(fault, sql)),
    ),
    exported: (sql, values, format, file) => pipe(
      fresh,
      TE.chain((): TaskEither<AppError, void> => async () => {
        const temporary = join(dirname(resolve(file)), `.${basename(file)}.${process.pid}.tmp`);
        const options = { csv: "FORMAT csv, HEADER", jsonl: "FORMAT json", parquet: "FORMAT parquet, COMPRESSION zstd" }[format];
        const copied = await writing(path, (connection) => connection.run(`COPY (${sql}) TO '${temporary.replaceAll("'", "''")}' (${options})`, [...values]));
        if (E.isLeft(copied)) {
          rmSync(temporary, { force: true });
          return copied;
        }
        try {
          renameSync(temporary, resolve(file));
          return E.right(undefined);
        } catch (fault) {
          rmSync(temporary, { force: true });
          return E.left(disk(file, reasonOf(fault)));
        }
      }),
    ),
  };
};
