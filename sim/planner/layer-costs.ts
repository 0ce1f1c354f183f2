/**
 * What one layer costs by facts alone, each part by itself and nothing in each other's way: what the planners of the paper's
 * two versions reckon with. Means over layers; no queue, no bus, no pipeline. The simulator knows better; they did not have one.
 */
import { sizesOf } from "../domain/model.js";
import { coreRatio, PAGE_BYTES, pagesFor, randomReadNs, sequentialReadBandwidth } from "../hardware/flash.js";
import { denseCpuBandwidth, sparseCpuBandwidth, type Threads } from "../hardware/kernels.js";
import { rateBins, sliceBins, type RateBins } from "../neurons/activation.js";
import { layerUnion, layerUse, lruMissOfModel, type NumberedLayer } from "../neurons/populations.js";
import type { Cell } from "./candidates.js";
import type { Choice } from "./space.js";

/** Enough layers to see the spread of their skews. */
const SAMPLED = [0, 0.2, 0.4, 0.6, 0.8];

/** `union`: what a step of all sequences uses, of one that uses so many experts. */
interface SampledLayer extends NumberedLayer { readonly union: RateBins; readonly used: number }

export interface LayerCosts {
  /** Attention with its context, on the CPU threads, on the NPU, and split over both; ns. */
  readonly attentionNs: (threads: Threads, on: Choice["attentionOn"]) => number;
  /** The hottest `share` of the rows in use, densely on the NPU; ns. */
  readonly npuNs: (share: number) => number;
  /** Predictor, gate, up and down of the rows beyond the hottest `share`, on the CPU; ns. */
  readonly cpuNs: (threads: Threads, share: number) => number;
  /** Random reads of what is active and not there: `cached` of all neurons fit, `hot` of that is pinned; ns. */
  readonly readNs: (ioCore: "big" | "mid" | "little", cached: number, hot: number) => number;
  /** Share of a layer's rows that a sequential read of so many ns brings in. */
  readonly streamedShare: (ns: number, block: number) => number;
}

export const layerCosts = ({ device, model, system, request }: Cell, batch: number): LayerCosts => {
  const sizes = sizesOf(model);
  const { count } = model.experts;
  const { activations } = model;
  const layers: ReadonlyArray<SampledLayer> = SAMPLED.map((part) => {
    const layer = Math.floor(part * model.layers);
    const bins = rateBins(model, layer);
    return { layer, bins, union: layerUnion(model, layer, bins, batch), used: layerUse(model, layer, batch).active };
  });
  const mean = (of: (layer: SampledLayer) => number): number => layers.reduce((sum, layer) => sum + of(layer), 0) / layers.length;
  const used = mean((layer) => layer.used);
  const rows = model.ffn * used;
  const attentionBytes = sizes.attentionBytes + (sizes.kvBytesPerToken / model.layers) * (request.prompt + request.tokens / 2) * batch;
  const npuRate = device.npu === null ? 0 : system.software.npuStream === "bulk" ? device.npu.bulkBandwidth.value : device.npu.matvecBandwidth.value;
  const dense = (threads: Threads): number => denseCpuBandwidth(device, threads) * system.software.denseEfficiency.value;
  const sparse = (threads: Threads): number => sparseCpuBandwidth(device, threads) * system.software.sparseEfficiency.value;
  const fires = activations.gateFires.value;
  const rowBytes = sizes.rowBytesWithScales * (1 + 2 * fires);
  const predictorBytes = (sizes.predictorBytesPerLayer * used) / count;
  const stored = system.mechanisms.scalesResident === "yes" ? sizes.rowBytes : sizes.rowBytesWithScales;
  const slot = (pagesFor(stored) + pagesFor(2 * stored)) * PAGE_BYTES;
  return {
    attentionNs: (threads, on) => attentionBytes / (on === "cpu" ? dense(threads) : on === "npu" ? npuRate : Math.min(device.dram.sustained.value, dense(threads) + npuRate)),
    npuNs: (share) => (share <= 0 ? 0 : (device.npu?.launch.value ?? 0) + (rows * share * sizes.neuronBytes) / npuRate),
    cpuNs: (threads, share) => (predictorBytes * (1 - share)) / dense(threads) + (model.ffn * (1 - share) * mean((layer) => layer.used * sliceBins(layer.union, share, 1).meanRate) * rowBytes) / sparse(threads) + device.cpu.barrier.value,
    readNs: (ioCore, cached, hot) => {
      if (cached >= 1) return 0;
      const pinnedShare = cached * hot;
      const read = (bytes: number): number => randomReadNs(device.flash, { blockBytes: pagesFor(bytes) * PAGE_BYTES, rangeBytes: slot * model.ffn, coreRatio: coreRatio(device, ioCore), submitters: 1 });
      const each = read(stored) + fires * read(2 * stored) * device.flash.secondPhaseRatio.value;
      const capacityShare = cached - pinnedShare;
      const missing = mean((layer) => {
        const cold = layer.used * (1 - pinnedShare) * sliceBins(layer.union, pinnedShare, 1).meanRate;
        return capacityShare <= 0 ? cold : cold * lruMissOfModel(model, [layer], { pinnedShare, capacityShare, tokenVariation: activations.tokenVariation.value, batch })[0]!.missOfActive;
      });
      return model.ffn * missing * each;
    },
    streamedShare: (ns, block) => (ns * sequentialReadBandwidth(device.flash, block)) / (model.ffn * slot),
  };
};
