/** What a probe found, for people: the figures that decide how fast a model runs, with their quartiles. */
import { showBytes, showNs } from "../../../sim/base/units.js";
import type { DeviceProfile } from "../../../sim/domain/device.js";
import type { CostRow, KernelRow, Measurements, ProductRow, ReadRow } from "../../../sim/domain/measurements.js";
import { table } from "../../../sim/report/table.js";

const rate = (bytesPerNs: number): string => (bytesPerNs >= 1 ? `${bytesPerNs.toFixed(2)} GB/s` : `${(1e3 * bytesPerNs).toFixed(1)} MB/s`);
const operations = (perNs: number): string => `${perNs.toFixed(1)} GOPS`;

/** Sizes that were chosen, and so are round in binary. */
const blockOf = (bytes: number): string => (bytes % 2 ** 20 === 0 ? `${bytes / 2 ** 20} MiB` : bytes % 1024 === 0 ? `${bytes / 1024} KiB` : showBytes(bytes));

const on = (cores: ReadonlyArray<number>): string => `${cores.length === 1 ? "core" : "cores"} ${cores.join(",")}`;

type Cells = readonly [what: string, where: string, median: string, quartiles: string];

const kernelCells = (row: KernelRow): Cells => [
  row.kernel === "read" || row.kernel === "copy" ? row.kernel : `${row.kernel} ${row.format} ${row.rows}x${row.cols}${row.share === 1 ? "" : `, ${Number((100 * row.share).toFixed(1))}%`}`,
  on(row.cores),
  rate(row.rate),
  `${rate(row.low)} to ${rate(row.high)}`,
];

const productCells = (row: ProductRow): Cells => [`product ${row.format} ${row.rows}x${row.cols}, batch ${row.batch}`, on(row.cores), operations(row.rate), `${operations(row.low)} to ${operations(row.high)}`];

const costCells = (row: CostRow): Cells => [row.cost, on(row.cores), showNs(row.time), `${showNs(row.low)} to ${showNs(row.high)}`];

const readCells = (row: ReadRow): ReadonlyArray<string> => [
  `${row.pattern} ${blockOf(row.block)} over ${blockOf(row.range)}`,
  `${row.backend} ${row.inFlight}${row.direct ? "" : ", buffered"}, core ${row.core}`,
  rate(row.rate),
  `${rate(row.low)} to ${rate(row.high)}`,
  showNs(row.latency),
  showNs(row.cpu),
];

const COMPUTED = [{ title: "what" }, { title: "where" }, { title: "median", align: "right" }, { title: "quartiles", align: "right" }] as const;
const READ = [{ title: "reads" }, { title: "in flight" }, ...COMPUTED.slice(2), { title: "latency", align: "right" }, { title: "cpu", align: "right" }] as const;

/** Every row. */
export const describeTables = (tables: Measurements): string => {
  const computed = [...tables.kernels.map(kernelCells), ...tables.products.map(productCells), ...tables.costs.map(costCells)];
  return [...(computed.length === 0 ? [] : [table(COMPUTED, computed)]), ...(tables.reads.length === 0 ? [] : [table(READ, tables.reads.map(readCells))])].join("\n\n");
};

/** The facts of a profile that matter most, one a line. */
export const describeDevice = (device: DeviceProfile): string => {
  const { cpu, flash } = device;
  const clusters = cpu.clusters.map((cluster) => [
    `${cluster.count.value} ${cluster.kind}`,
    cluster.core,
    `${cluster.clock.value.toFixed(2)} GHz`,
    rate(cluster.denseBandwidth.value),
    rate(cluster.sparseBandwidth.value),
    operations(cluster.gemmRate.value),
    rate(cluster.flashRandom4k.value),
  ]);
  const widest = Math.max(...flash.random.map((point) => point.range.value));
  const curve = flash.random.filter((point) => point.range.value === widest).map((point) => `${blockOf(point.block.value)} ${rate(point.rate.value)}`);
  return [
    `${device.title}; kernels ${device.measurements?.backend ?? "unknown"}`,
    table([{ title: "cores" }, { title: "name" }, { title: "clock", align: "right" }, { title: "dense", align: "right" }, { title: "sparse", align: "right" }, { title: "products", align: "right" }, { title: "4 KiB reads", align: "right" }], clusters),
    `all cores stream ${rate(cpu.bandwidth.value)} of weights and read ${rate(device.dram.sustained.value)}; a dispatch takes ${showNs(cpu.barrier.value)}; a neuron into the cache ${showNs(cpu.cacheInsert.value)}`,
    `${flash.name}, random over ${blockOf(widest)}: ${curve.join(", ")}; one 4 KiB read alone ${showNs(flash.latency.value)}`,
  ].join("\n");
};
