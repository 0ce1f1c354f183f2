/** What README and docs say of this project's own parts, from the files that the commands wrote. */
import { staysAsItWas } from "../validate/tuned.js";
import { atLeast, atMost, percent, type Documents, type Row } from "./row.js";

interface Errors { readonly cells: number; readonly medianAbsError: number; readonly meanAbsError: number; readonly worstAbsError: number; readonly kendallTau: number }
export interface PhoneCells { readonly streamed: { readonly mean: Errors }; readonly residency: ReadonlyArray<{ readonly path: string; readonly lookups: number; readonly differing: number }>; readonly cells: ReadonlyArray<{ readonly id: string; readonly predicted: number; readonly measured: number; readonly signedError: number }> }
interface HostCells { readonly summary: Errors; readonly exactCells: number; readonly cells: ReadonlyArray<unknown>; readonly device: string; readonly elsewhere?: { readonly from: string; readonly check: Errors } }
/** Of a probed profile: what was measured says when. */
interface Probed { readonly cpu: { readonly clusters: ReadonlyArray<{ readonly count: { readonly value: number } }> }; readonly flash: { readonly latency: { readonly source: string } } }
interface Regret { readonly summary: { readonly median: number; readonly worst: number; readonly largestShare: number } }
interface Adaptation { readonly cells: ReadonlyArray<{ readonly id: string; readonly slower: string; readonly fixedMs: number; readonly oracleMs: number; readonly adaptiveMs: number; readonly recovered: number | null }> }
export interface Figure {
  readonly group: string;
  readonly claim: string;
  readonly value: number | string;
  readonly unit: string;
  readonly interval: readonly [number, number] | null;
  readonly aim: { readonly atLeast: number } | { readonly atMost: number } | null;
  readonly command: string;
  readonly takes: string;
  readonly date: string;
  readonly machine: string;
  readonly document: string;
}

export const PHONE = "results/phone/cells.json";
export const HOST = "results/host/validate/cells.json";
export const PROBED = "results/host/profile.json";
/** Another machine, on which the constants of the first were judged too. */
export const SECOND_HOST = "results/host/xeon/validate/cells.json";
export const SECOND_PROBED = "results/host/xeon/profile.json";
export const TUNED = "results/host/xeon/tuned/tuned.json";
export const REGRET = "results/tuned/regret.json";
export const ADAPTATION = "results/tuned/adaptation.json";
export const FIGURES = "results/host/figures.json";

const phoneRows = ({ streamed: { mean }, residency }: PhoneCells): ReadonlyArray<Row> => {
  const shared = { group: "Recorded runs of a phone (OnePlus 15R), predicted", command: "neuronlab validate phone DIR", takes: "a minute", measured: "recorded by others, in July 2026" };
  const differing = residency.reduce((sum, one) => sum + one.differing, 0);
  return [
    { ...shared, claim: `The ${mean.cells} overlapped runs, fitted to none of them: median error`, tolerance: "", found: `${percent(mean.medianAbsError)}, mean ${percent(mean.meanAbsError)}, worst ${percent(mean.worstAbsError)}, Kendall's tau ${mean.kendallTau.toFixed(2)}`, holds: null },
    { ...shared, claim: "Which experts are found in memory is exact where the routing was recorded", tolerance: "every look-up", found: `${residency.reduce((sum, one) => sum + one.lookups, 0)} look-ups, ${differing} differ`, holds: differing === 0 },
  ];
};

const hostRows = (group: string, { summary, exactCells, cells, device, elsewhere }: HostCells, { cpu, flash }: Probed): ReadonlyArray<Row> => {
  const cores = cpu.clusters.reduce((sum, { count }) => sum + count.value, 0);
  const date = /\d{4}-\d{2}-\d{2}/.exec(flash.latency.source)?.[0] ?? "no date in the profile";
  const shared = { group, command: "neuronlab validate host", takes: "twenty minutes", measured: `${date}, ${device}, ${cores} cores` };
  return [
    { ...shared, claim: "Median error of the check cells", ...atMost(summary.medianAbsError, 0.05) },
    { ...shared, claim: "Mean error of the check cells", ...atMost(summary.meanAbsError, 0.08) },
    ...(elsewhere === undefined ? [] : [{ ...shared, claim: `Median error of the same cells with the constants of ${elsewhere.from}`, command: `neuronlab validate host --system ${elsewhere.from}`, tolerance: "", found: `${percent(elsewhere.check.medianAbsError)}, mean ${percent(elsewhere.check.meanAbsError)}, Kendall's tau ${elsewhere.check.kendallTau.toFixed(2)}`, holds: null }]),
    { ...shared, claim: "The order of the cells (Kendall's tau)", ...atLeast(summary.kendallTau, 0.9) },
    { ...shared, claim: "Misses and bytes are equal", tolerance: "all cells", found: `${exactCells} of ${cells.length}`, holds: exactCells === cells.length },
  ];
};

interface Ratio { readonly ratio: number; readonly low: number; readonly high: number }
interface TunedOn { readonly device: string; readonly models: ReadonlyArray<{ readonly model: string; readonly chosen: string; readonly overDefault: Ratio; readonly searchedOverDefault: Ratio; readonly beatsDefault: boolean; readonly overBest: Ratio; readonly nearBest: boolean }> }

