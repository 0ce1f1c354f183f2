/**
 * One layer of decode as a graph of tasks. The unit of work is the neuron cluster, and the engine is polymorphic: hot rows
 * are one dense cluster on the NPU, cold ones small sparse clusters, one per CPU core, each going through
 * Pred → GIO (read gate) → GC (gate) → UDIO (read up+down) → UDC (up+down). (PowerInfer-2 v3, sections 4.1.2 and 4.3)
 */
import type { Plan } from "../domain/plan.js";
import { ACTIVITIES, type Activity } from "../domain/run.js";
import { ALL_THREADS, ANY_TIME, DENSE, FLASH, GPU, NPU, SPARSE, type Executor } from "./executor.js";
import type { LayerRates } from "./layer-rates.js";

const WHAT = Object.fromEntries(ACTIVITIES.map((name, i) => [name, i])) as Readonly<Record<Activity, number>>;

/** What one token asks of one layer's clusters: neurons active in each resident (warm) and each flash-backed (cold) cluster, and those missing. */
export interface LayerDraw {
  warmClusters: number;
  coldClusters: number;
  /** Rows computed for the token(s), by cluster: union over the batch, and the sum over its tokens. */
  readonly warmActive: Float64Array;
  readonly warmWork: Float64Array;
  readonly coldActive: Float64Array;
  readonly coldWork: Float64Array;
  readonly coldMissing: Float64Array;
  /** Neurons active among the rows that the NPU computes densely: needed and found, though nobody looks them up. */
  hotActive: number;
  /** Bytes of dense FFN weights to compute, and of them those that must be read first (QNN's streaming, llama.cpp's faults). */
  denseBytes: number;
  denseMissingBytes: number;
  /** Attention weights that must be read first (a mapped file can lose them). */
  attentionMissingBytes: number;
}

/** Adds one layer's tasks; `previous` is the task that ends the layer before, or -1. Returns the task that ends this layer. */
export type LayerBuilder = (executor: Executor, layer: number, previous: number, draw: LayerDraw) => number;

const chain = (executor: Executor, task: number, previous: number): number => {
  if (previous >= 0) executor.after(task, previous);
  return task;
};

/** Attention on the planned unit(s); returns the task that ends it. */
const attention = (executor: Executor, rates: LayerRates, plan: Plan, layer: number, previous: number): number => {
  const bytes = rates.attentionBytes;
  const on = plan.compute.attentionOn;
  if (on === "cpu") return chain(executor, executor.flow(ALL_THREADS, WHAT.attention, bytes, rates.denseCpu, rates.barrierNs, layer), previous);
  if (on === "gpu") {
    const launch = chain(executor, executor.fixed(ANY_TIME, WHAT.launch, rates.gpuLaunchNs, 0, layer), previous);
    return chain(executor, executor.flow(GPU, WHAT.attention, bytes, rates.denseGpu, 0, layer), launch);
  }
  const launch = chain(executor, executor.fixed(ANY_TIME, WHAT.launch, rates.npuLaunchNs, 0, layer), previous);
  if (on === "npu") return chain(executor, executor.flow(NPU, WHAT.attention, bytes, rates.denseNpu, 0, layer), launch);
  // Heads are split so that both ends finish together at the rates they get side by side.
  const onCpu = rates.attentionCpuShare;
  const npu = chain(executor, executor.flow(NPU, WHAT.attention, bytes * (1 - onCpu), rates.denseNpu, 0, layer), launch);
  const cpu = chain(executor, executor.flow(ALL_THREADS, WHAT.attention, bytes * onCpu, rates.denseCpu, rates.barrierNs, layer), previous);
  return chain(executor, chain(executor, executor.fixed(ANY_TIME, WHAT.merge, rates.barrierNs, 0, layer), npu), cpu);
};

