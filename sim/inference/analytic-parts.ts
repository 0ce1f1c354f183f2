/** What each part of a step takes on its own, in closed form: the terms of docs/model.md. The bounds and the estimate put them together. */
import { sizesOf } from "../domain/model.js";
import type { RunRequest } from "../domain/run.js";
import { streamsExperts } from "../domain/system.js";
import { gemmCpuRate } from "../hardware/kernels.js";
import { meanExpertsUsed } from "../neurons/populations.js";
import { clustersPerExpert } from "../neurons/sampling.js";
import { chainedClusters, NO_DEMAND, type Demand } from "./demand.js";
import { expectedGatedDemand, gatedParts } from "./gated/closed-form.js";
import { expectedStreamedDemand, streamedParts } from "./streamed/closed-form.js";
import { fedByDram, threadSums, type Parts, type Setting } from "./setting.js";

/** Events last whole ns and move whole bytes: a thousandth covers both in any task longer than a microsecond. */
export const ROUNDING = 1e-3;

/** Decode in which the experts in use are read whole. */
export const isStreamed = ({ plan, request }: Setting): boolean => request.phase === "decode" && streamsExperts(plan.mechanisms);

export const expectedDemand = (setting: Setting): Demand => {
  const { model, plan, rates, laws, request } = setting;
  if (request.phase === "decode" && plan.mechanisms.computation === "gated") return expectedGatedDemand(setting);
  if (isStreamed(setting)) return expectedStreamedDemand(setting);
  const sizes = sizesOf(model);
  const ffnBytes = (sizes.ffnBytes / model.experts.count) * meanExpertsUsed(model, request.batch);
  if (plan.mechanisms.computation === "dense") {
    if (plan.mechanisms.cache !== "page-cache") return { ...NO_DEMAND, denseBytes: ffnBytes, denseMissingBytes: rates.allResident ? 0 : ffnBytes, otherMissingBytes: 0 };
    // A mapped file under two-list reclaim. Below one token's demand a scan finds nothing: the cliff. Beyond it what every
    // token touches stays, and of the experts those that became active first: all of the cache but its inactive list.
    const others = sizes.attentionBytes * model.layers + sizes.headBytes;
    const capacity = plan.cache.cold;
    const fits = capacity >= others + ffnBytes;
    const activePerInactive = Math.max(1, Math.floor(Math.sqrt((10 * capacity) / 2 ** 30)));
    const kept = capacity >= others + sizes.ffnBytes ? sizes.ffnBytes : (capacity * activePerInactive) / (activePerInactive + 1) - others;
    const missShare = fits ? Math.min(1, Math.max(0, 1 - kept / sizes.ffnBytes)) : 1;
    return { ...NO_DEMAND, denseBytes: ffnBytes, denseMissingBytes: ffnBytes * missShare, otherMissingBytes: fits ? 0 : others };
  }
  const sum = { experts: 0, active: 0, work: 0, missing: 0, clusters: 0, chainClusters: 0, chainWork: 0, chainMissing: 0 };
  for (const law of laws) {
    const { use } = law;
    const warm = law.warmPerExpert * law.warmRate * use.active;
    const cold = law.cold.coldPerExpert * law.cold.activeRate * use.active;
    const coldClusters = law.cold.coldPerExpert === 0 ? 0 : clustersPerExpert(law.cold) * use.active;
    const warmClusters = Math.ceil(law.warmPerExpert / plan.cluster.neurons) * use.active;
    const chained = chainedClusters(coldClusters, plan.pipeline.depth);
    // The largest of some clusters: three deviations of the binomial above the mean.
    const mean = coldClusters > 0 ? cold / coldClusters : warm / Math.max(1, warmClusters);
    const largest = mean + 3 * Math.sqrt(mean);
    const missing = cold * law.missOfActive;
    sum.experts += use.active;
    sum.active += warm + cold;
    sum.work += (warm + cold) * law.workPerActive;
    sum.missing += missing;
    sum.clusters += warmClusters + coldClusters;
    sum.chainClusters += chained;
    sum.chainWork += chained * largest * law.workPerActive;
    sum.chainMissing += chained * largest * law.missOfActive;
  }
  const { experts, ...demand } = sum;
  return { ...NO_DEMAND, ...demand, denseBytes: model.ffn * rates.npuShare * sizes.neuronBytes * experts };
};

