/** What the run of the tour showed, for people and for programs. Pure. */
import { showBytes } from "../../../sim/base/units.js";
import { showNumber, showShare, showSignedShare, table } from "../../../sim/report/table.js";
import { middleOf, reasonOf, type Outcome } from "../../../experiments/validate/compare.js";
import { lines } from "./lines.js";
import type { TourRun } from "./run.js";

const speedOf = ({ total }: Outcome): number => 1e3 / total;

interface Row { readonly what: string; readonly predicted: number; readonly measured: number; readonly show: (value: number) => string }

const rowsOf = (predicted: Outcome, measured: Outcome): ReadonlyArray<Row> => {
  const row = (what: string, of: (outcome: Outcome) => number, show: (value: number) => string = showNumber): Row => ({ what, predicted: of(predicted), measured: of(measured), show });
  return [
    row("tokens/s", speedOf),
    row("ms a token", ({ total }) => total),
    row("  a thread computes", ({ compute }) => compute),
    row("  reads under way", ({ io }) => io),
    row("  waiting for them", ({ stall }) => stall),
    row("found in the cache", ({ hitRate }) => hitRate, showShare),
    row("read a token", ({ bytesPerToken }) => bytesPerToken, showBytes),
  ];
};

/** Predicted over measured, less one; null of nothing. */
const signedError = (predicted: number, measured: number): number | null => (measured === 0 ? (predicted === 0 ? 0 : null) : predicted / measured - 1);

const compareTable = (predicted: Outcome, measured: Outcome): string => {
  const right = (title: string) => ({ title, align: "right" as const });
  return table(
    [{ title: "" }, right("predicted"), right("measured"), right("error")],
    rowsOf(predicted, measured).map(({ what, predicted: p, measured: m, show }) => {
      const error = signedError(p, m);
      return [what, show(p), show(m), error === null ? "--" : showSignedShare(error)];
    }),
  );
};

const measuredTable = (measured: Outcome): string => table([{ title: "" }, { title: "measured", align: "right" }], rowsOf(measured, measured).map(({ what, measured: m, show }) => [what, show(m)]));

const spread = (outcomes: ReadonlyArray<Outcome>): string => {
  const speeds = outcomes.map(speedOf).sort((a, b) => a - b);
  return `${showNumber(speeds[0]!)} to ${showNumber(speeds.at(-1)!)}`;
};

/** Runs that differ by more than this were not alone. */
const QUIET = 0.3;

const busy = (outcomes: ReadonlyArray<Outcome>): boolean => {
  const times = outcomes.map(({ total }) => total);
  return Math.max(...times) / Math.min(...times) - 1 > QUIET;
};

export const tellRun = (run: TourRun): string => {
  const { predicted, measured, inMemory, compared, same, tokens, model, threads, labels } = run;
  const [half, all] = [middleOf(measured), middleOf(inMemory)];
  return lines([
    predicted === null ? `${measuredTable(half)}\n\nNothing was predicted: this machine has no profile (step 1).` : compareTable(predicted, half),
    "",
    ...(compared === null ? [] : [`${compared.exact ? "The same neurons missed and the same bytes read, as predicted." : "The neurons missed and the bytes read are not those predicted."} Most of the error: ${reasonOf(compared)}. No constant of the prediction was fitted to this machine; neuronlab validate host does that.`]),
    `Measured: the middle of ${measured.length} runs of ${tokens} tokens on ${threads} ${threads === 1 ? "thread" : "threads"}, ${spread(measured)} tokens/s.${busy(measured) || busy(inMemory) ? " They differ that much because something else is at work on this machine: its share is in the error." : ""}`,
    `With all ${showBytes(model.ffnBytes)} in memory: ${showNumber(speedOf(all))} tokens/s (${spread(inMemory)}), ${showNumber(half.total / all.total)}x that, and ${same ? "the same text, token by token" : "ANOTHER TEXT, which is a fault of ours: please report it"} (${labels.join(", ")}).`,
  ]);
};

const inJson = (outcome: Outcome): Readonly<Record<string, number>> => ({
  tokensPerSec: speedOf(outcome), msPerToken: outcome.total, computeMs: outcome.compute, ioMs: outcome.io, stallMs: outcome.stall, cacheHitRate: outcome.hitRate, bytesReadPerToken: outcome.bytesPerToken, missesPerToken: outcome.missesPerToken,
});

export const runJson = (run: TourRun): unknown => {
  const { predicted, measured, inMemory, compared, text, tokens, same, peakResident, labels, threads, files } = run;
  const half = inJson(middleOf(measured));
  const before = predicted === null ? null : inJson(predicted);
  return {
    origin: "measured", text, tokens, threads, labels, sameTextInMemory: same, peakResident,
    predicted: before,
    measured: half,
    signedError: before === null ? null : Object.fromEntries(Object.entries(half).map(([name, value]) => [name, signedError(before[name]!, value)])),
    exact: compared?.exact ?? null,
    runs: measured.map(speedOf),
    inMemory: { ...inJson(middleOf(inMemory)), runs: inMemory.map(speedOf) },
    files,
  };
};
