/**
 * UFS flash as a reader sees it: block size × address range × issuing core × submitters × sequential or random. Rates in
 * bytes/ns (GB/s), times in ns. The curve's points are the profile's; between them it is interpolated in log(block) and
 * log(range), because both axes span decades and the printed anchors lie decades apart. (PowerInfer-2, sections 2.3 and 4.4)
 */
import type { CoreKind, DeviceProfile, FlashProfile } from "../domain/device.js";

import type { Slowdown } from "../domain/slow-storage.js";

export const PAGE_BYTES = 4096;

interface CurvePoint { readonly block: number; readonly rate: number }

const interpolate = (points: ReadonlyArray<CurvePoint>, block: number): number => {
  const first = points[0]!;
  const last = points[points.length - 1]!;
  // Below the smallest measured block a command costs what the smallest does; above the largest the rate has levelled off.
  if (block <= first.block) return (first.rate * block) / first.block;
  if (block >= last.block) return last.rate;
  let i = 1;
  while (points[i]!.block < block) i++;
  const low = points[i - 1]!;
  const high = points[i]!;
  const at = (Math.log(block) - Math.log(low.block)) / (Math.log(high.block) - Math.log(low.block));
  return Math.exp(Math.log(low.rate) + at * (Math.log(high.rate) - Math.log(low.rate)));
};

/** Sequential reads of `blockBytes` with a full queue, bytes/ns. */
export const sequentialReadBandwidth = (flash: FlashProfile, blockBytes: number): number =>
  interpolate(flash.sequential.map((p) => ({ block: p.block.value, rate: p.rate.value })), blockBytes);

const randomAtRange = (flash: FlashProfile, blockBytes: number, rangeBytes: number): number => {
  const ranges = [...new Set(flash.random.map((p) => p.range.value))].sort((a, b) => a - b);
  const rateAt = (range: number): number =>
    interpolate(flash.random.filter((p) => p.range.value === range).map((p) => ({ block: p.block.value, rate: p.rate.value })), blockBytes);
  if (rangeBytes <= ranges[0]!) return rateAt(ranges[0]!);
  const widest = ranges[ranges.length - 1]!;
  if (rangeBytes >= widest) return rateAt(widest);
  let i = 1;
  while (ranges[i]! < rangeBytes) i++;
  const low = ranges[i - 1]!;
  const high = ranges[i]!;
  const at = (Math.log(rangeBytes) - Math.log(low)) / (Math.log(high) - Math.log(low));
  return Math.exp(Math.log(rateAt(low)) * (1 - at) + Math.log(rateAt(high)) * at);
};

/**
 * Rate that several submitters get together, as a ratio of one submitter's: one command queue is a shared lock, so each
 * further core costs its share until the floor. With a queue per submitter (MCQ) nobody waits. (PowerInfer-2: up to 40 %)
 */
export const contentionRatio = (flash: FlashProfile, submitters: number): number => {
  const sharers = Math.ceil(submitters / flash.queues.value);
  if (sharers <= 1) return 1;
  const step = Math.min(1, (sharers - 1) / (flash.contentionSubmitters.value - 1));
  return 1 - (1 - flash.contentionFloor.value) * step;
};

/** How fast a core drives the driver, relative to the device's best core (Table 1). */
export const coreRatio = (device: DeviceProfile, kind: CoreKind): number => {
  const best = Math.max(...device.cpu.clusters.map((c) => c.flashRandom4k.value));
  const cluster = device.cpu.clusters.find((c) => c.kind === kind);
  return cluster === undefined ? 1 : cluster.flashRandom4k.value / best;
};

export interface RandomRead {
  readonly blockBytes: number;
  readonly rangeBytes: number;
  /** Of the issuing core, from `coreRatio`; 1 for the best core. */
  readonly coreRatio: number;
  readonly submitters: number;
}

/**
 * Random reads with a full queue, bytes/ns. The core's factor holds for small blocks, where the driver's work per command
 * is the limit, and fades in proportion to the share of time that the transfer itself takes.
 */
export const randomReadBandwidth = (flash: FlashProfile, read: RandomRead): number => {
  const free = randomAtRange(flash, read.blockBytes, read.rangeBytes);
  // What one 4 KiB command costs beyond pure transfer is the driver's and the device's work per command.
  const perCommandNs = PAGE_BYTES / randomAtRange(flash, PAGE_BYTES, read.rangeBytes);
  const freeNs = read.blockBytes / free;
  const driverNs = Math.min(perCommandNs, freeNs) * (1 / read.coreRatio - 1);
  return (read.blockBytes / (freeNs + driverNs)) * contentionRatio(flash, read.submitters);
};

/** Device time of one random read, ns. */
export const randomReadNs = (flash: FlashProfile, read: RandomRead): number => read.blockBytes / randomReadBandwidth(flash, read);

/**
 * What a read takes in two numbers, ns: of a byte on the device's link, which is what the fastest stream shows, and of a command, which is what a random
 * read of one page takes beside its bytes (none where that is no slower). As in engine/crates/flash/src/curve.rs.
 */
export const storageRates = (flash: FlashProfile, rangeBytes: number): { readonly commandNs: number; readonly byteNs: number } => {
  const byteNs = 1 / Math.max(...flash.sequential.map((point) => point.rate.value));
  return { commandNs: Math.max(0, PAGE_BYTES / randomAtRange(flash, PAGE_BYTES, rangeBytes) - PAGE_BYTES * byteNs), byteNs };
};

/** Device time of reads that took `plainNs`, on a storage that has become slower. As in engine/crates/flash/src/shaper.rs. */
export const slowedNs = ({ of, factor }: Slowdown, rates: ReturnType<typeof storageRates>, plainNs: number, reads: number, bytes: number): number => {
  switch (of) {
    case "all":
      return plainNs * factor;
    case "bytes":
      return plainNs + (factor - 1) * rates.byteNs * bytes;
    case "reads":
      return plainNs + (factor - 1) * rates.commandNs * reads;
  }
};

export const pagesFor = (bytes: number): number => Math.ceil(bytes / PAGE_BYTES);

/** What synchronous readers get, bytes/ns: one alone, and all together. */
export interface LaneRates { readonly each: number; readonly together: number }

/**
 * `lanes` threads that each read a block, wait and read the next. From the device's table, between its points in log(block) and log(lanes); without a
 * table a reader alone waits for the latency and the transfer of each block, and all together get the full queue's rate.
 */
export const laneRates = (flash: FlashProfile, blockBytes: number, lanes: number, rangeBytes: number): LaneRates => {
  if (flash.lanes === null) {
    const full = randomReadBandwidth(flash, { blockBytes, rangeBytes, coreRatio: 1, submitters: 1 });
    const each = blockBytes / (flash.latency.value + blockBytes / full);
    return { each, together: Math.min(full * contentionRatio(flash, lanes), each * lanes) };
  }
  const table = flash.lanes;
  const at = (readers: number): number =>
    interpolate(table.filter((p) => p.lanes.value === readers).map((p) => ({ block: p.block.value, rate: p.rate.value })).sort((a, b) => a.block - b.block), blockBytes);
  const readers = [...new Set(table.map((p) => p.lanes.value))].sort((a, b) => a - b).map((count) => ({ block: count, rate: at(count) }));
  return { each: at(1), together: interpolate(readers, lanes) };
};
