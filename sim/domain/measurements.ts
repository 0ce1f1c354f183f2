/**
 * The tables behind a probed device profile: every cell that was timed, with its quartiles, under one source. The facts of the
 * profile are taken from them. Kernels are the engine's own, reads go through its own reader (engine/crates/measure; docs/probe.md
 * says what each number feeds). Rates are medians, in bytes/ns and operations/ns; times in ns.
 */
import { exactly, flag, list, number, oneOf, refined, text, type Codec, type TypeOf } from "../base/decode.js";
import type { Mistake } from "../base/errors.js";
import { CORE_KINDS } from "./core-kind.js";
import { quantity } from "./fact.js";

export const KERNELS = ["read", "copy", "dense", "gather", "up-down", "attention", "norm"] as const;
export const WEIGHT_FORMATS = ["f32", "f16", "q8_0", "q4_0"] as const;
export const COSTS = ["thread-start", "dispatch", "dispatch-parked", "barrier", "insert", "hit", "fault-minor", "fault-huge", "fault-mapped", "fault-major"] as const;

const core = number(0, 4095, true);
const cores = list(core, 1);
const size = number(1, 2 ** 40, true);

/** Quartiles of the turns of a cell. */
const quartiles = (of: "bandwidth" | "rate" | "time") => ({ low: quantity(of), high: quantity(of), turns: size });

/** The middle of a row lies between its quartiles. */
const between = (path: string, middle: number, { low, high }: { readonly low: number; readonly high: number }): ReadonlyArray<Mistake> =>
  low <= middle && middle <= high ? [] : [{ path, message: `should lie between the quartiles ${low} and ${high}, got ${middle}` }];

const rated = <R extends { readonly rate: number; readonly low: number; readonly high: number }>(row: Codec<R>): Codec<R> => refined(row, (r) => between("rate", r.rate, r));

const kernelRow = rated(exactly({
  kernel: oneOf(...KERNELS),
  /** Of the weights; of up, where down has another. */
  format: oneOf(...WEIGHT_FORMATS),
  /** One thread on each. */
  cores,
  /** Rows of the matrix; neurons of the layer (gather, up-down); positions (attention). */
  rows: size,
  cols: size,
  /** Of the rows, those that take part. The rate is of the bytes that these have. */
  share: number(0, 1),
  rate: quantity("bandwidth"),
  ...quartiles("bandwidth"),
}));

/** A matrix times `batch` vectors; two operations for a weight and a vector. */
const productRow = rated(exactly({ kernel: oneOf("product"), format: oneOf(...WEIGHT_FORMATS), cores, rows: size, cols: size, batch: size, rate: quantity("rate"), ...quartiles("rate") }));

const readRow = rated(exactly({
  backend: oneOf("io_uring", "pread"),
  /** Depth of the ring, or lanes. */
  inFlight: size,
  /** Past the page cache. */
  direct: flag,
  pattern: oneOf("random", "sequential"),
  block: quantity("bytes"),
  range: quantity("bytes"),
  /** That issues the reads. */
  core,
  rate: quantity("bandwidth"),
  ...quartiles("bandwidth"),
  /** Work of all cores for one read. */
  cpu: quantity("time", 0),
  /** From submission to completion, waiting in the queue included. */
  latency: quantity("time"),
}));

const costRow = refined(exactly({ cost: oneOf(...COSTS), cores, time: quantity("time"), ...quartiles("time") }), (row) => between("time", row.time, row));

export const measurementsCodec = exactly({
  kind: oneOf("measured"),
  /** Command, date and host. */
  source: text,
  /** Of the kernels. */
  backend: text,
  clusters: list(exactly({ kind: oneOf(...CORE_KINDS), cores }), 1),
  /** What disturbed them. */
  notes: list(text),
  kernels: list(kernelRow),
  products: list(productRow),
  reads: list(readRow),
  costs: list(costRow),
});

export type Measurements = TypeOf<typeof measurementsCodec>;
export type KernelRow = Measurements["kernels"][number];
export type ProductRow = Measurements["products"][number];
export type ReadRow = Measurements["reads"][number];
export type CostRow = Measurements["costs"][number];
