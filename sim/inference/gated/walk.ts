/**
 * One layer of one token through the engine's two segments: which gate rows and which units of up and down are looked up, in which
 * order, which are missing, and what is read for them. The order is that of engine/crates/offload/src/layer_run: gates by cluster,
 * expert by expert; units by cluster too, each once.
 */
import { coldSlot, gateReads, groupsOf, hotSlot, NO_READS, unitReads, wholeReads, type Cut, type Reads } from "./cut.js";
import type { GateReads } from "../../domain/plan.js";
import type { Segment } from "./segments.js";

/** What a layer asks of its clusters, expert by expert. `clusters` entries are filled. */
export interface LayerUse {
  clusters: number;
  /** How gate rows that were missing were read. */
  gates: GateReads;
  /** Neurons of each cluster, and those that fired. */
  readonly neurons: Float64Array;
  readonly fired: Float64Array;
  /** What is read before its gates can be computed: reads and bytes, and the bytes of rows that then are copied to where they stay. */
  readonly firstReads: Float64Array;
  readonly firstBytes: Float64Array;
  readonly firstCopied: Float64Array;
  /** Of slots that are filled for the first time. */
  readonly firstFresh: Float64Array;
  /** What is read after that, and whether by the threads themselves (single units) or by others. */
  readonly secondReads: Float64Array;
  readonly secondBytes: Float64Array;
  readonly secondCopied: Float64Array;
  readonly secondFresh: Float64Array;
  /** Whether its gate rows were missing. 1 or 0. */
  readonly gatesMissed: Uint8Array;
  /** Read for nobody. */
  asideReads: number;
  asideBytes: number;
  /** Units of up and down looked for, and those that were not there; the same of clusters of gate rows. */
  lookups: number;
  misses: number;
  gateLookups: number;
  gateMisses: number;
  /** Of the units missed, those in clusters whose gates were missed too. */
  beside: number;
}

export const createLayerUse = ({ used, clusters }: Cut): LayerUse => {
  const room = (): Float64Array => new Float64Array(used * clusters);
  return {
    clusters: 0, gates: "joined", neurons: room(), fired: room(), firstReads: room(), firstBytes: room(), firstCopied: room(), firstFresh: room(), secondReads: room(), secondBytes: room(), secondCopied: room(), secondFresh: room(),
    gatesMissed: new Uint8Array(used * clusters), asideReads: 0, asideBytes: 0, lookups: 0, misses: 0, gateLookups: 0, gateMisses: 0, beside: 0,
  };
};

export const clearLayerUse = (use: LayerUse, clusters: number): void => {
  use.clusters = clusters;
  for (const column of [use.fired, use.firstReads, use.firstBytes, use.firstCopied, use.firstFresh, use.secondReads, use.secondBytes, use.secondCopied, use.secondFresh]) column.fill(0, 0, clusters);
  use.gatesMissed.fill(0, 0, clusters);
  use.asideReads = use.asideBytes = use.lookups = use.misses = use.gateLookups = use.gateMisses = use.beside = 0;
};

/** How many reads it makes. */
export const readsOf = (use: LayerUse): number => {
  let reads = use.asideReads;
  for (let c = 0; c < use.clusters; c++) reads += use.firstReads[c]! + use.secondReads[c]!;
  return reads;
};

/** Whether the units of a cluster came with its gate rows. */
export const isBundled = (use: LayerUse, at: number): boolean => use.gates === "bundles" && use.gatesMissed[at] === 1;

/** Bytes that a layer reads. */
export const bytesOf = (use: LayerUse): number => {
  let bytes = use.asideBytes;
  for (let c = 0; c < use.clusters; c++) bytes += use.firstBytes[c]! + use.secondBytes[c]!;
  return bytes;
};

export const neuronsOf = (cut: Cut, size: number, place: number): number => Math.min(cut.neurons, (place + 1) * size) - place * size;

const put = (reads: Float64Array, bytes: Float64Array, place: number, what: Reads): void => {
  reads[place]! += what.count;
  bytes[place]! += what.bytes;
};

export interface Walk {
  /** Empties `out`, then looks up the gates of these experts (ascending), and with them what goes with them. */
  readonly gates: (layer: number, experts: ArrayLike<number>, out: LayerUse) => void;
  /** After `gates`: the neurons that fired, numbered expert by expert, ascending. */
  readonly fired: (layer: number, experts: ArrayLike<number>, fired: Int32Array, count: number, out: LayerUse) => void;
  /** After `gates`, where every neuron counts. */
  readonly every: (layer: number, experts: ArrayLike<number>, out: LayerUse) => void;
  /** The layer is over, and after the last one the token: what was in use no longer is. */
  readonly end: (layer: number) => void;
}

