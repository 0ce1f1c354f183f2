/** What a layer asks of the phone where the true gates decide, in the terms of the closed form. */
import type { Plan } from "../../domain/plan.js";
import { NO_DEMAND, type Demand } from "../demand.js";
import { SUM_BLOCK } from "./cut.js";
import type { GatedCosts } from "./costs.js";
import { afterFirstReads, afterSecondReads, lentToReads, lookUpNs, makingReads, windowOf } from "./layer.js";
import { bytesOf, type LayerUse } from "./walk.js";

/**
 * `denseBytes` are gate rows computed, `active` and `work` rows of up and down, `unitNs` their products' time with all threads. The chain is the longest path through a layer's graph:
 * clusters that wait for one another at the pipeline's depth, each with its gates and its reads' way back, and then one sum block (`chainMissing`, ns with all threads).
 */
export const demandOfLayer = (costs: GatedCosts, plan: Plan, use: LayerUse): Demand => {
  const { cut } = costs;
  const { clusters } = use;
  const rounds = plan.mechanisms.overlap === "cluster" ? Math.max(1, Math.ceil(clusters / plan.pipeline.depth)) : 1;
  let [neurons, fired, readNs, around, unitNs] = [0, 0, costs.deviceNs(use.asideReads, use.asideBytes), costs.handedNs(use.asideReads, use.asideBytes) + costs.handingNs(use.asideReads), 0];
  // One thread at a time, while no other begins.
  let locked = 0;
  let [mostNeurons, mostBeside, mostBlockNs, flightNs] = [0, 0, 0, costs.flightNs(use.asideReads, use.asideBytes)];
  for (let c = 0; c < clusters; c++) {
    const blocks = Math.ceil(use.neurons[c]! / SUM_BLOCK);
    const copying = [afterFirstReads(costs, use, c), afterSecondReads(costs, use, c)] as const;
    const making = makingReads(costs, use, c) + lentToReads(costs, use, c);
    const [gates, productNs] = [costs.dispatchNs + lookUpNs(costs, use, c), (use.fired[c]! * cut.upDownRow) / costs.unitRate(Math.max(1e-3, use.fired[c]! / use.neurons[c]!))];
    neurons += use.neurons[c]!;
    fired += use.fired[c]!;
    const [first, second] = [[use.firstReads[c]!, use.firstBytes[c]!], [use.secondReads[c]!, use.secondBytes[c]!, windowOf(plan, use.secondReads[c]!)]] as const;
    readNs += costs.deviceNs(...first) + costs.deviceNs(...second);
    around += making + copying[0] + copying[1] + gates + blocks * costs.dispatchNs;
    locked += making + copying[0] + copying[1] + lookUpNs(costs, use, c);
    unitNs += productNs;
    mostNeurons = Math.max(mostNeurons, use.neurons[c]!);
    mostBeside = Math.max(mostBeside, gates + copying[0] + copying[1]);
    mostBlockNs = Math.max(mostBlockNs, costs.dispatchNs + productNs / blocks);
    flightNs = Math.max(flightNs, costs.flightNs(...first), costs.flightNs(...second));
  }
  return {
    ...NO_DEMAND,
    active: fired, work: fired, missing: use.misses, lookups: use.lookups, clusters,
    chainClusters: rounds, chainWork: rounds * mostNeurons * cut.gateRow, chainMissing: mostBlockNs,
    chainNs: rounds * (mostBeside + flightNs) + 2 * (flightNs + mostBeside) + locked + costs.wakeNs,
    denseBytes: neurons * cut.gateRow, otherMissingBytes: bytesOf(use), readNs, aroundNs: around,
  };
};
