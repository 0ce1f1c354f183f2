/**
 * What the parts of a layer cost when the true gates decide: bytes through the kernels, the device's time for reads, and the processor's
 * time around them. Everything else of the gated way reads these numbers and asks no profile again. bytes, ns, bytes/ns.
 */
import type { DeviceProfile } from "../../domain/device.js";
import type { KernelRow, Measurements } from "../../domain/measurements.js";
import type { ModelSpec } from "../../domain/model.js";
import type { Plan } from "../../domain/plan.js";
import type { SystemSpec } from "../../domain/system.js";
import { coreRatio, randomReadNs, sequentialReadBandwidth } from "../../hardware/flash.js";
import { threadCount } from "../../hardware/kernels.js";
import { costOf, denseRate, readNumber, sparseRate, type ReadsOf } from "../../hardware/measured.js";
import type { LayerRates } from "../layer-rates.js";
import { cutOf, SUM_BLOCK, type Cut } from "./cut.js";

export interface GatedCosts {
  readonly cut: Cut;
  readonly attentionBytes: number;
  readonly headBytes: number;
  /** Partial sums that are added up at a layer's end. */
  readonly sumBytes: number;
  /** bytes/ns of all compute threads together: through dense products, and through up and down of this share of the neurons. */
  readonly dense: number;
  readonly unitRate: (share: number) => number;
  /** Of compute threads for what `layer` and `token` have beside their products. */
  readonly layerNs: number;
  readonly tokenNs: number;
  readonly barrierNs: number;
  /** Waking a thread that sleeps, as it was timed, 0 where it was not; and how long one that waits for no read spins before it sleeps. */
  readonly wakeNs: number;
  readonly spinNs: number;
  /** Taking a stage of a cluster from the list of what is ready. */
  readonly dispatchNs: number;
  /** Looking a neuron up that fired. */
  readonly lookupNs: number;
  /**
   * Time of the compute threads for so many reads of so many bytes in all, made by themselves or handed to others, who take a core from them where none is
   * spare (elsewhere their work is part of what a read was timed to take); and for copying what came, of which so many bytes go where nothing was before.
   */
  readonly ownNs: (reads: number, bytes: number) => number;
  readonly handedNs: (reads: number, bytes: number) => number;
  /** Of the thread that hands them over. */
  readonly handingNs: (reads: number) => number;
  /** Of the device, for one read, more than its curve says. */
  readonly commandNs: number;
  readonly copyNs: (bytes: number, fresh: number) => number;
  /** Whether there is a ring that the threads that compute drive themselves; else lanes read, to which everything is handed. */
  readonly rings: boolean;
  /** Whether single units of up and down are read through it. */
  readonly ownUnits: boolean;
  /**
   * Device time of so many reads of so many bytes in all, of which up to `window` are under way at once; as many as the plan's lanes or
   * ring allow, if it is not said. A command passes the device's server and, before and behind it, a path on which others are no
   * obstacle: n at a time take n services and one path, as probes of 1 to 128 at a time show (docs/model.md).
   */
  readonly deviceNs: (reads: number, bytes: number, window?: number) => number;
  /** How long after its device time the last of them has come, and somebody has heard of it. */
  readonly flightNs: (reads: number, bytes: number, window?: number) => number;
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
  const tables = device.measurements;
  const { threads } = plan.compute;
  const rings = plan.mechanisms.submitters !== "io-thread";
  const depth = plan.io.lanes;
  const timed = tables === null ? null : timedReads(tables, rings ? "io_uring" : "pread", depth, rangeBytes);
  const wakeNs = (tables === null ? null : costOf(tables, "dispatch-parked", threads)) ?? rates.barrierNs;
  const commandNs = software.readCost?.command?.value ?? 0;
  const aloneNs = (blockBytes: number): number => commandNs + flash.latency.value + blockBytes / sequentialReadBandwidth(flash, Math.max(blockBytes, flash.sequential[0]!.block.value));
  const known = new Map<number, { readonly serviceNs: number; readonly pathNs: number }>();
  /** With few reads under way each waits for its own latency: as was timed, or by Little's law. With many the device is the limit. */
  const readNs = (blockBytes: number): number => {
    const full = timed === null ? randomReadNs(flash, { blockBytes, rangeBytes, coreRatio: issuer, submitters: lanes }) : timed.ns(blockBytes);
    const eachNs = full / software.streamEfficiency.value + commandNs;
    return timed === null ? Math.max(eachNs, aloneNs(blockBytes) / depth) : eachNs;
  };
  /** The two that give a read alone the time it takes alone, and as many as the plan allows what they take together. */
  const passes = (blockBytes: number): { readonly serviceNs: number; readonly pathNs: number } => {
    const found = known.get(blockBytes);
    if (found !== undefined) return found;
    const each = readNs(blockBytes);
    const serviceNs = depth <= 1 ? each : Math.min(each, Math.max(0, (depth * each - aloneNs(blockBytes)) / (depth - 1)));
    const passed = { serviceNs, pathNs: depth * (each - serviceNs) };
    known.set(blockBytes, passed);
    return passed;
  };
  const underWay = (window: number): number => Math.max(1, Math.min(depth, window));
  const cpuNs = (beside: number) => (reads: number, bytes: number): number => (reads <= 0 ? 0 : reads * (beside + (timed === null ? 0 : timed.cpuNs(bytes / reads))));
  const spareCores = device.cpu.clusters.reduce((sum, { count }) => sum + count.value, 0) - threadCount(threads);
  const format = formatOf(model);
  const most = Math.min(device.cpu.bandwidth.value, device.dram.sustained.value);
  const dense = (rows: number): number => {
    const rate = tables === null ? null : denseRate(tables, threads, { format, rows, cols: model.hidden });
    return rate === null ? rates.denseCpu : Math.min(most, rate * software.denseEfficiency.value);
  };
  const { cacheUpkeep: upkeep, memorySupply: supply } = software;
  const router = cut.experts > 1 ? 4 * cut.experts * model.hidden : 0;
  return {
    cut,
    attentionBytes: rates.attentionBytes + router,
    headBytes: rates.headBytes,
    sumBytes: 4 * model.hidden * blocks * cut.used,
    dense: dense(cut.neurons),
    unitRate: (share) => {
      const rate = tables === null ? null : sparseRate(tables, threads, "up-down", { cols: model.hidden, share });
      if (rate !== null) return Math.min(most, rate * software.sparseEfficiency.value);
      return cut.everyNeuron ? rates.denseCpu : rates.sparseCpu;
    },
    layerNs: (software.fixedCost?.layer.value ?? 0) + (threadCount(threads) > 1 ? (software.fixedCost?.meeting?.value ?? 0) : 0),
    tokenNs: software.fixedCost?.token.value ?? 0,
    barrierNs: rates.barrierNs,
    wakeNs: tables === null ? 0 : Math.ceil(wakeNs),
    spinNs: Math.ceil(software.fixedCost?.spin?.value ?? 0),
    dispatchNs: rates.dispatchNs,
    lookupNs: (tables === null ? null : costOf(tables, "hit", { big: 1, mid: 0, little: 0 })) ?? device.cpu.cacheInsert.value,
    ownNs: cpuNs(software.readCost?.own.value ?? 0),
    handedNs: spareCores >= 1 ? () => 0 : cpuNs(software.readCost?.handed.value ?? 0),
    handingNs: (reads) => reads * (software.readCost?.handing?.value ?? 0),
    commandNs,
    rings,
    ownUnits: rings && cut.ownReads,
    copyNs: (bytes, fresh) => (upkeep === null ? 0 : bytes / upkeep.value) + (supply === null ? 0 : fresh / supply.value),
    deviceNs: (reads, bytes, window = depth) => {
      if (reads <= 0) return 0;
      const { serviceNs, pathNs } = passes(bytes / reads);
      return reads * (serviceNs + pathNs / underWay(window));
    },
    flightNs: (reads, bytes, window = depth) => (reads <= 0 ? 0 : wakeNs + passes(bytes / reads).pathNs * Math.max(0, 1 - Math.max(1, reads) / underWay(window))),
    blocks,
  };
};

