/**
 * How fast each processor computes: rooflines per kernel. A dense kernel on few vectors is bound by the weights it
 * streams, on many by arithmetic; a sparse neuron-cluster kernel by gathered rows per core. bytes/ns, operations/ns, ns.
 */
import type { Threads } from "../domain/core-kind.js";
import type { CoreKind, DeviceProfile } from "../domain/device.js";
import type { Measurements } from "../domain/measurements.js";
import { denseRate, productRate, sparseRate } from "./measured.js";

export type { Threads };

/** Of a probed device, what these threads were timed at together, which is less than the sum of what each reaches alone. */
const timed = (device: DeviceProfile, of: (tables: Measurements) => number | null): number | null => (device.measurements === null ? null : of(device.measurements));

/** The layer and the batch that stand for the kernels of a probed device: hidden size 4096, a tenth of the neurons active. */
const PROBED = { format: "q4_0", rows: 4096, cols: 4096, share: 0.1, batch: 64 } as const;

const sumOver = (device: DeviceProfile, threads: Threads, of: (cluster: DeviceProfile["cpu"]["clusters"][number]) => number): number =>
  device.cpu.clusters.reduce((sum, cluster) => sum + Math.min(threads[cluster.kind], cluster.count.value) * of(cluster), 0);

/** Weights per ns that these threads stream together through a dense kernel: each core's own limit, and the cluster's. */
export const denseCpuBandwidth = (device: DeviceProfile, threads: Threads): number =>
  timed(device, (tables) => denseRate(tables, threads, PROBED)) ?? Math.min(device.cpu.bandwidth.value, sumOver(device, threads, (c) => c.denseBandwidth.value));

/** Weights per ns through the sparse neuron-cluster kernel, all these threads together. */
export const sparseCpuBandwidth = (device: DeviceProfile, threads: Threads): number =>
  timed(device, (tables) => sparseRate(tables, threads, "up-down", PROBED)) ?? Math.min(device.cpu.bandwidth.value, sumOver(device, threads, (c) => c.sparseBandwidth.value));

export const gemmCpuRate = (device: DeviceProfile, threads: Threads): number => timed(device, (tables) => productRate(tables, threads, PROBED)) ?? sumOver(device, threads, (c) => c.gemmRate.value);

export const coreOf = (device: DeviceProfile, kind: CoreKind): DeviceProfile["cpu"]["clusters"][number] | undefined => device.cpu.clusters.find((c) => c.kind === kind);

export const threadCount = (threads: Threads): number => threads.big + threads.mid + threads.little;

/** All big and mid cores: the best set for sparse matrix-vector work, where little cores hold the rest back (PowerInfer-2, section 2.2). */
export const bestThreads = (device: DeviceProfile): Threads => {
  const count = (kind: CoreKind): number => device.cpu.clusters.filter((c) => c.kind === kind).reduce((sum, c) => sum + c.count.value, 0);
  const fast = { big: count("big"), mid: count("mid"), little: 0 };
  return threadCount(fast) > 0 ? fast : { big: 0, mid: 0, little: count("little") };
};

export type MatrixUnit = "cpu-4-mid" | "cpu-6" | "cpu-8" | "gpu" | "npu";

/** Bits of an INT4 weight with its fp16 scale per 32. */
const WEIGHT_BYTES = 4.5 / 8;
/** Share of rows that a sparse multiplication touches in Figure 3a's "batch < 1" point: one token's active share of Bamboo-7B. */
const SPARSE_SHARE = 0.148;

/**
 * Time of a rows × cols INT4 matrix times `batch` vectors on one unit (Figure 3a), ns. `sparse` touches only the active
 * rows: the CPU skips the others; NPU and GPU gather rows through the same DMA at their small-block rate and gain nothing.
 * Infinity where the device lacks the unit.
 */
export const matrixTimeNs = (device: DeviceProfile, unit: MatrixUnit, rows: number, cols: number, batch: number, sparse: boolean): number => {
  const bytes = rows * cols * WEIGHT_BYTES;
  const ops = 2 * rows * cols * batch;
  if (unit === "gpu") {
    if (device.gpu === null) return Infinity;
    return device.gpu.launch.value + Math.max(bytes / device.gpu.bandwidth.value, ops / device.gpu.prefillRate.value) / device.gpu.duty.value;
  }
  if (unit === "npu") {
    if (device.npu === null) return Infinity;
    return device.npu.launch.value + Math.max(bytes / device.npu.matvecBandwidth.value, ops / device.npu.prefillRate.value);
  }
  const best = bestThreads(device);
  const all = device.cpu.clusters.reduce((sum, c) => ({ ...sum, [c.kind]: sum[c.kind] + c.count.value }), { big: 0, mid: 0, little: 0 });
  const threads: Threads = unit === "cpu-4-mid" ? { big: 0, mid: 4, little: 0 } : unit === "cpu-6" ? best : all;
  if (sparse) return device.cpu.barrier.value + (bytes * SPARSE_SHARE) / slowedByLittle(device, threads, sparseCpuBandwidth(device, threads), "sparse");
  const compute = ops / slowedByLittle(device, threads, gemmCpuRate(device, threads), "gemm");
  return device.cpu.barrier.value + Math.max(bytes / denseCpuBandwidth(device, threads), compute);
};

/**
 * A parallel loop cut into equal parts ends with its slowest core: rate = cores × the slowest core's rate. Engines cut
 * within a cluster by speed, so only little cores beside faster ones hold the loop back: on this chip llama.cpp decodes 17.34 tokens/s with 6 threads and
 * 10.83 with 8 (https://github.com/johnmaster/Cross-Backend_LLM_Inference_on_SnapDragon, Qwen2.5-3B Q4_K_M).
 */
const slowedByLittle = (device: DeviceProfile, threads: Threads, together: number, kernel: "sparse" | "gemm"): number => {
  const little = coreOf(device, "little");
  if (threads.little === 0 || threads.big + threads.mid === 0 || little === undefined) return together;
  const slowest = kernel === "sparse" ? little.sparseBandwidth.value : little.gemmRate.value;
  return Math.min(together, threadCount(threads) * slowest);
};
