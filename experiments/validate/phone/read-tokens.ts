/**
 * Rows by token of a BigMoeOnEdge run: a CSV whose columns grew over four versions, with header lines from the fourth on and a summary at the end. Read
 * strictly: columns, rows, numbers that follow from each other. Pure.
 */
import { E, type Either } from "../../../sim/base/fp.js";
import { badInput, type AppError } from "../../../sim/base/errors.js";
import { linesOf, Mistakes, type Line } from "./read-lines.js";
import type { RecordedFile, RunHeader, TokenFile, TokenTimes } from "./recorded.js";

const FIRST = ["step", "steps", "wall_ms", "io_ms", "compute_ms", "read_bytes", "cache_hit_pct", "stall_ms"] as const;
const MANAGED = [...FIRST, "mgmt_ms"] as const;
const COUNTED = [...MANAGED, "majflt", "cpu_ms"] as const;
const HEADED = [...COUNTED, "dense_resident_frac", "turn", "majflt_mib", "cache_budget_mib", "rss_mib", "rss_anon_mib", "rss_file_mib", "swap_mib", "mem_available_mib", "mem_free_mib", "swap_free_mib"] as const;
/** Without header lines, then with them. */
const BARE = [FIRST, MANAGED, COUNTED];

const VERSION = "# bmoe_metrics v1";
const MODEL_KEYS = ["model", "arch", "n_layer", "n_expert", "n_expert_used", "threads", "n_ctx"];
const SETTING_KEYS = ["moe_stream", "cache_mb", "cache_auto", "cache_ceil_mb", "force_cache", "io_threads", "o_direct", "overlap", "prefetch", "dense_weights"];
const SUMMARY_KEYS = ["tokens", "s/tok", "tok/s", "read_MiB", "io_s", "compute_s/tok", "io_s/tok", "cache_hit_pct", "n_prompt", "load_s", "prefill_s", "prefill_tps", "stall_s/tok"];
const LATER_SUMMARY_KEYS = ["mgmt_s/tok", "cache_resident_MiB", "cache_budget_MiB", "cache_resizes", "spec_recall_pct", "spec_auto_off", "spec_read_MiB", "spec_experts", "spec_useful", "majflt/tok", "cpu_s/tok", "token_demand_MiB", "layer_demand_MiB"];
const SUMMARY = "# summary ";

/** Half of the last printed digit, of sums of three numbers with three digits and of the summary's own. */
const ROW_ROUNDING = 2.1e-3;
const SECONDS_ROUNDING = 1e-3;
const MIB_ROUNDING = 0.06;

const headerOf = (mistakes: Mistakes, model: Line, setting: Line): RunHeader => {
  const names = mistakes.pairs(model.place, model.text.slice(2), MODEL_KEYS);
  const set = mistakes.pairs(setting.place, setting.text.slice(2), SETTING_KEYS);
  const count = (line: Line, from: ReadonlyMap<string, string>, key: string, low: number, high = 1e6): number => (from.has(key) ? mistakes.number(`${line.place}.${key}`, from.get(key), low, high, true) : NaN);
  if (set.get("o_direct") === "0") mistakes.add(`${setting.place}.o_direct`, "is 0; reads through the page cache are not modelled");
  if (set.get("prefetch") !== "0" && set.has("prefetch")) mistakes.add(`${setting.place}.prefetch`, `is ${set.get("prefetch")}; reading ahead of the router is not modelled`);
  return {
    architecture: names.get("arch") ?? "",
    layers: count(model, names, "n_layer", 1), experts: count(model, names, "n_expert", 1), expertsUsed: count(model, names, "n_expert_used", 1), threads: count(model, names, "threads", 1),
    streams: count(setting, set, "moe_stream", 0, 1) === 1, cacheMib: count(setting, set, "cache_mb", 0), lanes: count(setting, set, "io_threads", 1), overlaps: count(setting, set, "overlap", 0, 1) === 1,
    denseWeights: set.get("dense_weights") ?? "",
  };
};

/** The version by its columns, or a mistake. */
const columnsOf = (mistakes: Mistakes, { place, text }: Line, hasHeader: boolean): ReadonlyArray<string> | null => {
  const found = text.split(",");
  const known = hasHeader ? [HEADED] : BARE;
  const exact = known.find((columns) => columns.join() === found.join());
  if (exact !== undefined) return exact;
  const nearest = [...known].sort((a, b) => Math.abs(a.length - found.length) - Math.abs(b.length - found.length))[0]!;
  const [missing, extra] = [nearest.filter((column) => !found.includes(column)), found.filter((column) => !(nearest as ReadonlyArray<string>).includes(column))];
  const said = [...(missing.length > 0 ? [`missing: ${missing.join(", ")}`] : []), ...(extra.length > 0 ? [`not known: ${extra.join(", ")}`] : []), ...(missing.length + extra.length === 0 ? ["in another order"] : [])];
  mistakes.add(place, `has columns of no version that is known here ${hasHeader ? "with" : "without"} header lines; ${said.join("; ")}; expected ${nearest.join(",")}`);
  return null;
};

