/** A run record made up from its request: sound in form, invented in value. */
import type { Plan } from "../../sim/domain/plan.js";
import type { Latency, SimulatedRun, RunRequest } from "../../sim/domain/run.js";
import type { Mechanisms } from "../../sim/domain/system.js";

const MECHANISMS: Mechanisms = {
  computation: "predicted", decodeOn: "cpu+npu", prefillOn: "npu", loading: "two-phase", cache: "segmented", overlap: "cluster",
  submitters: "io-thread", prefetchHot: "under-attention", prefillOverlap: "next-layer", scalesResident: "yes", offload: "yes",
};

const planOf = (request: RunRequest): Plan => ({
  schema: "neuronlab/plan@1",
  note: "-",
  device: request.device,
  model: request.model,
  shape: null,
  system: request.system,
  memory: 4e9,
  mechanisms: { ...MECHANISMS, ...request.mechanisms },
  compute: { threads: { big: 0, mid: 4, little: 0 }, ioCore: "big", attentionOn: "npu", npuRows: [{ batch: 1, share: 0.5 }] },
  cluster: { neurons: 64 },
  cache: { fixed: 1e9, predictors: 4e8, scales: 3e8, kv: 1e7, runtime: 3e8, hot: request.memory._tag === "All" ? 2e9 : 5e8, cold: 5e8 },
  pipeline: { depth: 4 },
  io: { streamBlock: 524288, lanes: 1, gates: "joined" },
});

const latency = (mean: number): Latency => ({ mean, p50: 0.98 * mean, p90: 1.2 * mean, p99: 1.4 * mean, max: 1.6 * mean });

export const fakeRunRecord = (request: RunRequest, tokensPerSec: number, changes: Partial<SimulatedRun> = {}): SimulatedRun => ({
  schema: "neuronlab/run@1",
  origin: "simulated",
  inputs: request,
  plan: planOf(request),
  tokensPerSec,
  wallNs: (1e9 * request.tokens) / tokensPerSec,
  msPerToken: latency(1000 / tokensPerSec),
  tokens: [],
  bytesReadPerToken: 3e7,
  cacheHitRate: 0.8,
  predictor: null,
  missOfComputed: latency(0.035),
  breakdown: [{ activity: "dense FFN", nsPerToken: 1e9 / tokensPerSec }],
  exposedIoShare: 0.137,
  lanes: [{ lane: "flash", busyNs: 0.9e9, servers: 1 }, { lane: "npu", busyNs: 1e9, servers: 1 }],
  cpuUtilisation: 0.4,
  dramBytesPerToken: 3e9,
  dramBandwidth: 42,
  energy: { joulesPerToken: 0.26, peakWatts: 5, meanWatts: 4.4, byPart: [], hottestC: 40 },
  bound: { lower: tokensPerSec / 2, upper: 2 * tokensPerSec },
  limits: [{ part: "dense FFN", share: 1 }],
  adaptation: null, violations: [],
  spans: [],
  ...changes,
});
