/**
 * One layer of decode where the true gates decide, as a graph of tasks: GIO (gate rows that are not in memory) → GC (the gates of a
 * cluster, dense) → UDIO (up and down of what fired and is not in memory) → UDC (up and down, in sum blocks). Lossless: no Pred.
 * (docs/engine.md; PowerInfer-2 v3, section 4.3)
 */
import { ACTIVITIES, type Activity } from "../../domain/run.js";
import type { Plan } from "../../domain/plan.js";
import { ALL_THREADS, ANY_TIME, FLASH, HOLDS_LOCK, LENT, THREADS, type Executor } from "../executor.js";
import { threadCount } from "../../hardware/kernels.js";
import { SUM_BLOCK } from "./cut.js";
import type { GatedCosts } from "./costs.js";
import type { LayerUse } from "./walk.js";

const WHAT = Object.fromEntries(ACTIVITIES.map((name, i) => [name, i])) as Readonly<Record<Activity, number>>;

/** How gate rows are read can change between tokens. */
export const isOwnGates = (costs: GatedCosts, use: LayerUse): boolean => costs.rings && use.gates === "apart";
/**
 * Processor time of a cluster's reads: making them keeps a processor while the flash is at work. Of their own, the threads that compute make them, under the lock;
 * what came is copied out of the pages afterwards, by whoever hears of it.
 */
export const makingFirstReads = (costs: GatedCosts, use: LayerUse, at: number): number => (isOwnGates(costs, use) ? costs.ownNs(use.firstReads[at]!, use.firstBytes[at]!) : 0);
export const makingSecondReads = (costs: GatedCosts, use: LayerUse, at: number): number => (costs.ownUnits ? costs.ownNs(use.secondReads[at]!, use.secondBytes[at]!) : 0);
/** And what others make on their cores, where none is spare: reads that were handed over. */
export const lentToFirstReads = (costs: GatedCosts, use: LayerUse, at: number): number => (isOwnGates(costs, use) ? 0 : costs.handedNs(use.firstReads[at]!, use.firstBytes[at]!));
export const lentToSecondReads = (costs: GatedCosts, use: LayerUse, at: number): number => (costs.ownUnits ? 0 : costs.handedNs(use.secondReads[at]!, use.secondBytes[at]!));
/** Of the thread that hands a cluster's reads to others. */
export const handingFirstReads = (costs: GatedCosts, use: LayerUse, at: number): number => (isOwnGates(costs, use) ? 0 : costs.handingNs(use.firstReads[at]!));
export const handingSecondReads = (costs: GatedCosts, use: LayerUse, at: number): number => (costs.ownUnits ? 0 : costs.handingNs(use.secondReads[at]!));
/** All that keeps the threads of a cluster's reads under the lock, and all that others take from them. */
export const makingReads = (costs: GatedCosts, use: LayerUse, at: number): number => makingFirstReads(costs, use, at) + makingSecondReads(costs, use, at) + handingFirstReads(costs, use, at) + handingSecondReads(costs, use, at);
export const lentToReads = (costs: GatedCosts, use: LayerUse, at: number): number => lentToFirstReads(costs, use, at) + lentToSecondReads(costs, use, at);
export const afterFirstReads = (costs: GatedCosts, use: LayerUse, at: number): number => costs.copyNs(use.firstCopied[at]!, use.firstFresh[at]!);
export const afterSecondReads = (costs: GatedCosts, use: LayerUse, at: number): number => costs.copyNs(use.secondCopied[at]!, use.secondFresh[at]!);
/** And what fires is looked up. */
export const lookUpNs = (costs: GatedCosts, use: LayerUse, at: number): number => (costs.cut.everyNeuron ? 0 : use.fired[at]! * costs.lookupNs);

/** Of the reads that clusters ask for once their gates are known, only those of the clusters in the pipeline can be under way. */
export const windowOf = ({ mechanisms, pipeline }: Plan, reads: number): number => (mechanisms.overlap === "cluster" ? Math.max(1, reads) * pipeline.depth : Infinity);

/** Of a thread among `threads` in the products of up and down of a cluster, bytes/ns. */
const unitRateOf = (costs: GatedCosts, use: LayerUse, at: number, threads: number): number => costs.unitRate(Math.max(1e-3, use.fired[at]! / use.neurons[at]!)) / threads;

