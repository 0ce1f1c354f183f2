/**
 * The closed form: means in, means out, no events. Beside it two bounds that hold for every plan of the same settings:
 * `upper` overlaps all parts perfectly, `lower` overlaps nothing. (docs/model.md gives each term)
 */
import type { DeviceProfile } from "../domain/device.js";
import { sizesOf, type ModelSpec } from "../domain/model.js";
import type { Plan } from "../domain/plan.js";
import type { Activity, RunRecord, RunRequest } from "../domain/run.js";
import type { SystemSpec } from "../domain/system.js";
import { energyOf, totalJoules } from "../hardware/energy.js";
import { gemmCpuRate, threadCount } from "../hardware/kernels.js";
import { batchExperts } from "../neurons/experts.js";
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

/** Time of one token (decode) or of the whole prompt (prefill) by part, ns; and bytes. */
interface Parts {
  readonly attention: number;
  readonly predictor: number;
  readonly sparse: number;
  readonly denseFfn: number;
  readonly head: number;
  readonly launches: number;
  readonly barriers: number;
  readonly reads: number;
  readonly dramCpuBytes: number;
  readonly dramNpuBytes: number;
  readonly dramGpuBytes: number;
  readonly flashBytes: number;
  readonly lookups: number;
  readonly misses: number;
  readonly rows: number;
}

const decodeParts = ({ device, model, plan, rates, laws, request }: Setting): Parts => {
  const sizes = sizesOf(model);
  const { layers, experts } = model;
  const inUse = batchExperts({ count: experts.count, active: experts.active, repeat: experts.repeat.value }, request.batch).active;
  const on = plan.compute.attentionOn;
  const denseRate = on === "cpu" ? rates.denseCpu : on === "gpu" ? rates.denseGpu : on === "npu" ? rates.denseNpu : Math.min(device.dram.sustained.value, rates.denseCpu + rates.denseNpu);
  const attentionBytes = rates.attentionBytes * layers;
  const launchEach = on === "cpu" ? 0 : on === "gpu" ? rates.gpuLaunchNs : rates.npuLaunchNs;
  const isDense = plan.mechanisms.computation === "dense";
  if (isDense) {
    const ffnBytes = (sizes.ffnBytes / experts.count) * inUse;
    const mapped = plan.mechanisms.cache === "page-cache";
    const file = sizes.nonFfnBytes - sizes.embeddingBytes + sizes.ffnBytes;
    // LRU under a scan: nothing survives unless what one token touches fits; experts that return within the cache's span are found.
    const touched = attentionBytes + sizes.headBytes + ffnBytes;
    const span = plan.cache.cold / touched;
    const again = experts.count === 1 ? (span >= 1 ? 1 : 0) : 1 - (1 - experts.repeat.value) * (1 - experts.active / experts.count) ** Math.max(0, span - 1);
    const missing = mapped ? (plan.cache.cold >= file ? 0 : span < 1 ? touched : ffnBytes * (1 - again)) : rates.allResident ? 0 : ffnBytes;
    const cpuBytes = on === "cpu" ? touched : 0;
    return {
      attention: attentionBytes / denseRate, predictor: 0, sparse: 0, denseFfn: ffnBytes / denseRate, head: rates.headBytes / denseRate, launches: launchEach * (2 * layers + 1),
      barriers: on === "cpu" ? rates.barrierNs * (2 * layers + 1) : 0, reads: rates.sequentialNs(missing), dramCpuBytes: cpuBytes, dramNpuBytes: on === "npu" ? touched : 0, dramGpuBytes: on === "gpu" ? touched : 0,
      flashBytes: missing, lookups: 0, misses: 0, rows: inUse * model.ffn * layers,
    };
  }
  let warm = 0;
  let cold = 0;
  let missing = 0;
  for (const law of laws) {
    warm += law.warmPerExpert * law.warmRate * inUse;
    const active = law.cold.coldPerExpert * law.cold.activeRate * inUse;
    cold += active;
    missing += active * law.missOfActive;
  }
  const work = (warm + cold) * (laws[0]?.workPerActive ?? 1);
  const rowBytes = rates.gateBytes + rates.upDownBytes;
  const predictorBytes = (rates.predictorSharedBytes + rates.predictorBytesPerRow * rates.predictedRows) * layers;
  const hotBytes = model.ffn * rates.npuShare * sizes.neuronBytes * inUse * layers;
  const perMiss = rates.firstReadNs + rates.gateFires * rates.secondReadNs;
  const missBytes = rates.reads.firstBytes + (rates.secondReadNs > 0 ? rates.gateFires * rates.reads.secondBytes : 0);
  const onNpu = on === "npu" ? 1 : on === "cpu+npu" ? 1 - rates.attentionCpuShare : 0;
  const dense = attentionBytes + rates.headBytes;
  return {
    attention: attentionBytes / denseRate, predictor: predictorBytes / rates.denseCpu, sparse: (work * rowBytes) / rates.sparseCpu + missing * rates.insertNs * (plan.mechanisms.overlap === "none" ? 1 : 1 / Math.max(1, threadCount(plan.compute.threads))),
    denseFfn: hotBytes === 0 ? 0 : hotBytes / rates.denseNpu, head: rates.headBytes / (on === "cpu" ? rates.denseCpu : rates.denseNpu), launches: launchEach * (layers + 1) + (hotBytes > 0 ? rates.npuLaunchNs * layers : 0),
    barriers: rates.barrierNs * 3 * layers, reads: missing * perMiss, dramCpuBytes: dense * (1 - onNpu) + predictorBytes + work * rowBytes, dramNpuBytes: dense * onNpu + hotBytes, dramGpuBytes: 0,
    flashBytes: missing * missBytes + rates.prefetchNs * rates.reads.streamBandwidth * layers, lookups: warm + cold, misses: missing, rows: warm + cold + hotBytes / sizes.neuronBytes,
  };
};

