/** The closed form where the true gates decide: what a mean token asks, what each part takes on its own, and how long a layer is. */
import { NO_DEMAND, type Demand } from "../demand.js";
import { fedByDram, type Parts, type Setting } from "../setting.js";
import { threadCount } from "../../hardware/kernels.js";
import { wholeExpertMisses } from "../../neurons/populations.js";
import { unitLaws } from "./cluster-uses.js";
import { gatedCosts, type GatedCosts } from "./costs.js";
import { gateReads, groupsOf, NO_READS, SUM_BLOCK, unitReads, wholeReads, type Cut, type Reads } from "./cut.js";
import { demandOfLayer } from "./demand.js";
import { afterFirstReads, afterSecondReads, lentToReads, lookUpNs, makingReads, windowOf } from "./layer.js";
import { clearLayerUse, createLayerUse, neuronsOf, type LayerUse } from "./walk.js";

export const costsOf = ({ device, model, system, plan, rates }: Setting): GatedCosts => gatedCosts(device, model, system, plan, rates);

/** Share of a layer's clusters that a segment does not have: a fixed choice has the first of each expert; LRU goes by expert, whose clusters are used together. */
const missing = (setting: Setting, cut: Cut, slots: number, keys: number, fixed: boolean): ((layer: number, place: number) => number) => {
  if (slots >= keys) return () => 0;
  if (fixed) return (layer, place) => Math.min(1, Math.max(0, ((place * cut.layers + layer + 1) * cut.experts - slots) / cut.experts));
  const misses = wholeExpertMisses(setting.model, cut.layers, slots / keys);
  return (layer) => misses[layer]!;
};

const add = (reads: Float64Array, bytes: Float64Array, at: number, share: number, { count, bytes: each }: Reads): void => {
  reads[at]! += share * count;
  bytes[at]! += share * each;
};

/** A mean token's use of each layer, handed to `visit` one after the other in the same record. */
const meanUses = (setting: Setting, cut: Cut, visit: (use: LayerUse) => void): void => {
  const { model, plan, request } = setting;
  const use = createLayerUse(cut);
  const laws = cut.everyNeuron ? null : unitLaws(model, plan, cut, request.seed);
  const gateMiss = missing(setting, cut, cut.hotSlots, cut.gateKeys, cut.fixedGates);
  const clusterMiss = missing(setting, cut, cut.coldSlots, cut.unitKeys, cut.fixedUnits);
  for (let layer = 0; layer < cut.layers; layer++) {
    clearLayerUse(use, cut.used * cut.clusters);
    for (let at = 0; at < use.clusters; at++) {
      const place = at % cut.clusters;
      const neurons = neuronsOf(cut, cut.cluster, place);
      const groups = groupsOf(cut, cut.cluster, place);
      const law = laws?.[layer];
      use.gates = cut.gates;
      use.neurons[at] = neurons;
      use.fired[at] = neurons * (law?.neuronRate ?? 1);
      const gate = gateMiss(layer, place);
      const units = cut.ownReads ? 0 : clusterMiss(layer, place);
      if (cut.onePhase) {
        const both = Math.min(gate, units);
        add(use.firstReads, use.firstBytes, at, both, wholeReads(cut, groups));
        add(use.firstReads, use.firstBytes, at, gate - both, gateReads(cut, groups));
        add(use.firstReads, use.firstBytes, at, units - both, unitReads(cut, groups));
        use.firstCopied[at] = neurons * (gate * cut.gateRow + units * cut.upDownRow);
        use.lookups += 1;
        use.misses += units;
        continue;
      }
      add(use.firstReads, use.firstBytes, at, gate, gate > 0 ? gateReads(cut, groups) : NO_READS);
      use.firstCopied[at] = neurons * gate * cut.gateRow;
      const wanted = law !== undefined && cut.ownReads ? (neurons / cut.unit) * law.unitRate : 1;
      const missed = law !== undefined && cut.ownReads ? wanted * law.miss.missOfActive : units;
      add(use.secondReads, use.secondBytes, at, cut.gates === "bundles" ? missed * (1 - gate) : missed, cut.ownReads ? { count: 1, bytes: cut.upDownPart } : unitReads(cut, groups));
      use.secondCopied[at] = missed * Math.min(neurons, cut.unit) * cut.upDownRow;
      use.lookups += wanted;
      use.misses += missed;
    }
    if (cut.wholeLayer) {
      // An expert that is not in use is in memory where the segments hold more than those that are.
      const absent = (slots: number, keys: number): number => 1 - Math.max(0, (cut.experts * slots) / keys - cut.used) / Math.max(1, cut.experts - cut.used);
      const [gate, rest] = [absent(cut.hotSlots, cut.gateKeys), absent(cut.coldSlots, cut.unitKeys)];
      const whole = wholeReads(cut, cut.groups);
      use.asideReads = (cut.experts - cut.used) * Math.max(gate, rest) * whole.count;
      use.asideBytes = (cut.experts - cut.used) * cut.groups * (gate * cut.gatePart + rest * cut.upDownPart);
    }
    visit(use);
  }
};

