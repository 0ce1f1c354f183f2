/**
 * What each token needs of each layer's clusters at `neuron` fidelity: every neuron is drawn (sim/neurons/process.ts) and
 * every cold one looked up in a real cache (sim/neurons/cache.ts) of the plan's segments. It answers the same question as
 * sparse-draws.ts answers by statistics, and shares nothing with it but the rates: that is what makes it a check.
 *
 * A layer's rows by rank, hottest first: [0, npu) computed densely on the NPU; [0, hot) pinned in the hot segment by cluster;
 * [hot, resident) streamed under attention; [resident, ffn) cold, looked up one by one.
 */
import { stream } from "../base/random.js";
import { sizesOf, type ModelSpec } from "../domain/model.js";
import type { Plan } from "../domain/plan.js";
import type { RunRequest } from "../domain/run.js";
import { rateBins, type RateBins } from "../neurons/activation.js";
import { createSegmentedCache } from "../neurons/cache.js";
import { expertsApart } from "../neurons/experts.js";
import { layerExperts } from "../neurons/layers.js";
import { createNeuronProcess, type NeuronProcess } from "../neurons/process.js";
import { ranksOf, traceProcess } from "../neurons/trace-process.js";
import type { ActivationTrace } from "../neurons/trace.js";
import { cachedNeuronBytes } from "../planner/fit.js";
import type { Draws } from "./cluster-work.js";
import type { LayerDraw } from "./decode-layer.js";
import type { LayerRates } from "./layer-rates.js";
import { FURTHER_TOKEN_COST, windowTokensOf } from "./sparse-draws.js";

/** Tokens played before the clock starts, after the cache was filled by recency drawn from the rates. */
const WARM_UP_TOKENS = 64;
/** Seeds are 32 bits wide at most, so that further sequences of a batch never meet another run's. */
const NEXT_SEQUENCE = 2 ** 32;
/** Nobody remembers longer than this many tokens; an age beyond it is "never". */
const OLDEST = 1 << 20;

/** Where the cold neurons are kept between tokens. */
interface ColdCache {
  /** Told before the first token, longest ago first: this neuron was last used so many tokens ago. */
  readonly remember: (neuron: number, tokensAgo: number) => void;
  readonly lookup: (neuron: number) => boolean;
  readonly endToken: () => void;
}

