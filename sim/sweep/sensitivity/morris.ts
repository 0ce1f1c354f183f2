/**
 * Screening by elementary effects: Morris, "Factorial sampling plans for preliminary computational experiments", Technometrics 33 (1991), with the mean
 * of absolute effects of Campolongo, Cariboni and Saltelli (2007). Trajectories are the plain random ones of Morris; none is chosen for its distance
 * from others.
 */
import type { RandomStream } from "../../base/random.js";
import { bootstrap, type Between } from "./bootstrap.js";

/** p / (2 (p - 1)): half the levels lie below such a step and half above, so that each is equally likely to be visited. */
export const stepOf = (levels: number): number => levels / (2 * (levels - 1));

const orderOf = (count: number, random: RandomStream): ReadonlyArray<number> => {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random.uniform() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
};

/**
 * `trajectories` times `axes` + 1 places on the grid {0, 1/(levels-1), …, 1}. Each begins anywhere on the grid and then moves every axis once, in an order of
 * its own: up from the lower half of the levels, down from the upper one. `levels` is even.
 */
export const morrisPlaces = (trajectories: number, levels: number, axes: number, random: RandomStream): ReadonlyArray<ReadonlyArray<number>> =>
  Array.from({ length: trajectories }, () => {
    const half = levels / 2;
    const at = Array.from({ length: axes }, () => Math.floor(random.uniform() * levels));
    const place = (): ReadonlyArray<number> => at.map((level) => level / (levels - 1));
    return [place(), ...orderOf(axes, random).map((axis) => {
      at[axis] = at[axis]! < half ? at[axis]! + half : at[axis]! - half;
      return place();
    })];
  }).flat();

export interface Effects {
  /** Effects that the figures are of; those of which a run is missing are left out. */
  readonly effects: number;
  readonly missing: number;
  /** Mean effect of the whole way from an axis' first to its last value; null where there is no effect to take it of. */
  readonly mu: number | null;
  /** Mean of the absolute effects: how much the axis matters. */
  readonly muStar: number | null;
  readonly muStarInterval: Between | null;
  /** Standard deviation of the effects: how much that depends on the other axes, or on the place along this one. null below two effects. */
  readonly sigma: number | null;
}

/** (f(after) - f(before)) / (step with its sign): by axis, one a trajectory, null where a run is missing. */
const effectsOf = (places: ReadonlyArray<ReadonlyArray<number>>, values: ReadonlyArray<number | null>, axes: number): ReadonlyArray<ReadonlyArray<number | null>> => {
  const found = Array.from({ length: axes }, (): Array<number | null> => []);
  for (let first = 0; first < places.length; first += axes + 1)
    for (let row = first; row < first + axes; row++) {
      const [before, after] = [places[row]!, places[row + 1]!];
      const axis = before.findIndex((place, i) => place !== after[i]);
      const [from, to] = [values[row]!, values[row + 1]!];
      found[axis]!.push(from === null || to === null ? null : (to - from) / (after[axis]! - before[axis]!));
    }
  return found;
};

const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, v) => sum + v, 0) / values.length;

const summed = (all: ReadonlyArray<number | null>, random: RandomStream): Effects => {
  const known = all.filter((effect) => effect !== null);
  const missing = all.length - known.length;
  if (known.length === 0) return { effects: 0, missing, mu: null, muStar: null, muStarInterval: null, sigma: null };
  const mu = mean(known);
  const sigma = known.length < 2 ? null : Math.sqrt(known.reduce((sum, effect) => sum + (effect - mu) ** 2, 0) / (known.length - 1));
  const absolute = known.map(Math.abs);
  const [muStarInterval] = bootstrap(random, absolute.length, (drawn) => [drawn.reduce((sum, i) => sum + absolute[i]!, 0) / drawn.length]);
  return { effects: known.length, missing, mu, muStar: mean(absolute), muStarInterval: muStarInterval!, sigma };
};

/** By axis. `values` are those of the places, null where there is none; an effect is in units of the metric over the whole of its axis. */
export const morrisOf = (places: ReadonlyArray<ReadonlyArray<number>>, values: ReadonlyArray<number | null>, axes: number, random: RandomStream): ReadonlyArray<Effects> =>
  effectsOf(places, values, axes).map((effects) => summed(effects, random));
