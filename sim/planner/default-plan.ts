/**
 * The plan a system runs by default on a device, model and memory: the paper's own choices where it states them, and where
 * it only says "profile-driven" the closed-form optimum of the same quantity.
 */
import { E, pipe, type Either } from "../base/fp.js";
import { unsupported, type AppError } from "../base/errors.js";
import type { DeviceProfile } from "../domain/device.js";
import type { ModelSpec } from "../domain/model.js";
import { modelShapeOf, type Plan } from "../domain/plan.js";
import type { RunRequest } from "../domain/run.js";
import { streamsExperts, type Mechanisms, type SystemSpec } from "../domain/system.js";
import { bestThreads, threadCount, type Threads } from "../hardware/kernels.js";
import { rateBins } from "../neurons/activation.js";
import { staticMiss } from "../neurons/locality.js";
import { lruMissOfModel } from "../neurons/populations.js";
import { cachedNeuronBytes, fitMemory } from "./fit.js";
import { rowsOf, sizesOf } from "../domain/model.js";

/** Cold neurons of a cluster: 512 × 4096 is the paper's example of a chunk (v3, section 4.1.2); two of them keep the queue's cost low. */
const CLUSTER_NEURONS = 1024;
/** Of the engine of this repository, unless told otherwise: its sums' block, the least that it computes at once. (cli/programs: DEFAULTS of its settings) */
const GATED_CLUSTER_NEURONS = 256;
/**
 * Clusters in flight: twice the eight per matrix that Figure 6 draws. Eight leave the flash waiting where resident clusters
 * hold the threads (v1 at 19 GiB runs 11 % slower), 32 take their buffers from a 7B's cache; the paper's planner finds it by profiling.
 */
const DEPTH = 16;
/** Compute threads beside an I/O thread: Figure 6 shows four and one. */
const COMPUTE_BESIDE_IO = 4;
const STREAM_BLOCK = 512 * 1024;
/** Of the engine, where compute threads submit to the system's queue: as many as flash gains by. */
const READS_UNDER_WAY = 64;
/** Of synchronous readers of whole experts: two saturate a phone's flash, and four cost nothing (OnePlus 15R, BigMoeOnEdge). */
const LANES = 4;
/** Rows on the NPU by batch size: half at batch 1, 70 % at large batches; the planner takes more hot at batch 3-4 (v3, sections 4.1.2 and 5). */
const NPU_ROWS = [{ batch: 1, share: 0.5 }, { batch: 3, share: 0.7 }];

export const mechanismsOf = (system: SystemSpec, request: RunRequest): Mechanisms => ({ ...system.mechanisms, ...request.mechanisms });

/** The units that the mechanisms run this phase on and the phone lacks, each as a sentence. */
export const unitsMissing = (device: DeviceProfile, system: SystemSpec, mechanisms: Mechanisms, request: RunRequest): ReadonlyArray<string> => {
  const needed = request.phase === "prefill" ? [mechanisms.prefillOn] : mechanisms.decodeOn.split("+");
  return needed.filter((unit) => (unit === "npu" && device.npu === null) || (unit === "gpu" && device.gpu === null)).map((unit) => `${system.title} needs ${unit === "npu" ? "an NPU" : "a GPU"}; ${device.title} has none`);
};

/** What the engine's way cannot be combined with, or what only it has, each as a sentence. */
export const strangeMechanisms = (mechanisms: Mechanisms, request: RunRequest): ReadonlyArray<string> => {
  const { computation, cache, loading, decodeOn } = mechanisms;
  if (computation === "gated" && cache === "expert-lru") return ["computation gated keeps neurons; cache expert-lru keeps whole experts"];
  if (computation === "gated" && request.phase === "decode")
    return [
      ...(cache === "page-cache" || cache === "none" ? [`computation gated keeps neurons in segments of its own; cache ${cache} has none`] : []),
      ...(loading === "mmap" ? ["computation gated reads by itself; loading mmap leaves that to the system"] : []),
      ...(decodeOn === "cpu" ? [] : [`computation gated is for the CPU; decodeOn is ${decodeOn}`]),
      ...(request.batch === 1 ? [] : [`computation gated decodes one sequence; batch is ${request.batch}`]),
    ];
  if (computation === "gated") return [];
  if (streamsExperts(mechanisms))
    return [
      ...(cache === "expert-lru" || cache === "none" ? [] : [`computation dense with loading expert keeps whole experts; cache is ${cache}, choose expert-lru or none`]),
      ...(mechanisms.overlap === "matrix" ? ["an expert is read whole; overlap is matrix, choose none or cluster"] : []),
      ...(decodeOn === "cpu" ? [] : [`loading expert is for the CPU; decodeOn is ${decodeOn}`]),
      ...(request.batch === 1 || request.phase === "prefill" ? [] : [`loading expert decodes one sequence; batch is ${request.batch}`]),
    ];
  return [
    ...(cache === "expert-lru" ? [`cache expert-lru is known for computation dense with loading expert only; computation is ${computation} and loading ${loading}`] : []),
    ...(["clock", "lfu", "s3-fifo", "sieve", "arc"].includes(cache) ? [`cache ${cache} is known for computation gated only; with ${computation} choose segmented, neuron-lru, window or static-hot`] : []),
    ...(loading === "expert" ? [`loading expert is known for computation gated and dense only; with ${computation} choose rows, bundle, two-phase, mmap or stream`] : []),
  ];
};

