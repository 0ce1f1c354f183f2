/**
 * The numbers that one plan on one device and model fixes for every layer: bytes per row and per matrix, rates of the units
 * as this software drives them, read times. Everything downstream reads these and asks no profile again.
 */
import type { DeviceProfile } from "../domain/device.js";
import { sizesOf, type ModelSpec } from "../domain/model.js";
import { npuShareAt, type Plan } from "../domain/plan.js";
import { ACTIVITIES, type RunRequest } from "../domain/run.js";
import type { SystemSpec } from "../domain/system.js";
import { denseCpuBandwidth, sparseCpuBandwidth, threadCount } from "../hardware/kernels.js";
import { faultInNs } from "../hardware/page-cache.js";
import { pipelineBytes } from "../planner/default-plan.js";
import { cachedNeuronBytes } from "../planner/fit.js";
import { readCosts, type ReadCosts } from "./read-costs.js";

export interface LayerRates {
  /** DRAM bytes of attention in one layer, KV of the mean context included. */
  readonly attentionBytes: number;
  readonly headBytes: number;
  /** The CPU's part when heads are split over CPU and NPU. */
  readonly attentionCpuShare: number;
  /** The predictor's first (shared) factor, and its second factor per predicted row of the CPU's part. */
  readonly predictorSharedBytes: number;
  readonly predictorBytesPerRow: number;
  /** Rows of a layer (experts in use) that the CPU's predictor looks at. */
  readonly predictedRows: number;
  readonly gateBytes: number;
  readonly upDownBytes: number;
  readonly gateFires: number;
  /** bytes/ns. */
  readonly denseCpu: number;
  readonly sparseCpu: number;
  readonly denseNpu: number;
  readonly denseGpu: number;
  readonly npuLaunchNs: number;
  readonly gpuLaunchNs: number;
  /** Loading another static graph for the hot rows. */
  readonly graphSwapNs: number;
  readonly barrierNs: number;
  /** Hand-over of one cluster to a thread through the work queue. */
  readonly dispatchNs: number;
  /** CPU time to place one neuron that was read. */
  readonly insertNs: number;
  readonly reads: ReadCosts;
  readonly firstReadNs: number;
  readonly firstReadWhat: number;
  readonly secondReadNs: number;
  readonly readLatencyNs: number;
  /** Sequential read or faults of so many bytes. */
  readonly sequentialNs: (bytes: number) => number;
  /** Shares of a layer's rows: dense on the NPU, pinned in the hot segment, prefetched under attention beyond those. */
  readonly npuShare: number;
  readonly hotShare: number;
  readonly prefetchShare: number;
  readonly prefetchNs: number;
  /** Share of all neurons that the cold segment holds. */
  readonly coldShare: number;
  /** All FFN weights are resident: nothing is read. */
  readonly allResident: boolean;
}

/** Prefetch has to end with attention: the share of that time it may plan for, the rest being slack for jitter. (planner, v3) */
const PREFETCH_SLACK = 0.9;

/** The first unit's part of work that two units share so that both end together, at the rates that a fair bus gives them side by side. */
const sideBySide = (first: number, second: number, total: number): number => {
  const fair = (own: number, other: number): number => Math.min(own, Math.max(total / 2, total - other));
  return fair(first, second) / (fair(first, second) + fair(second, first) || 1);
};

