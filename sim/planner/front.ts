/** The plans that no other plan beats in everything: tokens/s, P99 latency, J/token and memory. */
import type { Settled } from "./dominance.js";
import { objectiveOf, worthOf, type Worth } from "./objectives.js";
import { search, type Effort, type Question } from "./search.js";
import type { Point, Space } from "./space.js";
import type { Searching, Trial, Trials } from "./trials.js";

export interface FrontPoint extends Worth { readonly trial: Trial }

/** Whether one is no worse in anything and better in something. */
export const dominates = (a: Worth, b: Worth): boolean => {
  const noWorse = a.tokensPerSec >= b.tokensPerSec && a.p99Ms <= b.p99Ms && a.joulesPerToken <= b.joulesPerToken && a.memoryBytes <= b.memoryBytes;
  return noWorse && (a.tokensPerSec > b.tokensPerSec || a.p99Ms < b.p99Ms || a.joulesPerToken < b.joulesPerToken || a.memoryBytes < b.memoryBytes);
};

/** The undominated, fastest first. */
export const frontOf = <A extends Worth>(all: ReadonlyArray<A>): ReadonlyArray<A> =>
  all.filter((one, i) => !all.some((other, j) => dominates(other, one) || (j < i && !dominates(one, other) && same(one, other)))).sort((a, b) => b.tokensPerSec - a.tokensPerSec);

const same = (a: Worth, b: Worth): boolean => a.tokensPerSec === b.tokensPerSec && a.p99Ms === b.p99Ms && a.joulesPerToken === b.joulesPerToken && a.memoryBytes === b.memoryBytes;

/** Parts of the FFN cache that the front is also sought at. */
const PARTS = [0.75, 0.5, 0.25] as const;
const LESS: Pick<Effort, "promoted" | "moves" | "finalists"> = { promoted: 3, moves: 0, finalists: 1 };

/** Looks where the search had no reason to: at thrift, and at smaller caches; then takes the front of every run by cluster. */
export function* seekFront(trials: Trials, space: Space, settled: ReadonlyArray<Settled>, from: Point, effort: Effort): Searching<ReadonlyArray<FrontPoint>> {
  const short = { ...effort, ...LESS, finalTokens: effort.clusterTokens };
  const asked = (more: Pick<Question, "objective" | "settled" | "starts">): Question => ({ trials, space, effort: short, nearby: true, ...more });
  const runs: Array<Trial> = [];
  const thrifty = yield* search(asked({ objective: objectiveOf("J/token"), settled, starts: [from] }));
  runs.push(...(thrifty?.ranked ?? []));
  for (const part of PARTS) {
    const index = space.keep.reduce((best, keep, i) => (Math.abs(keep - part) < Math.abs(space.keep[best]! - part) ? i : best), 0);
    const smaller = yield* search(asked({ objective: objectiveOf("tokens/s"), settled: [...settled.filter((s) => s.axis !== "keep"), { axis: "keep", index, why: "the front at a smaller cache" }], starts: [from] }));
    runs.push(...(smaller?.ranked ?? []));
  }
  const all = [...new Set([...trials.all("cluster").filter((t) => t.record.inputs.tokens === effort.clusterTokens), ...runs])];
  return frontOf(all.map((trial): FrontPoint => ({ trial, ...worthOf(trial.record) })));
}
