/** From what a finished loop leaves behind to the run record that everybody reads. */
import type { Plan } from "../domain/plan.js";
import { ACTIVITIES, type Activity, type Latency, type SimulatedRun, type RunRequest, type SpanRow } from "../domain/run.js";
import { energyOf, totalJoules } from "../hardware/energy.js";
import type { DeviceProfile } from "../domain/device.js";
import type { ModelSpec } from "../domain/model.js";
import { predictorAccount } from "../neurons/coactivation.js";
import { checkRecording } from "../kernel/checks.js";
import { threadCount } from "../hardware/kernels.js";
import type { Finished } from "./decode.js";

/** The value below which a share `p` of the sorted values lies (nearest rank: always one of the values). */
const rank = (sorted: Float64Array, p: number): number => sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(p * sorted.length) - 1))] ?? 0;

export const latencyOf = (values: ReadonlyArray<number>): Latency => {
  const sorted = Float64Array.from(values).sort();
  const sum = sorted.reduce((total, v) => total + v, 0);
  return { mean: sorted.length === 0 ? 0 : sum / sorted.length, p50: rank(sorted, 0.5), p90: rank(sorted, 0.9), p99: rank(sorted, 0.99), max: sorted[sorted.length - 1] ?? 0 };
};

/** Parts of the phone that an activity of the critical path waits for. */
const PART: Readonly<Record<Activity, string>> = {
  attention: "attention (DRAM bandwidth)", predictor: "predictor (CPU)", gate: "sparse kernels (CPU)", "up+down": "sparse kernels (CPU)", "dense FFN": "dense FFN",
  head: "head (DRAM bandwidth)", launch: "launches", merge: "barriers and merges", cache: "cache bookkeeping", "read gate": "flash, random reads", "read up+down": "flash, random reads",
  "read bundle": "flash, random reads", "read rows": "flash, random reads", stream: "flash, sequential reads", "page fault": "page faults", wait: "waiting",
};

export const limitsOf = (breakdown: SimulatedRun["breakdown"]): SimulatedRun["limits"] => {
  const total = breakdown.reduce((sum, b) => sum + b.nsPerToken, 0);
  const byPart = new Map<string, number>();
  for (const { activity, nsPerToken } of breakdown) byPart.set(PART[activity], (byPart.get(PART[activity]) ?? 0) + nsPerToken);
  return [...byPart].map(([part, ns]) => ({ part, share: total > 0 ? ns / total : 0 })).filter((l) => l.share > 0).sort((a, b) => b.share - a.share);
};

const spansOf = (done: Finished): ReadonlyArray<SpanRow> => {
  const { recorder } = done.phone;
  if (!recorder.keep) return [];
  const rows: Array<SpanRow> = [];
  const critical = new Set<number>();
  let last = recorder.spanCount - 1;
  // The span that ends last is recorded last; its causes lead back to the start.
  while (last >= 0 && recorder.isKnown(last)) {
    critical.add(last);
    last = recorder.causeAt(last);
  }
  for (let span = recorder.forgotten; span < recorder.spanCount; span++)
    rows.push({ lane: recorder.lanes[recorder.laneAt(span)]!.name, what: ACTIVITIES[recorder.whatAt(span)]!, startNs: recorder.startNsAt(span), endNs: recorder.endNsAt(span), token: recorder.tokenAt(span), layer: recorder.layerAt(span), critical: critical.has(span) });
  return rows;
};

export const runRecordOf = (done: Finished, plan: Plan, request: RunRequest, bound: SimulatedRun["bound"], device: DeviceProfile, model: ModelSpec, predictedRows: number): SimulatedRun => {
  const { phone, wallNs } = done;
  const { recorder } = phone;
  const isDecode = request.phase === "decode";
  const steps = isDecode ? request.tokens : 1;
  const produced = isDecode ? request.tokens * request.batch : request.prompt;
  const perToken = 1 / (isDecode ? request.tokens : request.prompt);
  const breakdown = ACTIVITIES.map((activity, i) => ({ activity, nsPerToken: (done.path[i]! + (activity === "wait" ? done.path[ACTIVITIES.length]! : 0)) * perToken })).filter((b) => b.nsPerToken > 0);
  const lookups = done.tokens.reduce((sum, t) => sum + t.lookups, 0);
  const misses = done.tokens.reduce((sum, t) => sum + t.misses, 0);
  const { gateFires, predictorRecall } = model.activations;
  const predictor = isDecode && plan.mechanisms.computation === "predicted" ? predictorAccount(done.selected / request.tokens, predictedRows * model.layers, gateFires.value, predictorRecall.value) : null;
  const parts = energyOf(device, done.activity);
  const joules = totalJoules(parts);
  const threads = threadCount(plan.compute.threads);
  // Where compute threads submit reads themselves, one of them at a time is in the driver while the device serves. (Gated: that time is in their tasks.)
  const driverNs = plan.mechanisms.submitters === "compute-threads" && plan.mechanisms.computation !== "gated" ? recorder.laneBusyNs[phone.lane.flash]! : 0;
  const cpuBusyNs = driverNs - done.lentNs + phone.lane.threads.reduce((sum, lane) => sum + recorder.laneBusyNs[lane]!, 0) + recorder.laneBusyNs[phone.lane.allThreads]! * threads;
  const violations = [
    ...checkRecording(recorder, wallNs, [
      { into: "dram cpu asked", outOf: "dram cpu moved" },
      { into: "dram npu asked", outOf: "dram npu moved" },
      { into: "dram gpu asked", outOf: "dram gpu moved" },
    ]),
    ...(done.pathViolations > 0 ? [`${done.pathViolations} spans of the critical path start before their cause ends`] : []),
  ];
  return {
    schema: "neuronlab/run@1",
    origin: "simulated",
    inputs: request,
    plan,
    tokensPerSec: (produced / wallNs) * 1e9,
    wallNs,
    msPerToken: latencyOf(isDecode ? done.tokens.map((t) => t.latencyNs / 1e6) : [wallNs / 1e6 / request.prompt]),
    tokens: done.tokens,
    bytesReadPerToken: done.flashBytes / (isDecode ? steps : request.prompt),
    cacheHitRate: lookups > 0 ? 1 - misses / lookups : done.flashBytes > 0 ? 0 : 1,
    missOfComputed: latencyOf(done.tokens.map((t, i) => ((done.rowsComputed[i] ?? 0) > 0 ? t.misses / done.rowsComputed[i]! : 0))),
    predictor,
    breakdown,
    exposedIoShare: done.exposedReadNs / wallNs,
    lanes: recorder.lanes.map((lane, i) => ({ lane: lane.name, busyNs: recorder.laneBusyNs[i]!, servers: lane.capacity })),
    cpuUtilisation: threads === 0 ? 0 : Math.min(1, cpuBusyNs / (wallNs * threads)),
    dramBytesPerToken: done.activity.dramBytes * perToken,
    dramBandwidth: done.activity.dramBytes / wallNs,
    energy: { joulesPerToken: joules / produced, peakWatts: done.peakWatts, meanWatts: joules / (wallNs * 1e-9), byPart: parts, hottestC: done.hottestC },
    bound,
    limits: limitsOf(breakdown),
    adaptation: done.adaptation,
    violations,
    spans: spansOf(done),
  };
};