/** Compute threads: the best set, less one core for I/O where a thread is dedicated to it. */
const computeThreads = (device: DeviceProfile, system: SystemSpec, mechanisms: Mechanisms, reading: boolean): { readonly threads: Threads; readonly ioCore: Plan["compute"]["ioCore"] } => {
  let threads = bestThreads(device);
  const wanted = system.software.threads?.value ?? null;
  if (wanted !== null) {
    const big = Math.min(threads.big, wanted);
    threads = { big, mid: Math.min(threads.mid, wanted - big), little: 0 };
  }
  if (!reading || mechanisms.submitters !== "io-thread" || mechanisms.decodeOn === "npu" || mechanisms.decodeOn === "gpu") return { threads, ioCore: "none" };
  // The big core drives the most commands per second (Table 1), so it reads and the mid cores compute.
  const ioCore = threads.big > 0 ? "big" : threads.mid > 1 ? "mid" : "little";
  const less = { ...threads, [ioCore]: Math.max(0, threads[ioCore] - 1) };
  if (threadCount(less) === 0) return { threads, ioCore };
  const mid = Math.min(less.mid, COMPUTE_BESIDE_IO);
  return { threads: { big: Math.min(less.big, COMPUTE_BESIDE_IO - mid), mid, little: 0 }, ioCore };
};

/**
 * Share of the FFN cache given to the hot segment: the split with the fewest expected misses over the layers, by closed
 * form. Pinning by frequency wins where popularity is steady, recency where consecutive tokens share neurons or experts.
 * (v3's planner classifies hot and cold by activation frequency and says no more; this is the same quantity, minimised.)
 */
export const bestHotFraction = (model: ModelSpec, cachedShare: number): number => {
  const layers = SAMPLED_LAYERS.map((part) => Math.floor(part * model.layers)).map((layer) => ({ layer, bins: rateBins(model, layer) }));
  let best = 1;
  let fewest = Infinity;
  for (let tenth = 0; tenth <= 10; tenth++) {
    const pinnedShare = (cachedShare * tenth) / 10;
    const capacityShare = cachedShare - pinnedShare;
    const missing = layers.reduce((sum, one) => {
      const beyond = staticMiss(one.bins, pinnedShare);
      if (capacityShare <= 0) return sum + beyond;
      return sum + beyond * lruMissOfModel(model, [one], { pinnedShare, capacityShare, tokenVariation: model.activations.tokenVariation.value, batch: 1 })[0]!.missOfActive;
    }, 0);
    if (missing < fewest * (1 - 1e-9)) {
      fewest = missing;
      best = tenth / 10;
    }
  }
  return best;
};
/**
 * Gates first where they decide: a gate row in memory saves its read for every token, a neuron's up and down for those in which it fires. Where every
 * neuron counts, in proportion. (engine/crates/generate/src/budget.rs)
 */
export const gatedHotFraction = (model: ModelSpec, cachedShare: number): number => {
  const { gateRow, upDownRow } = rowsOf(model);
  const gates = gateRow / (gateRow + upDownRow);
  return model.activation === "SiLU" || cachedShare <= 0 ? gates : Math.min(1, gates / cachedShare);
};

/** Enough layers to see the spread of their skews. */
const SAMPLED_LAYERS = [0, 0.2, 0.4, 0.6, 0.8];

