/** A comparison in words: rows, ratios with their interval, how llama.cpp was run, what is missing. Pure. */
import type { Rival } from "../../program.js";
import type { Row } from "../bench/rows.js";
import { describeRows, markdown, memoryOf, shorter } from "../bench/describe.js";
import { nameOf, testIn, type Baseline, type Cell, type Finished } from "./cell.js";
import { ratiosOf, rowsIn, type Ratio } from "./ratio.js";
import { describeGap } from "./rounds.js";

/** Where in a comparison something happened. */
export interface Place { readonly model: string; readonly test: string; readonly memory: number | null; readonly memoryShare: number | null; readonly threads: number; readonly cache: string }

const placeOf = (cell: Cell): Place => ({ model: cell.request.model, test: testIn(cell), memory: cell.request.memory, memoryShare: cell.share, threads: cell.threads, cache: cell.cache });

export interface Told {
  readonly rows: ReadonlyArray<Row>;
  readonly ratios: ReadonlyArray<Ratio>;
  readonly gaps: ReadonlyArray<Place & { readonly program: string; readonly round: number; readonly reason: string }>;
  readonly baselines: ReadonlyArray<Baseline & Place & { readonly version: string | null; readonly settings: Settings | null }>;
}

/** What a llama-bench says it ran with; names as it gives them. */
export type Settings = Readonly<Record<string, string | number | boolean>>;

const SETTINGS = ["n_threads", "n_batch", "n_ubatch", "flash_attn", "load_mode", "use_mmap", "repack", "poll", "cpu_mask", "cpu_strict", "type_k", "type_v", "n_gpu_layers"] as const;

const settingsOf = (row: Row | undefined): Settings | null => (row === undefined ? null : Object.fromEntries(SETTINGS.filter((name) => name in row).map((name) => [name, row[name] as string | number | boolean])));

export const interval = (ratios: ReadonlyArray<Ratio>): string => {
  const least = Math.min(...ratios.map(({ confidence }) => confidence));
  return `ratio: median over pairs of repetitions of the same round; low and high bound it with 95 % confidence by order statistics${least < 0.95 ? ` (fewer than six pairs: the least and the greatest, here ${Math.round(100 * least)} % at worst)` : ""}`;
};

export const toldOf = (all: ReadonlyArray<Finished>, rival: Rival): Told => ({
  rows: all.flatMap(rowsIn),
  ratios: all.flatMap(ratiosOf),
  gaps: all.flatMap(({ cell, gaps }) => gaps.map(({ who, round, reason }) => ({ program: nameOf(who), ...placeOf(cell), round, reason }))),
  baselines: all.flatMap(({ cell, measured, baselines }) =>
    baselines.map((one) => ({ ...one, ...placeOf(cell), version: rival.version, settings: settingsOf(measured.find(({ who }) => who.program === "llama.cpp" && who.against === one.against)?.rounds[0]) }))),
});

export const describeRatios = (ratios: ReadonlyArray<Ratio>): string =>
  markdown(
    [{ title: "test", right: true }, { title: "model", right: false }, { title: "FFNs", right: false }, { title: "memory", right: true }, { title: "threads", right: true }, { title: "page cache", right: false }, { title: "llama.cpp on", right: false }, { title: "neuronlab / llama.cpp", right: true }, { title: "low", right: true }, { title: "high", right: true }, { title: "pairs", right: true }],
    ratios.map((one) => [one.test, shorter(ratios.map(({ model }) => model))(one.model), one.labels.join(", "), memoryOf(one.memory, one.memoryShare), String(one.threads), one.cache, one.against, one.ratio.toFixed(2), one.low.toFixed(2), one.high.toFixed(2), String(one.pairs.length)]),
  );

const FLASH: Readonly<Record<string, string>> = { "-1": "auto", "0": "off", "1": "on", true: "on", false: "off" };

const repacking = (repacks: boolean | null): string => (repacks === null ? "repacking as it was built" : repacks ? "weights repacked" : "no repacking");

