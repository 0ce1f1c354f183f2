/**
 * A probed device's tables as functions: what the engine's kernels and reads were timed at, for any size between the cells. Between
 * two cells a rate is interpolated in the logarithms of size and rate, since sizes span decades; beyond the last it stays. null
 * where nothing of the kind was timed. bytes/ns, operations/ns, ns.
 */
import type { CostRow, KernelRow, Measurements, ProductRow, ReadRow } from "../domain/measurements.js";
import type { Threads } from "./kernels.js";

interface Point { readonly at: number; readonly value: number }

/** Of points in any order; two at one place count as their mean. */
const interpolated = (points: ReadonlyArray<Point>, at: number): number | null => {
  const sorted = [...points].sort((a, b) => a.at - b.at);
  const first = sorted[0];
  const last = sorted[sorted.length - 1];
  if (first === undefined || last === undefined) return null;
  const here = sorted.filter((point) => point.at === Math.min(last.at, Math.max(first.at, at)));
  if (here.length > 0) return here.reduce((sum, point) => sum + point.value, 0) / here.length;
  const next = sorted.findIndex((point) => point.at > at);
  const low = sorted[next - 1]!;
  const high = sorted[next]!;
  const share = Math.log(at / low.at) / Math.log(high.at / low.at);
  return Math.exp(Math.log(low.value) * (1 - share) + Math.log(high.value) * share);
};

/** The one of `all` whose ratio to `wanted` is nearest to one. */
const nearestSize = (all: ReadonlyArray<number>, wanted: number): number | undefined =>
  all.reduce<number | undefined>((best, one) => (best === undefined || Math.abs(Math.log(one / wanted)) < Math.abs(Math.log(best / wanted)) ? one : best), undefined);

/** How many cores of each kind these are. */
export const threadsOf = (tables: Measurements, cores: ReadonlyArray<number>): Threads => {
  const count = (kind: keyof Threads): number => cores.filter((core) => tables.clusters.some((cluster) => cluster.kind === kind && cluster.cores.includes(core))).length;
  return { big: count("big"), mid: count("mid"), little: count("little") };
};

/** Rows that were timed on so many cores of each kind. */
const on = <R extends { readonly cores: ReadonlyArray<number> }>(tables: Measurements, rows: ReadonlyArray<R>, threads: Threads): ReadonlyArray<R> =>
  rows.filter((row) => {
    const its = threadsOf(tables, row.cores);
    return its.big === threads.big && its.mid === threads.mid && its.little === threads.little;
  });

const ofWidth = <R extends { readonly cols: number }>(rows: ReadonlyArray<R>, cols: number): ReadonlyArray<R> => {
  const nearest = nearestSize(rows.map((row) => row.cols), cols);
  return rows.filter((row) => row.cols === nearest);
};

/** A dense matrix of `rows` × `cols` times a vector, dispatch included: bytes of weights/ns. */
export const denseRate = (tables: Measurements, threads: Threads, matrix: { readonly format: KernelRow["format"]; readonly rows: number; readonly cols: number }): number | null => {
  const timed = on(tables, tables.kernels.filter((row) => row.kernel === "dense" && row.format === matrix.format), threads);
  return interpolated(ofWidth(timed, matrix.cols).map((row) => ({ at: row.rows * row.cols, value: row.rate })), matrix.rows * matrix.cols);
};

/** Gate rows that a predictor names (`gather`), or up and down of what fires (`up-down`), of `share` of a layer: bytes touched/ns. */
export const sparseRate = (tables: Measurements, threads: Threads, kernel: "gather" | "up-down", of: { readonly cols: number; readonly share: number }): number | null => {
  const timed = on(tables, tables.kernels.filter((row) => row.kernel === kernel), threads);
  return interpolated(ofWidth(timed, of.cols).map((row) => ({ at: row.share, value: row.rate })), of.share);
};

/** Attention of one token over `positions`: bytes of keys and values/ns. */
export const attentionRate = (tables: Measurements, threads: Threads, positions: number): number | null =>
  interpolated(on(tables, tables.kernels.filter((row) => row.kernel === "attention"), threads).map((row) => ({ at: row.rows, value: row.rate })), positions);

/** A matrix times `batch` vectors: operations/ns. */
export const productRate = (tables: Measurements, threads: Threads, of: { readonly format: ProductRow["format"]; readonly batch: number }): number | null =>
  interpolated(on(tables, tables.products.filter((row) => row.format === of.format), threads).map((row) => ({ at: row.batch, value: row.rate })), of.batch);

export type ReadsOf = Pick<ReadRow, "backend" | "inFlight" | "direct" | "pattern" | "block" | "range">;

/**
 * Reads of one block size with so many in flight: bytes/ns, or the cores' work for one read in ns. Depths were tried at a few block
 * sizes: the ratio of two depths at the nearest of these scales the curve over blocks.
 */
export const readNumber = (tables: Measurements, of: ReadsOf, what: "rate" | "cpu"): number | null => {
  const alike = tables.reads.filter((row) => row.backend === of.backend && row.direct === of.direct && row.pattern === of.pattern && row[what] > 0);
  const range = nearestSize(alike.map((row) => row.range), of.range);
  const number = (rows: ReadonlyArray<ReadRow>, axis: "block" | "inFlight", at: number): number | null => interpolated(rows.map((row) => ({ at: row[axis], value: row[what] })), at);
  const counts = [...new Set(alike.map((row) => row.inFlight))];
  const curveOf = (inFlight: number): ReadonlyArray<ReadRow> => alike.filter((row) => row.inFlight === inFlight && row.range === range);
  // The depth that most blocks were tried at.
  const usual = counts.reduce((best, one) => (curveOf(one).length > curveOf(best).length ? one : best), counts[0] ?? 0);
  const curve = number(curveOf(usual), "block", of.block);
  if (curve === null) return null;
  const tried = nearestSize(alike.filter((row) => row.inFlight !== usual).map((row) => row.block), of.block);
  const depths = alike.filter((row) => row.block === tried);
  const [wanted, reference] = [number(depths, "inFlight", of.inFlight), number(depths, "inFlight", usual)];
  return wanted === null || reference === null ? curve : (curve * wanted) / reference;
};

/** A cost on so many cores of each kind, ns. */
export const costOf = (tables: Measurements, cost: CostRow["cost"], threads: Threads): number | null => on(tables, tables.costs.filter((row) => row.cost === cost), threads)[0]?.time ?? null;
