/**
 * One layer of decode where the true gates decide, as a graph of tasks: GIO (gate rows that are not in memory) → GC (the gates of a
 * cluster, dense) → UDIO (up and down of what fired and is not in memory) → UDC (up and down, in sum blocks). Lossless: no Pred.
 * (docs/engine.md; PowerInfer-2 v3, section 4.3)
 */
import { ACTIVITIES, type Activity } from "../../domain/run.js";
import type { Plan } from "../../domain/plan.js";
import { ALL_THREADS, ANY_TIME, DENSE, FLASH, SPARSE, type Executor } from "../executor.js";
import { SUM_BLOCK } from "./cut.js";
import type { GatedCosts } from "./costs.js";
import type { LayerUse } from "./walk.js";

const WHAT = Object.fromEntries(ACTIVITIES.map((name, i) => [name, i])) as Readonly<Record<Activity, number>>;

/** Processor time of a cluster beside its products: before and in GC, and before and in UDC. */
export const aroundGates = (costs: GatedCosts, use: LayerUse, at: number): number =>
  costs.dispatchNs + use.firstReads[at]! * costs.handedReadNs + costs.copyNs(use.firstCopied[at]!) + (costs.cut.everyNeuron ? 0 : use.fired[at]! * costs.lookupNs);
export const aroundUnits = (costs: GatedCosts, use: LayerUse, at: number): number =>
  use.secondReads[at]! * (costs.cut.ownReads ? costs.ownReadNs : costs.handedReadNs) + costs.copyNs(use.secondCopied[at]!);

/** Adds the tasks of a layer to an empty graph. */
export const buildLayer = (costs: GatedCosts, plan: Plan) => {
  const { cut } = costs;
  const { overlap } = plan.mechanisms;
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
    const read = (what: number, reads: number, bytes: number, from: number): number =>
      reads > 0 ? chain(executor.fixed(FLASH, what, costs.deviceNs(reads, bytes), costs.latencyNs, layer), from) : from;

    // Without overlap nothing is computed while anything is read: all wait for a moment at which all has come.
    const together = overlap === "none" ? executor.fixed(ANY_TIME, WHAT.merge, 0, 0, layer) : -1;
    const aside = read(WHAT["read rows"], use.asideReads, use.asideBytes, attended);
    if (aside !== attended) executor.after(together < 0 ? end : together, aside);
    if (together >= 0) executor.after(together, attended);
    for (let c = 0; c < clusters; c++) {
      arrived[c] = read(readFirst, use.firstReads[c]!, use.firstBytes[c]!, attended);
      if (together >= 0) executor.after(together, arrived[c]!);
    }

    // Look-ups are made in the order of clusters; without a pipeline, when the last gate is known.
    const allGates = overlap === "cluster" ? -1 : executor.fixed(ANY_TIME, WHAT.merge, 0, 0, layer);
    const gates = new Int32Array(clusters);
    for (let c = 0; c < clusters; c++) {
      const gate = executor.threadWork(WHAT.gate, DENSE, use.neurons[c]! * cut.gateRow, aroundGates(costs, use, c), layer);
      executor.after(gate, together >= 0 ? together : arrived[c]!);
      gates[c] = gate;
      if (allGates >= 0) executor.after(allGates, gate);
      else {
        if (c >= depth) executor.after(gate, arrived[c - depth]!);
        const lookedUp = chain(chain(executor.fixed(ANY_TIME, WHAT.cache, 0, 0, layer), gate), c === 0 ? -1 : gates[c - 1]!);
        gates[c] = lookedUp;
        arrived[c] = read(WHAT["read up+down"], use.secondReads[c]!, use.secondBytes[c]!, lookedUp);
      }
    }
    const allUnits = overlap === "none" ? executor.fixed(ANY_TIME, WHAT.merge, 0, 0, layer) : -1;
    if (allGates >= 0)
      for (let c = 0; c < clusters; c++) {
        arrived[c] = read(WHAT["read up+down"], use.secondReads[c]!, use.secondBytes[c]!, allGates);
        if (allUnits >= 0) executor.after(allUnits, arrived[c]!);
      }
    for (let c = 0; c < clusters; c++) {
      const blocks = Math.ceil(use.neurons[c]! / SUM_BLOCK);
      const bytes = (use.fired[c]! * cut.upDownRow) / blocks;
      const aroundNs = costs.dispatchNs + aroundUnits(costs, use, c) / blocks;
      for (let block = 0; block < blocks; block++)
        executor.after(end, chain(executor.threadWork(WHAT["up+down"], cut.everyNeuron ? DENSE : SPARSE, bytes, aroundNs, layer), allUnits >= 0 ? allUnits : arrived[c]!));
    }
  };
};

/** The head, and what a token has beside its layers. */
export const buildHead = (executor: Executor, costs: GatedCosts): void => {
  executor.flow(ALL_THREADS, WHAT.head, costs.headBytes, costs.dense, costs.barrierNs + costs.tokenNs, costs.cut.layers);
};