const wordsOfBaseline = ({ version, settings, repacks, words }: Told["baselines"][number], build: string): string => {
  const told = settings ?? {};
  const flash = FLASH[String(told.flash_attn)] ?? String(told.flash_attn);
  const reading = told.load_mode !== undefined ? `load mode ${String(told.load_mode)}` : told.use_mmap === undefined ? "" : `mmap ${String(told.use_mmap)}`;
  const threads = `${String(told.n_threads)} threads, ${repacking(repacks)}, flash attention ${flash}, batch ${String(told.n_batch)}, ubatch ${String(told.n_ubatch)}, ${reading}, poll ${String(told.poll)}, keys and values ${String(told.type_k)}`;
  return `llama.cpp${version === null ? "" : ` ${version}`}, ${build}: ${settings === null ? `${repacking(repacks)}, never finished` : threads}${words.length === 0 ? "" : `; words ${words.join(" ")}`}`;
};

const placeInWords = (place: Place & { readonly against: string }): string => `${place.test}, ${memoryOf(place.memory, place.memoryShare)}, ${place.cache}, ${place.against}`;

const trial = ({ repacks, words, rate, reason }: Baseline["tried"][number]): string => `${repacking(repacks)}${words.length === 0 ? "" : ` ${words.join(" ")}`} ${rate === null ? `failed (${reason ?? "not run"})` : `${rate.toFixed(2)} t/s`}`;

/** Each different way once, with where it ran where there are several; then what was tried. */
export const describeBaselines = ({ baselines, rows }: Told): ReadonlyArray<string> => {
  const row = rows.find(({ program }) => program === "llama.cpp");
  const build = row === undefined ? "build unknown" : `${row.build_commit} (build ${String(row.build_number)})`;
  const ways = [...new Set(baselines.map((one) => wordsOfBaseline(one, build)))];
  const where = (way: string): string => (ways.length === 1 ? "" : ` [${baselines.filter((one) => wordsOfBaseline(one, build) === way).map(placeInWords).join("; ")}]`);
  return [...ways.map((way) => `${way}${where(way)}`), ...baselines.filter(({ tried }) => tried.length > 0).map((one) => `tried at ${placeInWords(one)}: ${one.tried.map(trial).join(", ")}`)];
};

/** Models of one size differ by little; what is said of a pair that does not. */
const ALIKE = 0.1;

/** Cores at other work that can be overlooked: a terminal, a timer, the kernel's threads for reads. */
const QUIET = 0.2;

/** llama.cpp's threads wait for each other by spinning, so it suffers more than its share where a core is taken away. */
const disturbance = ({ rows }: Told): ReadonlyArray<string> => {
  const worst = Math.max(...rows.map(({ disturbed_cores }) => (typeof disturbed_cores === "number" ? disturbed_cores : 0)));
  return worst <= QUIET ? [] : [`other work kept up to ${worst.toFixed(2)} cores busy during these runs (median over the rounds of a row): speeds and ratios are of a disturbed machine; measure again when it is idle`];
};

/** What a reader should know of the figures. */
export const cautions = (told: Told, all: ReadonlyArray<Finished>): ReadonlyArray<string> => {
  const unlike = all.flatMap(({ measured }) => {
    const size = (against: string): number | undefined => measured.find(({ who }) => who.program === "llama.cpp" && who.against === against)?.rounds[0]?.model_size;
    const [same, best] = [size("same file"), size("best case")];
    return same === undefined || best === undefined || Math.abs(best / same - 1) <= ALIKE ? [] : [`--pair is of another size: ${best} bytes of weights beside ${same}`];
  });
  const slow = told.rows.some(({ program, model_type }) => program === "llama.cpp" && model_type.startsWith("smallthinker")) && !told.rows.some(({ against }) => against === "best case");
  return [...new Set([...disturbance(told), ...unlike, ...(slow ? ["llama.cpp runs a smallthinker file slower than a dense one of its own architecture; name one of the same size with --pair to see its best case too"] : [])])];
};

export const describeComparison = (told: Told, all: ReadonlyArray<Finished>): string =>
  [
    ...(told.rows.length === 0 ? [] : [describeRows(told.rows), ""]),
    ...(told.ratios.length === 0 ? [] : [describeRatios(told.ratios), "", interval(told.ratios)]),
    ...describeBaselines(told),
    ...cautions(told, all).map((line) => `note: ${line}`),
  ].join("\n");

export const missing = (all: ReadonlyArray<Finished>): ReadonlyArray<string> => all.flatMap(({ cell, gaps }) => gaps.map((gap) => `no figure: ${testIn(cell)}, ${describeGap(cell, gap)}`));
