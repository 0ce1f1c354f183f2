/** Rows of a bench as a Markdown table, as llama-bench prints one. Pure. */
import { showBytes } from "../../sim/base/units.js";
import { testOf, type Ratio, type Row } from "./bench-rows.js";

interface Column { readonly title: string; readonly right: boolean; readonly cell: (row: Row) => string }

const count = (parameters: number): string => (parameters >= 1e9 ? `${(parameters / 1e9).toFixed(2)} B` : `${(parameters / 1e6).toFixed(2)} M`);
const binary = (bytes: number): string => (bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(2)} GiB` : `${(bytes / 2 ** 20).toFixed(2)} MiB`);
const percent = (value: unknown): string => (typeof value === "number" ? `${(100 * value).toFixed(1)}%` : "--");

const memoryOf = (bytes: unknown): string => (typeof bytes === "number" ? showBytes(bytes) : "all");

const column = (title: string, cell: Column["cell"], right = true): Column => ({ title, right, cell });

const columnsFor = (rows: ReadonlyArray<Row>): ReadonlyArray<Column> => [
  column("model", (row) => row.model_type, false),
  ...(new Set(rows.map((row) => row.model_filename)).size > 1 ? [column("file", (row) => row.model_filename, false)] : []),
  column("size", (row) => binary(row.model_size)),
  column("params", (row) => count(row.model_n_params)),
  column("backend", (row) => (row.program === "neuronlab" ? `neuronlab ${row.backends}` : `${String(row.program)} ${row.backends}`), false),
  column("threads", (row) => String(row.n_threads)),
  ...(rows.some((row) => typeof row.memory === "number") ? [column("memory", (row) => memoryOf(row.memory)), column("cache hits", (row) => percent(row.hit_rate))] : []),
  column("FFNs", (row) => (typeof row.ffn === "string" ? `${row.ffn}${Array.isArray(row.labels) ? `, ${row.labels.join(", ")}` : ""}` : ""), false),
  column("test", testOf),
  column("t/s", (row) => `${row.avg_ts.toFixed(2)} ± ${row.stddev_ts.toFixed(2)}`),
];

const markdown = (columns: ReadonlyArray<{ readonly title: string; readonly right: boolean }>, cells: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = columns.map(({ title }, place) => Math.max(title.length, 3, ...cells.map((line) => line[place]!.length)));
  const line = (of: ReadonlyArray<string>): string => `| ${of.map((cell, place) => (columns[place]!.right ? cell.padStart(widths[place]!) : cell.padEnd(widths[place]!))).join(" | ")} |`;
  const rule = `| ${columns.map(({ right }, place) => (right ? `${"-".repeat(widths[place]! - 1)}:` : "-".repeat(widths[place]!))).join(" | ")} |`;
  return [line(columns.map(({ title }) => title)), rule, ...cells.map(line)].join("\n");
};

export const describeRows = (rows: ReadonlyArray<Row>): string => {
  const columns = columnsFor(rows);
  return markdown(columns, rows.map((row) => columns.map(({ cell }) => cell(row))));
};

export const describeRatios = (ratios: ReadonlyArray<Ratio>): string =>
  markdown(
    [{ title: "test", right: true }, { title: "model", right: false }, { title: "memory", right: true }, { title: "threads", right: true }, { title: "neuronlab / llama.cpp", right: true }, { title: "low", right: true }, { title: "high", right: true }, { title: "pairs", right: true }],
    ratios.map((one) => [one.test, one.model, memoryOf(one.memory), String(one.threads), one.ratio.toFixed(2), one.low.toFixed(2), one.high.toFixed(2), String(one.pairs)]),
  );
