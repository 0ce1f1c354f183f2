/**
 * The only file that knows DuckDB. One process at a time can have a file open, so it is opened for as long as a question takes and no longer; a
 * file that stays in use is refused with a sentence that says by whom.
 */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { DuckDBConnection } from "@duckdb/node-api";
import { E, type Either } from "../../../sim/base/fp.js";
import { badInput, disk, type AppError } from "../../../sim/base/errors.js";
import type { Cell, Rows } from "../../store.js";
import { makeFolders } from "./folders.js";
import { MIGRATIONS, RESULTS_VIEW, VERSION } from "./schema.js";

/** Pages of 16 KiB: results are small, and a file begins with a few pages. */
const BLOCK = "16384";
const PATIENCE_MS = 5000;
const BETWEEN_TRIES_MS = 40;

const messageOf = (fault: unknown): string => (fault instanceof Error ? fault.message : String(fault));

const inUse = /Could not set lock|being used by another process/;
const HOLDER = /held in (.+) \(PID (\d+)\)/;

const refused = (path: string, fault: unknown): AppError => {
  const message = messageOf(fault);
  const held = HOLDER.exec(message);
  if (inUse.test(message)) return disk(path, `is in use by ${held === null ? "another process" : `process ${held[2]} (${held[1]})`}; let it end, or name another file with --store`);
  if (/not a valid DuckDB|magic bytes|deserialize|storage version/i.test(message)) return badInput(path, [{ path: "(whole)", message: `is not a store of results: ${message.split("\n")[0]}` }]);
  return disk(path, message.split("\n")[0]!.replace(/^(?:Failed to extract statements|IO Error): /, ""));
};

const versionOf = async (connection: DuckDBConnection): Promise<number> => {
  const tables = await connection.runAndReadAll("SELECT count(*)::INTEGER FROM information_schema.tables WHERE table_name = 'store'");
  if (tables.getRowsJson()[0]![0] === 0) return 0;
  return (await connection.runAndReadAll("SELECT version FROM store")).getRowsJson()[0]![0] as number;
};

const isEmpty = async (connection: DuckDBConnection): Promise<boolean> => (await connection.runAndReadAll("SELECT count(*)::INTEGER FROM information_schema.tables")).getRowsJson()[0]![0] === 0;

/** Statements as one: all or none. */
export const inTransaction = async (connection: DuckDBConnection, work: () => Promise<void>): Promise<void> => {
  await connection.run("BEGIN TRANSACTION");
  try {
    await work();
    await connection.run("COMMIT");
  } catch (fault) {
    await connection.run("ROLLBACK").catch(() => undefined);
    throw fault;
  }
};

/** Brings a file up to this program's version; null, or what is wrong. */
const migrated = async (path: string, connection: DuckDBConnection): Promise<AppError | null> => {
  const from = await versionOf(connection);
  if (from > VERSION) return badInput(path, [{ path: "(whole)", message: `is a store of version ${from}, and this program knows versions up to ${VERSION}; use the newer program, or name another file with --store` }]);
  if (from === 0 && !(await isEmpty(connection))) return badInput(path, [{ path: "(whole)", message: "is a DuckDB file, but no store of results; name another file with --store" }]);
  // A version at a time: within one transaction, DuckDB lets no table be changed whose form was changed before.
  for (const statements of MIGRATIONS.slice(from))
    await inTransaction(connection, async () => {
      for (const statement of statements) await connection.run(statement);
    });
  await connection.run(RESULTS_VIEW);
  return null;
};

const opened = async <A>(path: string, mode: "READ_WRITE" | "READ_ONLY", work: (connection: DuckDBConnection) => Promise<A>): Promise<A> => {
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const instance = await DuckDBInstance.create(path, { access_mode: mode, default_block_size: BLOCK, threads: "2" });
  try {
    const connection = await instance.connect();
    try {
      return await work(connection);
    } finally {
      connection.closeSync();
    }
  } finally {
    instance.closeSync();
  }
};

/** Waits for another command to be done with the file, for some seconds. */
const patiently = async <A>(path: string, work: () => Promise<A>): Promise<Either<AppError, A>> => {
  const began = performance.now();
  for (;;) {
    try {
      return E.right(await work());
    } catch (fault) {
      if (!inUse.test(messageOf(fault)) || performance.now() - began >= PATIENCE_MS) return E.left(refused(path, fault));
      await pause(BETWEEN_TRIES_MS);
    }
  }
};

/** To write: the file and its folder are made where there are none, and brought up to date. */
export const writing = async <A>(path: string, work: (connection: DuckDBConnection) => Promise<A>): Promise<Either<AppError, A>> => {
  const done = await patiently(path, () => {
    makeFolders(dirname(path));
    return opened(path, "READ_WRITE", async (connection): Promise<Either<AppError, A>> => {
      const wrong = await migrated(path, connection);
      return wrong === null ? E.right(await work(connection)) : E.left(wrong);
    });
  });
  return E.isLeft(done) ? done : done.right;
};

/** To read, whatever the question says: the file is opened for reading, and no other file can be reached. */
export const reading = async <A>(path: string, work: (connection: DuckDBConnection) => Promise<A>): Promise<Either<AppError, A>> =>
  patiently(path, () =>
    opened(path, "READ_ONLY", async (connection) => {
      await connection.run("SET enable_external_access = false");
      await connection.run("SET lock_configuration = true");
      return work(connection);
    }));

export const exists = (path: string): boolean => existsSync(path);

/** Whole numbers beyond 2^53 come as text, and so do times; lists and structures as JSON. */
const cellOf = (value: unknown): Cell => (value === null || typeof value === "number" || typeof value === "boolean" || typeof value === "string" ? value : JSON.stringify(value));

/** Counts come as text because they may be large; those that are not are numbers to whoever reads them. */
const counted = (value: Cell, type: string): Cell => (/^(U?BIGINT|U?HUGEINT)$/.test(type) && typeof value === "string" && Number.isSafeInteger(Number(value)) ? Number(value) : value);

export const rowsOf = async (connection: DuckDBConnection, sql: string, values: ReadonlyArray<string> = []): Promise<Rows> => {
  const reader = await connection.runAndReadAll(sql, [...values]);
  const types = reader.columnTypes().map(String);
  return { columns: reader.columnNames(), rows: reader.getRowsJson().map((row) => row.map((value, i) => counted(cellOf(value), types[i]!))) };
};