const prefillParts = ({ device, model, system, plan, rates, request }: Setting): Parts => {
  const sizes = sizesOf(model);
  const unit = plan.mechanisms.prefillOn;
  const rate = (unit === "npu" ? device.npu!.prefillRate.value : unit === "gpu" ? device.gpu!.prefillRate.value : gemmCpuRate(device, plan.compute.threads)) * system.software.gemmEfficiency.value;
  const passes = Math.ceil(request.prompt / system.software.prefillChunk);
  const used = batchExperts({ count: model.experts.count, active: model.experts.active, repeat: model.experts.repeat.value }, request.prompt).active;
  const ffnBytes = (sizes.ffnBytes / model.experts.count) * used;
  const streamed = rates.allResident ? 0 : ffnBytes * passes;
  const ratio = streamed > 0 && unit === "npu" ? device.npu!.streamedRatio.value : 1;
  const scoreOps = (2 * model.hidden * request.prompt ** 2) * model.layers;
  const launch = unit === "npu" ? rates.npuLaunchNs : unit === "gpu" ? rates.gpuLaunchNs : rates.barrierNs;
  const bytes = (ffnBytes + sizes.attentionBytes * model.layers) * passes + sizes.headBytes;
  return {
    attention: (sizes.attentionOps * model.layers * request.prompt + scoreOps) / (rate * ratio), predictor: 0, sparse: 0, denseFfn: (sizes.ffnOps * model.layers * request.prompt) / (rate * ratio), head: sizes.headOps / rate,
    launches: launch * (2 * model.layers * passes + 1), barriers: 0, reads: rates.sequentialNs(streamed), dramCpuBytes: unit === "cpu" ? bytes : 0, dramNpuBytes: unit === "npu" ? bytes : 0, dramGpuBytes: unit === "gpu" ? bytes : 0,
    flashBytes: streamed, lookups: 0, misses: 0, rows: 0,
  };
};

const partsOf = (setting: Setting): Parts => (setting.request.phase === "decode" ? decodeParts(setting) : prefillParts(setting));

const serial = (p: Parts): number => p.attention + p.predictor + p.sparse + p.denseFfn + p.head + p.launches + p.barriers + p.reads;

const producedPerStep = (request: RunRequest): number => (request.phase === "decode" ? request.batch : request.prompt);

/** tokens/s between which every plan of these settings must lie, up to the draw of single tokens. */
export const bounds = (setting: Setting): RunRecord["bound"] => {
  const p = partsOf(setting);
  const { device, plan, request } = setting;
  const dram = (p.dramCpuBytes + p.dramNpuBytes + p.dramGpuBytes) / device.dram.sustained.value;
  const isHybrid = request.phase === "decode" && plan.mechanisms.decodeOn === "cpu+npu";
  const attentionPart = p.attention + p.head;
  // What one unit does cannot overlap itself; on a hybrid the CPU's sparse work and the NPU's dense work can.
  const units = isHybrid ? attentionPart + Math.max(p.predictor + p.sparse, p.denseFfn) : attentionPart + p.predictor + p.sparse + p.denseFfn;
  const fastest = Math.max(dram, p.reads, units);
  return { lower: (producedPerStep(request) / serial(p)) * 1e9, upper: (producedPerStep(request) / fastest) * 1e9 };
};