const dense: (rates: LayerRates, plan: Plan) => LayerBuilder = (rates, plan) => (executor, layer, previous, draw) => {
  const read = (bytes: number, from: number): number => {
    if (bytes <= 0) return from;
    const activity = plan.mechanisms.loading === "mmap" ? WHAT["page fault"] : WHAT.stream;
    return chain(executor, executor.fixed(FLASH, activity, rates.sequentialNs(bytes), 0, layer), from);
  };
  const attended = attention(executor, rates, plan, layer, read(draw.attentionMissingBytes, previous));
  const loaded = read(draw.denseMissingBytes, attended);
  const on = plan.mechanisms.decodeOn;
  if (on === "cpu" || on === "cpu+npu") return chain(executor, executor.flow(ALL_THREADS, WHAT["dense FFN"], draw.denseBytes, rates.denseCpu, rates.barrierNs, layer), loaded);
  const launch = chain(executor, executor.fixed(ANY_TIME, WHAT.launch, on === "npu" ? rates.npuLaunchNs : rates.gpuLaunchNs, 0, layer), loaded);
  return chain(executor, executor.flow(on === "npu" ? NPU : GPU, WHAT["dense FFN"], draw.denseBytes, on === "npu" ? rates.denseNpu : rates.denseGpu, 0, layer), launch);
};

/** Attention, the hot rows on the NPU, and the sequential prefetch of further hot rows while attention runs. */
const begin = (executor: Executor, rates: LayerRates, plan: Plan, layer: number, previous: number, draw: LayerDraw): { readonly attended: number; readonly hot: number } => {
  // The first pass runs another static graph than what came before it. It is loaded while attention runs, which hides it
  // unless attention is shorter; the hot rows wait for both. (v3, section 4.1.2: "asynchronously")
  const swap = executor.token === 0 && draw.denseBytes > 0 ? chain(executor, executor.fixed(ANY_TIME, WHAT.launch, rates.graphSwapNs, 0, layer), previous) : -1;
  if (rates.prefetchNs > 0) {
    // Prefetched rows are needed by the FFN: the stream has attention's time to arrive, the rest of it would delay the layer.
    const prefetch = chain(executor, executor.fixed(FLASH, WHAT.stream, rates.prefetchNs, 0, layer), previous);
    const attended = attention(executor, rates, plan, layer, previous);
    const both = chain(executor, chain(executor, executor.fixed(ANY_TIME, WHAT.merge, 0, 0, layer), attended), prefetch);
    return { attended: both, hot: hotRows(executor, rates, layer, both, swap, draw) };
  }
  const attended = attention(executor, rates, plan, layer, previous);
  return { attended, hot: hotRows(executor, rates, layer, attended, swap, draw) };
};

const hotRows = (executor: Executor, rates: LayerRates, layer: number, attended: number, swap: number, draw: LayerDraw): number => {
  if (draw.denseBytes <= 0) return -1;
  const launch = chain(executor, chain(executor, executor.fixed(ANY_TIME, WHAT.launch, rates.npuLaunchNs, 0, layer), attended), swap);
  return chain(executor, executor.flow(NPU, WHAT["dense FFN"], draw.denseBytes, rates.denseNpu, 0, layer), launch);
};