export const expectedGatedDemand = (setting: Setting): Demand => {
  const costs = costsOf(setting);
  const sum: { -readonly [K in keyof Demand]: number } = { ...NO_DEMAND };
  meanUses(setting, costs.cut, (use) => {
    const asked = demandOfLayer(costs, setting.plan, use);
    for (const part of Object.keys(sum) as ReadonlyArray<keyof Demand>) sum[part] += asked[part];
  });
  return sum;
};

/** What each part of a token takes on its own. */
export const gatedParts = (asked: Setting, demand: Demand): Parts => {
  const setting = fedByDram(asked);
  const costs = costsOf(setting);
  const { cut } = costs;
  const threads = Math.max(1, threadCount(setting.plan.compute.threads));
  const attention = cut.layers * (costs.attentionBytes / costs.dense + costs.layerNs + costs.barrierNs);
  const head = costs.headBytes / costs.dense + costs.barrierNs + costs.tokenNs;
  const barriers = cut.layers * (costs.sumBytes / costs.dense + costs.barrierNs);
  const products = demand.denseBytes / costs.dense + demand.unitNs;
  return {
    attention, head, predictor: 0, sparse: products, cache: demand.aroundNs / threads, denseFfn: 0, launches: 0, barriers,
    reads: demand.readNs, stream: 0, prefetch: 0,
    alone: (demand.chainWork / costs.dense + demand.chainMissing) * threads + demand.chainNs,
    dramCpuBytes: cut.layers * (costs.attentionBytes + costs.sumBytes) + costs.headBytes + demand.denseBytes + demand.work * cut.upDownRow, dramNpuBytes: 0, dramGpuBytes: 0,
    flashBytes: demand.otherMissingBytes, rows: demand.active,
    cpuAtBest: products, beforeAtBest: attention + head + barriers,
  };
};

/** Of the products' time, the part of the gates. */
export const gateShareOf = (setting: Setting, demand: Demand): number => {
  const gates = demand.denseBytes / costsOf(setting).dense;
  return gates / (gates + demand.unitNs || 1);
};