const rowOf = (mistakes: Mistakes, { place, text }: Line, columns: ReadonlyArray<string>, step: number, steps: number): TokenTimes | null => {
  const cells = text.split(",");
  if (cells.length !== columns.length) {
    mistakes.add(place, `has ${cells.length} of ${columns.length} columns${cells.length < columns.length ? ": the row is cut off" : ""}`);
    return null;
  }
  const before = mistakes.all.length;
  const at = (column: string, low = 0, high = Infinity, whole = false): number => mistakes.number(`${place}.${column}`, cells[columns.indexOf(column)], low, high, whole);
  const optional = (column: string): number | null => (columns.includes(column) ? at(column) : null);
  // Whether a page's share of the dense weights was resident is -1 before anyone looked.
  const signed = new Set(["cache_hit_pct", "dense_resident_frac"]);
  const values = new Map(columns.map((column) => [column, at(column, signed.has(column) ? -1 : 0)]));
  const get = (column: string): number => values.get(column)!;
  if (get("step") !== step) mistakes.add(`${place}.step`, `should be ${step}, got ${get("step")}`);
  if (get("steps") !== steps) mistakes.add(`${place}.steps`, `should be ${steps}, the number of rows, got ${get("steps")}`);
  const managementMs = optional("mgmt_ms");
  const blocked = get("compute_ms") + get("io_ms");
  const stalled = get("compute_ms") + get("stall_ms") + (managementMs ?? 0);
  if (mistakes.all.length === before && Math.min(Math.abs(get("wall_ms") - blocked), Math.abs(get("wall_ms") - stalled)) > ROW_ROUNDING)
    mistakes.add(`${place}.wall_ms`, `is ${get("wall_ms")}; compute_ms is ${blocked.toFixed(3)} with io_ms, and ${stalled.toFixed(3)} with stall_ms and mgmt_ms`);
  const hit = get("cache_hit_pct");
  return { wallMs: get("wall_ms"), ioMs: get("io_ms"), computeMs: get("compute_ms"), readBytes: get("read_bytes"), hitPercent: hit < 0 ? null : hit, stallMs: get("stall_ms"), managementMs, majorFaults: optional("majflt") };
};

const checkSummary = (mistakes: Mistakes, place: string, pairs: ReadonlyMap<string, string>, tokens: ReadonlyArray<TokenTimes>): void => {
  const said = (key: string): number => (pairs.has(key) ? mistakes.number(`${place}.${key}`, pairs.get(key), -1) : NaN);
  const sum = (of: (token: TokenTimes) => number): number => tokens.reduce((total, token) => total + of(token), 0);
  const seconds = sum(({ wallMs }) => wallMs) / 1e3 / tokens.length;
  const mib = sum(({ readBytes }) => readBytes) / 2 ** 20;
  if (said("tokens") !== tokens.length) mistakes.add(`${place}.tokens`, `is ${pairs.get("tokens")}, and the file has ${tokens.length} rows`);
  if (Math.abs(said("s/tok") - seconds) > SECONDS_ROUNDING) mistakes.add(`${place}.s/tok`, `is ${pairs.get("s/tok")}, and the rows give ${seconds.toFixed(3)}`);
  if (Math.abs(said("read_MiB") - mib) > MIB_ROUNDING) mistakes.add(`${place}.read_MiB`, `is ${pairs.get("read_MiB")}, and the rows give ${mib.toFixed(1)}`);
};

export const readTokens = ({ path, text }: RecordedFile): Either<AppError, TokenFile> => {
  const mistakes = new Mistakes();
  const lines = linesOf(text);
  const headed = lines[0]!.text.startsWith("#");
  if (headed && lines[0]!.text !== VERSION) mistakes.add("line 1", `is a version that is not known here: ${lines[0]!.text}; known: ${VERSION}, or no header lines`);
  const header = headed && lines.length > 3 ? headerOf(mistakes, lines[1]!, lines[2]!) : null;
  const [columnLine, ...rest] = lines.slice(headed ? 3 : 0);
  const last = rest.at(-1);
  const columns = columnLine === undefined ? null : columnsOf(mistakes, columnLine, headed);
  if (columnLine === undefined) mistakes.add("(whole)", "ends within its header lines");
  const ended = last?.text.startsWith(SUMMARY) === true;
  if (!ended) mistakes.add(last?.place ?? "(whole)", `should be the summary (${SUMMARY}…): the file is cut off`);
  const summary = ended ? mistakes.pairs(last.place, last.text.slice(SUMMARY.length), SUMMARY_KEYS, LATER_SUMMARY_KEYS) : new Map<string, string>();
  const rows = ended ? rest.slice(0, -1) : rest;
  if (rows.length === 0) mistakes.add("(whole)", "has no rows");
  const tokens = columns === null ? [] : rows.flatMap((line, i) => rowOf(mistakes, line, columns, i + 1, rows.length) ?? []);
  if (ended && mistakes.all.length === 0) checkSummary(mistakes, last.place, summary, tokens);
  const promptTokens = summary.has("n_prompt") ? mistakes.number(`${last!.place}.n_prompt`, summary.get("n_prompt"), 1, 1e6, true) : 0;
  return mistakes.all.length > 0 ? E.left(badInput(path, mistakes.all)) : E.right({ path, header, tokens, promptTokens });
};
