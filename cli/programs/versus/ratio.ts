/** Pairs of repetitions to a ratio with its interval, and rounds to one row. Pure. */
import { medianInterval, type Interval } from "../../../experiments/median-interval.js";
import { median, statistics, type Row } from "../bench/rows.js";
import { isSame, testIn, type Against, type Cell, type Finished, type Measured } from "./cell.js";

export interface Ratio extends Interval {
  readonly test: string;
  readonly model: string;
  readonly memory: number | null;
  readonly memoryShare: number | null;
  readonly threads: number;
  readonly cache: Cell["cache"];
  readonly against: Against;
  /** What our FFNs left of the exact result, in the report's words: lossless, requantised, predicted. llama.cpp computes everything. */
  readonly labels: ReadonlyArray<string>;
  /** Our speed over llama.cpp's: the median of the pairs. */
  readonly ratio: number;
  /** Pair by pair: the k-th repetition of a round of ours over the k-th of the same round of theirs. */
  readonly pairs: ReadonlyArray<number>;
}

/** Of rows of any program; only ours say it. */
export const labelsOf = (rounds: ReadonlyArray<Row>): ReadonlyArray<string> => [...new Set(rounds.flatMap(({ labels }) => (Array.isArray(labels) ? labels.map(String) : [])))];

/** Whatever slows the machine for minutes slows both of a pair. */
export const ratioOf = (cell: Cell, against: Against, ours: ReadonlyArray<Row>, theirs: ReadonlyArray<Row>): Ratio => {
  const pairs = ours.flatMap((row, round) => row.samples_ts.slice(0, theirs[round]?.samples_ts.length ?? 0).map((rate, k) => rate / theirs[round]!.samples_ts[k]!));
  const { model, memory } = cell.request;
  return { test: testIn(cell), model, memory, memoryShare: cell.share, threads: cell.threads, cache: cell.cache, against, labels: labelsOf(ours), ratio: median(pairs), ...medianInterval(pairs), pairs };
};

const AGAINST = ["same file", "best case"] as const;

const roundsOf = (measured: ReadonlyArray<Measured>, who: Measured["who"]): ReadonlyArray<Row> => measured.find((one) => isSame(one.who, who))?.rounds ?? [];

/** Only what both have. */
export const ratiosOf = ({ cell, measured }: Finished): ReadonlyArray<Ratio> => {
  const ours = roundsOf(measured, { program: "neuronlab" });
  return AGAINST.flatMap((against) => {
    const theirs = roundsOf(measured, { program: "llama.cpp", against });
    return ours.length === 0 || theirs.length === 0 ? [] : [ratioOf(cell, against, ours, theirs)];
  });
};

/** Of processes of the same work: the median; null where one did not count. */
const USAGE = ["process_peak_rss", "process_minor_faults", "process_major_faults", "process_bytes_read", "process_seconds", "disturbed_cores"] as const;

const typical = (rounds: ReadonlyArray<Row>, name: string): number | null => {
  const counted = rounds.map((row) => row[name]).filter((value): value is number => typeof value === "number");
  return counted.length === rounds.length ? median(counted) : null;
};

/** The rounds of one side as one row: the first one's fields, everybody's repetitions; ours with its ratio to the same file. */
const pooled = (cell: Cell, { who, rounds }: Measured, ratio: Ratio | undefined): Row => {
  const first = rounds[0]!;
  const { model, memory } = cell.request;
  return {
    ...first,
    ...statistics(rounds.flatMap((row) => row.samples_ns), first.n_prompt + first.n_gen),
    program: who.program,
    ...(who.program === "llama.cpp" ? { against: who.against } : {}),
    model,
    memory,
    memory_share: cell.share,
    page_cache: cell.cache,
    rounds: rounds.length,
    ...Object.fromEntries(USAGE.map((name) => [name, typical(rounds, name)])),
    ...(who.program === "neuronlab" && ratio !== undefined ? { ratio: ratio.ratio, ratio_low: ratio.low, ratio_high: ratio.high } : {}),
  };
};

export const rowsIn = (finished: Finished): ReadonlyArray<Row> => {
  const ratio = ratiosOf(finished).find(({ against }) => against === "same file");
  return finished.measured.filter(({ rounds }) => rounds.length > 0).map((one) => pooled(finished.cell, one, ratio));
};