const tunedRows = ({ device, models }: TunedOn): ReadonlyArray<Row> => {
  const shared = { group: "The tuned plan on a machine, beside the engine's own choices", command: "neuronlab validate tuned", takes: "ten minutes", measured: device };
  const said = ({ ratio, low, high }: Ratio): string => `${ratio.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
  return models.flatMap(({ model, chosen, overDefault, searchedOverDefault, beatsDefault, overBest, nearBest }) => [
    { ...shared, claim: `${model}: speed over the default plan's, of what the planner proposed and the machine chose`, tolerance: "above 1, interval and all", found: staysAsItWas({ model, chosen }) ? "none proposed was faster in its tries: the default stays" : said(overDefault), holds: beatsDefault },
    { ...shared, claim: `${model}: of what the simulator alone would have chosen`, tolerance: "", found: said(searchedOverDefault), holds: null },
    { ...shared, claim: `${model}: speed over the best of the drawn plans`, tolerance: "at least 0.95", found: `${said(overBest)}${overBest.low < 0.95 && overBest.high >= 0.95 ? ", by its interval undecided" : ""}`, holds: nearBest },
  ]);
};

const plannerRows = ({ summary }: Regret): ReadonlyArray<Row> => {
  const shared = { group: "The planner against an exhaustive sweep", command: "neuronlab tune --regret", takes: "half an hour", measured: "" };
  return [
    { ...shared, claim: "Median regret", ...atMost(summary.median, 0.01, 2) },
    { ...shared, claim: "Worst regret", ...atMost(summary.worst, 0.03, 2) },
    { ...shared, claim: "Looks, of the sweep's runs", ...atMost(summary.largestShare, 0.05, 2) },
  ];
};

const adaptationRows = ({ cells }: Adaptation): ReadonlyArray<Row> => {
  const recovered = cells.flatMap((cell) => (cell.recovered === null ? [] : [cell.recovered]));
  const costs = cells.filter((cell) => cell.recovered === null).map(({ adaptiveMs, fixedMs }) => adaptiveMs / fixedMs - 1);
  const shared = { group: "Adapting while running, simulated", command: "neuronlab tune --adaptation", takes: "minutes", measured: "" };
  return [
    { ...shared, claim: "Recovered of what the best fixed plan, chosen knowing the change, would gain", tolerance: "", found: `${percent(Math.min(...recovered), 0)} to ${percent(Math.max(...recovered), 0)} in the ${recovered.length} cells that have something to recover`, holds: null },
    { ...shared, claim: "What it costs where nothing is to be recovered", tolerance: "", found: `at most ${percent(Math.max(...costs))} in ${costs.length} cells`, holds: null },
  ];
};

const value = ({ value: of, unit, interval }: Figure): string => `${of}${unit === "" ? "" : ` ${unit}`}${interval === null ? "" : ` (${interval[0]} to ${interval[1]})`}`;

/** A figure that was measured by hand: shown with its date and machine, and not measured again. */
const figureRow = (figure: Figure): Row => ({
  group: figure.group,
  claim: `${figure.claim} ([${figure.document}](${figure.document.startsWith("docs/") ? figure.document.slice("docs/".length) : `../${figure.document}`}))`,
  command: figure.command,
  takes: figure.takes,
  tolerance: figure.aim === null ? "" : "atLeast" in figure.aim ? `at least ${figure.aim.atLeast}` : `at most ${figure.aim.atMost}`,
  found: value(figure),
  holds: figure.aim === null || typeof figure.value === "string" ? null : "atLeast" in figure.aim ? figure.value >= figure.aim.atLeast : figure.value <= figure.aim.atMost,
  measured: `${figure.date}, ${figure.machine}`,
});

/** What CI holds to the byte at every change: no figure, so nothing that could go stale. */
const HELD: ReadonlyArray<Row> = [
  ["A sweep's answer, table and exports are the same bytes for one worker or two, killed and gone on with or not", "neuronlab sweep experiments/sweeps/io-lanes/sweep.ts --workers 2", "5 s"],
  ["The stored points and pictures of the paper are what comes out now", "neuronlab reproduce --check", "6 s"],
  ["Text is the same with a limit of memory and without; tokens and logits for any threads, lanes, depth, policy and granularity", "cargo test", "minutes"],
  ["A recorded text's hits, misses and bytes are the engine's, token by token, in the simulator", "npx vitest run test/engine/replay.test.ts", "a minute"],
].map(([claim, command, takes]) => ({ group: "Held in CI, to the byte", claim: claim!, command: command!, takes: takes!, tolerance: "equal", found: "equal, or CI fails", holds: true, measured: "" }));

export const ownRows = (documents: Documents): ReadonlyArray<Row> => [
  ...HELD,
  ...plannerRows(documents[REGRET] as Regret),
  ...tunedRows(documents[TUNED] as TunedOn),
  ...adaptationRows(documents[ADAPTATION] as Adaptation),
  ...hostRows("This engine on a machine, predicted", documents[HOST] as HostCells, documents[PROBED] as Probed),
  ...hostRows("This engine on a second machine, predicted", documents[SECOND_HOST] as HostCells, documents[SECOND_PROBED] as Probed),
  ...phoneRows(documents[PHONE] as PhoneCells),
  ...(documents[FIGURES] as { readonly figures: ReadonlyArray<Figure> }).figures.map(figureRow),
];
