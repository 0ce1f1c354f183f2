/** What a layer asks of the phone where the true gates decide, in the terms of the closed form. */
import type { Plan } from "../../domain/plan.js";
import { NO_DEMAND, type Demand } from "../demand.js";
import { SUM_BLOCK } from "./cut.js";
import type { GatedCosts } from "./costs.js";
import { aroundGates, aroundUnits } from "./layer.js";
import { bytesOf, type LayerUse } from "./walk.js";

/**
 * `denseBytes` are gate rows computed, `active` and `work` rows of up and down. The chain is the longest path through a layer's graph:
 * clusters that wait for one another at the pipeline's depth, each with its gates and a read's latency, and then one sum block.
 */
export const demandOfLayer = (costs: GatedCosts, plan: Plan, use: LayerUse): Demand => {
  const { cut } = costs;
  const { clusters } = use;
  const rounds = plan.mechanisms.overlap === "cluster" ? Math.max(1, Math.ceil(clusters / plan.pipeline.depth)) : 1;
  let [neurons, fired, readNs, around, mostNeurons, mostAround, mostFired, mostAfter] = [0, 0, costs.deviceNs(use.asideReads, use.asideBytes), 0, 0, 0, 0, 0];
  for (let c = 0; c < clusters; c++) {
    const blocks = Math.ceil(use.neurons[c]! / SUM_BLOCK);
    const [before, after] = [aroundGates(costs, use, c), aroundUnits(costs, use, c)];
    neurons += use.neurons[c]!;
    fired += use.fired[c]!;
    readNs += costs.deviceNs(use.firstReads[c]!, use.firstBytes[c]!) + costs.deviceNs(use.secondReads[c]!, use.secondBytes[c]!);
    around += before + after + blocks * costs.dispatchNs;
    mostNeurons = Math.max(mostNeurons, use.neurons[c]!);
    mostAround = Math.max(mostAround, before);
    mostFired = Math.max(mostFired, use.fired[c]! / blocks);
    mostAfter = Math.max(mostAfter, costs.dispatchNs + after / blocks);
  }
  return {
    ...NO_DEMAND,
    active: fired, work: fired, missing: use.misses, clusters,
    chainClusters: rounds, chainWork: rounds * mostNeurons * cut.gateRow, chainMissing: mostFired * cut.upDownRow,
    chainNs: rounds * (mostAround + costs.latencyNs) + 2 * costs.latencyNs + mostAfter,
    denseBytes: neurons * cut.gateRow, otherMissingBytes: bytesOf(use), readNs, aroundNs: around,
  };
};
