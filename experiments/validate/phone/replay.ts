/**
 * Recorded routings through our caches: what was in memory, expert by expert, against what was recorded; and hit rates by budget and policy against those
 * that the runs' authors replayed. A layer's visit asks for all its experts at once; a prompt visits each layer once.
 */
import { stream } from "../../../sim/base/random.js";
import { createExpertCache } from "../../../sim/neurons/expert-cache.js";
import { replayExperts, type ExpertVisit, type ReplayPolicy } from "../../../sim/policies/experts.js";
import type { CurveFile, RouteFile } from "./recorded.js";

const MIB = 2 ** 20;

/** One routing against what its trace says. */
export interface ResidencyCheck {
  readonly path: string;
  readonly budgetMib: number;
  /** Of the generated tokens: look-ups, those recorded as resident, and those on which we differ. */
  readonly lookups: number;
  readonly recordedHits: number;
  readonly hits: number;
  readonly differing: number;
  /** MiB read for experts, the prompt's included: recorded, and ours. */
  readonly recordedMib: number;
  readonly mib: number;
}

export const checkResidency = ({ path, routing, resident, expertBytes, promptBytes }: RouteFile, budgetMib: number): ResidencyCheck => {
  const { layers, experts, active, tokens, used, prompt } = routing;
  const cache = createExpertCache(expertBytes, experts, budgetMib * MIB);
  const missing = new Uint8Array(experts);
  let bytes = 0;
  prompt.forEach((asked, layer) => {
    bytes += cache.useLayer(layer, asked, missing) * expertBytes[layer]!;
  });
  let [hits, recordedHits, differing, recorded] = [0, 0, 0, promptBytes];
  for (let visit = 0; visit < tokens * layers; visit++) {
    const layer = visit % layers;
    bytes += cache.useLayer(layer, used.subarray(visit * active, (visit + 1) * active), missing) * expertBytes[layer]!;
    for (let rank = 0; rank < active; rank++) {
      const was = resident[visit * active + rank]!;
      hits += 1 - missing[rank]!;
      recordedHits += was;
      recorded += was === 1 ? 0 : expertBytes[layer]!;
      if (was === missing[rank]) differing++;
    }
  }
  return { path, budgetMib, lookups: used.length, recordedHits, hits, differing, recordedMib: recorded / MIB, mib: bytes / MIB };
};

export interface PolicyRow { readonly path: string; readonly budgetMib: number; readonly policy: string; readonly recorded: number; readonly ours: number; readonly by: string }

/** Visits of a routing, the prompt's first. */
export const visitsOf = ({ routing: { layers, active, tokens, used, prompt } }: RouteFile): ReadonlyArray<ExpertVisit> => [
  ...prompt.map((experts, layer) => ({ layer, experts })),
  ...Array.from({ length: tokens * layers }, (_, visit) => ({ layer: visit % layers, experts: used.subarray(visit * active, (visit + 1) * active) })),
];

/** Which of ours stands beside which of theirs. Theirs that partition the budget by layer have no counterpart here. */
const BESIDE: ReadonlyArray<readonly [theirs: string, ours: ReplayPolicy]> = [["belady", "belady"], ["lru", "lru"], ["lfu", "lfu"], ["random", "random"]];

export const comparePolicies = (route: RouteFile, curve: CurveFile, seed: number): ReadonlyArray<PolicyRow> => {
  const visits = visitsOf(route);
  return curve.rows.flatMap(({ budgetMib, policy, hitPercent }) => {
    const ours = BESIDE.find(([theirs]) => theirs === policy)?.[1];
    if (ours === undefined) return [];
    const { hits, lookups } = replayExperts(visits, { bytesOf: route.expertBytes, experts: route.routing.experts, capacity: budgetMib * MIB, policy: ours, random: stream(seed, `replay/${budgetMib}`) });
    return [{ path: curve.path, budgetMib, policy, recorded: hitPercent, ours: (100 * hits) / lookups, by: ours }];
  });
};

/** The curve of a model lies in a folder of its own; its file begins with the name of the trace's file. */
export const curveOf = (route: RouteFile, curves: ReadonlyArray<CurveFile>): CurveFile | undefined => {
  const name = (path: string): string => path.slice(path.lastIndexOf("/") + 1);
  const run = name(route.path).replace(/\.route\.csv$/, "");
  return curves.find(({ path }) => name(path) === `${run}-curve.csv`);
};
