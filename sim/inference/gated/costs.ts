/**
 * What the parts of a layer cost when the true gates decide: bytes through the kernels, the device's time for reads, and the processor's
 * time around them. Everything else of the gated way reads these numbers and asks no profile again. bytes, ns, bytes/ns.
 */
import type { DeviceProfile } from "../../domain/device.js";
import type { ModelSpec } from "../../domain/model.js";
import type { Plan } from "../../domain/plan.js";
import type { SystemSpec } from "../../domain/system.js";
import { coreRatio, randomReadNs, sequentialReadBandwidth } from "../../hardware/flash.js";
import { threadCount } from "../../hardware/kernels.js";
import type { LayerRates } from "../layer-rates.js";
import { cutOf, SUM_BLOCK, type Cut } from "./cut.js";

export interface GatedCosts {
  readonly cut: Cut;
  readonly attentionBytes: number;
  readonly headBytes: number;
  /** Partial sums that are added up at a layer's end. */
  readonly sumBytes: number;
  /** bytes/ns of all compute threads together. */
  readonly dense: number;
  /** Of compute threads for what `layer` and `token` have beside their products. */
  readonly layerNs: number;
  readonly tokenNs: number;
  readonly barrierNs: number;
  /** Taking a stage of a cluster from the list of what is ready. */
  readonly dispatchNs: number;
  /** Looking a neuron up that fired. */
  readonly lookupNs: number;
  /** Processor time of a single unit's read, of a read that is handed to others, and of copying what came. */
  readonly ownReadNs: number;
  readonly handedReadNs: number;
  readonly copyNs: (bytes: number) => number;
  /** Device time of so many reads of so many bytes in all, with as many under way as the plan allows. */
  readonly deviceNs: (reads: number, bytes: number) => number;
  readonly latencyNs: number;
  /** Sum blocks of an expert: stages of up and down that threads share. */
  readonly blocks: number;
}

/** The core that submits, relative to the best. */
const issuerOf = (device: DeviceProfile, plan: Plan): number => {
  if (plan.compute.ioCore !== "none") return coreRatio(device, plan.compute.ioCore);
  const { threads } = plan.compute;
  const count = threadCount(threads);
  return count === 0 ? 1 : (["big", "mid", "little"] as const).reduce((sum, kind) => sum + threads[kind] * coreRatio(device, kind), 0) / count;
};

export const gatedCosts = (device: DeviceProfile, model: ModelSpec, system: SystemSpec, plan: Plan, rates: LayerRates): GatedCosts => {
  const cut = cutOf(model, plan);
  const { software } = system;
  const { flash } = device;
  const blocks = Math.ceil(cut.neurons / SUM_BLOCK);
  const lanes = plan.mechanisms.submitters === "io-thread" ? plan.io.lanes : 1;
  const issuer = issuerOf(device, plan);
  const rangeBytes = cut.groups * (cut.gatePart + cut.upDownPart);
  const known = new Map<number, number>();
  /** With few reads under way each waits for its own latency (Little's law); with many the device is the limit. */
  const readNs = (blockBytes: number): number => {
    const found = known.get(blockBytes);
    if (found !== undefined) return found;
    const full = randomReadNs(flash, { blockBytes, rangeBytes, coreRatio: issuer, submitters: lanes }) / software.streamEfficiency.value;
    const alone = flash.latency.value + blockBytes / sequentialReadBandwidth(flash, Math.max(blockBytes, flash.sequential[0]!.block.value));
    const ns = Math.max(full, alone / plan.io.lanes);
    known.set(blockBytes, ns);
    return ns;
  };
  const router = cut.experts > 1 ? 4 * cut.experts * model.hidden : 0;
  return {
    cut,
    attentionBytes: rates.attentionBytes + router,
    headBytes: rates.headBytes,
    sumBytes: 4 * model.hidden * blocks * cut.used,
    dense: rates.denseCpu,
    layerNs: software.fixedCost?.layer.value ?? 0,
    tokenNs: software.fixedCost?.token.value ?? 0,
    barrierNs: rates.barrierNs,
    dispatchNs: rates.dispatchNs,
    lookupNs: device.cpu.cacheInsert.value,
    ownReadNs: software.readCost?.own.value ?? 0,
    handedReadNs: software.readCost?.handed.value ?? 0,
    copyNs: software.cacheUpkeep === null ? () => 0 : (bytes) => bytes / software.cacheUpkeep!.value,
    deviceNs: (reads, bytes) => (reads <= 0 ? 0 : reads * readNs(bytes / reads)),
    latencyNs: flash.latency.value,
    blocks,
  };
};
