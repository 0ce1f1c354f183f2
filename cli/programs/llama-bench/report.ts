/**
 * Reports that llama-bench wrote with -o json or -o jsonl, read strictly: a field that is unknown, missing, of another kind or at odds with the others
 * is a mistake with its place. Pure.
 */
import { E, type Either } from "../../../sim/base/fp.js";
import { custom, decode, list, parseJson, refined, type Codec } from "../../../sim/base/decode.js";
import { badInput, type AppError, type Mistake } from "../../../sim/base/errors.js";
import { nearest } from "../../../sim/base/nearest.js";
import { FIELDS, OTHER_RELEASES, SAMPLES, type BenchField, type Kind } from "./fields.js";
import { mean, testOf, type Row } from "../bench/rows.js";

const KNOWN: ReadonlyArray<BenchField> = [...FIELDS, ...OTHER_RELEASES];
const NAMES: ReadonlyArray<string> = [...KNOWN.map(({ name }) => name), ...SAMPLES];

/** What may be empty in a report: a machine without a GPU has no name for one. */
const MAY_BE_EMPTY: ReadonlySet<string> = new Set(["gpu_info", "cpu_info"]);
/** -1 stands for a default here. */
const MAY_BE_NEGATIVE: ReadonlySet<string> = new Set(["n_gpu_layers", "flash_attn", "main_gpu"]);

const RIGHT: Readonly<Record<Kind, string>> = { text: "a text", whole: "a whole number", real: "a number", switch: "true or false" };

const isKind = (kind: Kind, name: string, raw: unknown): boolean => {
  switch (kind) {
    case "text":
      return typeof raw === "string" && (raw !== "" || MAY_BE_EMPTY.has(name));
    case "whole":
      return (name === "flash_attn" && typeof raw === "boolean") || (typeof raw === "number" && Number.isSafeInteger(raw) && (raw >= 0 || MAY_BE_NEGATIVE.has(name)));
    case "real":
      return typeof raw === "number" && Number.isFinite(raw) && raw >= 0;
    case "switch":
      return typeof raw === "boolean" || raw === 0 || raw === 1;
  }
};

const shown = (raw: unknown): string => {
  const text = JSON.stringify(raw) ?? String(raw);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
};

const fieldMistakes = (row: Readonly<Record<string, unknown>>): ReadonlyArray<Mistake> =>
  KNOWN.flatMap(({ name, kind, since }): ReadonlyArray<Mistake> => {
    if (!(name in row)) {
      const old = name === "n_depth" ? "; reports of llama-bench from before May 2025 are not read" : "";
      return since === null ? [{ path: name, message: `is missing${old}` }] : [];
    }
    return isKind(kind, name, row[name]) ? [] : [{ path: name, message: `should be ${RIGHT[kind]}, got ${shown(row[name])}` }];
  });

const unknownMistakes = (row: Readonly<Record<string, unknown>>): ReadonlyArray<Mistake> =>
  Object.keys(row).filter((name) => !NAMES.includes(name)).map((name) => {
    const near = nearest(name, NAMES);
    return { path: name, message: `no release of llama-bench that is known here has this field${near === null ? "" : `; did you mean ${near}?`}` };
  });

const listMistakes = (row: Readonly<Record<string, unknown>>): ReadonlyArray<Mistake> =>
  SAMPLES.flatMap((name) => {
    const raw = row[name];
    return Array.isArray(raw) && raw.length > 0 && raw.every((one) => typeof one === "number" && Number.isFinite(one) && one > 0) ? [] : [{ path: name, message: raw === undefined ? "is missing" : `should be a list of numbers above zero, got ${shown(raw)}` }];
  });

/** How far a printed mean may lie from the mean of the repetitions printed beside it: those have six digits. */
const ROUNDING = 1e-3;

const isNear = (one: number, other: number): boolean => Math.abs(one - other) <= ROUNDING * Math.max(Math.abs(one), Math.abs(other), 1);

