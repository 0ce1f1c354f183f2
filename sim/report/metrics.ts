/**
 * Each metric once: symbol, unit, definition, edge cases, and how it is read from a run record. Tables, JSON and
 * docs/metrics.md are made from these entries; to add a metric, add an entry.
 */
import type { RunRecord } from "../domain/run.js";

export interface Metric {
  readonly symbol: string;
  readonly unit: string;
  readonly definition: string;
  readonly edgeCases: string;
  /** null where the run does not say: a machine measures no energy. */
  readonly of: (record: RunRecord) => number | null;
}

const metric = (symbol: string, unit: string, definition: string, edgeCases: string, of: (record: RunRecord) => number | null): Metric => ({ symbol, unit, definition, edgeCases, of });

export const METRICS = {
  tokensPerSec: metric("v", "tokens/s", "Tokens of the phase asked for over its wall time.", "Decode counts the generated tokens of all sequences of the batch, prefill the prompt tokens. Prefill time is never part of a decode speed.", (r) => r.tokensPerSec),
  meanLatency: metric("L", "ms", "Decode: mean time of one forward pass. Prefill: wall time over prompt tokens.", "With batch b one pass makes b tokens, so v = b/L. The first pass counts.", (r) => r.msPerToken.mean),
  p50Latency: metric("L50", "ms", "Median of the same times.", "Prefill has one time only, so all percentiles agree.", (r) => r.msPerToken.p50),
  p90Latency: metric("L90", "ms", "Time that 90% of the passes do not exceed.", "Of fewer than 10 passes it is close to the largest.", (r) => r.msPerToken.p90),
  p99Latency: metric("L99", "ms", "Time that 99% of the passes do not exceed.", "Of fewer than 100 passes it is close to the largest; simulate more with --tokens.", (r) => r.msPerToken.p99),
  bytesReadPerToken: metric("R", "bytes", "Bytes that the flash delivered, for each forward pass of decode or each prompt token of prefill.", "Whole device blocks count, also what was read and not used. With batch b a pass makes b tokens.", (r) => r.bytesReadPerToken),
  cacheHitRate: metric("h", "share", "Of the active neurons that a token needs, the share found in memory.", "Active neurons among densely computed hot rows count as found. Where nothing is needed by prediction: 1 when nothing is read either, 0 when weights are read past the cache.", (r) => r.cacheHitRate),
  missOfComputed: metric("m", "share", "Misses over all neurons computed, the dense hot rows included, mean over passes.", "The paper's Table 5 and Figure 14 read so; its denominator is larger than that of 1 - h.", (r) => r.missOfComputed?.mean ?? null),
  exposedIoShare: metric("w", "share", "Share of the wall time in which no unit computes while a read is under way.", "0 when reads are hidden altogether, also when nothing is read.", (r) => r.exposedIoShare),
  cpuUtilisation: metric("u", "share", "Share of the compute threads' time spent computing.", "Threads that wait at a barrier, or for a read, are idle; measured, barriers inside what all threads do together are not seen. The I/O thread is not a compute thread. 0 where no compute thread is used.", (r) => r.cpuUtilisation),
  dramBytesPerToken: metric("D", "bytes", "Bytes that all units moved from or to DRAM, for each forward pass of decode or each prompt token of prefill.", "Weights that are read once for a whole batch count once.", (r) => r.dramBytesPerToken),
  dramBandwidth: metric("B", "GB/s", "DRAM bytes over wall time.", "An average over the run; never above the device's sustained rate.", (r) => r.dramBandwidth),
  joulesPerToken: metric("E", "J/token", "Energy of all parts, idle power included, over tokens made.", "Counts every token of the batch, unlike L, R and D.", (r) => r.energy?.joulesPerToken ?? null),
  meanWatts: metric("P", "W", "Energy over wall time.", "Includes idle power.", (r) => r.energy?.meanWatts ?? null),
  peakWatts: metric("Pmax", "W", "Largest power of any forward pass.", "Parts that never work at once are not added.", (r) => r.energy?.peakWatts ?? null),
  peakResident: metric("M", "bytes", "Most bytes that the process held in memory.", "Of the whole process, the prompt included. Measured runs only: the simulator divides the memory that it is given.", (r) => (r.origin === "measured" ? (r.engine.peakResident ?? null) : null)),
  upperBound: metric("v+", "tokens/s", "Speed if every part overlapped every other perfectly: set by the busiest part alone.", "From what the run's own tokens asked for; a run above it is a fault of the model.", (r) => r.bound?.upper ?? null),
  lowerBound: metric("v-", "tokens/s", "Speed if nothing overlapped: all parts' work one after the other.", "From what the run's own tokens asked for; a run below it is a fault of the model.", (r) => r.bound?.lower ?? null),
} as const satisfies Readonly<Record<string, Metric>>;

