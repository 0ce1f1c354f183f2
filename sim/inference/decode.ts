/**
 * The decode loop: token after token, layer after layer, each layer a graph of cluster tasks on the phone. Heat is stepped
 * once a token. Same inputs, same result; inside, one mutable state and the kernel's queue.
 */
import { E, type Either } from "../base/fp.js";
import { stuck, type AppError } from "../base/errors.js";
import type { Decision } from "../domain/adaptation.js";
import type { DeviceProfile } from "../domain/device.js";
import type { Plan } from "../domain/plan.js";
import { ACTIVITIES, type RunRequest, type TokenRow } from "../domain/run.js";
import { energyOf, totalJoules, type Activity } from "../hardware/energy.js";
import { AGENT, assemblePhone, counter, threadKinds, type Phone } from "../hardware/phone.js";
import { createThermal } from "../hardware/thermal.js";
import { criticalPathInto } from "../kernel/critical-path.js";
import { noCause } from "../kernel/recorder.js";
import type { Demand, Heat } from "./demand.js";
import { Executor } from "./executor.js";
import type { LayerRates } from "./layer-rates.js";

/** What a finished loop leaves behind, for simulate.ts to describe. */
export interface Finished {
  readonly phone: Phone;
  readonly tokens: ReadonlyArray<TokenRow>;
  readonly wallNs: number;
  /** Critical path by activity (ACTIVITIES, then waits), ns over the whole run. */
  readonly path: Float64Array;
  readonly pathViolations: number;
  readonly exposedReadNs: number;
  /** Of the compute threads' cores, what went to making reads, by others or by themselves. */
  readonly lentNs: number;
  /** Rows computed, the dense ones included, by token. */
  readonly rowsComputed: Float64Array;
  /** Neurons that the predictor selected over the whole run. */
  readonly selected: number;
  readonly flashBytes: number;
  readonly activity: Activity;
  readonly peakWatts: number;
  readonly hottestC: number;
  /** What a mean step asked for (decode), and the worst that heat did: what the bounds are worked out from. */
  readonly demand: Demand | null;
  /** What was decided between tokens; null where nothing was to adapt. */
  readonly adaptation: ReadonlyArray<Decision> | null;
  readonly heat: Heat;
}

/** Bytes/ns of each compute thread, in the order of `phone.threads`: through dense and through sparse kernels. Side by side the cores share what the cluster streams. */
export const threadRatesOf = (device: DeviceProfile, plan: Plan, rates: Pick<LayerRates, "denseCpu">, efficiency: { readonly dense: number; readonly sparse: number }): readonly [Float64Array, Float64Array] => {
  const threads = threadKinds(plan);
  const perCore = (of: (c: DeviceProfile["cpu"]["clusters"][number]) => number): Float64Array =>
    Float64Array.from(threads, (kind) => of(device.cpu.clusters.find((c) => c.kind === kind)!));
  return [perCore((c) => Math.min(c.denseBandwidth.value * efficiency.dense, rates.denseCpu / threads.length)), perCore((c) => c.sparseBandwidth.value * efficiency.sparse)];
};

export const createExecutor = (phone: Phone, device: DeviceProfile, plan: Plan, rates: Pick<LayerRates, "denseCpu">, efficiency: { readonly dense: number; readonly sparse: number }): Executor => {
  return new Executor({
    kernel: phone.kernel,
    recorder: phone.recorder,
    dram: phone.dram,
    reads: phone.reads,
    lanes: [phone.lane.threads, [phone.lane.allThreads], [phone.lane.npu], [phone.lane.gpu], [phone.lane.flash], [phone.lane.anyTime], phone.reads === null ? [] : Array.from({ length: plan.io.lanes }, () => phone.lane.readers)],
    flightLane: phone.lane.flight,
    agents: [AGENT.cpu, AGENT.cpu, AGENT.npu, AGENT.gpu, AGENT.flash, AGENT.cpu, AGENT.flash],
    threadRates: threadRatesOf(device, plan, rates, efficiency),
    dramCounters: [counter("dram cpu asked"), counter("dram cpu asked"), counter("dram npu asked"), counter("dram gpu asked"), counter("flash bytes"), counter("dram cpu asked"), counter("flash bytes")],
  });
};