/** Numbers that follow from each other. */
const inconsistencies = (row: Row): ReadonlyArray<Mistake> => {
  const { n_prompt, n_gen, samples_ns, samples_ts, avg_ns, avg_ts } = row;
  const tokens = n_prompt + n_gen;
  const rates = samples_ns.map((ns) => (1e9 * tokens) / ns);
  const wayOfReading = ["load_mode", "use_mmap"].filter((name) => name in row).length;
  return [
    ...(tokens > 0 ? [] : [{ path: "n_gen", message: "is 0, and so is n_prompt: that is no test" }]),
    ...(wayOfReading === 1 ? [] : [{ path: "load_mode", message: wayOfReading === 0 ? "is missing, and so is use_mmap; one of them says how the file was read" : "stands beside use_mmap; no release has both" }]),
    ...(samples_ns.length === samples_ts.length ? [] : [{ path: "samples_ts", message: `has ${samples_ts.length} entries and samples_ns ${samples_ns.length}` }]),
    ...(isNear(avg_ns, mean(samples_ns)) ? [] : [{ path: "avg_ns", message: `is ${avg_ns}, and the mean of samples_ns is ${Math.round(mean(samples_ns))}` }]),
    ...(tokens === 0 || isNear(avg_ts, mean(rates)) ? [] : [{ path: "avg_ts", message: `is ${avg_ts}, and samples_ns of ${tokens} tokens give ${mean(rates).toFixed(2)}` }]),
  ];
};

const isRecord = (raw: unknown): raw is Readonly<Record<string, unknown>> => typeof raw === "object" && raw !== null && !Array.isArray(raw);

/** A row whose fields are all right by themselves. */
const wholeRow = (strict: boolean): Codec<Row> =>
  refined(
    refined(
      custom<Row>("row", (raw) => (isRecord(raw) ? E.right(raw as Row) : E.left(`should be an object, got ${shown(raw)}`))),
      (row) => [...(strict ? unknownMistakes(row) : []), ...fieldMistakes(row), ...listMistakes(row)],
    ),
    inconsistencies,
  );

const rowsOfReport = (strict: boolean): Codec<ReadonlyArray<Row>> => list(wholeRow(strict), 1);

/** One object a line, or one list of objects. */
const parsed = (where: string, source: string): Either<AppError, unknown> => {
  const whole = parseJson(where, source);
  if (E.isRight(whole)) return E.right(isRecord(whole.right) ? [whole.right] : whole.right);
  const lines = source.split("\n").map((line, place) => ({ line: line.trim(), place: place + 1 })).filter(({ line }) => line !== "");
  if (!lines.every(({ line }) => line.startsWith("{"))) return E.left(badInput(where, [{ path: "(whole)", message: "is neither the list that llama-bench -o json prints nor the lines of -o jsonl" }]));
  const read = lines.map(({ line, place }) => ({ place, row: parseJson(where, line) }));
  const wrong = read.filter(({ row }) => E.isLeft(row)).map(({ place }): Mistake => ({ path: `line ${place}`, message: "is not JSON; llama-bench -o jsonl prints one object a line" }));
  return wrong.length > 0 ? E.left(badInput(where, wrong)) : E.right(read.flatMap(({ row }) => (E.isRight(row) ? [row.right] : [])));
};

/** The rows of a report; `where` names it in messages. */
export const readReport = (where: string, source: string): Either<AppError, ReadonlyArray<Row>> => {
  const raw = parsed(where, source);
  return E.isLeft(raw) ? raw : decode(rowsOfReport(true), where)(raw.right);
};

/** What a llama-bench of any newer release has just printed: fields that are not known here are let through. */
export const readRun = (where: string, source: string): Either<AppError, ReadonlyArray<Row>> => {
  const raw = parsed(where, source);
  return E.isLeft(raw) ? raw : decode(rowsOfReport(false), where)(raw.right);
};

/** Such as "de3ff81 (build 1)". */
export const buildOf = (row: Row): string => `${row.build_commit} (build ${String(row.build_number)})`;

/** What differs between two runs of one and the same test. */
const RESULTS: ReadonlySet<string> = new Set(["test_time", "avg_ns", "stddev_ns", "avg_ts", "stddev_ts", ...SAMPLES]);

/** Tests that stand in one report more than once under the same settings: they would be counted twice. */
export const repeated = (rows: ReadonlyArray<Row>): ReadonlyArray<string> => {
  const keys = rows.map((row) => JSON.stringify(Object.entries(row).filter(([name]) => !RESULTS.has(name)).sort(([one], [other]) => (one < other ? -1 : 1))));
  return [...new Set(rows.filter((_, place) => keys.indexOf(keys[place]!) !== place).map((row) => `${testOf(row)} of ${row.model_filename} with ${row.n_threads} threads`))];
};
