/** The gated way as the decode loop runs it. */
import type { Rates } from "../../domain/adaptation.js";
import type { SlowStorage } from "../../domain/slow-storage.js";
import { slowedNs, storageRates } from "../../hardware/flash.js";
import type { ActivationTrace } from "../../neurons/trace.js";
import type { Work } from "../decode.js";
import { NO_DEMAND, type Demand } from "../demand.js";
import type { Setting } from "../setting.js";
import { clusterUses } from "./cluster-uses.js";
import { adaptSetting, createAdaptive } from "./adaptive.js";
import { gatedCosts, type GatedCosts } from "./costs.js";
import { demandOfLayer } from "./demand.js";
import { buildHead, buildLayer } from "./layer.js";
import { neuronUses } from "./neuron-uses.js";
import { bytesOf, createLayerUse } from "./walk.js";

/** Costs of reads on a storage that becomes slower; `decoded` says how many tokens there were. */
const slowing = (costs: GatedCosts, slow: SlowStorage, storage: Rates, decoded: () => number): GatedCosts => ({
  ...costs,
  deviceNs: (reads, bytes, window) => {
    const plain = costs.deviceNs(reads, bytes, window);
    return decoded() < slow.token ? plain : slowedNs(slow, storage, plain, reads, bytes);
  },
  flightNs: (reads, bytes, window) => (slow.of === "all" && decoded() >= slow.token ? slow.factor : 1) * costs.flightNs(reads, bytes, window),
});

export const gatedWork = ({ device, model, system, plan, rates, request }: Setting, trace: ActivationTrace | null): Work => {
  const asProfiled = gatedCosts(device, model, system, plan, rates);
  const { cut } = asProfiled;
  const storage = storageRates(device.flash, cut.groups * (cut.gatePart + cut.upDownPart));
  let decoded = 0;
  const costs = request.slowStorage === undefined ? asProfiled : slowing(asProfiled, request.slowStorage, storage, () => decoded);
  const adaptive = request.adapt === true ? createAdaptive(adaptSetting(asProfiled, plan, storage), cut.gates) : null;
  const uses = request.fidelity === "neuron" ? neuronUses(model, plan, cut, request, trace, adaptive?.gates) : clusterUses(model, plan, cut, request, adaptive?.gates);
  const build = buildLayer(costs, plan);
  const use = createLayerUse(cut);
  const total: { -readonly [K in keyof Demand]: number } = { ...NO_DEMAND };
  const parts = Object.keys(total) as ReadonlyArray<keyof Demand>;
  return {
    nextToken: uses.nextToken,
    addLayer: (executor, layer) => {
      uses.fillLayer(layer, use);
      const asked = demandOfLayer(costs, plan, use);
      for (const part of parts) total[part] += asked[part];
      executor.sleeping(costs.wakeNs, costs.spinNs);
      build(executor, layer, use);
      adaptive?.layer(use);
      return { rows: asked.active, selected: 0, lookups: use.lookups, misses: use.misses, flashBytes: bytesOf(use) };
    },
    addHead: (executor) => {
      buildHead(executor, costs);
      return 0;
    },
    endToken: (seen) => {
      decoded++;
      adaptive?.endToken(seen);
    },
    adaptation: () => adaptive?.decisions() ?? null,
    demand: (steps) => Object.fromEntries(parts.map((part) => [part, total[part] / steps])) as unknown as Demand,
  };
};