/** Busy time of cores, parts and bytes so far. While the device serves reads, one core is busy in the driver: the I/O core, or one compute thread. */
export const activityOf = (phone: Phone, plan: Plan, wallNs: number, flashBytes: number): Activity => {
  const busy = phone.recorder.laneBusyNs;
  const byKind = { big: 0, mid: 0, little: 0 };
  phone.threads.forEach((kind, i) => (byKind[kind] += busy[phone.lane.threads[i]!]! + busy[phone.lane.allThreads]!));
  const driver = plan.compute.ioCore !== "none" ? plan.compute.ioCore : (phone.threads.at(-1) ?? "mid");
  if (plan.mechanisms.computation !== "gated") byKind[driver] += busy[phone.lane.flash]! + (phone.reads?.busyNs(0) ?? 0);
  const counted = phone.recorder.counted;
  const dramBytes = counted[counter("dram cpu asked")]! + counted[counter("dram npu asked")]! + counted[counter("dram gpu asked")]! + flashBytes;
  return { wallNs, bigNs: byKind.big, midNs: byKind.mid, littleNs: byKind.little, npuNs: busy[phone.lane.npu]!, gpuNs: busy[phone.lane.gpu]!, dramBytes, flashBytes };
};

/** What a layer asked for. */
export interface Asked {
  /** Rows computed, dense ones included. */
  readonly rows: number;
  /** Neurons that a predictor selected. */
  readonly selected: number;
  readonly lookups: number;
  readonly misses: number;
  readonly flashBytes: number;
}

/** What the loop runs: it knows tokens, heat and spans, and of a layer only what it asked for. */
export interface Work {
  readonly nextToken: () => void;
  /** Puts a layer's tasks into an empty graph. */
  readonly addLayer: (executor: Executor, layer: number) => Asked;
  /** The same for what follows the last layer; returns the bytes that it reads. */
  readonly addHead: (executor: Executor) => number;
  readonly demand: (steps: number) => Demand;
  /** Bytes/ns that the plan's lanes get together, where they read for themselves. */
  readonly readsTogether?: number;
  /** A token is over. */
  readonly endToken?: (seen: SeenToken) => void;
  /** What was decided between tokens; null where nothing was to adapt. */
  readonly adaptation?: () => ReadonlyArray<Decision> | null;
}

/** A token's time; in it, of the mean compute thread waiting, and of the flash serving. */
export interface SeenToken { readonly latencyNs: number; readonly waitedNs: number; readonly readingNs: number }

export interface DecodeInputs {
  readonly device: DeviceProfile;
  readonly layers: number;
  readonly plan: Plan;
  readonly rates: Pick<LayerRates, "denseCpu">;
  readonly request: RunRequest;
  readonly efficiency: { readonly dense: number; readonly sparse: number };
  readonly work: Work;
}