/** `played`: a recorded text in place of drawn neurons. The sequences of a batch begin at different places of it. */
export const neuronDraws = (model: ModelSpec, plan: Plan, rates: LayerRates, request: RunRequest, played: ActivationTrace | null): Draws => {
  const sizes = sizesOf(model);
  const { ffn, layers } = model;
  const { count } = model.experts;
  const bins = Array.from({ length: layers }, (_, layer) => rateBins(model, layer));
  const sequences = played === null ? Array.from({ length: request.batch }, (_, s) => createNeuronProcess(model, request.seed + s * NEXT_SEQUENCE, bins)) : playedSequences(played, request.batch);
  const ids = new Int32Array(sequences[0].mostActive);
  const perLayer = ffn * count;

  const hotRows = rates.allResident ? ffn : Math.round(ffn * rates.hotShare);
  const residentRows = rates.allResident ? ffn : Math.round(ffn * Math.min(1, rates.hotShare + rates.prefetchShare));
  const npuRows = Math.round(ffn * rates.npuShare);
  const coldRows = ffn - residentRows;
  const warmRows = Math.max(0, residentRows - npuRows);
  const warmPerExpert = Math.ceil(warmRows / plan.cluster.neurons);
  const coldPerExpert = Math.ceil(coldRows / plan.cluster.neurons);

  // Hot clusters are pinned by rank: the planner loads them all, and the segment has room for exactly those.
  const hotPerExpert = Math.ceil(hotRows / plan.cluster.neurons);
  const hotClusters = hotPerExpert * count * layers;
  const neuronBytes = cachedNeuronBytes(model, plan.mechanisms);
  const hotClusterBytes = hotPerExpert === 0 ? 1 : (hotRows * neuronBytes) / hotPerExpert;
  const cache = createSegmentedCache({
    fixedBytes: plan.cache.fixed,
    // Half a cluster more, so that rounding cannot cost a whole one.
    hotBytes: (hotClusters + 0.5) * hotClusterBytes,
    hotClusters,
    hotClusterBytes,
    coldBytes: rates.allResident || plan.mechanisms.cache === "window" ? 0 : rates.coldShare * sizes.neurons * neuronBytes,
    neurons: sizes.neurons,
    neuronBytes,
  });
  for (let cluster = 0; cluster < hotClusters; cluster++) cache.lookupHotCluster(cluster);
  const coldCache: ColdCache = plan.mechanisms.cache === "window" ? createWindow(sizes.neurons, windowTokensOf(model, rates, bins, request)) : { remember: cache.lookup, lookup: cache.lookup, endToken: () => {} };

  /** Union over the batch: by neuron, the token for which it was last seen, so that nothing needs clearing. */
  const seen = request.batch === 1 ? null : new Int32Array(sizes.neurons).fill(-1);
  const isUsed = new Uint8Array(count);
  let token = 0;

  /** Draws one layer for all sequences and hands every neuron to `visit`, saying whether another sequence had it before. */
  const drawLayer = (layer: number, visit: (neuron: number, again: boolean) => void): void => {
    for (const sequence of sequences) {
      const found = sequence.drawLayer(layer, ids);
      for (let i = 0; i < found; i++) {
        const neuron = ids[i];
        if (seen === null) visit(neuron, false);
        else {
          visit(neuron, seen[neuron] === token);
          seen[neuron] = token;
        }
      }
    }
  };
  const step = (): void => {
    token++;
    coldCache.endToken();
    for (const sequence of sequences) sequence.nextToken();
  };

  if (!rates.allResident && coldRows > 0) {
    if (rates.coldShare > 0) eachByRecency(request.seed, bins, usesOf(model, request.batch), ffn, residentRows, coldCache.remember);
    for (let warm = 0; warm < WARM_UP_TOKENS; warm++) {
      step();
      for (let layer = 0; layer < layers; layer++) drawLayer(layer, (neuron, again) => {
        if (!again && neuron % ffn >= residentRows) coldCache.lookup(neuron);
      });
    }
  }

  /** Number of the first cluster of each expert in use, by expert. */
  const firstOf = new Int32Array(count);
  const fillLayer = (layer: number, out: LayerDraw): void => {
    out.warmActive.fill(0);
    out.warmWork.fill(0);
    out.coldActive.fill(0);
    out.coldWork.fill(0);
    out.coldMissing.fill(0);
    isUsed.fill(0);
    out.hotActive = 0;
    drawLayer(layer, (neuron, again) => {
      const rank = neuron % ffn;
      const expert = (neuron - layer * perLayer - rank) / ffn;
      isUsed[expert] = 1;
      if (rank < npuRows) {
        if (!again) out.hotActive++;
        return;
      }
      const share = again ? FURTHER_TOKEN_COST : 1;
      if (rank < residentRows) {
        // Dealt like cards, so that all clusters of an expert have one law.
        const cluster = expert * warmPerExpert + ((rank - npuRows) % warmPerExpert);
        out.warmWork[cluster] += share;
        if (!again) out.warmActive[cluster]++;
        return;
      }
      const cluster = expert * coldPerExpert + ((rank - residentRows) % coldPerExpert);
      out.coldWork[cluster] += share;
      if (again) return;
      out.coldActive[cluster]++;
      if (!coldCache.lookup(neuron)) out.coldMissing[cluster]++;
    });
    let used = 0;
    for (let expert = 0; expert < count; expert++) {
      if (isUsed[expert] === 0) continue;
      for (let hot = 0; hot < hotPerExpert; hot++)
        if (!cache.lookupHotCluster((layer * count + expert) * hotPerExpert + hot)) throw new Error(`a pinned cluster is gone: layer ${layer}, expert ${expert}, cluster ${hot}`);
      firstOf[used++] = expert;
    }
    gather(out.warmActive, out.warmWork, null, firstOf, used, warmPerExpert);
    gather(out.coldActive, out.coldWork, out.coldMissing, firstOf, used, coldPerExpert);
    out.warmClusters = used * warmPerExpert;
    out.coldClusters = used * coldPerExpert;
    out.denseBytes = npuRows * sizes.neuronBytes * used;
    out.denseMissingBytes = 0;
    out.attentionMissingBytes = 0;
  };
  return { nextToken: step, fillLayer };
};

const playedSequences = (trace: ActivationTrace, batch: number): ReadonlyArray<NeuronProcess> => {
  const ranks = ranksOf(trace);
  return Array.from({ length: batch }, (_, s) => traceProcess(trace, ranks, Math.floor((s * trace.tokens) / batch)));
};

