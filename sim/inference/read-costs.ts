/**
 * What it costs on flash to bring one missing neuron in, by loading policy. Times are device service times with a full
 * queue, ns; bytes are whole pages. (PowerInfer-2 v3, text on neuron bundles and on
 * two-phase loading)
 */
import type { DeviceProfile } from "../domain/device.js";
import { sizesOf, type ModelSpec } from "../domain/model.js";
import type { Plan } from "../domain/plan.js";
import { coreRatio, PAGE_BYTES, pagesFor, randomReadNs, sequentialReadBandwidth } from "../hardware/flash.js";
import { threadCount } from "../hardware/kernels.js";

export interface ReadCosts {
  /** First read of a predicted neuron: its gate page(s) in two-phase loading, everything in the other policies. */
  readonly firstNs: number;
  readonly firstBytes: number;
  /** Second read, made only where the gate fires; 0 when the first read brought everything. */
  readonly secondNs: number;
  readonly secondBytes: number;
  /** Reads per neuron in the first step (three rows, or one). */
  readonly latencyNs: number;
  /** Bytes that one neuron takes on flash, whole pages where it is bundled. */
  readonly slotBytes: number;
  /** Sequential reading of whole layers or hot clusters, bytes/ns. */
  readonly streamBandwidth: number;
}

/** Bytes of one weight row on flash: its scales lie elsewhere when they are kept in memory. */
const storedRowBytes = (model: ModelSpec, plan: Plan): number => (plan.mechanisms.scalesResident === "yes" ? sizesOf(model).rowBytes : sizesOf(model).rowBytesWithScales);

/** Bytes of one neuron on flash under a plan: whole pages for bundles, bare rows otherwise. */
export const slotBytes = (model: ModelSpec, plan: Plan): number => {
  const row = storedRowBytes(model, plan);
  if (plan.mechanisms.loading === "two-phase") return (pagesFor(row) + pagesFor(2 * row)) * PAGE_BYTES;
  return plan.mechanisms.loading === "bundle" ? pagesFor(3 * row) * PAGE_BYTES : 3 * row;
};

export const readCosts = (device: DeviceProfile, model: ModelSpec, plan: Plan): ReadCosts => {
  const { mechanisms } = plan;
  const slot = slotBytes(model, plan);
  const fromThreads = mechanisms.submitters === "compute-threads" || plan.compute.ioCore === "none";
  const submitters = fromThreads ? Math.max(1, threadCount(plan.compute.threads)) : plan.io.lanes;
  const issuer = mechanisms.submitters === "compute-threads" || plan.compute.ioCore === "none" ? meanRatio(device, plan) : coreRatio(device, plan.compute.ioCore);
  // Clusters are read expert by expert, and an expert's neurons lie together: that region, not the whole file, is the
  // address range at work between one change of the device's map and the next.
  const rangeBytes = slot * model.ffn;
  const read = (pages: number): number => randomReadNs(device.flash, { blockBytes: pages * PAGE_BYTES, rangeBytes, coreRatio: issuer, submitters });
  const row = storedRowBytes(model, plan);
  const common = { latencyNs: device.flash.latency.value, slotBytes: slot, streamBandwidth: sequentialReadBandwidth(device.flash, plan.io.streamBlock) };
  if (mechanisms.loading === "two-phase") {
    const gatePages = pagesFor(row);
    const upDownPages = pagesFor(2 * row);
    return {
      ...common,
      firstNs: read(gatePages),
      firstBytes: gatePages * PAGE_BYTES,
      secondNs: read(upDownPages) * device.flash.secondPhaseRatio.value,
      secondBytes: upDownPages * PAGE_BYTES,
    };
  }
  if (mechanisms.loading === "bundle") {
    const pages = slot / PAGE_BYTES;
    return { ...common, firstNs: read(pages), firstBytes: pages * PAGE_BYTES, secondNs: 0, secondBytes: 0 };
  }
  // Rows of a plain matrix are not aligned to pages: a row of r bytes touches ceil(r/4096) pages or one more.
  const fewest = pagesFor(row);
  const oneMore = (row - 1 - (fewest - 1) * PAGE_BYTES) / PAGE_BYTES;
  const rowNs = (1 - oneMore) * read(fewest) + oneMore * read(fewest + 1);
  return { ...common, firstNs: 3 * rowNs, firstBytes: 3 * (fewest + oneMore) * PAGE_BYTES, secondNs: 0, secondBytes: 0 };
};

const meanRatio = (device: DeviceProfile, plan: Plan): number => {
  const { threads } = plan.compute;
  const count = threadCount(threads);
  if (count === 0) return 1;
  return (["big", "mid", "little"] as const).reduce((sum, kind) => sum + threads[kind] * coreRatio(device, kind), 0) / count;
};
