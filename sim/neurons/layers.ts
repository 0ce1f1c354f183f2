/**
 * What a model says of one layer: the layer's own numbers where a recording tells layers apart (`activations.layers`), else those that stand
 * for all of them.
 */
import type { ModelSpec } from "../domain/model.js";
import type { ExpertUse } from "./experts.js";
import { layerFactor, skewCurve, type SkewCurve } from "./skew.js";

type OwnLayer = NonNullable<ModelSpec["activations"]["layers"]>["table"][number];

/**
 * A layer's own number. Whoever asks what another number of the model would change (a sweep, a bound) means all its layers: the table says how
 * they differ from their mean (which the decoder holds to be the number beside it), the model's number what the mean is; a share ends at 1.
 */
const own = (table: ReadonlyArray<OwnLayer>, layer: number, of: (each: OwnLayer) => number, stated: number): number => {
  const mean = table.reduce((sum, each) => sum + of(each), 0) / table.length;
  return mean > 0 ? Math.min(1, (of(table[layer]!) * stated) / mean) : stated;
};

export const layerShare = ({ activations: { layers, activeShare } }: ModelSpec, layer: number): number =>
  layers === null ? activeShare.value : own(layers.table, layer, (each) => each.activeShare, activeShare.value);

export const layerCurve = ({ layers: count, activations: { skew, layers } }: ModelSpec, layer: number): SkewCurve => {
  if (layers === null) return skewCurve(skew.points, layerFactor(skew.points, layer, count));
  const { carried } = layers.table[layer]!;
  return skewCurve(skew.points.map(({ neurons }, i) => ({ neurons, activations: carried[i]!, low: carried[i]!, high: carried[i]! })), 0);
};

export const layerOverlap = ({ activations: { layers, tokenOverlap } }: ModelSpec, layer: number): number =>
  layers === null ? tokenOverlap.value : own(layers.table, layer, (each) => each.tokenOverlap, tokenOverlap.value);

/** Of one sequence. */
export const layerExperts = ({ experts: { count, active, repeat }, activations: { layers } }: Pick<ModelSpec, "experts" | "activations">, layer: number): ExpertUse =>
  layers === null ? { count, active, repeat: repeat.value } : { count, active, repeat: own(layers.table, layer, (each) => each.expertRepeat, repeat.value), use: layers.table[layer]!.expertUse };
