/**
 * How the engine cuts an FFN: into clusters that are computed, gate rows that are kept by cluster, units of up and down that
 * are kept and read, groups of neurons that share pages on flash. The same arithmetic as engine/crates/offload/src/units.rs
 * (with lib.rs for slots, layer_run/stages.rs and flash/src/read/mod.rs for reads), because hits and bytes must be equal to the last one.
 */
import { rowsOf, type ModelSpec } from "../../domain/model.js";
import { GATE_READS, type GateReads, type Plan } from "../../domain/plan.js";
import { PAGE_BYTES, pagesFor } from "../../hardware/flash.js";

/** Neurons of a partial sum: clusters are whole numbers of these. (engine/crates/neuron/src/order.rs) */
export const SUM_BLOCK = 256;
/** Slots of the cache begin with a cache line. */
const SLOT_ALIGN = 64;
/** Neighbouring reads are joined up to so many bytes, over gaps of at most two pages. (ReaderOptions, generate/src/reading.rs) */
const LARGEST_MERGE = 512 << 10;
const LARGEST_GAP = 2 * PAGE_BYTES;

export interface Cut {
  readonly layers: number;
  readonly experts: number;
  /** Experts that a token uses. */
  readonly used: number;
  /** Neurons of an expert. */
  readonly neurons: number;
  /** Every neuron counts for every token (SiLU): gate, up and down go together. */
  readonly everyNeuron: boolean;
  /** Gate, up and down are asked for at once, before the gate is known. */
  readonly onePhase: boolean;
  /** Units are read page by page on their own, and not as requests that may be joined. */
  readonly ownReads: boolean;
  /** How gate rows that are missing are read, as far as it is open to this plan. */
  readonly gates: GateReads;
  /** What comes is a whole layer, experts that nobody asked for included. */
  readonly wholeLayer: boolean;
  readonly group: number;
  readonly groups: number;
  /** Bytes of a gate row, and of an up and a down row together, as they are kept and computed. */
  readonly gateRow: number;
  readonly upDownRow: number;
  /** Bytes of a group on flash: gate rows, then up and down rows, each in whole pages. */
  readonly gatePart: number;
  readonly upDownPart: number;
  /** Neurons of a cluster, and clusters of an expert. */
  readonly cluster: number;
  readonly clusters: number;
  /** Neurons of a unit of up and down, and units of an expert. */
  readonly unit: number;
  readonly units: number;
  readonly gateKeys: number;
  readonly unitKeys: number;
  readonly hotSlots: number;
  readonly coldSlots: number;
  /** A hot segment with room for up and down too means FFNs that were loaded whole: nothing is ever read. */
  readonly loaded: boolean;
  /** Where every expert is used by every token the gates are a scan, of which a fixed part stays. */
  readonly fixedGates: boolean;
  /** The same for up and down, where every neuron counts too. */
  readonly fixedUnits: boolean;
}

const aligned = (bytes: number, to: number): number => Math.ceil(bytes / to) * to;

/** Bytes of the segments that hold everything. */
export const wholeSegments = (cut: Cut): { readonly hot: number; readonly cold: number } => ({ hot: cut.gateKeys * hotSlot(cut), cold: cut.unitKeys * coldSlot(cut) });

export const hotSlot = ({ cluster, gateRow }: Cut): number => aligned(cluster * gateRow, SLOT_ALIGN);
export const coldSlot = ({ unit, upDownRow }: Cut): number => aligned(unit * upDownRow, SLOT_ALIGN);

/** Where units are not single neurons there is one way; without a pipeline of clusters nothing can be held until its gates are known. (offload/src/gates.rs) */
const gatesOf = ({ io, mechanisms }: Pick<Plan, "io" | "mechanisms">, loading: Plan["mechanisms"]["loading"]): GateReads =>
  loading !== "two-phase" || (io.gates === "bundles" && mechanisms.overlap !== "cluster") ? "joined" : io.gates;

/** The ways between which a run can choose. */
export const gateChoices = ({ ownReads }: Cut, overlap: Plan["mechanisms"]["overlap"]): ReadonlyArray<GateReads> =>
  ownReads ? GATE_READS.filter((gates) => gates !== "bundles" || overlap === "cluster") : ["joined"];