/** Moves the clusters of the experts in use (ascending) to the front. */
const gather = (activeOf: Float64Array, workOf: Float64Array, missingOf: Float64Array | null, experts: Int32Array, used: number, perExpert: number): void => {
  for (let e = 0; e < used; e++) {
    if (experts[e] === e) continue;
    for (let c = 0; c < perExpert; c++) {
      const from = experts[e] * perExpert + c;
      const to = e * perExpert + c;
      activeOf[to] = activeOf[from];
      workOf[to] = workOf[from];
      if (missingOf !== null) missingOf[to] = missingOf[from];
    }
  }
};

/** How many of a step's sequences use each expert, on average, by layer. */
const usesOf = (model: ModelSpec, batch: number): ReadonlyArray<ReadonlyArray<number>> =>
  Array.from({ length: model.layers }, (_, layer) => {
    const apart = expertsApart(layerExperts(model, layer));
    return Array.from({ length: model.experts.count }, (_e, expert) => {
      const one = apart[apart.length === 1 ? 0 : expert]!;
      return (one.active / one.count) * batch;
    });
  });

/**
 * The cold neurons in the order of their last use, longest ago first, each with an age drawn from its own rate. A cache that
 * takes them in this order stands close to its steady state, which hundreds of tokens would be needed to reach from empty.
 */
const eachByRecency = (seed: number, bins: ReadonlyArray<RateBins>, uses: ReadonlyArray<ReadonlyArray<number>>, ffn: number, residentRows: number, visit: (neuron: number, tokensAgo: number) => void): void => {
  const random = stream(seed, "neurons/warm-up");
  const experts = uses[0]!.length;
  const neurons = bins.length * experts * ffn;
  const age = new Int32Array(neurons);
  const heads = new Int32Array(2049);
  // Ages are counted one by one up to 1024, then by the eighth of a doubling: as fine as an order of eviction needs.
  const bucketOf = (tokens: number): number => (tokens < 1024 ? tokens : Math.min(2047, 1024 + Math.floor(8 * Math.log2(tokens / 1024))));
  const tokensOf = (bucket: number): number => (bucket < 1024 ? bucket : Math.round(1024 * 2 ** ((bucket - 1024) / 8)));
  let cold = 0;
  for (let neuron = 0; neuron < neurons; ) {
    const layer = Math.floor(neuron / (experts * ffn));
    const law = bins[layer];
    const expertUse = uses[layer]![Math.floor(neuron / ffn) % experts]!;
    let end = 0;
    for (let b = 0, rank = 0; b < law.share.length; b++) {
      end = b === law.share.length - 1 ? ffn : end + law.share[b] * ffn;
      const idle = Math.log1p(-Math.min(1 - 1e-9, law.rate[b] * expertUse));
      for (; rank < Math.round(end); rank++, neuron++) {
        if (rank < residentRows) {
          age[neuron] = -1;
          continue;
        }
        const bucket = bucketOf(idle === 0 ? OLDEST : Math.min(OLDEST, Math.floor(Math.log(1 - random.uniform()) / idle)));
        age[neuron] = bucket;
        heads[bucket]++;
        cold++;
      }
    }
  }
  const order = new Int32Array(cold);
  let place = cold;
  for (let bucket = 0; bucket < heads.length; bucket++) {
    const size = heads[bucket];
    place -= size;
    heads[bucket] = place;
  }
  for (let neuron = 0; neuron < neurons; neuron++) if (age[neuron] >= 0) order[heads[age[neuron]]++] = neuron;
  for (const neuron of order) visit(neuron, tokensOf(age[neuron]));
};

/**
 * The neurons of the last `tokens` tokens (LLM in a flash). A window of 4.3 tokens is four for most neurons and five for
 * three in ten, so that on average it fills the room it was given.
 */
const createWindow = (neurons: number, tokens: number): ColdCache => {
  const lastUse = new Int32Array(neurons).fill(-OLDEST);
  const whole = Math.min(OLDEST / 2, Math.floor(tokens));
  const longer = Math.round((Math.min(OLDEST / 2, tokens) - whole) * 1024);
  let token = 0;
  return {
    remember: (neuron, tokensAgo) => {
      lastUse[neuron] = -tokensAgo;
    },
    lookup: (neuron) => {
      const gap = token - lastUse[neuron];
      lastUse[neuron] = token;
      // Multiplying by an odd number mixes ids, so that the longer window belongs to no rank in particular.
      return gap <= whole + ((Math.imul(neuron, 0x9e3779b1) >>> 22) < longer ? 1 : 0);
    },
    endToken: () => {
      token++;
    },
  };
};
