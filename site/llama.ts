/** Comparisons with llama.cpp on one machine, as `neuronlab bench --vs llama.cpp --out` left them: ratios in memory, and pictures over limits of memory. */
import { drawRatios } from "../experiments/plots/ratios.js";
import { make } from "./dom.js";
import { framed, framedFile, gap, svgOf, unread } from "./figures.js";
import { listed, stored, type Stored } from "./stored.js";

/** Of comparison.json, what is shown. `memory` is null without a limit. */
interface Ratio { readonly test: string; readonly model: string; readonly memory: number | null; readonly threads: number; readonly cache: string; readonly against: string; readonly labels?: ReadonlyArray<string>; readonly ratio: number; readonly low: number; readonly high: number; readonly confidence: number; readonly pairs: ReadonlyArray<number> }
interface Row { readonly program: string; readonly against?: string | null; readonly backends: string; readonly model_filename: string; readonly model_type: string; readonly n_prompt: number; readonly n_gen: number; readonly n_threads: number; readonly avg_ts: number; readonly stddev_ts: number; readonly samples_ts: ReadonlyArray<number>; readonly rounds: number; readonly memory: number | null; readonly ffn?: string | null; readonly labels?: ReadonlyArray<string> | null; readonly setting?: { readonly predictor?: string | null } | null; readonly test_time: string }
interface Comparison { readonly machine: { readonly cpu: string; readonly cores: number; readonly memoryBytes: number; readonly kernel: string }; readonly version: string; readonly rival: { readonly version: string | null }; readonly ratios: ReadonlyArray<Ratio>; readonly rows: ReadonlyArray<Row> }

const baseOf = (path: string): string => path.split("/").at(-1) ?? path;
const testOf = ({ n_prompt, n_gen }: Row): string => (n_gen === 0 ? `pp${n_prompt}` : `tg${n_gen}`);
const inWords = (test: string): string => test.replace(/^pp(\d+)$/, "prompt of $1 tokens").replace(/^tg(\d+)$/, "$1 tokens generated");
const BEST = "best case";

const distinct = <A>(values: ReadonlyArray<A>): ReadonlyArray<A> => [...new Set(values)];

/** The words that make such a comparison again; what is its best case is a file that `--pair` names. */
const commandOf = (rows: ReadonlyArray<Row>): string => {
  const ours = rows.filter(({ program }) => program === "neuronlab");
  const pair = rows.find(({ against }) => against === BEST);
  const { model_filename: model, samples_ts: samples, rounds, n_threads: threads, setting } = ours[0]!;
  const predictor = setting?.predictor ?? null;
  const tests = (of: (row: Row) => number): string => distinct(ours.map(of)).filter((tokens) => tokens > 0).join(",") || "0";
  return ["neuronlab bench --vs llama.cpp --model", baseOf(model), ...(predictor === null ? [] : ["--predictor", baseOf(predictor)]), ...(pair === undefined ? [] : ["--pair", baseOf(pair.model_filename)]), "-p", tests(({ n_prompt }) => n_prompt), "-n", tests(({ n_gen }) => n_gen), "-r", samples.length / rounds, "--rounds", rounds, "--threads", threads].join(" ");
};

const COLUMNS = ["test", "program", "file", "FFNs"] as const;

const tableOf = (rows: ReadonlyArray<Row>): HTMLElement =>
  make("table", {},
    make("thead", {}, make("tr", {}, ...COLUMNS.map((text) => make("th", { scope: "col" }, text)), make("th", { scope: "col", class: "number" }, "tokens/s"))),
    make("tbody", {}, ...rows.map((row) => make("tr", {},
      ...[inWords(testOf(row)), `${row.program}${row.against === BEST ? ", its best case" : ""}`, baseOf(row.model_filename), [row.ffn, ...(row.labels ?? [])].filter(Boolean).join(", ")].map((text) => make("td", {}, text)),
      make("td", { class: "number" }, `${row.avg_ts.toFixed(2)} ± ${row.stddev_ts.toFixed(2)}`)))));