/** The estimate between the bounds: parts that the plan overlaps count with the longest, a layer's fill with one cluster's reads. */
const estimateNs = (setting: Setting, p: Parts): number => {
  const { model, plan, rates, request } = setting;
  const { layers } = model;
  if (request.phase === "prefill") {
    const compute = p.attention + p.denseFfn + p.launches;
    return plan.mechanisms.prefillOverlap === "next-layer" ? Math.max(compute, p.reads) + p.head + Math.min(compute, p.reads) / layers : compute + p.reads + p.head;
  }
  const before = p.attention + p.head + p.launches + p.barriers;
  if (plan.mechanisms.computation === "dense") return before + p.denseFfn + p.reads;
  const cpu = p.predictor + p.sparse;
  const side = Math.max(cpu, p.denseFfn);
  if (plan.mechanisms.overlap === "none") return before + Math.max(cpu + p.reads, p.denseFfn) + (p.misses > 0 ? rates.readLatencyNs * layers : 0);
  const clusters = Math.max(1, Math.ceil((rates.predictedRows * (1 - rates.hotShare)) / plan.cluster.neurons));
  const fill = p.misses > 0 ? Math.min(cpu, p.reads) / clusters + rates.readLatencyNs * layers : 0;
  if (plan.mechanisms.overlap === "cluster") return before + Math.max(side, p.reads) + fill;
  // A barrier between gate and up+down: each phase overlaps only within itself.
  return before + p.predictor + Math.max(p.denseFfn - p.predictor, 0.5 * Math.max(p.sparse, p.reads) + 0.5 * Math.max(p.sparse, p.reads)) + 2 * fill;
};

export const analyticRecord = (setting: Setting): RunRecord => {
  const p = partsOf(setting);
  const { device, plan, request } = setting;
  const isDecode = request.phase === "decode";
  const stepNs = estimateNs(setting, p);
  const wallNs = Math.ceil(isDecode ? stepNs * request.tokens : stepNs);
  const produced = isDecode ? request.tokens * request.batch : request.prompt;
  const steps = isDecode ? request.tokens : 1;
  const divisor = isDecode ? 1 : request.prompt;
  const shown: ReadonlyArray<readonly [Activity, number]> = [
    ["attention", p.attention], ["predictor", p.predictor], ["gate", p.sparse / 2.6], ["up+down", (p.sparse * 1.6) / 2.6], ["dense FFN", p.denseFfn], ["head", p.head], ["launch", p.launches], ["merge", p.barriers],
    [plan.mechanisms.loading === "mmap" ? "page fault" : plan.mechanisms.loading === "bundle" ? "read bundle" : plan.mechanisms.loading === "rows" ? "read rows" : plan.mechanisms.computation === "dense" || !isDecode ? "stream" : "read gate", p.reads],
  ];
  // Closed form has no critical path: parts are shown in proportion to their serial length.
  const total = shown.reduce((sum, [, ns]) => sum + ns, 0);
  const breakdown = shown.filter(([, ns]) => ns > 0).map(([activity, ns]) => ({ activity, nsPerToken: ((ns / total) * stepNs) / divisor }));
  const cpuNs = p.predictor + p.sparse + (plan.compute.attentionOn === "cpu" || plan.compute.attentionOn === "cpu+npu" ? p.attention : 0) + (plan.mechanisms.decodeOn === "cpu" && plan.mechanisms.computation === "dense" ? p.denseFfn : 0);
  const busy = (kind: "big" | "mid" | "little"): number => plan.compute.threads[kind] * cpuNs * steps + (plan.compute.ioCore === kind ? p.reads * steps : 0);
  const npuNs = (p.dramNpuBytes > 0 ? p.denseFfn + (plan.compute.attentionOn === "cpu" ? 0 : p.attention) : 0) * steps;
  const dramBytes = (p.dramCpuBytes + p.dramNpuBytes + p.dramGpuBytes + p.flashBytes) * steps;
  const parts = energyOf(device, { wallNs, bigNs: busy("big"), midNs: busy("mid"), littleNs: busy("little"), npuNs, gpuNs: p.dramGpuBytes > 0 ? wallNs : 0, dramBytes, flashBytes: p.flashBytes * steps });
  const joules = totalJoules(parts);
  const ms = stepNs / divisor / 1e6;
  const exposed = Math.max(0, isDecode ? stepNs - (serial(p) - p.reads) : stepNs - (serial(p) - p.reads));
  const flat = { mean: ms, p50: ms, p90: ms, p99: ms, max: ms };
  const missShare = p.rows > 0 ? p.misses / p.rows : 0;
  const watts = joules / (wallNs * 1e-9);
  return {
    schema: "neuronlab/run@1", origin: "simulated", inputs: request, plan,
    tokensPerSec: (produced / wallNs) * 1e9, wallNs, msPerToken: flat, tokens: [], bytesReadPerToken: p.flashBytes / divisor,
    cacheHitRate: p.lookups > 0 ? 1 - p.misses / p.lookups : p.flashBytes > 0 ? 0 : 1,
    missOfComputed: { mean: missShare, p50: missShare, p90: missShare, p99: missShare, max: missShare },
    breakdown, exposedIoShare: Math.min(1, exposed / stepNs), lanes: [], cpuUtilisation: Math.min(1, cpuNs / stepNs),
    dramBytesPerToken: dramBytes / steps / divisor, dramBandwidth: dramBytes / wallNs,
    energy: { joulesPerToken: joules / produced, peakWatts: watts, meanWatts: watts, byPart: parts, hottestC: device.thermal.ambient.value },
    bound: bounds(setting), limits: limitsOf(breakdown), violations: [], spans: [],
  };
};
