/**
 * Rows in llama-bench's own formats: csv, json, jsonl and sql with its fields in its order, ours behind them. Markdown is bench/describe.ts. Pure.
 */
import type { Row } from "../bench/rows.js";
import { FIELDS, SAMPLES, type Kind } from "./fields.js";

export const BENCH_FORMATS = ["md", "csv", "json", "jsonl", "sql"] as const;
export type BenchFormat = (typeof BENCH_FORMATS)[number];

/** What is ours of a row, as plain values: lists and records stay in JSON alone. */
const OURS: ReadonlyArray<readonly [name: string, kind: Kind]> = [
  ["program", "text"], ["memory", "whole"], ["memory_share", "real"], ["page_cache", "text"], ["against", "text"], ["ffn", "text"], ["hit_rate", "real"], ["bytes_read_per_token", "real"], ["rounds", "whole"],
  ["process_peak_rss", "whole"], ["process_minor_faults", "whole"], ["process_major_faults", "whole"], ["process_bytes_read", "whole"], ["disturbed_cores", "real"], ["ratio", "real"], ["ratio_low", "real"], ["ratio_high", "real"],
];

const THEIRS: ReadonlyArray<readonly [name: string, kind: Kind]> = FIELDS.map(({ name, kind }) => [name, kind]);

/** As llama-bench prints a value: reals with six decimals, switches as 0 or 1. What a row does not have is empty. */
const printed = (raw: unknown, kind: Kind): string => {
  if (raw === null || raw === undefined) return "";
  if (kind === "real" && typeof raw === "number") return raw.toFixed(6);
  if (typeof raw === "boolean") return raw ? "1" : "0";
  return String(raw as string | number);
};

const csvCell = (text: string): string => `"${text.replaceAll('"', '""')}"`;

const csv = (rows: ReadonlyArray<Row>): string => {
  const columns = [...THEIRS, ...OURS];
  return [columns.map(([name]) => name).join(","), ...rows.map((row) => columns.map(([name, kind]) => csvCell(printed(row[name], kind))).join(","))].join("\n");
};

/** Their fields first, in their order, then all of ours. */
const ordered = (row: Row): Readonly<Record<string, unknown>> => {
  const names = [...FIELDS.map(({ name }) => name), ...SAMPLES].filter((name) => name in row);
  return Object.fromEntries([...names, ...Object.keys(row).filter((name) => !names.includes(name))].map((name) => [name, row[name]]));
};

const SQL_KIND: Readonly<Record<Kind, string>> = { text: "TEXT", whole: "INTEGER", real: "REAL", switch: "INTEGER" };

const table = (name: string, columns: ReadonlyArray<readonly [string, Kind]>, first: ReadonlyArray<string> = []): string =>
  `CREATE TABLE IF NOT EXISTS ${name} (\n${[...first, ...columns.map(([column, kind]) => `  ${column} ${SQL_KIND[kind]}`)].join(",\n")}\n);`;

const sqlValue = (raw: unknown, kind: Kind): string => (raw === null || raw === undefined ? "NULL" : `'${printed(raw, kind).replaceAll("'", "''")}'`);

/** Ours stands in a table of its own, so that rows of this program and of llama-bench go into one database in any order. */
const sql = (rows: ReadonlyArray<Row>): string => {
  const insert = (name: string, columns: ReadonlyArray<string>, values: ReadonlyArray<string>): string => `INSERT INTO ${name} (${columns.join(", ")}) VALUES (${values.join(", ")});`;
  return [
    table("llama_bench", THEIRS),
    "",
    table("neuronlab_bench", OURS, ["  llama_bench_rowid INTEGER"]),
    "",
    ...rows.flatMap((row) => [
      insert("llama_bench", THEIRS.map(([name]) => name), THEIRS.map(([name, kind]) => sqlValue(row[name], kind))),
      insert("neuronlab_bench", ["llama_bench_rowid", ...OURS.map(([name]) => name)], ["last_insert_rowid()", ...OURS.map(([name, kind]) => sqlValue(row[name], kind))]),
    ]),
  ].join("\n");
};

export const formatted = (format: Exclude<BenchFormat, "md">, rows: ReadonlyArray<Row>): string => {
  switch (format) {
    case "csv":
      return csv(rows);
    case "json":
      return JSON.stringify(rows.map(ordered), null, 2);
    case "jsonl":
      return rows.map((row) => JSON.stringify(ordered(row))).join("\n");
    case "sql":
      return sql(rows);
  }
};