/** What tells one ratio from another, and nothing that all have in common but that neurons were left out. */
const nameOf = (ratios: ReadonlyArray<Ratio>) => (one: Ratio): string => {
  const varied = (of: (ratio: Ratio) => string): ReadonlyArray<string> => (distinct(ratios.map(of)).length > 1 ? [of(one)] : []);
  return [...varied(({ model }) => baseOf(model)), inWords(one.test), one.against === BEST ? "its best case" : one.against, ...(one.labels?.includes("predicted") === true ? ["predicted neurons only"] : []), ...varied(({ threads }) => `${threads} threads`), ...varied(({ cache }) => cache)].join(", ");
};

/** What its lines are, which differs with the number of pairs. */
const intervalOf = (ratios: ReadonlyArray<Ratio>): string => {
  const least = Math.min(...ratios.map(({ confidence }) => confidence));
  return least >= 0.95 ? "lines bound it with 95 % confidence" : `lines reach from the least pair to the greatest, which bound it with ${Math.floor(100 * least)} % confidence`;
};

/** Without a limit of memory; null where all was under one. */
const inMemory = (file: Stored): HTMLElement | null => {
  try {
    const { machine, version, rival, ratios: all, rows: every } = JSON.parse(file.text) as Comparison;
    const ratios = all.filter(({ memory }) => memory === null);
    const rows = every.filter(({ memory }) => memory === null);
    const own = rows.find(({ program }) => program === "neuronlab");
    if (ratios.length === 0 || own === undefined) return null;
    const predicted = own.labels?.includes("predicted") ?? false;
    const picture = drawRatios(document, {
      title: `${baseOf(own.model_filename)} in memory${predicted ? ", predicted" : ""}, beside llama.cpp`,
      subtitle: [
        `Measured: ${own.model_type}, ${machine.cpu}, ${own.n_threads} threads. Dots are medians over pairs of runs; ${intervalOf(ratios)}.`,
        ...(predicted ? ["Predicted: a predictor decides which neurons are computed, so this is not lossless."] : []),
        ...(ratios.some(({ against }) => against === BEST) ? ["Its best case: a dense model of the same size."] : []),
      ].join(" "),
      label: "neuronlab's speed over llama.cpp's",
      marks: ratios.map((one) => ({ name: nameOf(ratios)(one), ratio: one.ratio, low: one.low, high: one.high })),
      notes: [],
    });
    const caption = `neuronlab ${version} beside llama.cpp ${rival.version ?? "of unknown version"} on a machine with ${machine.cores} cores of ${machine.cpu} and ${(machine.memoryBytes / 1e9).toFixed(1)} GB, ${own.test_time.slice(0, 10)}, nothing limited.`;
    return framed(svgOf(picture), caption, file, make("p", { class: "note" }, "Made again by ", make("code", {}, commandOf(rows))), make("details", {}, make("summary", {}, "tokens/s of each program"), tableOf(rows)));
  } catch (error) {
    return unread(file, error);
  }
};

/** All that is kept; what is missing is told with the command that makes it. */
export const llamaFigures = async (): Promise<HTMLElement> => {
  const kept = (await listed()).filter(({ path }) => path.startsWith("host/llama.cpp/"));
  const folders = kept.flatMap(({ path }) => /^(.*)\/comparison\.json$/.exec(path)?.[1] ?? []).sort();
  const comparisons = await Promise.all(folders.map((folder) => stored(`${folder}/comparison.json`)));
  const shown = comparisons.flatMap((file) => (file === null ? [] : [inMemory(file)])).filter((one): one is HTMLElement => one !== null);
  const pictures = await Promise.all(kept.filter(({ path }) => /\/memory[^/]*\.svg$/.test(path)).map((file) => framedFile(file, "Speed by memory limit: filled and solid with a warm page cache, hollow and dashed with a cold one.")));
  const lacking = [
    ...(shown.length === 0 ? [gap("No comparison with llama.cpp in memory is kept here. It needs the engine, llama.cpp and minutes of a quiet machine.", "npm run versus")] : []),
    ...(pictures.length === 0 ? [gap("The same under limits of memory, where the model does not fit, is not kept here. It needs about an hour of a quiet machine.", "npm run versus")] : []),
  ];
  return make("div", {}, ...shown, ...pictures, ...lacking);
};
