/** The plans that no other plan beats in everything: tokens/s, P99 latency, J/token and memory. */
import type { Plan } from "../domain/plan.js";
import type { SimulatedRun } from "../domain/run.js";
import type { Settled } from "./dominance.js";
import { objectiveOf, worthOf, type Worth } from "./objectives.js";
import { search, type Effort, type Question } from "./search.js";
import type { Point, Space } from "./space.js";
import type { Searching, Trial, Trials } from "./trials.js";

/** A plan with its run. */
export interface Ran { readonly plan: Plan; readonly record: SimulatedRun }
export interface FrontPoint extends Worth, Ran {}

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

/** Short runs as near as this in all figures stand for each other: of such, one is run at length. */
const ALIKE = 0.01;
const isAlike = (a: number, b: number): boolean => Math.abs(a - b) <= ALIKE * Math.abs(b);
const areAlike = (a: Worth, b: Worth): boolean => isAlike(a.tokensPerSec, b.tokensPerSec) && isAlike(a.p99Ms, b.p99Ms) && isAlike(a.joulesPerToken, b.joulesPerToken) && isAlike(a.memoryBytes, b.memoryBytes);

/** One of each kind, the first. */
export const unlike = <A extends Worth>(all: ReadonlyArray<A>): ReadonlyArray<A> => all.reduce<ReadonlyArray<A>>((kept, one) => (kept.some((other) => areAlike(one, other)) ? kept : [...kept, one]), []);

const pointOf = ({ plan, record }: Ran): FrontPoint => ({ plan, record, ...worthOf(record) });

/**
 * Looks where the search had no reason to: at thrift, and at smaller caches. The front of all short runs is run at length, as `known` were (the chosen plan
 * first, then those it is compared with), and the front of these is given: figures of runs of different lengths do not stand beside each other.
 */
export function* seekFront(trials: Trials, space: Space, settled: ReadonlyArray<Settled>, from: Point, effort: Effort, { tokens, known }: { readonly tokens: number; readonly known: ReadonlyArray<Ran> }): Searching<ReadonlyArray<FrontPoint>> {
  const short = { ...effort, ...LESS, finalTokens: effort.clusterTokens };
  const asked = (more: Pick<Question, "objective" | "settled" | "starts">): Question => ({ trials, space, effort: short, nearby: true, ...more });
  yield* search(asked({ objective: objectiveOf("J/token"), settled, starts: [from] }));
  for (const part of PARTS) {
    const index = space.keep.reduce((best, keep, i) => (Math.abs(keep - part) < Math.abs(space.keep[best]! - part) ? i : best), 0);
    yield* search(asked({ objective: objectiveOf("tokens/s"), settled: [...settled.filter((s) => s.axis !== "keep"), { axis: "keep", index, why: "the front at a smaller cache" }], starts: [from] }));
  }
  const ranFor = (length: number): ReadonlyArray<Trial> => trials.all("cluster").filter(({ record }) => record.inputs.tokens === length);
  const likely = unlike(frontOf(ranFor(effort.clusterTokens).map((trial) => ({ ...worthOf(trial.record), point: trial.point }))));
  yield* trials.at(likely.map(({ point }) => point), "cluster", tokens);
  return frontOf([...known, ...ranFor(tokens)].map(pointOf));
}
