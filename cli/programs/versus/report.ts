/** A comparison as files: a page, its picture, the rows in llama-bench's formats, and everything as JSON. Pure but for the drawing that is handed in. */
import { join } from "node:path";
import type { MemorySweep } from "../../../experiments/plots/memory-sweep.js";
import { showBytes } from "../../../sim/base/units.js";
import type { DiskFacts, MachineFacts, MemoryLimits, OutputFile, Rival } from "../../program.js";
import { median } from "../bench/rows.js";
import { describeRows } from "../bench/describe.js";
import { formatted } from "../llama-bench/formats.js";
import { nameOf, testIn, type Finished, type Who } from "./cell.js";
import { cautions, describeBaselines, describeRatios, interval, missing, type Told } from "./describe.js";
import { labelsOf } from "./ratio.js";

/** SVG and PNG of a sweep. */
export type DrawComparison = (sweep: MemorySweep) => { readonly svg: string; readonly png: Uint8Array };

export interface Reported {
  readonly folder: string;
  readonly told: Told;
  readonly all: ReadonlyArray<Finished>;
  readonly machine: MachineFacts;
  readonly disk: DiskFacts;
  readonly limits: MemoryLimits;
  readonly rival: Rival;
  readonly version: string;
  readonly draw: DrawComparison;
}

const baseOf = (path: string): string => path.split("/").at(-1) ?? path;

/** A speed with some neurons left out is not one of the same work, so its line says so. A side that never ran is known by what was asked of it. */
const seriesOf = (own: ReadonlyArray<Finished>) => {
  const predicted = own.some(({ cell, measured }) => cell.request.predictor !== null || measured.some(({ rounds }) => labelsOf(rounds).includes("predicted")));
  return (who: Who): string => `${nameOf(who)}${who.program === "neuronlab" && predicted ? ", predicted" : ""}`;
};

/** One picture a model with its threads; only what was asked for as shares of a file has a place on the axis. */
const sweepsOf = ({ all, machine }: Reported): ReadonlyArray<MemorySweep> => {
  const swept = all.filter(({ cell }) => cell.share !== null);
  const groups = [...new Set(swept.map(({ cell }) => `${cell.request.model} ${cell.threads}`))];
  return groups.map((group): MemorySweep => {
    const own = swept.filter(({ cell }) => `${cell.request.model} ${cell.threads}` === group);
    const { cell } = own[0]!;
    const series = seriesOf(own);
    const panels = [...new Set(own.map((one) => testIn(one.cell)))].map((test) => {
      const shown = own.filter((one) => testIn(one.cell) === test);
      return {
        title: test,
        points: shown.flatMap(({ cell: { share, cache }, measured }) =>
          measured.filter(({ rounds }) => rounds.length > 0).map(({ who, rounds }) => {
            const rates = rounds.flatMap(({ samples_ts }) => samples_ts);
            return { series: series(who), cache, share: share!, value: median(rates), low: Math.min(...rates), high: Math.max(...rates) };
          })),
        gaps: shown.flatMap(({ cell: { share, cache }, gaps }) => gaps.map(({ who }) => ({ series: series(who), cache, share: share! }))),
      };
    });
    return {
      title: `${baseOf(cell.request.model)} under a memory limit, beside llama.cpp`,
      subtitle: `Measured: ${machine.cpu}, ${cell.threads} threads; both in a memory group of the operating system with the limit, page cache included.`,
      panels,
      notes: [...new Set(own.flatMap((one) => one.gaps.map(({ who, reason }) => `no run: ${nameOf(who)}, ${testIn(one.cell)} at ${Math.round(100 * one.cell.share!)} %: ${reason.length > 160 ? `${reason.slice(0, 157)}...` : reason}`)))].slice(0, 6),
    };
  });
};

const rate = (value: number | null, unit: string): string => (value === null ? "not known" : unit === "B" ? `${showBytes(value)}/s` : `${Math.round(value)} reads/s`);

const machineLines = ({ machine, disk, limits, rival, version }: Reported): ReadonlyArray<string> => [
  `- processor: ${machine.cpu}, ${machine.cores} cores`,
  `- memory: ${showBytes(machine.memoryBytes)}; limits by ${limits.kind === "none" ? `nothing (${limits.reason})` : `control groups, ${limits.kind}`}`,
  `- system: ${machine.kernel}`,
  `- disk: ${disk.filesystem ?? "unknown file system"}; in order ${rate(disk.sequential, "B")}, at random ${rate(disk.random, "")} of 4 KiB (${disk.how})`,
  `- neuronlab ${version}; llama.cpp ${rival.version ?? "of unknown version"}, ${rival.origin}`,
];

/** What the figures mean, for a reader who has only this page. */
const MEANING = [
  "`warm`: before a process starts, its model file is read through within the limit, and each test is run once unmeasured; a process makes all repetitions. `cold`: the file is not in the page cache when a process starts, nothing is run unmeasured, and a process makes one repetition.",
  "`read`, faults and peak RSS are the operating system's counts of one whole process, loading and unmeasured runs included: the median over rounds.",
];

const page = (reported: Reported, pictures: ReadonlyArray<{ readonly name: string; readonly title: string }>): string => {
  const { told, all } = reported;
  const gaps = missing(all);
  return [
    "# neuronlab beside llama.cpp",
    "",
    "Written by `neuronlab bench --vs llama.cpp --out`; rows are measurements of this machine:",
    "",
    ...machineLines(reported),
    "",
    ...pictures.flatMap(({ name, title }) => [`![${title}](${name}.svg)`, ""]),
    ...(told.ratios.length === 0 ? [] : ["## Ratios", "", describeRatios(told.ratios), "", `${interval(told.ratios)}.`, ""]),
    "## How llama.cpp was run",
    "",
    ...[...describeBaselines(told), ...cautions(told, all)].map((line) => `- ${line}`),
    "",
    "## Rows",
    "",
    ...(told.rows.length === 0 ? ["None."] : [describeRows(told.rows)]),
    "",
    ...MEANING,
    ...(gaps.length === 0 ? [] : ["", "## What is missing, and why", "", ...gaps.map((line) => `- ${line}`)]),
    "",
  ].join("\n");
};

export const reportFiles = (reported: Reported): ReadonlyArray<OutputFile> => {
  const { folder, told, machine, disk, limits, rival, version, draw } = reported;
  const sweeps = sweepsOf(reported);
  const pictures = sweeps.map((sweep, place) => ({ name: sweeps.length === 1 ? "memory" : `memory-${place + 1}`, title: sweep.title, ...draw(sweep) }));
  const json = { schema: "neuronlab/versus@1", version, machine, disk, limits, rival, ...told };
  return [
    { path: join(folder, "README.md"), text: page(reported, pictures) },
    { path: join(folder, "comparison.json"), text: `${JSON.stringify(json, null, 1)}\n` },
    { path: join(folder, "rows.csv"), text: `${formatted("csv", told.rows)}\n` },
    ...pictures.flatMap(({ name, svg, png }): ReadonlyArray<OutputFile> => [{ path: join(folder, `${name}.svg`), text: svg }, { path: join(folder, `${name}.png`), bytes: png }]),
  ];
};
