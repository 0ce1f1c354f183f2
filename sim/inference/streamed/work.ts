/** Whole experts from flash, as the decode loop runs it. */
import type { Replay } from "../../neurons/routing.js";
import type { Work } from "../decode.js";
import { NO_DEMAND, type Demand } from "../demand.js";
import type { Setting } from "../setting.js";
import { demandOfLayer } from "./closed-form.js";
import { streamedCosts } from "./costs.js";
import { buildHead, buildLayer } from "./layer.js";
import { streamedUses, type LayerExperts } from "./uses.js";

export const streamedWork = (setting: Setting, replay: Replay | null): Work => {
  const costs = streamedCosts(setting);
  const uses = streamedUses(setting.model, costs, setting.request, replay);
  const build = buildLayer(costs, setting.plan);
  const use: LayerExperts = { missing: new Uint8Array(costs.active), misses: 0 };
  const total: { -readonly [K in keyof Demand]: number } = { ...NO_DEMAND };
  const parts = Object.keys(total) as ReadonlyArray<keyof Demand>;
  return {
    nextToken: uses.nextToken,
    readsTogether: costs.together,
    addLayer: (executor, layer) => {
      uses.fillLayer(layer, use);
      const asked = demandOfLayer(costs, layer, use.misses, setting.device.flash.hotRatio.value);
      for (const part of parts) total[part] += asked[part];
      build(executor, layer, use);
      return { rows: costs.active, selected: 0, lookups: costs.active, misses: use.misses, flashBytes: asked.otherMissingBytes };
    },
    addHead: (executor) => {
      buildHead(executor, costs);
      return 0;
    },
    demand: (steps) => Object.fromEntries(parts.map((part) => [part, total[part] / steps])) as unknown as Demand,
  };
};
