/** The closed-form bounds of a step, and the estimate between them. */
import type { SimulatedRun } from "../domain/run.js";
import { threadCount } from "../hardware/kernels.js";
import type { ExpertUse } from "../neurons/experts.js";
import { clustersPerExpert } from "../neurons/sampling.js";
import { attentionNs, computeOf, expectedDemand, isStreamed, partsOf, producedPerStep, readsOf, ROUNDING } from "./analytic-parts.js";
import { COOL, type Demand, type Heat } from "./demand.js";
import { gatedEstimateNs } from "./gated/closed-form.js";
import { streamedEstimateNs } from "./streamed/closed-form.js";
import { fedByDram, threadSums, type Parts, type Setting } from "./setting.js";

/** tokens/s between which a run that met this demand must lie; without one, the expected demand. */
export const bounds = (setting: Setting, demand: Demand = expectedDemand(setting), heat: Heat = COOL): SimulatedRun["bound"] => {
  const { fastest, slowest } = stepBounds(setting, partsOf(setting, demand), heat);
  return { lower: (producedPerStep(setting.request) / slowest) * 1e9, upper: (producedPerStep(setting.request) / fastest) * 1e9 };
};

/** Shortest and longest time of a step, ns. */
export const stepBounds = (setting: Setting, p: Parts, heat: Heat): { readonly fastest: number; readonly slowest: number } => {
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
export const estimateNs = (asked: Setting, p: Parts, demand: Demand): number => {
  const setting = fedByDram(asked);
  const { model, plan, laws, request } = setting;
  const { layers } = model;
  if (request.phase === "prefill") {
    const compute = p.attention + p.denseFfn + p.launches;
    if (plan.mechanisms.prefillOverlap === "off") return compute + p.stream + p.head;
    // The first layer's read has only its own attention to hide behind, the last layer's product nothing.
    const passLayers = layers * Math.ceil(request.prompt / setting.system.software.prefillChunk.value);
    return p.stream > compute ? p.stream + (p.denseFfn + p.launches / 2) / passLayers + p.head : compute + Math.max(0, p.stream - p.attention) / passLayers + p.head;
  }
  if (isStreamed(asked)) return streamedEstimateNs(asked, p);
  if (plan.mechanisms.computation === "dense") return computeOf(p) + p.stream;
  if (plan.mechanisms.computation === "gated") return gatedEstimateNs(asked, p);
  const threads = threadSums(setting);
  const variation = model.activations.tokenVariation.value / Math.sqrt(request.batch);
  const swing = (response: number, z: number): number => Math.exp(response * variation * z - (response * response * variation * variation) / 2);
  const denseBytes = demand.denseBytes / layers;
  let ffn = 0;
  for (const law of laws) {
    const { use } = law;
    const experts = repeatedExperts(use, request.batch);
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