export const defaultPlan = (device: DeviceProfile, model: ModelSpec, system: SystemSpec, request: RunRequest): Either<AppError, Plan> => {
  const mechanisms = mechanismsOf(system, request);
  const missing = [...unitsMissing(device, system, mechanisms, request), ...strangeMechanisms(mechanisms, request)];
  if (missing.length > 0) return E.left(unsupported(`${request.system} on ${request.device}`, missing.join("; ")));
  if (mechanisms.computation === "predicted" && model.predictorParameters === null)
    return E.left(unsupported(`${request.system} with ${request.model}`, `${model.title} has no predictors, so its neurons cannot be selected; use a dense system or a sparse model`));
  return pipe(
    fitMemory(device, model, system, mechanisms, request),
    E.map((fit): Plan => {
      const { threads, ioCore } = computeThreads(device, system, mechanisms, !fit.all && mechanisms.computation !== "dense");
      const usesNpu = mechanisms.decodeOn === "cpu+npu";
      // No cluster is larger than an expert.
      const clusterNeurons = Math.min(mechanisms.computation === "gated" ? GATED_CLUSTER_NEURONS : CLUSTER_NEURONS, model.ffn);
      const buffers = !fit.all && mechanisms.overlap === "cluster" && mechanisms.computation === "predicted";
      const depth = buffers ? depthWithin(fit.ffn / 2, model, mechanisms, clusterNeurons) : DEPTH;
      const inFlight = buffers ? Math.min(fit.ffn, pipelineBytes(model, mechanisms, clusterNeurons, depth)) : 0;
      const cacheBytes = fit.ffn - inFlight;
      const cachedShare = cacheBytes / fit.ffnAll;
      const hotFraction = mechanisms.computation === "gated" ? gatedHotFraction(model, cachedShare) : fit.all || mechanisms.cache === "static-hot" ? 1 : mechanisms.cache === "segmented" ? bestHotFraction(model, cachedShare) : 0;
      const keeps = fit.all || mechanisms.cache !== "none";
      // A mapped file is cached by the page, attention weights and all.
      const mapped = mechanisms.cache === "page-cache";
      const pages = Math.min(fit.memory - fit.kv - fit.runtime, fit.fixed + fit.ffnAll);
      return {
        schema: "neuronlab/plan@1",
        note: "default plan",
        device: device.name,
        model: model.name,
        shape: modelShapeOf(model),
        system: system.name,
        memory: fit.memory,
        mechanisms: fit.all && mechanisms.computation === "gated" ? { ...mechanisms, offload: "no" } : mechanisms,
        compute: {
          threads,
          ioCore,
          attentionOn: mechanisms.decodeOn,
          npuRows: usesNpu ? NPU_ROWS : [{ batch: 1, share: 0 }],
        },
        cluster: { neurons: clusterNeurons },
        cache: {
          fixed: mapped ? 0 : fit.fixed,
          predictors: fit.predictors,
          scales: fit.scales,
          kv: fit.kv,
          runtime: fit.runtime + inFlight,
          hot: keeps && !mapped ? (fit.all ? fit.ffnAll : cacheBytes * hotFraction) : 0,
          cold: mapped ? pages : keeps && !fit.all ? cacheBytes * (1 - hotFraction) : 0,
        },
        pipeline: { depth },
        io: { streamBlock: STREAM_BLOCK, lanes: mechanisms.computation === "gated" ? READS_UNDER_WAY : streamsExperts(mechanisms) ? LANES : 1, gates: "joined" },
      };
    }),
  );
};

/** Fewer clusters in flight where a model is so small that the usual ones would leave no room for a cache: two at least. */
const depthWithin = (bytes: number, model: ModelSpec, mechanisms: Mechanisms, clusterNeurons: number): number => {
  let depth = DEPTH;
  while (depth > 2 && pipelineBytes(model, mechanisms, clusterNeurons, depth) > bytes) depth /= 2;
  return depth;
};

/** Buffers of clusters in flight: each holds what it may have to read, twice its mean, in whole flash pages. */
export const pipelineBytes = (model: ModelSpec, mechanisms: Mechanisms, clusterNeurons: number, depth: number): number => {
  const sizes = sizesOf(model);
  const slot = Math.ceil(cachedNeuronBytes(model, mechanisms) / 4096) * 4096;
  return depth * Math.min(1, 2 * model.activations.activeShare.value) * clusterNeurons * Math.max(slot, 3 * sizes.rowBytes);
};
