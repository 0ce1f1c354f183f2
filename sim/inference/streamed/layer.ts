/**
 * One layer of decode whose experts are read whole, as a graph of tasks. Only what the router says after attention can be read. Without overlap: room for
 * all that is missing, all reads, all products. With it, room is made and a read begun expert by expert, and an expert is computed, in the order of the
 * experts' numbers, when it is there and those before it are done. (BigMoeOnEdge's `overlap`: experts 2 to k are read while expert 1 computes.)
 */
import { ACTIVITIES, type Activity } from "../../domain/run.js";
import type { Plan } from "../../domain/plan.js";
import { ALL_THREADS, ANY_TIME, LANES, type Executor } from "../executor.js";
import type { StreamedCosts } from "./costs.js";
import type { LayerExperts } from "./uses.js";

const WHAT = Object.fromEntries(ACTIVITIES.map((name, i) => [name, i])) as Readonly<Record<Activity, number>>;

/** Adds the tasks of a layer to an empty graph. */
export const buildLayer = (costs: StreamedCosts, plan: Plan) => {
  const { active, denseRate, barrierNs } = costs;
  const overlaps = plan.mechanisms.overlap === "cluster";
  return (executor: Executor, layer: number, use: LayerExperts): void => {
    const { denseBytes, expertBytes, pieces, pieceBytes, each } = costs.layers[layer]!;
    const chain = (task: number, previous: number): number => {
      executor.after(task, previous);
      return task;
    };
    const attended = executor.flow(ALL_THREADS, WHAT.attention, denseBytes, denseRate, barrierNs, layer);
    const roomNs = costs.roomNs(expertBytes);
    const room = (experts: number): number => (roomNs === 0 ? attended : chain(executor.fixed(ALL_THREADS, WHAT.cache, experts * roomNs, 0, layer), attended));
    /** Nobody reads before the readers, and the device, are awake. */
    const awake = (from: number): number => chain(executor.fixed(LANES, WHAT.stream, costs.startNs, 0, layer), from);
    /** The task at which an expert that had to be read is there. */
    const read = (from: number): number => {
      const there = executor.fixed(ANY_TIME, WHAT.merge, 0, 0, layer);
      for (let piece = 0; piece < pieces; piece++) executor.after(there, chain(executor.flow(LANES, WHAT.stream, pieceBytes, each, 0, layer), from));
      return there;
    };
    if (!overlaps) {
      const ready = executor.fixed(ANY_TIME, WHAT.merge, 0, 0, layer);
      executor.after(ready, attended);
      const from = use.misses > 0 ? awake(room(use.misses)) : attended;
      for (let i = 0; i < use.misses; i++) executor.after(ready, read(from));
      chain(executor.flow(ALL_THREADS, WHAT["dense FFN"], active * expertBytes, denseRate, barrierNs, layer), ready);
      return;
    }
    const there = new Int32Array(active);
    let woken = -1;
    for (let i = 0; i < active; i++) {
      there[i] = attended;
      if (use.missing[i] === 0) continue;
      const from = room(1);
      if (woken < 0) woken = awake(from);
      there[i] = read(from === attended ? woken : chain(chain(executor.fixed(ANY_TIME, WHAT.merge, 0, 0, layer), from), woken));
    }
    let before = attended;
    for (let i = 0; i < active; i++) before = chain(chain(executor.flow(ALL_THREADS, WHAT["dense FFN"], expertBytes, denseRate, i === 0 ? barrierNs : 0, layer), there[i]!), before);
  };
};

/** The head, after the last layer. */
export const buildHead = (executor: Executor, costs: StreamedCosts): void => {
  executor.flow(ALL_THREADS, WHAT.head, costs.headBytes, costs.denseRate, costs.barrierNs, costs.layers.length);
};
