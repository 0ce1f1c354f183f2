/** Predicted beside measured: signed errors by cell and by component, their summary, the order of the cells. Pure. */
import type { RunRecord } from "../../sim/domain/run.js";
import { median } from "../median-interval.js";
import type { Cell, Role } from "./cells.js";

/** Of a token, in ms: all of it; the mean thread computing; the flash with a read under way; waiting for it while nothing computes. */
export interface TokenTimes { readonly total: number; readonly compute: number; readonly io: number; readonly stall: number }
export const COMPONENTS = ["compute", "io", "stall"] as const;

/** What a run says, simulated or real, in the same terms. */
export interface Outcome extends TokenTimes { readonly bytesPerToken: number; readonly hitRate: number; readonly missesPerToken: number }

export const outcomeOf = (run: RunRecord): Outcome => {
  const tokens = Math.max(1, run.tokens.length);
  const msOf = (ns: number): number => ns / tokens / 1e6;
  return {
    total: run.msPerToken.mean,
    compute: msOf(run.cpuUtilisation * run.wallNs),
    io: msOf(run.lanes.find(({ lane }) => lane === "flash")?.busyNs ?? 0),
    stall: msOf(run.exposedIoShare * run.wallNs),
    bytesPerToken: run.bytesReadPerToken,
    hitRate: run.cacheHitRate,
    missesPerToken: run.tokens.reduce((sum, row) => sum + row.misses, 0) / tokens,
  };
};

const between = (a: number, b: number): number => (a + b) / 2;

const meanOf = (a: Outcome, b: Outcome): Outcome => ({
  total: between(a.total, b.total),
  compute: between(a.compute, b.compute),
  io: between(a.io, b.io),
  stall: between(a.stall, b.stall),
  bytesPerToken: between(a.bytesPerToken, b.bytesPerToken),
  hitRate: between(a.hitRate, b.hitRate),
  missesPerToken: between(a.missesPerToken, b.missesPerToken),
});

/** The middle one of several outcomes of one cell, by its total; of an even number the mean of the two in the middle. */
export const middleOf = (outcomes: ReadonlyArray<Outcome>): Outcome => {
  const sorted = [...outcomes].sort((a, b) => a.total - b.total);
  const upper = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[upper]! : meanOf(sorted[upper - 1]!, sorted[upper]!);
};

/**
 * The machine against itself: every other run of a plan, taken for a prediction of the rest, as speed over speed less one. Null of a single run.
 * No prediction of these runs can be expected to be much nearer than half of it.
 */
export const selfErrorOf = (runs: ReadonlyArray<Outcome>): number | null =>
  runs.length < 2 ? null : middleOf(runs.filter((_, i) => i % 2 === 1)).total / middleOf(runs.filter((_, i) => i % 2 === 0)).total - 1;

export interface CellResult {
  readonly id: string;
  readonly role: Role;
  readonly cell: Cell;
  /** Tokens/s. */
  readonly predicted: number;
  readonly measured: number;
  /** Predicted over measured, less one. */
  readonly signedError: number;
  /** With the constants as they stood before any was fitted. */
  readonly unfitted: number;
  readonly parts: Readonly<Record<"total" | (typeof COMPONENTS)[number], { readonly predicted: number; readonly measured: number }>>;
  /** Whether the same neurons were missed and the same bytes read. */
  readonly exact: boolean;
  /** Measured runs, and the greatest over the least of their speeds. */
  readonly runs: number;
  readonly spread: number;
  readonly selfError: number | null;
}

export const compared = (cell: Cell, predicted: Outcome, unfitted: Outcome, runs: ReadonlyArray<Outcome>): CellResult => {
  const measured = middleOf(runs);
  const totals = runs.map(({ total }) => total);
  const part = (name: keyof TokenTimes) => ({ predicted: predicted[name], measured: measured[name] });
  return {
    id: cell.id, role: cell.role, cell,
    predicted: 1e3 / predicted.total,
    measured: 1e3 / measured.total,
    signedError: measured.total / predicted.total - 1,
    unfitted: measured.total / unfitted.total - 1,
    parts: { total: part("total"), compute: part("compute"), io: part("io"), stall: part("stall") },
    exact: predicted.missesPerToken === measured.missesPerToken && Math.round(predicted.bytesPerToken) === Math.round(measured.bytesPerToken),
    runs: runs.length,
    spread: Math.max(...totals) / Math.min(...totals) - 1,
    selfError: selfErrorOf(runs),
  };
};

/** Kendall's tau-b: of all pairs, how many more are in the same order than in the other; ties count for neither. */
export const kendallTau = (pairs: ReadonlyArray<readonly [number, number]>): number => {
  let [agree, differ, tiedFirst, tiedSecond] = [0, 0, 0, 0];
  pairs.forEach(([a, b], i) => {
    for (const [c, d] of pairs.slice(0, i)) {
      const [first, second] = [Math.sign(a - c), Math.sign(b - d)];
      if (first === 0 && second === 0) continue;
      if (first === 0) tiedFirst++;
      else if (second === 0) tiedSecond++;
      else if (first === second) agree++;
      else differ++;
    }
  });
  const all = Math.sqrt((agree + differ + tiedFirst) * (agree + differ + tiedSecond));
  return all === 0 ? 1 : (agree - differ) / all;
};

export interface Summary { readonly cells: number; readonly medianAbsError: number; readonly meanAbsError: number; readonly worstAbsError: number; readonly kendallTau: number }

export const summaryOf = (cells: ReadonlyArray<Pick<CellResult, "signedError" | "predicted" | "measured">>): Summary => {
  const errors = cells.map(({ signedError }) => Math.abs(signedError));
  return {
    cells: cells.length,
    medianAbsError: median(errors),
    meanAbsError: errors.reduce((sum, error) => sum + error, 0) / Math.max(1, errors.length),
    worstAbsError: Math.max(0, ...errors),
    kendallTau: kendallTau(cells.map(({ predicted, measured }) => [predicted, measured])),
  };
};

/** How the reference cell went, in the order of its runs: what the machine did meanwhile. */
export interface Drift { readonly runs: number; readonly tokensPerSec: ReadonlyArray<number>; readonly slowest: number; readonly fastest: number }

export const driftOf = (reference: ReadonlyArray<Outcome>): Drift => {
  const speeds = reference.map(({ total }) => 1e3 / total);
  return { runs: speeds.length, tokensPerSec: speeds, slowest: Math.min(...speeds), fastest: Math.max(...speeds) };
};

/** Which component is off by most of the token's time, in words. */
export const reasonOf = ({ parts }: CellResult): string => {
  const off = COMPONENTS.map((name) => ({ name, by: parts[name].predicted - parts[name].measured })).sort((a, b) => Math.abs(b.by) - Math.abs(a.by))[0]!;
  const { predicted, measured } = parts[off.name];
  const said = { compute: "computing", io: "reads under way", stall: "waiting for reads" }[off.name];
  const total = parts.total.predicted - parts.total.measured;
  return Math.abs(off.by) < Math.abs(total) / 2
    ? `${Math.abs(total).toFixed(1)} ms ${total > 0 ? "too many" : "too few"}, in no single component: waiting for each other`
    : `${said}: ${predicted.toFixed(1)} ms predicted, ${measured.toFixed(1)} ms measured`;
};