/** The format of the model's weights, as tables of kernels call it. */
const formatOf = (model: ModelSpec): KernelRow["format"] => {
  const bits = model.quantisation.weightBits.value;
  return bits === 4 ? "q4_0" : bits === 8 ? "q8_0" : bits === 16 ? "f16" : "f32";
};

/** Reads of any size were timed with the deepest queue; what fewer under way, or another backend, cost more by the command was timed at the smallest. */
const timedReads = (tables: Measurements, backend: ReadsOf["backend"], inFlight: number, range: number): { readonly ns: (block: number) => number; readonly cpuNs: (block: number) => number } | null => {
  const rings = tables.reads.filter((row) => row.backend === "io_uring" && row.direct && row.pattern === "random");
  if (rings.length === 0) return null;
  const deepest = Math.max(...rings.map((row) => row.inFlight));
  const smallest = Math.min(...rings.map((row) => row.block));
  const of = (what: "rate" | "cpu", asked: Partial<ReadsOf>): number | null => readNumber(tables, { backend: "io_uring", inFlight: deepest, direct: true, pattern: "random", block: smallest, range, ...asked }, what);
  const nsOf = (asked: Partial<ReadsOf>): number | null => {
    const rate = of("rate", asked);
    return rate === null ? null : (asked.block ?? smallest) / rate;
  };
  const more = (here: number | null, there: number | null): number => (here === null || there === null ? 0 : Math.max(0, here - there));
  // Depths were tried at one range, which may not be this one: a difference at the same range is what a depth costs.
  const [slower, dearer] = [more(nsOf({ backend, inFlight }), nsOf({})), more(of("cpu", { backend, inFlight }), of("cpu", {}))];
  return { ns: (block) => (nsOf({ block }) ?? 0) + slower, cpuNs: (block) => (of("cpu", { block }) ?? 0) + dearer };
};
