/**
 * The closed form: means in, means out, no events. Beside every result stand two bounds:
 *   upper: the flash, the CPU and the NPU each work without a pause, in perfect overlap (only attention goes before its FFN);
 *   lower: nothing overlaps anything, and the last clusters of every layer find all other cores idle.
 * Both are theorems about the executor's schedules (docs/model-fidelity.md gives the argument), so for a run with events
 * they are worked out from what that run's tokens really asked for, and a run outside them is a fault of the model.
 */
import type { DeviceProfile } from "../domain/device.js";
import { predictorAccount } from "../neurons/coactivation.js";
import { sizesOf, type ModelSpec } from "../domain/model.js";
import type { Plan } from "../domain/plan.js";
import type { Activity, RunRecord, RunRequest } from "../domain/run.js";
import type { SystemSpec } from "../domain/system.js";
import { energyOf, totalJoules } from "../hardware/energy.js";
import { gemmCpuRate, threadCount } from "../hardware/kernels.js";
import { batchExperts, type ExpertUse } from "../neurons/experts.js";
import { clustersPerExpert } from "../neurons/sampling.js";
import { threadRatesOf } from "./decode.js";
import { chainedClusters, COOL, NO_DEMAND, type Demand, type Heat } from "./demand.js";
import { limitsOf } from "./describe.js";
import type { LayerRates } from "./layer-rates.js";
import type { LayerLaw } from "./sparse-draws.js";

export interface Setting {
  readonly device: DeviceProfile;
  readonly model: ModelSpec;
  readonly system: SystemSpec;
  readonly plan: Plan;
  readonly rates: LayerRates;
  readonly laws: ReadonlyArray<LayerLaw>;
  readonly request: RunRequest;
}

/** Events last whole ns and move whole bytes: a thousandth covers both in any task longer than a microsecond. */
const ROUNDING = 1e-3;

const expertUse = (model: ModelSpec, batch: number): ExpertUse => batchExperts({ count: model.experts.count, active: model.experts.active, repeat: model.experts.repeat.value }, batch);

const expectedDemand = ({ model, plan, rates, laws, request }: Setting): Demand => {
  const sizes = sizesOf(model);
  const use = expertUse(model, request.batch);
  const ffnBytes = (sizes.ffnBytes / model.experts.count) * use.active;
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
  const sum = { active: 0, work: 0, missing: 0, clusters: 0, chainClusters: 0, chainWork: 0, chainMissing: 0 };
  for (const law of laws) {
    const warm = law.warmPerExpert * law.warmRate * use.active;
    const cold = law.cold.coldPerExpert * law.cold.activeRate * use.active;
    const coldClusters = law.cold.coldPerExpert === 0 ? 0 : clustersPerExpert(law.cold) * use.active;
    const warmClusters = Math.ceil(law.warmPerExpert / plan.cluster.neurons) * use.active;
    const chained = chainedClusters(coldClusters, plan.pipeline.depth);
    // The largest of some clusters: three deviations of the binomial above the mean.
    const mean = coldClusters > 0 ? cold / coldClusters : warm / Math.max(1, warmClusters);
    const largest = mean + 3 * Math.sqrt(mean);
    const missing = cold * law.missOfActive;
    sum.active += warm + cold;
    sum.work += (warm + cold) * law.workPerActive;
    sum.missing += missing;
    sum.clusters += warmClusters + coldClusters;
    sum.chainClusters += chained;
    sum.chainWork += chained * largest * law.workPerActive;
    sum.chainMissing += chained * largest * law.missOfActive;
  }
  return { ...NO_DEMAND, ...sum, denseBytes: model.ffn * rates.npuShare * sizes.neuronBytes * use.active * model.layers };
};

