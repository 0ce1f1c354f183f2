/** The work of systems that compute all neurons, or those that a predictor selects: draws, a layer's graph, what was asked for. */
import type { ModelSpec } from "../domain/model.js";
import type { Plan } from "../domain/plan.js";
import type { RunRequest } from "../domain/run.js";
import type { Work } from "./decode.js";
import { headTask, layerBuilder, type LayerDraw } from "./decode-layer.js";
import { createDemandMeter } from "./demand.js";
import { denseWeights } from "./dense-weights.js";
import type { LayerRates } from "./layer-rates.js";
import { createLayerDraw, type LayerLaw } from "./sparse-draws.js";

/** Where a token's draws come from: statistics, every neuron, or the dense weights. */
export interface Draws {
  readonly nextToken: () => void;
  readonly fillLayer: (layer: number, out: LayerDraw) => void;
}

export interface ClusterWorkInputs {
  readonly model: ModelSpec;
  readonly plan: Plan;
  readonly rates: LayerRates;
  readonly laws: ReadonlyArray<LayerLaw>;
  readonly request: RunRequest;
  /** For predicted computation; dense systems draw from their weights. */
  readonly draws: Draws | null;
}

/** Layers of systems that compute all neurons, or those that a predictor selects. */
export const clusterWork = ({ model, plan, rates, laws, request, draws }: ClusterWorkInputs): Work => {
  const build = layerBuilder(rates, plan);
  const weights = draws === null ? denseWeights(model, plan, request.batch, rates.allResident, request.seed) : null;
  const source: Draws = weights ?? draws!;
  const draw = createLayerDraw(model, laws, plan.cluster.neurons);
  const meter = createDemandMeter(plan.pipeline.depth);
  const { reads } = rates;
  return {
    nextToken: source.nextToken,
    addLayer: (executor, layer) => {
      source.fillLayer(layer, draw);
      const { active: activeBefore, missing: missingBefore } = meter.total;
      meter.addLayer(draw);
      const active = meter.total.active - activeBefore;
      const missing = meter.total.missing - missingBefore;
      build(executor, layer, -1, draw);
      return {
        selected: active,
        rows: active + draw.denseBytes / (3 * rates.gateBytes),
        lookups: active + draw.hotActive,
        misses: missing,
        flashBytes: missing * (reads.firstBytes + (reads.secondNs > 0 ? rates.gateFires * reads.secondBytes : 0)) + draw.denseMissingBytes + draw.attentionMissingBytes + rates.prefetchNs * reads.streamBandwidth,
      };
    },
    addHead: (executor) => {
      const missing = weights === null ? 0 : weights.headMissing();
      meter.addHead(missing);
      headTask(executor, rates, plan, -1, model.layers, missing);
      return missing;
    },
    demand: meter.mean,
  };
};
