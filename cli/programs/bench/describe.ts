/** Rows of a bench as a Markdown table, as llama-bench prints one. Pure. */
import { showBytes } from "../../../sim/base/units.js";
import { testOf, type Row } from "./rows.js";

interface Title { readonly title: string; readonly right: boolean }
interface Column extends Title { readonly cell: (row: Row) => string }

const count = (parameters: number): string => (parameters >= 1e9 ? `${(parameters / 1e9).toFixed(2)} B` : `${(parameters / 1e6).toFixed(2)} M`);
const binary = (bytes: number): string => (bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(2)} GiB` : `${(bytes / 2 ** 20).toFixed(2)} MiB`);
const percent = (value: unknown): string => (typeof value === "number" ? `${(100 * value).toFixed(1)}%` : "--");

/** A limit, with its share of the model's file where it was asked for so. */
export const memoryOf = (bytes: unknown, share: unknown = null): string => (typeof bytes === "number" ? `${showBytes(bytes)}${typeof share === "number" ? ` (${Number((100 * share).toFixed(2))}%)` : ""}` : "all");

const sizeOf = (bytes: unknown): string => (typeof bytes === "number" ? showBytes(bytes) : "--");
const countOf = (value: unknown): string => (typeof value === "number" ? String(Math.round(value)) : "--");

const backendOf = (row: Row): string => (row.program === "neuronlab" ? `neuronlab ${row.backends}` : `llama.cpp ${row.backends}${row.against === "best case" ? ", best case" : ""}`);

const column = (title: string, cell: Column["cell"], right = true): Column => ({ title, right, cell });

/** Files by their names alone, where these tell them apart. */
export const shorter = (paths: ReadonlyArray<string>): ((path: string) => string) => {
  const base = (path: string): string => path.split("/").at(-1) ?? path;
  const all = [...new Set(paths)];
  return new Set(all.map(base)).size === all.length ? base : (path) => path;
};

const columnsFor = (rows: ReadonlyArray<Row>): ReadonlyArray<Column> => [
  column("model", (row) => row.model_type, false),
  ...(new Set(rows.map((row) => row.model_filename)).size > 1 ? [column("file", (row) => shorter(rows.map((one) => one.model_filename))(row.model_filename), false)] : []),
  column("size", (row) => binary(row.model_size)),
  column("params", (row) => count(row.model_n_params)),
  column("backend", backendOf, false),
  column("threads", (row) => String(row.n_threads)),
  ...(rows.some((row) => typeof row.memory === "number") ? [column("memory", (row) => memoryOf(row.memory, row.memory_share)), column("cache hits", (row) => percent(row.hit_rate))] : []),
  ...(rows.some((row) => "page_cache" in row)
    ? [column("page cache", (row) => String(row.page_cache), false), column("read", (row) => sizeOf(row.process_bytes_read)), column("faults, minor", (row) => countOf(row.process_minor_faults)), column("major", (row) => countOf(row.process_major_faults)), column("peak RSS", (row) => sizeOf(row.process_peak_rss))]
    : []),
  column("FFNs", (row) => (typeof row.ffn === "string" ? `${row.ffn}${Array.isArray(row.labels) ? `, ${row.labels.join(", ")}` : ""}` : ""), false),
  column("test", testOf),
  column("t/s", (row) => `${row.avg_ts.toFixed(2)} ± ${row.stddev_ts.toFixed(2)}`),
];

export const markdown = (columns: ReadonlyArray<Title>, cells: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = columns.map(({ title }, place) => Math.max(title.length, 3, ...cells.map((line) => line[place]!.length)));
  const line = (of: ReadonlyArray<string>): string => `| ${of.map((cell, place) => (columns[place]!.right ? cell.padStart(widths[place]!) : cell.padEnd(widths[place]!))).join(" | ")} |`;
  const rule = `| ${columns.map(({ right }, place) => (right ? `${"-".repeat(widths[place]! - 1)}:` : "-".repeat(widths[place]!))).join(" | ")} |`;
  return [line(columns.map(({ title }) => title)), rule, ...cells.map(line)].join("\n");
};

export const describeRows = (rows: ReadonlyArray<Row>): string => {
  const columns = columnsFor(rows);
  return markdown(columns, rows.map((row) => columns.map(({ cell }) => cell(row))));
};
