/**
 * What the parts of a layer cost when the experts in use are read whole: bytes through the dense kernels, reads by lanes, and the processor's time for
 * memory that the cache asks of the system. Everything else of this way reads these numbers and asks no profile again. bytes, ns, bytes/ns.
 */
import { storedLayersOf } from "../../domain/model.js";
import { laneRates, PAGE_BYTES } from "../../hardware/flash.js";
import type { Setting } from "../setting.js";

/** Where tensors of a GGUF file may begin. */
const ALIGNMENT = 32;

export interface StreamedLayer {
  /** All that is no expert, KV of the mean context included. */
  readonly denseBytes: number;
  readonly expertBytes: number;
  /** Reads that bring one expert, and the bytes of each on flash. */
  readonly pieces: number;
  readonly pieceBytes: number;
  /** Of one lane while it reads such a piece alone. */
  readonly each: number;
}

export interface StreamedCosts {
  readonly layers: ReadonlyArray<StreamedLayer>;
  readonly experts: number;
  readonly active: number;
  /** Of experts that the cache holds. */
  readonly capacity: number;
  readonly lanes: number;
  /** Of all lanes together. */
  readonly together: number;
  readonly denseRate: number;
  readonly headBytes: number;
  readonly barrierNs: number;
  /** From the router's word to the first byte of a layer's reads. */
  readonly startNs: number;
  /** Finding room for an expert that comes in: what is dropped is given back to the system, and new memory is asked of it. */
  readonly roomNs: (expertBytes: number) => number;
}

export const streamedCosts = ({ device, model, system, plan, rates }: Setting): StreamedCosts => {
  const { software } = system;
  const { lanes } = plan.io;
  const stored = storedLayersOf(model);
  const kvBytes = rates.attentionBytes - stored.reduce((sum, layer) => sum + layer.denseBytes, 0) / model.layers;
  const range = stored.reduce((sum, layer) => sum + layer.expertBytes, 0) * model.experts.count;
  // Direct reads are whole pages, and a piece begins where it happens to.
  const onFlash = (bytes: number): number => Math.round(bytes + PAGE_BYTES - ALIGNMENT);
  const share = software.streamEfficiency.value;
  const layers = stored.map(({ denseBytes, expertBytes, pieces }): StreamedLayer => {
    const pieceBytes = onFlash(expertBytes / pieces);
    return { denseBytes: denseBytes + kvBytes, expertBytes, pieces, pieceBytes, each: laneRates(device.flash, pieceBytes, lanes, range).each * share };
  });
  const meanPiece = layers.reduce((sum, layer) => sum + layer.pieceBytes, 0) / layers.length;
  const kept = plan.mechanisms.cache === "none" && !rates.allResident ? 0 : plan.cache.hot + plan.cache.cold;
  return {
    layers, experts: model.experts.count, active: model.experts.active,
    capacity: rates.allResident ? Infinity : kept,
    lanes, together: laneRates(device.flash, meanPiece, lanes, range).together * share,
    denseRate: rates.denseCpu, headBytes: rates.headBytes, barrierNs: rates.barrierNs, startNs: software.readStart?.value ?? 0,
    roomNs: kept === 0 || software.cacheUpkeep === null ? () => 0 : (bytes) => bytes / software.cacheUpkeep!.value,
  };
};