/** `gates`: how missing gate rows are read now. */
export const createWalk = (cut: Cut, hot: Segment, cold: Segment, gates: () => GateReads = () => cut.gates): Walk => {
  const { clusters, unit, units, neurons } = cut;
  const perCluster = cut.cluster / unit;
  const [gateSlot, unitSlot] = [hotSlot(cut), coldSlot(cut)];

  /** Bytes of slots of `segment` that this look-up fills for the first time. */
  const freshAfter = (segment: Segment, slotBytes: number, before: number): number => (segment.touched() - before) * slotBytes;

  const askGate = (layer: number, expert: number, cluster: number, at: number, out: LayerUse): boolean => {
    out.gateLookups++;
    const before = hot.touched();
    const found = hot.use((layer * cut.experts + expert) * clusters + cluster);
    if (found) return true;
    out.gateMisses++;
    out.firstFresh[at]! += freshAfter(hot, gateSlot, before);
    return false;
  };

  /** `fresh`: of the reads that bring it. */
  const askUnit = (layer: number, expert: number, place: number, at: number, out: LayerUse, fresh: Float64Array): boolean => {
    out.lookups++;
    const before = cold.touched();
    const found = cold.use((layer * cut.experts + expert) * units + place);
    if (found) return true;
    out.misses++;
    fresh[at]! += freshAfter(cold, unitSlot, before);
    return false;
  };

  /** Gate, up and down together: a unit is a cluster. */
  const allAtOnce = (layer: number, expert: number, cluster: number, at: number, out: LayerUse): void => {
    const gate = askGate(layer, expert, cluster, at, out);
    const rest = askUnit(layer, expert, cluster, at, out, out.firstFresh);
    const groups = groupsOf(cut, cut.cluster, cluster);
    const rows = out.neurons[at]!;
    put(out.firstReads, out.firstBytes, at, gate ? (rest ? NO_READS : unitReads(cut, groups)) : rest ? gateReads(cut, groups) : wholeReads(cut, groups));
    out.firstCopied[at] = (gate ? 0 : rows * cut.gateRow) + (rest ? 0 : rows * cut.upDownRow);
  };

  /** A whole tensor brings experts that nobody asked for, as far as they are not in memory. */
  const bystanders = (layer: number, experts: ArrayLike<number>, out: LayerUse): void => {
    let next = 0;
    for (let expert = 0; expert < cut.experts; expert++) {
      if (next < experts.length && experts[next] === expert) {
        next++;
        continue;
      }
      const key = layer * cut.experts + expert;
      const [gate, rest] = [hot.isResident(key * clusters), cold.isResident(key * units)];
      const { count, bytes } = gate ? (rest ? NO_READS : unitReads(cut, cut.groups)) : rest ? gateReads(cut, cut.groups) : wholeReads(cut, cut.groups);
      out.asideReads += count;
      out.asideBytes += bytes;
    }
  };

  const unitBytes = (place: number): number => neuronsOf(cut, unit, place) * cut.upDownRow;

  /** A unit that fired is looked up once, in the order of its first neuron. */
  const unitsThatFired = (layer: number, experts: ArrayLike<number>, fired: Int32Array, count: number, out: LayerUse): void => {
    let [lastUnit, route] = [-1, -1];
    for (let i = 0; i < count; i++) {
      const neuron = fired[i]!;
      const expert = Math.floor(neuron / neurons);
      while (experts[route] !== expert) route++;
      const place = Math.floor((neuron - expert * neurons) / unit);
      const at = route * clusters + Math.floor(place / perCluster);
      out.fired[at]!++;
      const key = expert * units + place;
      if (key === lastUnit) continue;
      lastUnit = key;
      if (cut.onePhase || askUnit(layer, expert, place, at, out, out.secondFresh)) continue;
      out.beside += out.gatesMissed[at]!;
      if (!isBundled(out, at)) put(out.secondReads, out.secondBytes, at, cut.ownReads ? { count: 1, bytes: cut.upDownPart } : unitReads(cut, groupsOf(cut, unit, place)));
      out.secondCopied[at]! += unitBytes(place);
    }
  };

  /** By matrix, with every neuron wanted: all units of an expert. */
  const everyUnit = (layer: number, expert: number, route: number, out: LayerUse): void => {
    for (let place = 0; place < units; place++) {
      const at = route * clusters + Math.floor(place / perCluster);
      if (askUnit(layer, expert, place, at, out, out.secondFresh)) continue;
      put(out.secondReads, out.secondBytes, at, unitReads(cut, groupsOf(cut, unit, place)));
      out.secondCopied[at]! += unitBytes(place);
    }
  };

  return {
    gates: (layer, experts, out) => {
      clearLayerUse(out, experts.length * clusters);
      out.gates = gates();
      for (let route = 0; route < experts.length; route++) {
        const expert = experts[route]!;
        for (let cluster = 0; cluster < clusters; cluster++) {
          const at = route * clusters + cluster;
          out.neurons[at] = neuronsOf(cut, cut.cluster, cluster);
          if (cut.onePhase) allAtOnce(layer, expert, cluster, at, out);
          else if (!askGate(layer, expert, cluster, at, out)) {
            put(out.firstReads, out.firstBytes, at, gateReads(cut, groupsOf(cut, cut.cluster, cluster), out.gates));
            out.gatesMissed[at] = 1;
            out.firstCopied[at] = out.neurons[at]! * cut.gateRow;
          }
        }
      }
      if (cut.wholeLayer) bystanders(layer, experts, out);
    },
    fired: unitsThatFired,
    every: (layer, experts, out) => {
      for (let at = 0; at < out.clusters; at++) out.fired[at] = out.neurons[at]!;
      if (!cut.onePhase) for (let route = 0; route < experts.length; route++) everyUnit(layer, experts[route]!, route, out);
    },
    end: (layer) => {
      hot.release();
      cold.release();
      if (layer + 1 < cut.layers) return;
      hot.endToken();
      cold.endToken();
    },
  };
};