/** The whole layer waits at each step: predict all, read all, compute all. (LLM in a flash, PowerInfer) */
const noOverlap: (rates: LayerRates, plan: Plan) => LayerBuilder = (rates, plan) => (executor, layer, previous, draw) => {
  const { attended, hot } = begin(executor, rates, plan, layer, previous, draw);
  let last = chain(executor, executor.flow(ALL_THREADS, WHAT.predictor, rates.predictorSharedBytes + rates.predictorBytesPerRow * rates.predictedRows, rates.denseCpu, rates.barrierNs, layer), attended);
  let work = 0;
  let missing = 0;
  for (let c = 0; c < draw.warmClusters; c++) work += draw.warmWork[c]!;
  for (let c = 0; c < draw.coldClusters; c++) {
    work += draw.coldWork[c]!;
    missing += draw.coldMissing[c]!;
  }
  if (missing > 0) {
    last = chain(executor, executor.fixed(FLASH, rates.firstReadWhat, missing * rates.firstReadNs, rates.readLatencyNs, layer), last);
    if (rates.secondReadNs > 0) {
      last = chain(executor, executor.flow(ALL_THREADS, WHAT.gate, work * rates.gateBytes, rates.sparseCpu, rates.barrierNs + missing * rates.insertNs, layer), last);
      last = chain(executor, executor.fixed(FLASH, WHAT["read up+down"], missing * rates.gateFires * rates.secondReadNs, rates.readLatencyNs, layer), last);
      last = chain(executor, executor.flow(ALL_THREADS, WHAT["up+down"], work * rates.upDownBytes, rates.sparseCpu, rates.barrierNs, layer), last);
      return finish(executor, rates, layer, last, hot);
    }
    last = chain(executor, executor.fixed(ANY_TIME, WHAT.cache, missing * rates.insertNs, 0, layer), last);
  }
  last = chain(executor, executor.flow(ALL_THREADS, WHAT.gate, work * rates.gateBytes, rates.sparseCpu, rates.barrierNs, layer), last);
  last = chain(executor, executor.flow(ALL_THREADS, WHAT["up+down"], work * rates.upDownBytes, rates.sparseCpu, rates.barrierNs, layer), last);
  return finish(executor, rates, layer, last, hot);
};

const finish = (executor: Executor, rates: LayerRates, layer: number, last: number, hot: number): number => {
  const merge = chain(executor, executor.fixed(ANY_TIME, WHAT.merge, rates.barrierNs, 0, layer), last);
  return hot < 0 ? merge : chain(executor, merge, hot);
};

/** Reads of one matrix overlap its own computation; a barrier separates gate from up and down. (Figure 6a) */
const matrixOverlap: (rates: LayerRates, plan: Plan) => LayerBuilder = (rates, plan) => (executor, layer, previous, draw) => {
  const { attended, hot } = begin(executor, rates, plan, layer, previous, draw);
  const predicted = chain(executor, executor.flow(ALL_THREADS, WHAT.predictor, rates.predictorSharedBytes + rates.predictorBytesPerRow * rates.predictedRows, rates.denseCpu, rates.barrierNs, layer), attended);
  const phase = (from: number, isGate: boolean): number => {
    const end = executor.fixed(ANY_TIME, WHAT.merge, rates.barrierNs, 0, layer);
    const what = isGate ? WHAT.gate : WHAT["up+down"];
    const bytes = isGate ? rates.gateBytes : rates.upDownBytes;
    for (let c = 0; c < draw.warmClusters; c++) {
      if (draw.warmWork[c]! <= 0) continue;
      executor.after(end, chain(executor, executor.threadWork(what, SPARSE, draw.warmWork[c]! * bytes, rates.dispatchNs, layer), from));
    }
    for (let c = 0; c < draw.coldClusters; c++) {
      const missing = draw.coldMissing[c]!;
      const readNs = isGate ? missing * rates.firstReadNs : missing * rates.gateFires * rates.secondReadNs;
      const ready = readNs > 0 ? chain(executor, executor.fixed(FLASH, isGate ? rates.firstReadWhat : WHAT["read up+down"], readNs, rates.readLatencyNs, layer), from) : from;
      if (draw.coldWork[c]! <= 0) continue;
      executor.after(end, chain(executor, executor.threadWork(what, SPARSE, draw.coldWork[c]! * bytes, rates.dispatchNs + (isGate ? missing * rates.insertNs : 0), layer), ready));
    }
    executor.after(end, from);
    return end;
  };
  return finish(executor, rates, layer, phase(phase(predicted, true), false), hot);
};