/** Adds the tasks of a layer to an empty graph. */
export const buildLayer = (costs: GatedCosts, plan: Plan) => {
  const { cut } = costs;
  const { overlap } = plan.mechanisms;
  const threads = Math.max(1, threadCount(plan.compute.threads));
  const depth = overlap === "cluster" ? plan.pipeline.depth : Infinity;
  const readFirst = cut.onePhase ? WHAT["read bundle"] : WHAT["read gate"];
  let arrived = new Int32Array(256);

  return (executor: Executor, layer: number, use: LayerUse): void => {
    const chain = (task: number, previous: number): number => {
      if (previous >= 0) executor.after(task, previous);
      return task;
    };
    const { clusters } = use;
    if (clusters > arrived.length) arrived = new Int32Array(2 * clusters);
    const attended = executor.flow(ALL_THREADS, WHAT.attention, costs.attentionBytes, costs.dense, costs.layerNs + costs.barrierNs, layer);
    const end = executor.flow(ALL_THREADS, WHAT.merge, costs.sumBytes, costs.dense, costs.barrierNs, layer);
    executor.after(end, attended);
    /** Reads, with the processor time of making them (by the threads, under the lock; handing them over; by others on their cores) beside, and then the copying of what they brought, or what others brought before. */
    const read = (what: number, reads: number, bytes: number, makingNs: number, overNs: number, othersNs: number, copyNs: number, from: number, window?: number): number => {
      const deviceNs = costs.deviceNs(reads, bytes, window);
      const came = reads <= 0 ? from : chain(executor.fixed(FLASH, what, deviceNs, deviceNs + costs.flightNs(reads, bytes, window), layer), from);
      const copied = copyNs > 0 ? chain(executor.held(HOLDS_LOCK, WHAT.cache, copyNs, layer), came) : came;
      if (reads <= 0) return copied;
      const made = [
        ...(overNs > 0 ? [executor.held(HOLDS_LOCK, WHAT.cache, overNs, layer)] : []),
        ...(makingNs > 0 ? [executor.held(HOLDS_LOCK | LENT, WHAT.cache, makingNs, layer)] : []),
        ...(othersNs > 0 ? [executor.held(LENT, WHAT.cache, othersNs, layer)] : []),
      ];
      if (made.length === 0) return copied;
      const all = copied !== came ? copied : chain(executor.fixed(ANY_TIME, WHAT.cache, 0, 0, layer), came);
      for (const task of made) chain(all, chain(task, from));
      return all;
    };

    const readFirsts = (c: number): number =>
      read(readFirst, use.firstReads[c]!, use.firstBytes[c]!, makingFirstReads(costs, use, c), handingFirstReads(costs, use, c), lentToFirstReads(costs, use, c), afterFirstReads(costs, use, c), attended);
    const readSeconds = (c: number, from: number, window?: number): number =>
      read(WHAT["read up+down"], use.secondReads[c]!, use.secondBytes[c]!, makingSecondReads(costs, use, c), handingSecondReads(costs, use, c), lentToSecondReads(costs, use, c), afterSecondReads(costs, use, c), from, window);

    const lookUp = (c: number, from: number): number => {
      const ns = lookUpNs(costs, use, c);
      return ns > 0 ? chain(executor.held(HOLDS_LOCK, WHAT.cache, ns, layer), from) : from;
    };

    // Without overlap nothing is computed while anything is read: all wait for a moment at which all has come.
    const together = overlap === "none" ? executor.fixed(ANY_TIME, WHAT.merge, 0, 0, layer) : -1;
    const aside = read(WHAT["read rows"], use.asideReads, use.asideBytes, 0, costs.handingNs(use.asideReads), costs.handedNs(use.asideReads, use.asideBytes), 0, attended);
    if (aside !== attended) executor.after(together < 0 ? end : together, aside);
    if (together >= 0) executor.after(together, attended);
    for (let c = 0; c < clusters; c++) {
      arrived[c] = readFirsts(c);
      if (together >= 0) executor.after(together, arrived[c]!);
    }

    // Look-ups are made in the order of clusters; without a pipeline, when the last gate is known.
    const allGates = overlap === "cluster" ? -1 : executor.fixed(ANY_TIME, WHAT.merge, 0, 0, layer);
    const gates = new Int32Array(clusters);
    for (let c = 0; c < clusters; c++) {
      const gate = executor.flow(THREADS, WHAT.gate, use.neurons[c]! * cut.gateRow, costs.dense / threads, costs.dispatchNs, layer);
      executor.after(gate, together >= 0 ? together : arrived[c]!);
      gates[c] = gate;
      if (allGates >= 0) executor.after(allGates, gate);
      else {
        if (c >= depth) executor.after(gate, arrived[c - depth]!);
        const lookedUp = lookUp(c, chain(chain(executor.fixed(ANY_TIME, WHAT.cache, 0, 0, layer), gate), c === 0 ? -1 : gates[c - 1]!));
        gates[c] = lookedUp;
        arrived[c] = readSeconds(c, lookedUp, windowOf(plan, use.secondReads[c]!));
      }
    }
    const allUnits = overlap === "none" ? executor.fixed(ANY_TIME, WHAT.merge, 0, 0, layer) : -1;
    let looked = allGates;
    if (allGates >= 0)
      for (let c = 0; c < clusters; c++) {
        looked = lookUp(c, looked);
        arrived[c] = readSeconds(c, looked);
        if (allUnits >= 0) executor.after(allUnits, arrived[c]!);
      }
    for (let c = 0; c < clusters; c++) {
      const blocks = Math.ceil(use.neurons[c]! / SUM_BLOCK);
      const bytes = (use.fired[c]! * cut.upDownRow) / blocks;
      const rate = unitRateOf(costs, use, c, threads);
      for (let block = 0; block < blocks; block++)
        executor.after(end, chain(executor.flow(THREADS, WHAT["up+down"], bytes, rate, costs.dispatchNs, layer), allUnits >= 0 ? allUnits : arrived[c]!));
    }
  };
};

/** The head, and what a token has beside its layers. */
export const buildHead = (executor: Executor, costs: GatedCosts): void => {
  executor.flow(ALL_THREADS, WHAT.head, costs.headBytes, costs.dense, costs.barrierNs + costs.tokenNs, costs.cut.layers);
};