/** Two flows that start together on one bus, max-min fair: when the first and when both have ended. */
const twoFlowsNs = (bytesA: number, rateA: number, bytesB: number, rateB: number, capacity: number): number => {
  if (bytesA <= 0) return bytesB <= 0 ? 0 : bytesB / Math.min(rateB, capacity);
  if (bytesB <= 0) return bytesA / Math.min(rateA, capacity);
  const even = capacity / 2;
  const a = rateA + rateB <= capacity ? rateA : rateA <= even ? rateA : rateB <= even ? Math.min(rateA, capacity - rateB) : even;
  const b = rateA + rateB <= capacity ? rateB : Math.min(rateB, capacity - a);
  const first = Math.min(bytesA / a, bytesB / b);
  const leftA = bytesA - a * first;
  const leftB = bytesB - b * first;
  return first + (leftA > leftB ? leftA / Math.min(rateA, capacity) : leftB / Math.min(rateB, capacity));
};

/** One layer's attention, launches and barriers included, ns; with heads on both units, at the latest or as it mostly goes. */
export const attentionNs = ({ device, plan, rates }: Setting, atTheLatest: boolean): number => {
  const bytes = rates.attentionBytes;
  switch (plan.compute.attentionOn) {
    case "cpu":
      return bytes / rates.denseCpu + rates.barrierNs;
    case "gpu":
      return bytes / rates.denseGpu + rates.gpuLaunchNs;
    case "npu":
      return bytes / rates.denseNpu + rates.npuLaunchNs;
    case "cpu+npu":
      return atTheLatest
        ? rates.npuLaunchNs + twoFlowsNs(bytes * rates.attentionCpuShare, rates.denseCpu, bytes * (1 - rates.attentionCpuShare), rates.denseNpu, device.dram.sustained.value) + 2 * rates.barrierNs
        // The CPU works while the NPU is being started.
        : rates.npuLaunchNs + twoFlowsNs(Math.max(0, bytes * rates.attentionCpuShare - (rates.npuLaunchNs - rates.barrierNs) * rates.denseCpu), rates.denseCpu, bytes * (1 - rates.attentionCpuShare), rates.denseNpu, device.dram.sustained.value) + rates.barrierNs;
  }
};

