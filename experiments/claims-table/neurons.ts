/** How far the simulator's picture of neurons is from a recorded model, from what `neuronlab validate trace` wrote. */
import { points, speedsOf, worstLru, worstSpeed } from "../validate/trace/errors.js";
import type { Stored } from "../validate/trace/stored.js";
import { percent, type Row } from "./row.js";

export const NEURONS = "results/model/statistics.json";

/** Signed, with the place of the worst. */
export const worstOf = (stored: Stored) => ({
  lru: worstLru(stored),
  speed: { means: worstSpeed(speedsOf(stored, false)), byLayer: worstSpeed(speedsOf(stored, true)) },
  large: worstSpeed(stored.published47b),
});

export const neuronRows = (stored: Stored): ReadonlyArray<Row> => {
  const shared = { group: "The simulator's neurons beside a recorded model's (results/model)", command: "neuronlab validate trace", takes: "a minute", tolerance: "", holds: null, measured: "" };
  const { lru, speed, large } = worstOf(stored);
  const share = (of: number): string => percent(of, 0);
  return [
    ...lru.flatMap(({ unit, means, byLayer }) => [
      { ...shared, claim: `LRU hit rate of ${unit === 1 ? "single neurons" : `${unit} neurons kept together, as the engine keeps short rows`}, closed form, from means over layers: worst error`, found: `${points(means.error)} points, ${share(means.budget)} of the neurons kept` },
      { ...shared, claim: "The same, told layer by layer and expert by expert", found: `${points(byLayer.error)} points, ${share(byLayer.budget)} kept` },
    ]),
    { ...shared, claim: "Speed of a run, from means over layers: worst error", found: `${percent(speed.means.by)} (${speed.means.of}, ${speed.means.where})` },
    { ...shared, claim: "The same, told layer by layer", found: `${percent(speed.byLayer.by)} (${speed.byLayer.of}, ${speed.byLayer.where})` },
    { ...shared, claim: "What the 47B's predicted speed would change by, were one of its estimated statistics this model's: most", found: `${percent(large.by)} (${large.of}, ${large.where})` },
  ];
};
