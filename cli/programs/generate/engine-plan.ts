/** A plan, made for a phone, to what the engine can do on this machine; and what of it had no meaning here. */
import type { ModelShape, Plan } from "../../../sim/domain/plan.js";
import type { ModelSpec } from "../../../sim/domain/model.js";
import type { GenerateRequest, PlannedModel } from "../../../engine/index.js";

export interface Mapped {
  /** What was given; null where nothing was. */
  readonly given: Plan | null;
  readonly request: Partial<Pick<GenerateRequest, "memory" | "segments" | "threads" | "io" | "depth" | "cluster" | "policy" | "granularity" | "overlap" | "gates" | "ffn" | "planned">>;
  /** One line each: what the plan says, and what happens instead. */
  readonly unmapped: ReadonlyArray<string>;
}

const GRANULARITY = { "two-phase": "neuron", bundle: "cluster", rows: "matrix", stream: "tensor", expert: "expert", mmap: null } as const;
const POLICY = { segmented: "lru", "neuron-lru": "lru", "expert-lru": "lru", window: "window", "static-hot": "static-hot", clock: "clock", lfu: "lfu", "s3-fifo": "s3-fifo", sieve: "sieve", arc: "arc", "page-cache": null, none: null } as const;

/** This engine, as plans of its runs name it. */
const OWN_SYSTEM = "neuronlab";

/** Reads under way where a plan counts the submitters of a deep queue and not its reads: as many as flash gains by. */
const READS_UNDER_WAY = 64;

/** The largest size that the engine takes, and larger than any: FFNs in memory whole, whatever bytes a weight has in the file. A plan counts those of the model that it was made for. */
const IN_MEMORY = { hot: 2 ** 52, cold: 0 } as const;

/** What a file must hold for a plan that names this model and has no shape of its own. */
export const plannedModel = (model: ModelSpec): PlannedModel => ({ name: model.name, layers: model.layers, hidden: model.hidden, neurons: model.ffn, experts: model.experts.count });

const shapeIn = (name: string, { layers, hidden, neurons, experts, used }: ModelShape): PlannedModel => ({ name, layers, hidden, neurons, experts, used });

/** `predicts`: whether a predictor was given, which a plan cannot name. `planned`: the model that the plan names, where that is known; a plan that says its shape needs no name. */
export const mapPlan = (plan: Plan, cores: number, predicts: boolean, planned: PlannedModel | null = null): Mapped => {
  const { mechanisms, compute, cache } = plan;
  const asked = Object.values(compute.threads).reduce((sum, count) => sum + count, 0);
  const threads = Math.min(Math.max(asked, 1), cores);
  const policy = POLICY[mechanisms.cache];
  // Only this engine's own ways divide neurons as the engine does, and count reads under way as lanes.
  const own = mechanisms.computation === "gated" || plan.system === OWN_SYSTEM;
  // A bundle of another system is one neuron's, which a predictor chose; here it would be a cluster's, and every neuron of it would be read for each that fires.
  const ofNeuron = !own && mechanisms.loading === "bundle";
  const granularity = ofNeuron ? "neuron" : GRANULARITY[mechanisms.loading];
  const oneSubmitter = !own && plan.io.lanes === 1;
  const made = plan.shape === null ? planned : shapeIn(plan.model, plan.shape);
  const said: ReadonlyArray<readonly [boolean, string]> = [
    [asked !== threads, `compute.threads: ${asked} in all; this machine has ${cores} ${cores === 1 ? "core" : "cores"}, so ${threads}`],
    [compute.ioCore !== "none", `compute.ioCore: ${compute.ioCore}; nobody knows here which cores are such; --pin-io binds the threads that read to one`],
    [mechanisms.computation === "predicted" && !predicts, "mechanisms.computation: predicted; no --predictor is given, so the gate of every neuron decides (lossless)"],
    [mechanisms.computation !== "predicted" && predicts, `mechanisms.computation: ${mechanisms.computation}; --predictor is given, so it decides which neurons are computed`],
    [mechanisms.decodeOn !== "cpu" || mechanisms.prefillOn !== "cpu" || compute.attentionOn !== "cpu" || compute.npuRows.some((entry) => entry.share > 0), "mechanisms.decodeOn, mechanisms.prefillOn, compute.attentionOn, compute.npuRows: all is computed on the CPU here"],
    [ofNeuron, `mechanisms.loading: bundle, of one neuron each in ${plan.system}; ${predicts ? "the gate row is read first here" : "the gate decides here, so it is read first"}, then up and down of what fires (two-phase)`],
    [granularity === null, `mechanisms.loading: ${mechanisms.loading}; the engine reads by itself, so two-phase`],
    [policy === null, `mechanisms.cache: ${mechanisms.cache}; the engine keeps its own cache, so lru`],
    [mechanisms.prefetchHot !== "off", `mechanisms.prefetchHot: ${mechanisms.prefetchHot}; nothing is read ahead under attention here`],
    [mechanisms.prefillOverlap === "off", "mechanisms.prefillOverlap: off; prefill always reads ahead here"],
    [true, "cache.fixed, cache.predictors, cache.scales, cache.kv, cache.runtime: this process holds what it holds, and that comes off the memory first"],
    [own && mechanisms.offload === "no", "cache.hot, cache.cold: all FFNs, which are in memory whole here too if the memory has room for this file's, and else as much of them as it has room for"],
    [own && mechanisms.offload === "yes", "cache.hot, cache.cold: here hot is gate rows and cold is up and down; each is cut to what the memory leaves, and a hot segment that holds all FFNs has them in memory whole"],
    [!own, `cache.hot, cache.cold: whole neurons of ${plan.system}; here hot is gate rows and cold is up and down, so what the memory leaves is divided anew`],
    [oneSubmitter, `io.lanes: 1, which fills a queue by itself where the plan was made; here ${READS_UNDER_WAY} reads are under way at once; --lanes or --io-uring says another number`],
    [true, "io.streamBlock: prefill streams blocks of 1024 neurons here"],
    [made === null, `model: ${plan.model}; the plan does not say its shape and no model of that name is known, so nothing checks that the plan was made for this file's; sizes are cut to what it has`],
  ];
  return {
    given: plan,
    request: {
      memory: plan.memory,
      ...(own ? { segments: mechanisms.offload === "no" ? IN_MEMORY : { hot: Math.floor(cache.hot), cold: Math.floor(cache.cold) } } : {}),
      threads,
      // Through io_uring the threads that compute submit their own reads.
      io: oneSubmitter ? { backend: "io_uring", reads: READS_UNDER_WAY } : { backend: mechanisms.submitters === "compute-threads" ? "io_uring" : "lanes", reads: plan.io.lanes },
      depth: plan.pipeline.depth,
      cluster: plan.cluster.neurons,
      granularity: granularity ?? "neuron",
      policy: policy ?? "lru",
      overlap: mechanisms.overlap,
      gates: plan.io.gates,
      // Elsewhere dense is what a system can do; here it was asked for.
      ...(own && mechanisms.computation === "dense" ? { ffn: "dense" as const } : {}),
      planned: made,
    },
    unmapped: said.filter(([holds]) => holds).map(([, line]) => line),
  };
};