/** Errors of predictions, over the points that have both a reported and a simulated value. */
export interface ErrorSummary {
  readonly points: number;
  /** Points without a simulated value: shown, never counted as zero. */
  readonly gaps: number;
  readonly medianAbsError: number | null;
  readonly meanAbsError: number | null;
  readonly worstAbsError: number | null;
}

const COMPARISONS: ReadonlyArray<Omit<Metric, "of"> & { readonly name: string }> = [
  { name: "signedError", symbol: "e", unit: "share", definition: "(simulated - reported) / reported, of one point.", edgeCases: "null where the run could not be made; positive when the simulator is too high." },
  { name: "medianAbsError", symbol: "med|e|", unit: "share", definition: "Median of the absolute signed errors.", edgeCases: "Mean of the middle two for an even number. Gaps are left out and counted apart." },
  { name: "meanAbsError", symbol: "avg|e|", unit: "share", definition: "Mean of the absolute signed errors.", edgeCases: "As above." },
  { name: "worstAbsError", symbol: "max|e|", unit: "share", definition: "Largest absolute signed error.", edgeCases: "As above." },
];

export const summariseErrors = (points: ReadonlyArray<{ readonly signedError: number | null }>): ErrorSummary => {
  const errors = points.flatMap((p) => (p.signedError === null ? [] : [Math.abs(p.signedError)])).sort((a, b) => a - b);
  const n = errors.length;
  const gaps = points.length - n;
  if (n === 0) return { points: points.length, gaps, medianAbsError: null, meanAbsError: null, worstAbsError: null };
  return {
    points: points.length,
    gaps,
    medianAbsError: (errors[Math.floor((n - 1) / 2)] + errors[Math.floor(n / 2)]) / 2,
    meanAbsError: errors.reduce((sum, e) => sum + e, 0) / n,
    worstAbsError: errors[n - 1],
  };
};

/** The page docs/metrics.md. */
export const metricsPage = (): string => {
  const row = (name: string, m: Omit<Metric, "of">): string => `| \`${name}\` | ${m.symbol.replaceAll("|", "\\|")} | ${m.unit} | ${m.definition} | ${m.edgeCases} |`;
  const head = ["| name | symbol | unit | definition | edge cases |", "|---|---|---|---|---|"];
  return [
    "<!-- generated from sim/report/metrics.ts by `npx vitest run test/sim/report/metrics.test.ts -u`; do not edit -->",
    "# Metrics",
    "",
    "Each metric is defined once, in `sim/report/metrics.ts`; every table, JSON field and figure reads it from there.",
    "",
    "A measured run (`neuronlab generate --save`) has what a machine can measure; the others are null there: `missOfComputed`, `dramBytesPerToken`,",
    "`dramBandwidth`, energy and power, and the bounds. Its `breakdown` is no critical path, because nobody knows what waited for what: it is the wall",
    "time as the mean compute thread spent it. What all threads do together (attention, head, dense FFN) counts for each; `wait` is waiting for a read,",
    "or for another thread that has one; `cache` is look-ups, moving what arrived to its place, giving reads out, and the lock around all that; `merge` is",
    "what is left of the wall time: barriers, sums, dispatch, and the choice of the token. Its look-ups are of units of up and down, which are neurons",
    "unless they were packed in groups.",
    "",
    "## Of a run",
    "",
    ...head,
    ...Object.entries(METRICS).map(([name, m]) => row(name, m)),
    "",
    "## Of a comparison with reported or measured values",
    "",
    ...head,
    ...COMPARISONS.map((m) => row(m.name, m)),
    "",
  ].join("\n");
};
