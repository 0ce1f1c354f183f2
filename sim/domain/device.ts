/**
 * What a phone can do. One JSON per device in devices/; every number is a fact with its provenance. Rates are held in
 * base units: bytes/ns (= GB/s), operations/ns, ns, bytes, watts.
 */
import { exactly, list, nullable, oneOf, optional, refined, text, type TypeOf } from "../base/decode.js";
import type { Mistake } from "../base/errors.js";
import { showBytes } from "../base/units.js";
import { CORE_KINDS, type CoreKind } from "./core-kind.js";
import { counted, fact, positive, share } from "./fact.js";
import { measurementsCodec } from "./measurements.js";

/** No agent gets more from DRAM than DRAM gives, bytes/ns. */
const capped = (path: string, rate: number, capPath: string, cap: number): ReadonlyArray<Mistake> => (rate <= cap ? [] : [{ path, message: `must not exceed ${capPath} (${cap}GB/s), got ${rate}GB/s` }]);

const cpuCluster = exactly({
  kind: oneOf(...CORE_KINDS),
  core: text,
  count: counted(1, 64),
  clock: positive("frequency"),
  /** Weights that one core can stream from DRAM through a dense kernel, bytes/ns. */
  denseBandwidth: positive("bandwidth"),
  /** Weights that one core gets through the sparse neuron-cluster kernel, bytes/ns: gathered rows, axpy for down. */
  sparseBandwidth: positive("bandwidth"),
  /** Integer multiply-adds of one core in a matrix product, two operations each, operations/ns. */
  gemmRate: positive("rate"),
  /** 4 KiB random reads over a 128 MB range when this core issues them, bytes/ns; its ratio to the best core scales every read. */
  flashRandom4k: positive("bandwidth"),
  activePower: positive("power"),
});

const npu = exactly({
  name: text,
  /** Effective integer operations/ns over a whole prefill of a 7B model (never the marketed figure). */
  prefillRate: positive("rate"),
  /** Bytes/ns of a large fused dense matrix at batch 1 (a graph that streams its weights by DMA). */
  bulkBandwidth: positive("bandwidth"),
  /** Bytes/ns of a stock matrix-vector graph at batch 1. */
  matvecBandwidth: positive("bandwidth"),
  /** From the CPU's call to the first work of a graph, with the completion signal. */
  launch: positive("time"),
  /** Switching to another static graph (batch size, hot share); hidden when it is done during attention. */
  graphSwap: fact("time"),
  /** Speed on weights that were streamed in just now, as a ratio of the speed on resident, registered ones. */
  streamedRatio: fact("ratio", 0.01, 1),
  activePower: positive("power"),
});

const gpu = exactly({
  name: text,
  /** Effective floating operations/ns in LLM kernels. */
  prefillRate: positive("rate"),
  bandwidth: positive("bandwidth"),
  /** Share of kernel time that is real work; the rest is launch and synchronisation. */
  duty: fact("ratio", 0.01, 1),
  launch: positive("time"),
  activePower: positive("power"),
});

/** A measured point of the flash curve: `pattern` reads of `block` bytes over `range` bytes by one deep-queued submitter on the best core. */
const flashPoint = exactly({ block: positive("bytes"), range: positive("bytes"), rate: positive("bandwidth") });
const flashRate = exactly({ block: positive("bytes"), rate: positive("bandwidth") });
/** What so many threads get together, each of which reads one block, waits for it and reads the next. */
const lanesRate = exactly({ block: positive("bytes"), lanes: counted(1, 1024), rate: positive("bandwidth") });

const ascending = (points: ReadonlyArray<{ readonly block: { readonly value: number } }>): boolean => points.every((p, i) => i === 0 || points[i - 1]!.block.value <= p.block.value);

/** Reads are interpolated between blocks and between ranges, which needs every block with every range. */
const holes = (points: ReadonlyArray<TypeOf<typeof flashPoint>>): ReadonlyArray<Mistake> => {
  const blocks = [...new Set(points.map((p) => p.block.value))];
  const ranges = [...new Set(points.map((p) => p.range.value))];
  return blocks.flatMap((block) =>
    ranges.flatMap((range) => {
      const count = points.filter((p) => p.block.value === block && p.range.value === range).length;
      return count === 1 ? [] : [{ path: "random", message: `should have one point for blocks of ${showBytes(block)} over a range of ${showBytes(range)}, has ${count}` }];
    }),
  );
};

/** The same for blocks and readers; a reader alone is what each of several is held to. */
const lanesHoles = (points: ReadonlyArray<TypeOf<typeof lanesRate>>): ReadonlyArray<Mistake> => {
  const readers = [...new Set(points.map((p) => p.lanes.value))];
  const missing = [...new Set(points.map((p) => p.block.value))].flatMap((block) =>
    readers.flatMap((lanes) => {
      const count = points.filter((p) => p.block.value === block && p.lanes.value === lanes).length;
      return count === 1 ? [] : [{ path: "lanes", message: `should have one point for blocks of ${showBytes(block)} by ${lanes} lanes, has ${count}` }];
    }));
  return readers.includes(1) ? missing : [...missing, { path: "lanes", message: "should have points for 1 lane" }];
};