const decodeParts = (setting: Setting, demand: Demand): Parts => {
  const { device, model, plan, rates } = setting;
  const { layers } = model;
  const { sustained } = device.dram;
  const on = plan.compute.attentionOn;
  const headRate = on === "cpu" ? rates.denseCpu : on === "gpu" ? rates.denseGpu : rates.denseNpu;
  const launchNs = on === "cpu" ? 0 : on === "gpu" ? rates.gpuLaunchNs : rates.npuLaunchNs;
  const attention = attentionNs(setting, true) * layers;
  const attentionBytes = rates.attentionBytes * layers;
  const attentionRate = on === "cpu+npu" ? Math.min(sustained.value, rates.denseCpu + rates.denseNpu) : headRate;
  const head = rates.headBytes / headRate + (on === "cpu" ? rates.barrierNs : launchNs);
  const onNpu = on === "npu" ? 1 : on === "cpu+npu" ? 1 - rates.attentionCpuShare : 0;
  const beforeAtBest = attentionBytes / attentionRate + rates.headBytes / headRate;
  const missingBytes = demand.denseMissingBytes + demand.otherMissingBytes;
  if (plan.mechanisms.computation === "dense") {
    const unit = plan.mechanisms.decodeOn;
    const rate = unit === "npu" ? rates.denseNpu : unit === "gpu" ? rates.denseGpu : rates.denseCpu;
    const ffnLaunch = unit === "npu" ? rates.npuLaunchNs : unit === "gpu" ? rates.gpuLaunchNs : 0;
    const bytes = attentionBytes + rates.headBytes;
    return {
      attention, head, predictor: 0, sparse: 0, cache: 0, denseFfn: demand.denseBytes / rate, launches: ffnLaunch * layers, barriers: ffnLaunch === 0 ? rates.barrierNs * layers : 0,
      reads: 0, stream: rates.sequentialNs(missingBytes), prefetch: 0, alone: 0,
      dramCpuBytes: (on === "cpu" || on === "cpu+npu" ? bytes * (1 - onNpu) : 0) + (unit === "cpu" || unit === "cpu+npu" ? demand.denseBytes : 0), dramNpuBytes: bytes * onNpu + (unit === "npu" ? demand.denseBytes : 0), dramGpuBytes: (on === "gpu" ? bytes : 0) + (unit === "gpu" ? demand.denseBytes : 0),
      flashBytes: missingBytes, rows: demand.denseBytes / sizesOf(model).neuronBytes, cpuAtBest: 0, beforeAtBest: beforeAtBest + demand.denseBytes / rate,
    };
  }
  const threads = threadSums(setting);
  const rowBytes = rates.gateBytes + rates.upDownBytes;
  const sharedBytes = rates.predictorSharedBytes * layers;
  const predictedBytes = rates.predictorBytesPerRow * rates.predictedRows * layers;
  const byCluster = plan.mechanisms.overlap === "cluster";
  const whole = plan.mechanisms.overlap === "none";
  const sparseRate = whole ? rates.sparseCpu : threads.sparse;
  const perMiss = rates.firstReadNs + rates.gateFires * rates.secondReadNs;
  const missBytes = rates.reads.firstBytes + (rates.secondReadNs > 0 ? rates.gateFires * rates.reads.secondBytes : 0);
  const stages = byCluster ? 3 : whole ? 0 : 2;
  const overheads = stages * demand.clusters * rates.dispatchNs + demand.missing * rates.insertNs;
  const reading = demand.missing > 0 ? (rates.secondReadNs > 0 ? 2 : 1) * rates.readLatencyNs : 0;
  // On the slowest core: the clusters of a layer that wait for one another, with their reads' latencies.
  const chainPredictor = byCluster && demand.clusters > 0 ? (predictedBytes / demand.clusters) * demand.chainClusters : 0;
  const mixed = byCluster ? (predictedBytes / threads.dense + (demand.work * rowBytes) / threads.sparse) * (1 / threads.worst - 1) : 0;
  const alone = whole ? reading * layers
    : mixed + chainPredictor / threads.slowestDense + (demand.chainWork * rowBytes) / threads.slowestSparse + demand.chainClusters * (stages * rates.dispatchNs + reading) + demand.chainMissing * rates.insertNs;
  const dense = attentionBytes + rates.headBytes;
  return {
    attention, head,
    predictor: sharedBytes / rates.denseCpu + predictedBytes / (byCluster ? threads.dense : rates.denseCpu),
    sparse: (demand.work * rowBytes) / sparseRate,
    cache: whole ? overheads : overheads / threads.evenThreads,
    denseFfn: demand.denseBytes === 0 ? 0 : demand.denseBytes / rates.denseNpu,
    launches: demand.denseBytes > 0 ? rates.npuLaunchNs * layers : 0,
    // Shared predictor and merge; with barriers between matrices, or one after each of predictor, gate, and up and down, two more.
    barriers: rates.barrierNs * layers * (byCluster ? 2 : 4),
    reads: demand.missing * perMiss, stream: 0, prefetch: rates.prefetchNs * layers, alone,
    dramCpuBytes: dense * (1 - onNpu) + sharedBytes + predictedBytes + demand.work * rowBytes, dramNpuBytes: dense * onNpu + demand.denseBytes, dramGpuBytes: 0,
    flashBytes: demand.missing * missBytes + rates.prefetchNs * rates.reads.streamBandwidth * layers, rows: demand.active + demand.denseBytes / sizesOf(model).neuronBytes,
    cpuAtBest: sharedBytes / rates.denseCpu + (predictedBytes / Math.max(rates.denseCpu, threads.denseAll) + (demand.work * rowBytes) / Math.max(sparseRate, threads.sparseAll)) / threads.best, beforeAtBest,
  };
};