/** No barrier: each cluster runs through its five stages on its own, at most `depth` of them at once. (Figure 6b) */
const clusterOverlap: (rates: LayerRates, plan: Plan) => LayerBuilder = (rates, plan) => {
  const depth = plan.pipeline.depth;
  // Ends of the flash-backed clusters so far, by position: cluster c may begin when cluster c - depth has ended.
  let ends = new Int32Array(256);
  return (executor, layer, previous, draw) => {
    const { attended, hot } = begin(executor, rates, plan, layer, previous, draw);
    const shared = chain(executor, executor.flow(ALL_THREADS, WHAT.predictor, rates.predictorSharedBytes, rates.denseCpu, rates.barrierNs, layer), attended);
    const merge = executor.fixed(ANY_TIME, WHAT.merge, rates.barrierNs, 0, layer);
    const clusters = draw.warmClusters + draw.coldClusters;
    const predictorBytes = clusters === 0 ? 0 : (rates.predictorBytesPerRow * rates.predictedRows) / clusters;
    if (draw.coldClusters > ends.length) ends = new Int32Array(2 * draw.coldClusters);
    // Flash-backed clusters go first, so that their reads are under way while resident ones compute.
    for (let c = 0; c < draw.coldClusters; c++) {
      const predict = chain(executor, executor.threadWork(WHAT.predictor, DENSE, predictorBytes, rates.dispatchNs, layer), shared);
      if (c >= depth) executor.after(predict, ends[c - depth]!);
      const missing = draw.coldMissing[c]!;
      let last = predict;
      if (missing > 0) last = chain(executor, executor.fixed(FLASH, rates.firstReadWhat, missing * rates.firstReadNs, rates.readLatencyNs, layer), last);
      last = chain(executor, executor.threadWork(WHAT.gate, SPARSE, draw.coldWork[c]! * rates.gateBytes, rates.dispatchNs + missing * rates.insertNs, layer), last);
      const second = missing * rates.gateFires * rates.secondReadNs;
      if (second > 0) last = chain(executor, executor.fixed(FLASH, WHAT["read up+down"], second, rates.readLatencyNs, layer), last);
      last = chain(executor, executor.threadWork(WHAT["up+down"], SPARSE, draw.coldWork[c]! * rates.upDownBytes, rates.dispatchNs, layer), last);
      ends[c] = last;
      executor.after(merge, last);
    }
    for (let c = 0; c < draw.warmClusters; c++) {
      let last = chain(executor, executor.threadWork(WHAT.predictor, DENSE, predictorBytes, rates.dispatchNs, layer), shared);
      last = chain(executor, executor.threadWork(WHAT.gate, SPARSE, draw.warmWork[c]! * rates.gateBytes, rates.dispatchNs, layer), last);
      last = chain(executor, executor.threadWork(WHAT["up+down"], SPARSE, draw.warmWork[c]! * rates.upDownBytes, rates.dispatchNs, layer), last);
      executor.after(merge, last);
    }
    executor.after(merge, shared);
    if (hot >= 0) executor.after(merge, hot);
    return merge;
  };
};

/** The builder that a plan's mechanisms ask for. */
export const layerBuilder = (rates: LayerRates, plan: Plan): LayerBuilder => {
  if (plan.mechanisms.computation === "dense") return dense(rates, plan);
  switch (plan.mechanisms.overlap) {
    case "none":
      return noOverlap(rates, plan);
    case "matrix":
      return matrixOverlap(rates, plan);
    case "cluster":
      return clusterOverlap(rates, plan);
  }
};

/** The head after the last layer: a dense product with the vocabulary. */
export const headTask = (executor: Executor, rates: LayerRates, plan: Plan, previous: number, layer: number, missingBytes: number): number => {
  const from = missingBytes > 0 ? chain(executor, executor.fixed(FLASH, WHAT["page fault"], rates.sequentialNs(missingBytes), 0, layer), previous) : previous;
  const on = plan.compute.attentionOn;
  if (on === "cpu") return chain(executor, executor.flow(ALL_THREADS, WHAT.head, rates.headBytes, rates.denseCpu, rates.barrierNs, layer), from);
  const launch = chain(executor, executor.fixed(ANY_TIME, WHAT.launch, on === "gpu" ? rates.gpuLaunchNs : rates.npuLaunchNs, 0, layer), from);
  return chain(executor, executor.flow(on === "gpu" ? GPU : NPU, WHAT.head, rates.headBytes, on === "gpu" ? rates.denseGpu : rates.denseNpu, 0, layer), launch);
};