export const cutOf = (model: ModelSpec, plan: Pick<Plan, "mechanisms" | "cluster" | "cache" | "io">): Cut => {
  const { layers, ffn: neurons } = model;
  const { count: experts, active: used } = model.experts;
  const everyNeuron = model.activation === "SiLU";
  const asked = plan.mechanisms.loading;
  // All neurons are wanted: nothing is gained by asking for each.
  const loading = everyNeuron && asked === "two-phase" ? "bundle" : asked;
  const { group, gateRow, upDownRow } = rowsOf(model);
  const whole = loading === "stream" || loading === "expert" || loading === "rows";
  const step = Math.max(group, SUM_BLOCK);
  const cluster = aligned(whole ? neurons : Math.min(neurons, plan.cluster.neurons), step);
  const unit = loading === "two-phase" ? group : cluster;
  const clusters = Math.ceil(neurons / cluster);
  const units = Math.ceil(neurons / unit);
  const cut: Cut = {
    layers, experts, used, neurons, everyNeuron,
    onePhase: loading === "stream" || loading === "expert" || loading === "bundle",
    ownReads: loading === "two-phase",
    gates: gatesOf(plan, loading),
    wholeLayer: loading === "stream",
    group, groups: Math.ceil(neurons / group), gateRow, upDownRow,
    gatePart: pagesFor(group * gateRow) * PAGE_BYTES,
    upDownPart: pagesFor(group * upDownRow) * PAGE_BYTES,
    cluster, clusters, unit, units,
    gateKeys: layers * experts * clusters,
    unitKeys: layers * experts * units,
    hotSlots: 0, coldSlots: 0, loaded: false,
    fixedGates: used >= experts,
    fixedUnits: (everyNeuron && used >= experts) || plan.mechanisms.cache === "static-hot",
  };
  if (plan.cache.hot >= cut.layers * experts * neurons * (gateRow + upDownRow) * (1 - 1e-6)) return { ...cut, hotSlots: cut.gateKeys, coldSlots: cut.unitKeys, loaded: true };
  const slots = (bytes: number, slot: number, keys: number): number => Math.min(keys, Math.floor(bytes / slot));
  return { ...cut, hotSlots: slots(Math.floor(plan.cache.hot), hotSlot(cut), cut.gateKeys), coldSlots: slots(Math.floor(plan.cache.cold), coldSlot(cut), cut.unitKeys) };
};

/** Groups of a cluster, of which the last of an expert may have fewer. */
export const groupsOf = ({ neurons, group }: Cut, size: number, place: number): number => Math.ceil(Math.min(neurons, (place + 1) * size) / group) - (place * size) / group;

/** Reads of some neighbouring groups: how many, and their bytes with the gaps between them that are read for nothing. */
export interface Reads { readonly count: number; readonly bytes: number }

export const NO_READS: Reads = { count: 0, bytes: 0 };

/** `wanted` bytes of each of so many groups that lie `apart` bytes apart, joined as a reader joins the ranges of one request. */
const joined = (groups: number, wanted: number, apart: number, gapWorthReading: number): Reads => {
  if (groups === 0) return NO_READS;
  if (apart > gapWorthReading) return { count: groups * Math.ceil(wanted / LARGEST_MERGE), bytes: groups * wanted };
  const each = Math.max(1, Math.floor((LARGEST_MERGE - wanted) / (wanted + apart)) + 1);
  const runs = Math.ceil(groups / each);
  return { count: runs * Math.ceil(wanted / LARGEST_MERGE), bytes: groups * wanted + (groups - runs) * apart };
};

const gapWorthReading = ({ upDownPart }: Cut): number => (upDownPart <= LARGEST_GAP ? upDownPart : 0);

/** For gate rows that are missing, with what else comes then. */
export const gateReads = (cut: Cut, groups: number, gates: GateReads = cut.gates): Reads => {
  switch (gates) {
    case "apart":
      return { count: groups, bytes: groups * cut.gatePart };
    case "joined":
      return joined(groups, cut.gatePart, cut.upDownPart, gapWorthReading(cut));
    case "bundles":
      return wholeReads(cut, groups);
  }
};
export const unitReads = (cut: Cut, groups: number): Reads => joined(groups, cut.upDownPart, cut.gatePart, gapWorthReading(cut));
/** Both at once lie next to each other. */
export const wholeReads = (cut: Cut, groups: number): Reads => {
  const bytes = groups * (cut.gatePart + cut.upDownPart);
  return { count: Math.ceil(bytes / LARGEST_MERGE), bytes };
};
