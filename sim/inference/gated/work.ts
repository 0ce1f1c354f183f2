/** The gated way as the decode loop runs it. */
import type { ActivationTrace } from "../../neurons/trace.js";
import type { Work } from "../decode.js";
import { NO_DEMAND, type Demand } from "../demand.js";
import type { Setting } from "../setting.js";
import { clusterUses } from "./cluster-uses.js";
import { gatedCosts } from "./costs.js";
import { demandOfLayer } from "./demand.js";
import { buildHead, buildLayer } from "./layer.js";
import { neuronUses } from "./neuron-uses.js";
import { bytesOf, createLayerUse } from "./walk.js";

export const gatedWork = ({ device, model, system, plan, rates, request }: Setting, trace: ActivationTrace | null): Work => {
  const costs = gatedCosts(device, model, system, plan, rates);
  const { cut } = costs;
  const uses = request.fidelity === "neuron" ? neuronUses(model, plan, cut, request, trace) : clusterUses(model, plan, cut, request);
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
      build(executor, layer, use);
      return { rows: asked.active, selected: 0, lookups: use.lookups, misses: use.misses, flashBytes: bytesOf(use) };
    },
    addHead: (executor) => {
      buildHead(executor, costs);
      return 0;
    },
    demand: (steps) => Object.fromEntries(parts.map((part) => [part, total[part] / steps])) as unknown as Demand,
  };
};
