/**
 * Prefill: every neuron of a layer is one big cluster, computed densely on one unit, layer by layer; no predictor. What is
 * not resident is read sequentially by one core, ahead of the computation where the system overlaps them.
 * (PowerInfer-2 v3, section 4.1.1)
 */
import { E, type Either } from "../base/fp.js";
import { stuck, type AppError } from "../base/errors.js";
import type { DeviceProfile } from "../domain/device.js";
import { sizesOf, type ModelSpec } from "../domain/model.js";
import type { Plan } from "../domain/plan.js";
import { ACTIVITIES, type Activity, type RunRequest } from "../domain/run.js";
import type { SystemSpec } from "../domain/system.js";
import { energyOf, totalJoules } from "../hardware/energy.js";
import { gemmCpuRate } from "../hardware/kernels.js";
import { AGENT, assemblePhone, counter } from "../hardware/phone.js";
import { createThermal } from "../hardware/thermal.js";
import { criticalPathInto } from "../kernel/critical-path.js";
import { noCause } from "../kernel/recorder.js";
import { meanExpertsUsed } from "../neurons/populations.js";
import { activityOf, createExecutor, type Finished } from "./decode.js";
import { ALL_THREADS, ANY_TIME, FLASH, GPU, NPU } from "./executor.js";
import type { LayerRates } from "./layer-rates.js";

const WHAT = (name: Activity): number => ACTIVITIES.indexOf(name);

interface LayerPhase {
  readonly attentionNs: number;
  readonly ffnNs: number;
  readonly attentionBytes: number;
  readonly ffnBytes: number;
}

/** Weights moved in `ns` at most: a dense product is a flow whose cap makes it last at least its arithmetic time. */
const capOf = (bytes: number, ns: number): number => bytes / Math.max(1, ns);