/** Time of one step by part, ns, each part on its own; and bytes. */
interface Parts {
  readonly attention: number;
  readonly head: number;
  readonly predictor: number;
  readonly sparse: number;
  readonly cache: number;
  readonly denseFfn: number;
  readonly launches: number;
  readonly barriers: number;
  /** Random reads, sequential reads of what a step cannot do without, and reads ahead of need. */
  readonly reads: number;
  readonly stream: number;
  readonly prefetch: number;
  /** Time for which each layer's last clusters may run alone. */
  readonly alone: number;
  readonly dramCpuBytes: number;
  readonly dramNpuBytes: number;
  readonly dramGpuBytes: number;
  readonly flashBytes: number;
  readonly rows: number;
  /** The shortest time for the processors' work of the CPU, and of what goes before any FFN. */
  readonly cpuAtBest: number;
  readonly beforeAtBest: number;
}

/** The same setting with no unit faster than the DRAM that feeds it. */
const fedByDram = (setting: Setting): Setting => {
  const most = setting.device.dram.sustained.value;
  const { rates } = setting;
  return { ...setting, rates: { ...rates, denseCpu: Math.min(most, rates.denseCpu), sparseCpu: Math.min(most, rates.sparseCpu), denseNpu: Math.min(most, rates.denseNpu), denseGpu: Math.min(most, rates.denseGpu) } };
};

/**
 * What the CPU's threads do together. Cores differ, and differently for dense and for sparse kernels: however the two are
 * dealt out, all cores busy for a time t get between `worst` and `best` times t of the work done, each kernel's work counted
 * in the time that all cores together need for it.
 */
