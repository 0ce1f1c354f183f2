/** An analysis as it is stored: plain numbers of five digits, from which the page and the pictures are made. */
import type { Fact } from "../../../sim/domain/fact.js";
import type { ModelSpec } from "../../../sim/domain/model.js";
import type { Analysis } from "./analyse.js";
import { curveOfModel, SHARES } from "./frequencies.js";
import type { SpeedRow } from "./speeds.js";

/** The same on every machine, and no longer than it means. */
const rounded = (_: string, value: unknown): unknown => (typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(5)) : ArrayBuffer.isView(value) ? Array.from(value as Float64Array) : value);

export interface Studied { readonly recorded: ModelSpec; readonly published: ReadonlyArray<ModelSpec>; readonly analysis: Analysis; readonly speeds: ReadonlyArray<SpeedRow>; readonly published47b: ReadonlyArray<SpeedRow>; readonly device: string; readonly seed: number }

const factOf = ({ value, kind, source }: Fact) => ({ value, kind, source });

/** What models/*.json say of a model's neurons, in one row. */
const factsOf = ({ title, layers, ffn, experts, activations: { activeShare, tokenOverlap, tokenVariation, skew } }: ModelSpec) => ({
  title, layers, ffn, experts: experts.count, used: experts.active,
  activeShare: factOf(activeShare), tokenOverlap: factOf(tokenOverlap), tokenVariation: factOf(tokenVariation), repeat: factOf(experts.repeat), skewSource: skew.source,
});

export const storedOf = ({ recorded, published, analysis, speeds, published47b, device, seed }: Studied) => {
  const { frequencies, byLayer, experts, overlaps, together, drawnTogether, ...rest } = analysis;
  const curves = published.find(({ activations: { skew } }) => skew.points.length > 2) ?? published[0]!;
  const document = {
    schema: "neuronlab/activations@1" as const,
    model: recorded.title, device, seed, tokens: rest.tokens, half: rest.half,
    models: [recorded, ...published].map(factsOf),
    shares: SHARES,
    curve: curveOfModel(recorded, 0),
    published: { title: curves.title, mean: curveOfModel(curves, 0), low: curveOfModel(curves, -1), high: curveOfModel(curves, 1) },
    layers: frequencies.layers.map(({ layer, carried, modelCarried, ...fit }) => ({
      layer, ...fit, carried, modelCarried, ownDistance: byLayer.layers[layer]!.distance,
      overlaps: overlaps.map((row) => row.layers[layer] ?? null),
      dispersion: together[layer]!.dispersion, correlation: together[layer]!.correlation, greatestTurned: together[layer]!.greatestTurned, probability: together[layer]!.probability, drawnDispersion: drawnTogether[layer]!.dispersion,
      experts: experts[layer]!,
    })),
    likelihood: { ...frequencies.likelihood, modelByLayer: byLayer.likelihood.model },
    overlaps: overlaps.map(({ distance, recorded: found, drawn, independent, deviation }) => ({ distance, recorded: found, drawn, independent, deviation })),
    cells: rest.cells, best: rest.best, steps: rest.steps, speeds, published47b,
  };
  return JSON.parse(JSON.stringify(document, rounded)) as Plain<typeof document>;
};

/** What JSON leaves of a type. */
type Plain<T> = T extends Float64Array ? ReadonlyArray<number> : T extends ReadonlyArray<infer A> ? ReadonlyArray<Plain<A>> : T extends object ? { readonly [K in keyof T]: Plain<T[K]> } : T;

export type Stored = ReturnType<typeof storedOf>;