export const prefill = (device: DeviceProfile, model: ModelSpec, system: SystemSpec, plan: Plan, rates: LayerRates, request: RunRequest): Either<AppError, Finished> => {
  const phone = assemblePhone(device, plan, request.trace === true);
  const { kernel, recorder } = phone;
  const executor = createExecutor(phone, device, plan, rates, { dense: 1, sparse: 1 });
  const sizes = sizesOf(model);
  const unit = plan.mechanisms.prefillOn;
  const group = unit === "npu" ? NPU : unit === "gpu" ? GPU : ALL_THREADS;
  const launchNs = unit === "npu" ? rates.npuLaunchNs : unit === "gpu" ? rates.gpuLaunchNs : device.cpu.barrier.value;
  const rate = (unit === "npu" ? device.npu!.prefillRate.value : unit === "gpu" ? device.gpu!.prefillRate.value : gemmCpuRate(device, plan.compute.threads)) * system.software.gemmEfficiency.value;
  const bandwidth = unit === "npu" ? device.npu!.bulkBandwidth.value : unit === "gpu" ? device.gpu!.bandwidth.value : rates.denseCpu;
  const expertsUsed = meanExpertsUsed(model, request.prompt);
  const streams = !rates.allResident;
  // The segments of the cache serve decode; prefill goes through all FFN weights in file order. That the whole FFN is
  // streamed even when half could stay is what Figure 8 shows: Mixtral-47B reads 512 tokens at 79 tokens/s and 128 at 20,
  // 6.4 s either way, which is its whole FFN (25.4 GB) at 4 GB/s. (PowerInfer-2 v3, Figure 8)
  const streamBytes = streams ? (sizes.ffnBytes / model.layers / model.experts.count) * expertsUsed : 0;
  const streamedRatio = streams && unit === "npu" ? device.npu!.streamedRatio.value : 1;

  const phaseOf = (tokens: number, context: number): LayerPhase => {
    const scoreOps = 4 * model.hidden * (context + tokens / 2) * tokens;
    return {
      attentionNs: (sizes.attentionOps * tokens + scoreOps) / (rate * streamedRatio),
      ffnNs: (sizes.ffnOps * tokens) / (rate * streamedRatio),
      attentionBytes: sizes.attentionBytes,
      ffnBytes: (sizes.ffnBytes / model.layers / model.experts.count) * expertsUsed,
    };
  };

  const compute = (what: Activity, bytes: number, ns: number, layer: number, after: number): { readonly launch: number; readonly end: number } => {
    const launch = executor.fixed(ANY_TIME, WHAT("launch"), launchNs, 0, layer);
    if (after >= 0) executor.after(launch, after);
    const end = executor.flow(group, WHAT(what), bytes, Math.min(bandwidth, capOf(bytes, ns)), 0, layer);
    executor.after(end, launch);
    return { launch, end };
  };

  // Heat by layer, not by prompt: a long one on a slow unit takes minutes, as long as the phone takes to warm.
  const thermal = createThermal(device.thermal);
  const heat = { throttle: 1, readSlowdown: 1 };
  const ffnEnds = new Set<number>();
  const streamed = new Set<number>();
  let readSoFar = 0;
  let warmedAtNs = 0;
  let joulesBefore = 0;
  const warm = (): void => {
    const elapsedNs = kernel.now - warmedAtNs;
    if (elapsedNs <= 0) return;
    const joules = totalJoules(energyOf(device, activityOf(phone, plan, kernel.now, readSoFar)));
    const watts = (joules - joulesBefore) / (elapsedNs * 1e-9);
    executor.throttle = thermal.step(watts, elapsedNs);
    executor.readSlowdown = thermal.temperature() > device.flash.hotAt.value ? 1 / device.flash.hotRatio.value : 1;
    warmedAtNs = kernel.now;
    joulesBefore = joules;
  };
  executor.onEnd = (task) => {
    if (streamed.has(task)) readSoFar += streamBytes;
    if (!ffnEnds.has(task)) return;
    warm();
    heat.throttle = Math.min(heat.throttle, executor.throttle);
    heat.readSlowdown = Math.max(heat.readSlowdown, executor.readSlowdown);
  };

  const addPass = (tokens: number, context: number, from: number): number => {
    const phase = phaseOf(tokens, context);
    let computed = from;
    let before = -1;
    for (let layer = 0; layer < model.layers; layer++) {
      let loaded = -1;
      if (streamBytes > 0) {
        const activity = plan.mechanisms.loading === "mmap" ? "page fault" : "stream";
        loaded = executor.fixed(FLASH, WHAT(activity), rates.sequentialNs(streamBytes), 0, layer);
        streamed.add(loaded);
        // With overlap one layer is read ahead: its buffer is free once the layer before the last has been computed.
        const waitFor = plan.mechanisms.prefillOverlap === "next-layer" ? before : computed;
        if (waitFor >= 0) executor.after(loaded, waitFor);
      }
      before = computed;
      const attend = compute("attention", phase.attentionBytes, phase.attentionNs, layer, computed);
      const ffn = compute("dense FFN", phase.ffnBytes, phase.ffnNs, layer, attend.end);
      // Without overlap a layer's read ends before the layer begins; with it, before its FFN does.
      if (loaded >= 0) executor.after(plan.mechanisms.prefillOverlap === "next-layer" ? ffn.launch : attend.launch, loaded);
      computed = ffn.end;
      ffnEnds.add(ffn.end);
    }
    return computed;
  };

  executor.token = 0;
  let computed = -1;
  let passes = 0;
  for (let done = 0; done < request.prompt; done += system.software.prefillChunk.value) {
    computed = addPass(Math.min(system.software.prefillChunk.value, request.prompt - done), done, computed);
    passes++;
  }
  // Only the last position goes through the head.
  compute("head", sizes.headBytes, sizes.headOps / rate, model.layers, computed);
  let isDone = false;
  let pathViolations = 0;
  const path = new Float64Array(ACTIVITIES.length + 1);
  executor.launch(noCause, (last) => {
    isDone = true;
    pathViolations = criticalPathInto(recorder, last, 0, path);
  });
  kernel.run();
  executor.exposure.settle();
  if (!isDone) return E.left(stuck(kernel.now, [`${executor.waiting} tasks of prefill`]));
  const flashBytes = streamBytes * model.layers * passes;
  recorder.count(counter("dram cpu moved"), phone.dram.bytesMoved(AGENT.cpu));
  recorder.count(counter("dram npu moved"), phone.dram.bytesMoved(AGENT.npu));
  recorder.count(counter("dram gpu moved"), phone.dram.bytesMoved(AGENT.gpu));
  warm();
  const activity = activityOf(phone, plan, kernel.now, flashBytes);
  return E.right({
    phone, tokens: [{ latencyNs: kernel.now, bytesRead: flashBytes, lookups: 0, misses: 0 }], wallNs: kernel.now, path, pathViolations,
    exposedReadNs: executor.exposure.exposedReadNs, lentNs: executor.exposure.lentNs, rowsComputed: Float64Array.of(0), selected: 0, flashBytes, activity, peakWatts: totalJoules(energyOf(device, activity)) / (kernel.now * 1e-9), hottestC: thermal.hottest(), demand: null, adaptation: null, heat,
  });
};