export const layerRates = (device: DeviceProfile, model: ModelSpec, system: SystemSpec, plan: Plan, request: RunRequest): LayerRates => {
  const sizes = sizesOf(model);
  const { software } = system;
  const { mechanisms } = plan;
  const dense = software.denseEfficiency.value;
  const threads = plan.compute.threads;
  const reads = readCosts(device, model, plan);
  const meanContext = request.prompt + request.tokens / 2;
  const attentionBytes = sizes.attentionBytes + (sizes.kvBytesPerToken / model.layers) * meanContext * request.batch;
  const denseCpu = denseCpuBandwidth(device, threads) * dense;
  const npuBandwidth = device.npu === null ? 0 : software.npuStream === "bulk" ? device.npu.bulkBandwidth.value : device.npu.matvecBandwidth.value;
  const ffnAll = cachedNeuronBytes(model, mechanisms) * sizes.neurons;
  const allResident = plan.cache.hot + plan.cache.cold >= ffnAll * (1 - 1e-9);
  // Clusters in flight need buffers. What the plan did not set aside for them among its runtime comes out of the cold segment,
  // and then out of the hot one: depth and cluster size are paid for in neurons that miss.
  const buffers = allResident || mechanisms.computation !== "predicted" ? 0 : pipelineBytes(model, mechanisms, plan.cluster.neurons, mechanisms.overlap === "cluster" ? plan.pipeline.depth : 0);
  const owed = Math.max(0, buffers - Math.max(0, plan.cache.runtime - software.runtimeBytes.value));
  const coldBytes = Math.max(0, plan.cache.cold - owed);
  const hotBytes = Math.max(0, plan.cache.hot - Math.max(0, owed - plan.cache.cold));
  const hotShare = allResident ? 1 : Math.min(1, hotBytes / ffnAll);
  const coldShare = allResident ? 0 : Math.min(1 - hotShare, coldBytes / ffnAll);
  const usesNpu = mechanisms.decodeOn === "cpu+npu";

  const denseNpu = npuBandwidth * (device.npu === null ? 0 : dense);
  const bothBandwidth = Math.min(device.dram.sustained.value, denseCpu + denseNpu);
  const attentionOn = plan.compute.attentionOn;
  const attentionRate = attentionOn === "cpu" ? denseCpu : attentionOn === "npu" ? denseNpu : attentionOn === "gpu" ? (device.gpu?.bandwidth.value ?? 1) : bothBandwidth;

  // Hot rows beyond the resident ones can be streamed while attention runs, if the experts are known by then: with more
  // than one expert the router speaks only after attention.
  const mayPrefetch = mechanisms.prefetchHot === "under-attention" && !allResident && model.experts.count === 1 && mechanisms.computation === "predicted";
  const rowSlots = model.ffn * reads.slotBytes;
  const prefetchBytes = mayPrefetch ? Math.min((attentionBytes / attentionRate) * PREFETCH_SLACK * reads.streamBandwidth, (1 - hotShare - coldShare) * rowSlots) : 0;
  const prefetchShare = prefetchBytes / rowSlots;
  const npuShare = usesNpu ? Math.min(npuShareAt(plan, request.batch), hotShare + prefetchShare) : 0;

  const predictorBytes = mechanisms.computation === "predicted" ? sizes.predictorBytesPerLayer : 0;
  // W1 is hidden × r, W2 r × ffn, per expert: W1's part of an expert's predictor is hidden / (hidden + ffn).
  const sharedPart = model.hidden / (model.hidden + model.ffn);
  const activePredictorBytes = (predictorBytes * model.experts.active) / model.experts.count;
  const rows = model.ffn * model.experts.active;
  // A neuron taken in is also packed where the cache is kept compact. What is read for one use only is not.
  const keepsRecent = mechanisms.cache === "neuron-lru" || mechanisms.cache === "window";
  const upkeepNs = keepsRecent && software.cacheUpkeep !== null ? cachedNeuronBytes(model, mechanisms) / software.cacheUpkeep.value : 0;
  const firstWhat = mechanisms.loading === "two-phase" ? "read gate" : mechanisms.loading === "bundle" ? "read bundle" : "read rows";
  return {
    attentionBytes,
    headBytes: sizes.headBytes,
    attentionCpuShare: sideBySide(denseCpu, denseNpu, device.dram.sustained.value),
    predictorSharedBytes: activePredictorBytes * sharedPart,
    predictorBytesPerRow: (activePredictorBytes * (1 - sharedPart)) / rows,
    predictedRows: rows * (1 - npuShare),
    gateBytes: sizes.rowBytesWithScales,
    upDownBytes: 2 * sizes.rowBytesWithScales * model.activations.gateFires.value,
    gateFires: model.activations.gateFires.value,
    denseCpu,
    sparseCpu: sparseCpuBandwidth(device, threads) * software.sparseEfficiency.value,
    denseNpu,
    denseGpu: device.gpu === null ? 0 : device.gpu.bandwidth.value * device.gpu.duty.value * dense,
    npuLaunchNs: device.npu?.launch.value ?? 0,
    gpuLaunchNs: device.gpu?.launch.value ?? 0,
    graphSwapNs: device.npu?.graphSwap.value ?? 0,
    barrierNs: device.cpu.barrier.value,
    dispatchNs: device.cpu.barrier.value / Math.max(1, threadCount(threads)),
    insertNs: device.cpu.cacheInsert.value + upkeepNs,
    reads,
    firstReadNs: reads.firstNs,
    firstReadWhat: ACTIVITIES.indexOf(firstWhat),
    secondReadNs: reads.secondNs,
    readLatencyNs: reads.latencyNs,
    sequentialNs: mechanisms.loading === "mmap" ? (bytes) => faultInNs(device, bytes) : (bytes) => bytes / (reads.streamBandwidth * software.streamEfficiency.value),
    npuShare,
    hotShare,
    prefetchShare,
    prefetchNs: prefetchBytes / reads.streamBandwidth,
    coldShare,
    allResident,
  };
};