const threadSums = ({ device, system, plan, rates }: Setting) => {
  const [dense, sparse] = threadRatesOf(device, plan, rates, { dense: system.software.denseEfficiency.value, sparse: system.software.sparseEfficiency.value });
  const sum = (of: Float64Array): number => of.reduce((total, v) => total + v, 0) || 1;
  const denseAll = sum(dense);
  const sparseAll = sum(sparse);
  let best = 0;
  let worst = 0;
  for (let i = 0; i < dense.length; i++) {
    best += Math.max(dense[i] / denseAll, sparse[i] / sparseAll);
    worst += Math.min(dense[i] / denseAll, sparse[i] / sparseAll);
  }
  const most = Math.min(device.cpu.bandwidth.value, device.dram.sustained.value);
  return {
    denseAll, sparseAll, dense: Math.min(most, denseAll), sparse: Math.min(most, sparseAll), best: best || 1, worst: worst || 1,
    slowestDense: Math.min(most, ...dense), slowestSparse: Math.min(most, ...sparse),
    /** Threads as fast as the fastest that do as much together: an overhead on any of them holds back no more than one of these. */
    evenThreads: Math.max(1, sparseAll / Math.max(1e-9, ...sparse)),
  };
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
const attentionNs = ({ device, plan, rates }: Setting, atTheLatest: boolean): number => {
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
  const chunk = system.software.prefillChunk;
  const passes = Math.ceil(request.prompt / chunk);
  const ffnBytes = (sizes.ffnBytes / model.experts.count) * expertUse(model, request.prompt).active;
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

const partsOf = (setting: Setting, demand: Demand): Parts => (setting.request.phase === "decode" ? decodeParts(fedByDram(setting), demand) : prefillParts(fedByDram(setting)));

const readsOf = (p: Parts): number => p.reads + p.stream + p.prefetch;
const computeOf = (p: Parts): number => p.attention + p.head + p.predictor + p.sparse + p.cache + p.denseFfn + p.launches + p.barriers;

const producedPerStep = (request: RunRequest): number => (request.phase === "decode" ? request.batch : request.prompt);

/** tokens/s between which a run that met this demand must lie; without one, the expected demand. */
export const bounds = (setting: Setting, demand: Demand = expectedDemand(setting), heat: Heat = COOL): RunRecord["bound"] => {
  const { fastest, slowest } = stepBounds(setting, partsOf(setting, demand), heat);
  return { lower: (producedPerStep(setting.request) / slowest) * 1e9, upper: (producedPerStep(setting.request) / fastest) * 1e9 };
};

/** Shortest and longest time of a step, ns. */
const stepBounds = (setting: Setting, p: Parts, heat: Heat): { readonly fastest: number; readonly slowest: number } => {
  const { device, request } = setting;
  const dram = (p.dramCpuBytes + p.dramNpuBytes + p.dramGpuBytes) / device.dram.sustained.value;
  const isDense = request.phase === "prefill" || setting.plan.mechanisms.computation === "dense";
  // The CPU's clusters and the NPU's dense one overlap; both come after attention.
  const units = isDense ? p.beforeAtBest : p.beforeAtBest + Math.max(p.cpuAtBest, p.denseFfn);
  const fastest = Math.max(dram, readsOf(p), units) * (1 - ROUNDING);
  const slowest = ((computeOf(p) + p.alone) / heat.throttle + readsOf(p) * heat.readSlowdown) * (1 + ROUNDING);
  return { fastest, slowest };
};

/** Five-point Gauss-Hermite rule for the standard normal: tokens of little and of much activity. */
const NODES = [-2.8569700138728056, -1.3556261799742657, 0, 1.3556261799742657, 2.8569700138728056];
const WEIGHTS = [0.011257411327720689, 0.22207592200561266, 0.5333333333333333, 0.22207592200561266, 0.011257411327720689];

/** How many of the experts in use were in use for the last token, with probabilities; for a batch just the mean. */
const repeatedExperts = (use: ExpertUse, batch: number): ReadonlyArray<{ readonly share: number; readonly weight: number }> => {
  if (batch > 1 || use.repeat >= 1 || use.active <= 1) return [{ share: use.repeat, weight: 1 }];
  let choices = 1;
  return Array.from({ length: use.active + 1 }, (_, k) => {
    const weight = choices * use.repeat ** k * (1 - use.repeat) ** (use.active - k);
    choices = (choices * (use.active - k)) / (k + 1);
    return { share: k / use.active, weight };
  });
};

/** What one layer asks in one case of token and experts. */
interface LayerCase { readonly warm: number; readonly cold: number; readonly missing: number; readonly workPerActive: number; readonly warmClusters: number; readonly coldClusters: number }

/** The FFN of one layer from the end of attention to its merge, ns. */
const ffnNs = (setting: Setting, threads: ReturnType<typeof threadSums>, denseBytes: number, c: LayerCase): number => {
  const { device, plan, rates } = setting;
  const count = Math.max(1, threadCount(plan.compute.threads));
  const sustained = device.dram.sustained.value;
  const work = (c.warm + c.cold) * c.workPerActive;
  const rowBytes = rates.gateBytes + rates.upDownBytes;
  const predictedBytes = rates.predictorBytesPerRow * rates.predictedRows;
  const shared = rates.predictorSharedBytes / rates.denseCpu + rates.barrierNs;
  const reads = c.missing * (rates.firstReadNs + rates.gateFires * rates.secondReadNs);
  const latency = c.missing > 0.5 ? rates.readLatencyNs : 0;
  const hot = (cpuNs: number, cpuBytes: number): number => {
    if (denseBytes <= 0) return 0;
    // While the CPU works it takes its part of the bus; what is left of the NPU's work then runs alone.
    const taken = Math.min(cpuBytes / Math.max(1, cpuNs), sustained / 2);
    const beside = Math.min(rates.denseNpu, sustained - taken);
    const during = Math.min(denseBytes, beside * Math.max(0, cpuNs - rates.npuLaunchNs));
    return Math.max(rates.npuLaunchNs + during / beside + (denseBytes - during) / rates.denseNpu, (cpuBytes + denseBytes) / sustained);
  };
  const cpuBytes = rates.predictorSharedBytes + predictedBytes + work * rowBytes;
  if (plan.mechanisms.overlap === "none") {
    const firstLatency = reads > 0 ? Math.max(0, latency - c.missing * rates.firstReadNs) : 0;
    const secondLatency = rates.secondReadNs > 0 && reads > 0 ? Math.max(0, latency - c.missing * rates.gateFires * rates.secondReadNs) : 0;
    const cpu = shared + predictedBytes / rates.denseCpu + (work * rowBytes) / rates.sparseCpu + 2 * rates.barrierNs + c.missing * rates.insertNs + reads + firstLatency + secondLatency;
    return Math.max(cpu + rates.barrierNs, hot(cpu, cpuBytes) + rates.barrierNs);
  }
  const clusters = Math.max(1, c.warmClusters + c.coldClusters);
  const perCluster = (work / clusters) * rowBytes;
  const stages = plan.mechanisms.overlap === "cluster" ? 3 : 2;
  const meanSparse = threads.sparse / count;
  const meanDense = threads.dense / count;
  // A cluster's time on one core, by stage.
  const predictNs = predictedBytes / clusters / meanDense + rates.dispatchNs;
  const gateNs = (perCluster * rates.gateBytes) / rowBytes / meanSparse + rates.dispatchNs + (c.missing / clusters) * rates.insertNs;
  const upDownNs = (perCluster * rates.upDownBytes) / rowBytes / meanSparse + rates.dispatchNs;
  // The last of `tasks` tasks on so many cores end together only where they divide evenly.
  const uneven = (taskNs: number): number => (Math.ceil(clusters / count) - clusters / count) * taskNs;
  if (plan.mechanisms.overlap === "matrix") {
    const phase = (taskNs: number, readNs: number): number => {
      const cpu = (clusters * taskNs) / count + uneven(taskNs);
      return readNs > 0 ? Math.max(cpu, readNs + Math.max(0, latency - readNs / clusters) + taskNs) : cpu;
    };
    const cpu = shared + predictedBytes / rates.denseCpu + phase(gateNs, c.missing * rates.firstReadNs) + rates.barrierNs + phase(upDownNs, c.missing * rates.gateFires * rates.secondReadNs) + rates.barrierNs;
    return Math.max(cpu + rates.barrierNs, hot(cpu, cpuBytes) + rates.barrierNs);
  }
  const chainNs = predictNs + gateNs + upDownNs;
  const cpuNs = (clusters * chainNs) / count + uneven(stages === 3 ? upDownNs : chainNs);
  let inner = cpuNs;
  if (reads > 0 && c.coldClusters > 0) {
    const readEach = reads / c.coldClusters;
    const firstEach = (c.missing / c.coldClusters) * rates.firstReadNs;
    const secondEach = readEach - firstEach;
    // The device begins when the first cluster is predicted and has its last cluster's end to wait for.
    const fill = predictNs + Math.max(0, latency - (secondEach > 0 ? secondEach : firstEach)) + upDownNs + (secondEach > 0 ? 0 : gateNs);
    // A round trip of one cluster alone; `depth` of them share it.
    const trip = chainNs + Math.max(firstEach, latency) + (secondEach > 0 ? Math.max(secondEach, latency) : 0);
    const rounds = (c.coldClusters / Math.min(plan.pipeline.depth, c.coldClusters)) * trip;
    // Threads serve in order of arrival: what the first clusters read waits behind the resident clusters' work, and the
    // clusters beyond the depth begin to read only after that.
    const beyondDepth = Math.max(0, 1 - plan.pipeline.depth / c.coldClusters);
    const late = beyondDepth > 0 && c.warmClusters > 0 ? cpuNs * (1 - (beyondDepth * c.cold) / (c.warm + c.cold)) + beyondDepth * reads + fill : 0;
    inner = Math.max(cpuNs, reads + fill, rounds, late);
  }
  return Math.max(shared + inner + rates.barrierNs, hot(shared + inner, cpuBytes) + rates.barrierNs);
};

/** The estimate between the bounds: layer by layer, averaged over tokens of little and much activity and over returning experts. */
const estimateNs = (asked: Setting, p: Parts, demand: Demand): number => {
  const setting = fedByDram(asked);
  const { model, plan, laws, request } = setting;
  const { layers } = model;
  if (request.phase === "prefill") {
    const compute = p.attention + p.denseFfn + p.launches;
    if (plan.mechanisms.prefillOverlap === "off") return compute + p.stream + p.head;
    // The first layer's read has only its own attention to hide behind, the last layer's product nothing.
    const passLayers = layers * Math.ceil(request.prompt / setting.system.software.prefillChunk);
    return p.stream > compute ? p.stream + (p.denseFfn + p.launches / 2) / passLayers + p.head : compute + Math.max(0, p.stream - p.attention) / passLayers + p.head;
  }
  if (plan.mechanisms.computation === "dense") return computeOf(p) + p.stream;
  const use = expertUse(model, request.batch);
  const threads = threadSums(setting);
  const variation = model.activations.tokenVariation.value / Math.sqrt(request.batch);
  const swing = (response: number, z: number): number => Math.exp(response * variation * z - (response * response * variation * variation) / 2);
  const experts = repeatedExperts(use, request.batch);
  const denseBytes = demand.denseBytes / layers;
  let ffn = 0;
  for (const law of laws) {
    const warm = law.warmPerExpert * law.warmRate * use.active;
    const cold = law.cold.coldPerExpert * law.cold.activeRate * use.active;
    const warmClusters = Math.ceil(law.warmPerExpert / plan.cluster.neurons) * use.active;
    const coldClusters = law.cold.coldPerExpert === 0 ? 0 : clustersPerExpert(law.cold) * use.active;
    NODES.forEach((z, i) => {
      const coldNow = cold * swing(law.cold.response ?? 1, z);
      for (const { share, weight } of experts) {
        const miss = share * law.cold.missIfExpertRepeats + (1 - share) * law.cold.missIfExpertSwitches;
        ffn += WEIGHTS[i] * weight * ffnNs(setting, threads, denseBytes, { warm: warm * swing(law.warmResponse, z), cold: coldNow, missing: coldNow * miss, workPerActive: law.workPerActive, warmClusters, coldClusters });
      }
    });
  }
  return Math.max(attentionNs(setting, false) * layers, p.prefetch) + p.head + ffn;
};

export const analyticRecord = (setting: Setting): RunRecord => {
  const demand = expectedDemand(setting);
  const p = partsOf(setting, demand);
  const { device, plan, request } = setting;
  const isDecode = request.phase === "decode";
  const { fastest, slowest } = stepBounds(setting, p, COOL);
  const stepNs = Math.min(slowest, Math.max(fastest, estimateNs(setting, p, demand)));
  const steps = isDecode ? request.tokens : 1;
  const wallNs = Math.ceil(stepNs * steps);
  const produced = isDecode ? request.tokens * request.batch : request.prompt;
  const divisor = isDecode ? 1 : request.prompt;
  const loading = plan.mechanisms.loading;
  const gateShare = setting.rates.gateBytes / (setting.rates.gateBytes + setting.rates.upDownBytes);
  const firstShare = setting.rates.secondReadNs > 0 ? setting.rates.firstReadNs / (setting.rates.firstReadNs + setting.rates.gateFires * setting.rates.secondReadNs) : 1;
  const shown: ReadonlyArray<readonly [Activity, number]> = [
    ["attention", p.attention], ["predictor", p.predictor], ["gate", p.sparse * gateShare], ["up+down", p.sparse * (1 - gateShare)], ["dense FFN", p.denseFfn], ["head", p.head], ["launch", p.launches], ["merge", p.barriers], ["cache", p.cache],
    ["read gate", loading === "two-phase" ? p.reads * firstShare : 0], ["read up+down", loading === "two-phase" ? p.reads * (1 - firstShare) : 0], ["read bundle", loading === "bundle" ? p.reads : 0], ["read rows", loading === "rows" || loading === "stream" || loading === "mmap" ? p.reads : 0],
    ["stream", loading === "mmap" ? 0 : p.stream], ["page fault", loading === "mmap" ? p.stream : 0],
  ];
  // A closed form has no critical path: parts are shown in proportion to their length on their own.
  const total = shown.reduce((sum, [, ns]) => sum + ns, 0);
  const breakdown = shown.filter(([, ns]) => ns > 0).map(([activity, ns]) => ({ activity, nsPerToken: ((ns / total) * stepNs) / divisor }));
  const onCpu = plan.compute.attentionOn === "cpu" || plan.compute.attentionOn === "cpu+npu";
  const unit = isDecode ? plan.mechanisms.decodeOn : plan.mechanisms.prefillOn;
  const denseOnCpu = plan.mechanisms.computation === "dense" ? unit === "cpu" || unit === "cpu+npu" : false;
  const cpuNs = isDecode ? p.predictor + p.sparse + p.cache + (onCpu ? p.attention + (plan.compute.attentionOn === "cpu" ? p.head : 0) : 0) + (denseOnCpu ? p.denseFfn : 0) : unit === "cpu" ? computeOf(p) : 0;
  const busy = (kind: "big" | "mid" | "little"): number => plan.compute.threads[kind] * cpuNs * steps + (plan.compute.ioCore === kind ? readsOf(p) * steps : 0);
  const npuNs = (p.dramNpuBytes > 0 ? (isDecode ? p.denseFfn * (unit === "cpu+npu" || unit === "npu" ? 1 : 0) + (plan.compute.attentionOn === "cpu" ? 0 : p.attention) : p.attention + p.denseFfn + p.head) : 0) * steps;
  const gpuNs = p.dramGpuBytes > 0 ? (p.attention + p.denseFfn + p.head) * steps : 0;
  const dramBytes = (p.dramCpuBytes + p.dramNpuBytes + p.dramGpuBytes + p.flashBytes) * steps;
  const parts = energyOf(device, { wallNs, bigNs: busy("big"), midNs: busy("mid"), littleNs: busy("little"), npuNs, gpuNs, dramBytes, flashBytes: p.flashBytes * steps });
  const joules = totalJoules(parts);
  const ms = stepNs / divisor / 1e6;
  const exposed = Math.max(0, stepNs - computeOf(p));
  const flat = { mean: ms, p50: ms, p90: ms, p99: ms, max: ms };
  const inUse = expertUse(setting.model, request.batch).active;
  const needed = demand.active + setting.laws.reduce((sum, law) => sum + law.hotActivePerExpert, 0) * inUse;
  const missShare = p.rows > 0 ? demand.missing / p.rows : 0;
  const watts = joules / (wallNs * 1e-9);
  return {
    schema: "neuronlab/run@1", origin: "simulated", inputs: request, plan,
    tokensPerSec: (produced / wallNs) * 1e9, wallNs, msPerToken: flat, tokens: [], bytesReadPerToken: p.flashBytes / divisor,
    predictor: isDecode && plan.mechanisms.computation === "predicted" ? predictorAccount(demand.active, setting.rates.predictedRows * setting.model.layers, setting.rates.gateFires, setting.model.activations.predictorRecall.value) : null,
    cacheHitRate: isDecode && needed > 0 ? 1 - demand.missing / needed : p.flashBytes > 0 ? 0 : 1,
    missOfComputed: { mean: missShare, p50: missShare, p90: missShare, p99: missShare, max: missShare },
    breakdown, exposedIoShare: Math.min(1, exposed / stepNs), lanes: [], cpuUtilisation: Math.min(1, cpuNs / stepNs),
    dramBytesPerToken: dramBytes / steps / divisor, dramBandwidth: dramBytes / wallNs,
    energy: { joulesPerToken: joules / produced, peakWatts: watts, meanWatts: watts, byPart: parts, hottestC: device.thermal.ambient.value },
    bound: bounds(setting, demand), limits: limitsOf(breakdown), violations: [], spans: [],
  };
};
