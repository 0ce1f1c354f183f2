/**
 * The skew curve of one layer: what share of all activations the hottest `share` of its neurons carry. A model gives the
 * mean over layers and the range (for Bamboo from figures/cdf.svg of https://github.com/SJTU-IPADS/Bamboo); a layer gets a curve of its own between them.
 */
import type { ModelSpec } from "../domain/model.js";

export type SkewPoint = ModelSpec["activations"]["skew"]["points"][number];

/** A concave curve from (0,0) to (1,1): straight descending slope inside each segment, so that rates do not come in steps. */
export interface SkewCurve {
  /** Segment ends, first 0 and last 1, and the activations carried up to each. */
  readonly neurons: Float64Array;
  readonly activations: Float64Array;
  /** Half the fall of the slope within each segment. */
  readonly halfFall: Float64Array;
}

const GOLDEN = (Math.sqrt(5) - 1) / 2;

/**
 * Where layer `layer` lies in its model's range: -1 the flattest, 0 the mean, 1 the steepest. Golden-ratio multiples spread
 * the layers evenly; their phase makes layer 10 the flattest, as it is in Bamboo (facts 3.5). The median sits where it
 * must for the mean over layers to stay on the mean curve although the range is wider on the flat side.
 */
export const layerFactor = (points: ReadonlyArray<SkewPoint>, layer: number, layers: number): number => {
  const below = points.reduce((sum, p) => sum + p.activations - p.low, 0);
  const above = points.reduce((sum, p) => sum + p.high - p.activations, 0);
  if (below + above === 0) return 0;
  const flatShare = above / (below + above);
  const place = (layer - 10) * GOLDEN + 0.5 / layers;
  const rank = place - Math.floor(place);
  return rank < flatShare ? rank / flatShare - 1 : (rank - flatShare) / (1 - flatShare);
};

/**
 * The least concave curve not below the points. Needed because the points mix two averages over layers (neurons needed
 * for a share of activations, and the inverse) that do not agree to the last percent.
 */
const concaveMajorant = (neurons: ReadonlyArray<number>, activations: ReadonlyArray<number>): { readonly x: Array<number>; readonly y: Array<number> } => {
  const x = [0];
  const y = [0];
  for (let i = 0; i < neurons.length; i++) {
    while (x.length > 1) {
      const last = x.length - 1;
      const before = (y[last] - y[last - 1]) * (neurons[i] - x[last]);
      const after = (activations[i] - y[last]) * (x[last] - x[last - 1]);
      if (before > after) break;
      x.pop();
      y.pop();
    }
    x.push(neurons[i]);
    y.push(activations[i]);
  }
  return { x, y };
};

/** The curve at `factor` in [-1, 1] between the low, mean and high curves. */
export const skewCurve = (points: ReadonlyArray<SkewPoint>, factor: number): SkewCurve => {
  const inner = points.filter((p) => p.neurons > 0 && p.neurons < 1);
  const blended = inner.map((p) => p.activations + factor * (factor < 0 ? p.activations - p.low : p.high - p.activations));
  const { x, y } = concaveMajorant([...inner.map((p) => p.neurons), 1], [...blended, 1]);
  const segments = x.length - 1;
  const slope = Array.from({ length: segments }, (_, i) => (y[i + 1] - y[i]) / (x[i + 1] - x[i]));
  // Half the smaller gap to a neighbour: slopes then still descend across every joint, and each segment keeps its mass.
  const halfFall = slope.map((s, i) => 0.5 * Math.min(i === 0 ? Infinity : slope[i - 1] - s, i === segments - 1 ? 2 * s : s - slope[i + 1]));
  return { neurons: Float64Array.from(x), activations: Float64Array.from(y), halfFall: Float64Array.from(segments === 1 ? [0] : halfFall) };
};

/** Share of activations carried by the hottest `share` of the neurons. */
export const carriedBy = (curve: SkewCurve, share: number): number => {
  if (share <= 0) return 0;
  if (share >= 1) return 1;
  let segment = 0;
  while (curve.neurons[segment + 1] < share) segment++;
  const width = curve.neurons[segment + 1] - curve.neurons[segment];
  const within = share - curve.neurons[segment];
  const slope = (curve.activations[segment + 1] - curve.activations[segment]) / width;
  const fall = curve.halfFall[segment];
  return curve.activations[segment] + (slope + fall - (fall * within) / width) * within;
};