export const decode = ({ device, layers, plan, rates, request, efficiency, work }: DecodeInputs): Either<AppError, Finished> => {
  const phone = assemblePhone(device, plan, request.trace === true, work.readsTogether ?? null);
  const { kernel, recorder } = phone;
  const executor = createExecutor(phone, device, plan, rates, efficiency);
  const thermal = createThermal(device.thermal);
  const path = new Float64Array(ACTIVITIES.length + 1);
  const rowsComputed = new Float64Array(request.tokens);
  const rows: Array<TokenRow> = [];

  const heat = { throttle: 1, readSlowdown: 1 };
  let flashBytes = 0;
  let pathViolations = 0;
  let peakWatts = 0;
  let joulesBefore = 0;
  let token = 0;
  let tokenStartNs = 0;
  let flashBytesBefore = 0;
  let selected = 0;
  let lookups = 0;
  let misses = 0;
  let [computedNs, readNs] = [0, 0];
  const slow = request.slowStorage;

  /** Of other systems' reads; the gated way counts its own. */
  const slowdownAt = (next: number): number => (slow !== undefined && plan.mechanisms.computation !== "gated" && next >= slow.token ? slow.factor : 1);
  executor.readSlowdown = slowdownAt(0);
  heat.readSlowdown = executor.readSlowdown;

  /** What threads and flash did in the token that is over. */
  const noteToken = (latencyNs: number): void => {
    const busy = recorder.laneBusyNs;
    const threads = Math.max(1, phone.threads.length);
    const computing = phone.lane.threads.reduce((sum, lane) => sum + busy[lane]!, 0) / threads + busy[phone.lane.allThreads]!;
    const reading = busy[phone.lane.flash]!;
    work.endToken?.({ latencyNs, waitedNs: Math.max(0, latencyNs - (computing - computedNs)), readingNs: reading - readNs });
    [computedNs, readNs] = [computing, reading];
  };

  const runLayer = (layer: number, cause: number): void => {
    executor.clear();
    if (layer === layers) {
      flashBytes += work.addHead(executor);
      executor.launch(cause, endToken);
      return;
    }
    const asked = work.addLayer(executor, layer);
    rowsComputed[token]! += asked.rows;
    selected += asked.selected;
    lookups += asked.lookups;
    misses += asked.misses;
    flashBytes += asked.flashBytes;
    executor.launch(cause, (last) => runLayer(layer + 1, last));
  };

  const endToken = (lastSpan: number): void => {
    const nowNs = kernel.now;
    const latencyNs = nowNs - tokenStartNs;
    pathViolations += criticalPathInto(recorder, lastSpan, tokenStartNs, path);
    rows.push({ latencyNs, bytesRead: flashBytes - flashBytesBefore, lookups, misses });
    const joules = totalJoules(energyOf(device, activityOf(phone, plan, nowNs, flashBytes)));
    const watts = (joules - joulesBefore) / (latencyNs * 1e-9);
    if (watts > peakWatts) peakWatts = watts;
    executor.throttle = thermal.step(watts, latencyNs);
    executor.readSlowdown = (thermal.temperature() > device.flash.hotAt.value ? 1 / device.flash.hotRatio.value : 1) * slowdownAt(token + 1);
    phone.reads?.setScale(1 / executor.readSlowdown);
    noteToken(latencyNs);
    if (token + 1 < request.tokens) {
      heat.throttle = Math.min(heat.throttle, executor.throttle);
      heat.readSlowdown = Math.max(heat.readSlowdown, executor.readSlowdown);
    }
    joulesBefore = joules;
    flashBytesBefore = flashBytes;
    lookups = 0;
    misses = 0;
    tokenStartNs = nowNs;
    recorder.rewind();
    token++;
    if (token < request.tokens) startToken(lastSpan);
  };

  const startToken = (cause: number): void => {
    executor.token = token;
    work.nextToken();
    runLayer(0, cause);
  };

  startToken(noCause);
  kernel.run();
  executor.exposure.settle();
  if (token < request.tokens) return E.left(stuck(kernel.now, [`${executor.waiting} tasks of token ${token}`]));
  recorder.count(counter("dram cpu moved"), phone.dram.bytesMoved(AGENT.cpu));
  recorder.count(counter("dram npu moved"), phone.dram.bytesMoved(AGENT.npu));
  recorder.count(counter("dram gpu moved"), phone.dram.bytesMoved(AGENT.gpu));
  return E.right({
    phone, tokens: rows, wallNs: kernel.now, path, pathViolations, exposedReadNs: executor.exposure.exposedReadNs, lentNs: executor.exposure.lentNs, rowsComputed, selected, flashBytes,
    activity: activityOf(phone, plan, kernel.now, flashBytes), peakWatts, hottestC: thermal.hottest(),
    demand: work.demand(request.tokens), adaptation: work.adaptation?.() ?? null, heat,
  });
};