const flash = refined(
  exactly({
    name: text,
    /** Hardware command queues. 1 = every submitter shares one, and they slow each other down. */
    queues: counted(1, 64),
    depth: counted(1, 65536),
    /** Sequential reads by block size. */
    sequential: list(flashRate, 1),
    /** Random reads by block size and address range. */
    random: list(flashPoint, 1),
    /** Random reads by block size and number of synchronous readers; null where only a full queue was measured. */
    lanes: optional(nullable(list(lanesRate, 1)), null),
    /** One 4 KiB read alone, submission to completion. */
    latency: positive("time"),
    /** Rate that is left when `contentionSubmitters` or more cores submit at once, as a ratio of one submitter's. */
    contentionFloor: fact("ratio", 0.05, 1),
    contentionSubmitters: counted(2, 64),
    /** Second 4 KiB of a bundle read soon after its first, as a ratio of a first read's device time: the NAND page is then in the device's buffer. */
    secondPhaseRatio: fact("ratio", 0.01, 1.5),
    /** Rate that is left when the device is hot, and the device temperature at which that begins. */
    hotRatio: fact("ratio", 0.05, 1),
    hotAt: fact("temperature", 0, 150),
    energy: fact("energyPerByte"),
  }),
  (f) => [
    ...(ascending(f.sequential) ? [] : [{ path: "sequential", message: "blocks should ascend" }]),
    ...(ascending(f.random) ? [] : [{ path: "random", message: "blocks should ascend" }]),
    ...holes(f.random),
    ...(f.lanes === null ? [] : lanesHoles(f.lanes)),
  ],
);

const pageCache = exactly({
  /** Bytes that one fault brings in. */
  readAhead: positive("bytes"),
  /** Fault entry, page allocation, mapping and wake-up for one window, besides the device's time. */
  faultCost: fact("time"),
});

const thermal = exactly({
  ambient: fact("temperature", -40, 60),
  resistance: positive("thermalResistance"),
  timeConstant: positive("time"),
  /** Throttling begins here, and clocks reach the floor there. */
  throttleStart: fact("temperature", 0, 150),
  throttleFull: fact("temperature", 0, 150),
  floor: fact("ratio", 0.05, 1),
});

export const deviceCodec = refined(
  exactly({
    schema: oneOf("neuronlab/device@1"),
    name: text,
    title: text,
    soc: text,
    note: optional(text, ""),
    cpu: exactly({
      isa: list(text),
      clusters: list(cpuCluster, 1),
      /** All cores together, bytes/ns. */
      bandwidth: positive("bandwidth"),
      /** Fork-join of one parallel kernel over the compute threads. */
      barrier: fact("time"),
      /** Look-up, placement and bookkeeping of one neuron that is brought into the cache. */
      cacheInsert: fact("time"),
    }),
    npu: nullable(npu),
    gpu: nullable(gpu),
    dram: exactly({
      total: positive("bytes"),
      /** What one app may use. */
      usable: positive("bytes"),
      theory: positive("bandwidth"),
      /** All agents together, bytes/ns. */
      sustained: positive("bandwidth"),
      energy: fact("energyPerByte"),
    }),
    flash,
    pageCache,
    thermal,
    power: exactly({ idle: fact("power") }),
    /** Of a device that was probed: all that was timed. */
    measurements: optional(nullable(measurementsCodec), null),
  }),
  (d) => [
    ...(d.dram.usable.value <= d.dram.total.value ? [] : [{ path: "dram.usable", message: `must not exceed dram.total (${showBytes(d.dram.total.value)}), got ${showBytes(d.dram.usable.value)}` }]),
    ...(d.dram.sustained.value <= d.dram.theory.value ? [] : [{ path: "dram.sustained", message: `must not exceed dram.theory (${d.dram.theory.value}GB/s), got ${d.dram.sustained.value}GB/s` }]),
    ...capped("cpu.bandwidth", d.cpu.bandwidth.value, "dram.sustained", d.dram.sustained.value),
    ...d.cpu.clusters.flatMap((c, i) => capped(`cpu.clusters[${i}].denseBandwidth`, c.denseBandwidth.value, "cpu.bandwidth", d.cpu.bandwidth.value)),
    ...(d.npu === null ? [] : capped("npu.bulkBandwidth", d.npu.bulkBandwidth.value, "dram.sustained", d.dram.sustained.value)),
    ...(d.gpu === null ? [] : capped("gpu.bandwidth", d.gpu.bandwidth.value * d.gpu.duty.value, "dram.sustained", d.dram.sustained.value)),
    ...(d.thermal.throttleStart.value < d.thermal.throttleFull.value ? [] : [{ path: "thermal.throttleFull", message: "should lie above throttleStart" }]),
  ],
);

export type DeviceProfile = TypeOf<typeof deviceCodec>;
export type CpuCluster = DeviceProfile["cpu"]["clusters"][number];
export type NpuProfile = NonNullable<DeviceProfile["npu"]>;
export type GpuProfile = NonNullable<DeviceProfile["gpu"]>;
export type FlashProfile = DeviceProfile["flash"];
export type { CoreKind };
export { share };