/** A mean token, layer by layer. */
export const gatedEstimateNs = (asked: Setting, parts: Parts): number => {
  const setting = fedByDram(asked);
  const costs = costsOf(setting);
  const { cut } = costs;
  const { plan } = setting;
  const count = Math.max(1, threadCount(setting.plan.compute.threads));
  let ffn = 0;
  meanUses(setting, cut, (use) => {
    // Under the lock: copying what came, making reads, looking up. One thread at a time.
    let [gateNs, unitNs, copyNs, makeNs, lookNs, mostGate] = [0, 0, 0, costs.handingNs(use.asideReads), 0, 0];
    let handedNs = costs.handedNs(use.asideReads, use.asideBytes);
    let reading = 0;
    const first = { ns: costs.deviceNs(use.asideReads, use.asideBytes), reads: use.asideReads, bytes: use.asideBytes };
    const second = { ns: 0, reads: 0, bytes: 0 };
    for (let c = 0; c < use.clusters; c++) {
      const blocks = Math.ceil(use.neurons[c]! / SUM_BLOCK);
      const gate = (use.neurons[c]! * cut.gateRow * count) / costs.dense + costs.dispatchNs;
      gateNs += gate / count;
      mostGate = Math.max(mostGate, gate);
      unitNs += (use.fired[c]! * cut.upDownRow) / costs.unitRate(Math.max(1e-3, use.fired[c]! / use.neurons[c]!)) + (blocks * costs.dispatchNs) / count;
      copyNs += afterFirstReads(costs, use, c) + afterSecondReads(costs, use, c);
      lookNs += lookUpNs(costs, use, c);
      makeNs += makingReads(costs, use, c);
      handedNs += lentToReads(costs, use, c);
      reading += Math.min(1, use.firstReads[c]! + use.secondReads[c]!);
      for (const [sum, reads, bytes, window] of [[first, use.firstReads[c]!, use.firstBytes[c]!, Infinity], [second, use.secondReads[c]!, use.secondBytes[c]!, windowOf(plan, use.secondReads[c]!)]] as const) {
        sum.ns += costs.deviceNs(reads, bytes, window);
        sum.reads += reads;
        sum.bytes += bytes;
      }
    }
    const waits = ({ ns, reads, bytes }: typeof first): number => ns + costs.flightNs(reads, bytes);
    // Of one cluster's batch.
    const flight = ({ reads, bytes }: typeof first, window?: number): number => costs.flightNs(reads / use.clusters, bytes / use.clusters, window);
    const secondFlight = flight(second, windowOf(plan, second.reads / use.clusters));
    // Clusters that do not divide evenly among the threads end with one that others wait for.
    const uneven = (Math.ceil(use.clusters / count) - use.clusters / count) * mostGate;
    // The last cluster that was read is copied, and computed, when there is nothing else to do.
    const copyEach = copyNs / Math.max(1, reading);
    const lastBlock = (unitNs * count) / Math.max(1, use.clusters * Math.max(1, Math.ceil((use.neurons[0] ?? 1) / SUM_BLOCK) / count));
    const moved = copyNs + makeNs + handedNs / count;
    // The layer is over when a thread that sleeps has been woken; one without reads to wait for spins.
    if (count > 1) ffn += costs.wakeNs * (costs.spinNs > 0 ? Math.min(1, first.reads + second.reads) : 1);
    switch (plan.mechanisms.overlap) {
      case "none":
        ffn += waits(first) + gateNs + uneven + lookNs + waits(second) + unitNs + copyEach + Math.max(0, moved - first.ns - second.ns);
        return;
      case "matrix": {
        const [early, late] = [first.ns > 0 ? moved / 2 : 0, lookNs + (second.ns > 0 ? moved / 2 : 0)];
        ffn += Math.max(gateNs + uneven + early, first.ns > 0 ? waits(first) + copyEach + mostGate : 0) + Math.max(unitNs + late, second.ns > 0 ? waits(second) + copyEach + lastBlock : 0);
        return;
      }
      case "cluster": {
        const reads = first.ns + second.ns;
        const fill = flight(first) + (second.ns > 0 ? mostGate + secondFlight : first.ns > 0 ? mostGate : 0) + copyEach + lastBlock;
        const rounds = (use.clusters / Math.min(plan.pipeline.depth, use.clusters)) * (mostGate + second.ns / use.clusters + secondFlight + (second.ns > 0 ? copyEach : 0));
        ffn += Math.max(gateNs + unitNs + moved + lookNs + uneven / 2, reads > 0 ? reads + fill : 0, rounds);
      }
    }
  });
  return parts.attention + parts.head + parts.barriers + ffn;
};