/** Prefill as prefill.ts runs it: products bound by weights or by arithmetic, whichever takes longer, pass by pass. */
const prefillParts = ({ device, model, system, plan, rates, request }: Setting): Parts => {
  const sizes = sizesOf(model);
  const unit = plan.mechanisms.prefillOn;
  const rate = (unit === "npu" ? device.npu!.prefillRate.value : unit === "gpu" ? device.gpu!.prefillRate.value : gemmCpuRate(device, plan.compute.threads)) * system.software.gemmEfficiency.value;
  const bandwidth = Math.min(device.dram.sustained.value, unit === "npu" ? device.npu!.bulkBandwidth.value : unit === "gpu" ? device.gpu!.bandwidth.value : rates.denseCpu);
  const chunk = system.software.prefillChunk.value;
  const passes = Math.ceil(request.prompt / chunk);
  const ffnBytes = (sizes.ffnBytes / model.experts.count) * meanExpertsUsed(model, request.prompt);
  const streamed = rates.allResident ? 0 : ffnBytes * passes;
  const ratio = streamed > 0 && unit === "npu" ? device.npu!.streamedRatio.value : 1;
  const launchNs = unit === "npu" ? rates.npuLaunchNs : unit === "gpu" ? rates.gpuLaunchNs : rates.barrierNs;
  const launchOf = launchNs * (2 * model.layers * passes + 1);
  let attention = 0;
  let denseFfn = 0;
  for (let done = 0; done < request.prompt; done += chunk) {
    const tokens = Math.min(chunk, request.prompt - done);
    const scoreOps = 4 * model.hidden * (done + tokens / 2) * tokens;
    attention += model.layers * Math.max(sizes.attentionBytes / bandwidth, (sizes.attentionOps * tokens + scoreOps) / (rate * ratio));
    denseFfn += model.layers * Math.max(ffnBytes / model.layers / bandwidth, (sizes.ffnOps * tokens) / (rate * ratio));
  }
  const head = Math.max(sizes.headBytes / bandwidth, sizes.headOps / rate);
  const bytes = (ffnBytes + sizes.attentionBytes * model.layers) * passes + sizes.headBytes;
  return {
    attention, head, predictor: 0, sparse: 0, cache: 0, denseFfn, launches: launchOf, barriers: 0, reads: 0, stream: rates.sequentialNs(streamed), prefetch: 0, alone: 0,
    dramCpuBytes: unit === "cpu" ? bytes : 0, dramNpuBytes: unit === "npu" ? bytes : 0, dramGpuBytes: unit === "gpu" ? bytes : 0,
    flashBytes: streamed, rows: 0, cpuAtBest: 0, beforeAtBest: attention + denseFfn + head,
  };
};

export const partsOf = (setting: Setting, demand: Demand): Parts => (setting.request.phase === "prefill" ? prefillParts(fedByDram(setting)) : isStreamed(setting) ? streamedParts(setting, demand) : setting.plan.mechanisms.computation === "gated" ? gatedParts(setting, demand) : decodeParts(fedByDram(setting), demand));

export const readsOf = (p: Parts): number => p.reads + p.stream + p.prefetch;
export const computeOf = (p: Parts): number => p.attention + p.head + p.predictor + p.sparse + p.cache + p.denseFfn + p.launches + p.barriers;

export const producedPerStep = (request: RunRequest): number => (request.phase === "decode" ? request.batch : request.prompt);

