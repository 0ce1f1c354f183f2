/**
 * The closed form: means in, means out, no events. Beside every result stand two bounds:
 *   upper: the flash, the CPU and the NPU each work without a pause, in perfect overlap (only attention goes before its FFN);
 *   lower: nothing overlaps anything, and the last clusters of every layer find all other cores idle.
 * Both are theorems about the executor's schedules (docs/model.md, section 6 gives the argument), so for a run with events
 * they are worked out from what that run's tokens really asked for, and a run outside them is a fault of the model.
 */
import type { Activity, SimulatedRun } from "../domain/run.js";
import { energyOf, totalJoules } from "../hardware/energy.js";
import { predictorAccount } from "../neurons/coactivation.js";
import { bounds, estimateNs, stepBounds } from "./analytic-estimate.js";
import { computeOf, expectedDemand, isStreamed, partsOf, readsOf } from "./analytic-parts.js";
import { COOL } from "./demand.js";
import { gateShareOf } from "./gated/closed-form.js";
import { limitsOf } from "./run-record.js";
import type { Setting } from "./setting.js";

export const analyticRecord = (setting: Setting): SimulatedRun => {
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
  const isGated = isDecode && plan.mechanisms.computation === "gated";
  const gateShare = isGated ? gateShareOf(setting, demand) : setting.rates.gateBytes / (setting.rates.gateBytes + setting.rates.upDownBytes);
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
  const needed = isGated || isStreamed(setting) ? demand.lookups : demand.active + setting.laws.reduce((sum, law) => sum + law.hotActivePerExpert * law.use.active, 0);
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
    bound: bounds(setting, demand), limits: limitsOf(breakdown), adaptation: null, violations: [], spans: [],
  };
};
