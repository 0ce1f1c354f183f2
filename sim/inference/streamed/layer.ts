/**
 * One layer of decode whose experts are read whole, as a graph of tasks. Only what the router says after attention can be read. Without overlap: room for
 * all that is missing, all reads, all products. With it, room is made and a read begun expert by expert, and an expert is computed, in the order of the
 * experts' numbers, when it is there and those before it are done. (BigMoeOnEdge's `overlap`: experts 2 to k are read while expert 1 computes.)
 */
import { ACTIVITIES, type Activity } from "../../domain/run.js";
import type { Plan } from "../../domain/plan.js";
import { ALL_THREADS, LANES, type Executor } from "../executor.js";
import type { StreamedCosts } from "./costs.js";
import type { LayerExperts } from "./uses.js";

const WHAT = Object.fromEntries(ACTIVITIES.map((name, i) => [name, i])) as Readonly<Record<Activity, number>>;

/** Adds the tasks of a layer to an empty graph. */
export const buildLayer = (costs: StreamedCosts, plan: Plan) => {
  const { active, denseRate, barrierNs } = costs;
  const overlaps = plan.mechanisms.overlap === "cluster";
  const reads: Array<number> = [];
  return (executor: Executor, layer: number, use: LayerExperts): void => {
    const { denseBytes, expertBytes, pieces, pieceBytes, each } = costs.layers[layer]!;
    const chain = (task: number, previous: number): number => {
      executor.after(task, previous);
      return task;
    };
    const attended = executor.flow(ALL_THREADS, WHAT.attention, denseBytes, denseRate, barrierNs, layer);
    const roomNs = costs.roomNs(expertBytes);
    const room = (experts: number, from: number): number => (roomNs === 0 ? from : chain(executor.fixed(ALL_THREADS, WHAT.cache, experts * roomNs, 0, layer), from));
    /** Nobody reads before the readers, and the device, are awake. */
    const awake = (from: number): number => chain(executor.fixed(LANES, WHAT.stream, costs.startNs, 0, layer), from);
    /** An expert is one lane's, piece by piece. */
    const read = (): number => executor.flow(LANES, WHAT.stream, pieces * pieceBytes, each, 0, layer);
    const compute = (experts: number, overheadNs: number): number => executor.flow(ALL_THREADS, WHAT["dense FFN"], experts * expertBytes, denseRate, overheadNs, layer);
    if (!overlaps) {
      const last = chain(compute(active, barrierNs), attended);
      if (use.misses === 0) return;
      const woken = awake(room(use.misses, attended));
      for (let i = 0; i < use.misses; i++) executor.after(last, chain(read(), woken));
      return;
    }
    let woken = -1;
    let made = attended;
    reads.length = 0;
    let before = attended;
    for (let i = 0; i < active; i++) {
      const task = chain(compute(1, i === 0 ? barrierNs : 0), before);
      before = task;
      if (use.missing[i] === 0) continue;
      made = room(1, made);
      if (woken < 0) woken = awake(made);
      const there = made === attended ? read() : chain(read(), made);
      reads.push(there);
      executor.after(task, there);
    }
    // What waits for one task begins in the reverse of the order in which that was said: the first expert is to be read first.
    for (let i = reads.length - 1; i >= 0; i--) executor.after(reads[i]!, woken);
  };
};

/** The head, after the last layer. */
export const buildHead = (executor: Executor, costs: StreamedCosts): void => {
  executor.flow(ALL_THREADS, WHAT.head, costs.headBytes, costs.denseRate, costs.barrierNs, costs.layers.length);
};
