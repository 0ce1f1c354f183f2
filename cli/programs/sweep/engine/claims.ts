/** What must hold over the runs of the engine, and what shows whether the machine held still meanwhile. Pure. */
import { canonical } from "../../../../sim/base/canonical.js";
import type { Declaration } from "../../../../sim/sweep/declaration.js";
import { OF_TEXT } from "../../../../sim/sweep/engine-words.js";
import type { Settled } from "../make.js";
import type { PointWords } from "./points.js";

/** One pair of runs that should have written the same and did not. */
export interface Difference { readonly first: string; readonly second: string }

export interface Round { readonly repetition: number; readonly relative: number }

export interface Judged {
  /** Runs whose texts were compared with another's. */
  readonly compared: number;
  readonly differences: ReadonlyArray<Difference>;
  readonly rounds: ReadonlyArray<Round>;
}

const placeName = ({ place: { point, repetition }, run }: Settled): string => `point ${point}, repetition ${repetition} (run ${run.key.slice(0, 8)})`;

/** Points that differ in nothing that may change a text must have written the same tokens: one difference is told for each such group. */
const textsOf = (settled: ReadonlyArray<Settled>, words: ReadonlyArray<PointWords>): Pick<Judged, "compared" | "differences"> => {
  const groups = new Map<string, Array<Settled>>();
  for (const one of settled) {
    if (one.run.state !== "done") continue;
    const key = canonical(OF_TEXT.map((word) => words[one.place.point]![word] ?? null));
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  const all = [...groups.values()].filter((group) => group.length > 1);
  const differences = all.flatMap((group) => {
    const other = group.find(({ run }) => run.text !== group[0]!.run.text);
    return other === undefined ? [] : [{ first: placeName(group[0]!), second: placeName(other) }];
  });
  return { compared: all.reduce((sum, group) => sum + group.length, 0), differences };
};

const middle = (sorted: ReadonlyArray<number>): number => (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;

/** For each round, the first metric beside each point's own mean over all rounds: the middle one of the points. A trend in it is the machine's and not a point's. */
const roundsOf = (settled: ReadonlyArray<Settled>, metric: string): ReadonlyArray<Round> => {
  const valueOf = ({ run }: Settled): number | null => (run.state === "done" ? (run.metrics[metric] ?? null) : null);
  const ofPoint = new Map<number, ReadonlyArray<number>>();
  for (const one of settled) {
    const value = valueOf(one);
    if (value !== null) ofPoint.set(one.place.point, [...(ofPoint.get(one.place.point) ?? []), value]);
  }
  const last = Math.max(-1, ...settled.map(({ place }) => place.repetition));
  return Array.from({ length: last + 1 }, (_, repetition) => repetition).flatMap((repetition) => {
    const relative = settled.filter(({ place }) => place.repetition === repetition).flatMap((one) => {
      const values = ofPoint.get(one.place.point) ?? [];
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      return valueOf(one) === null || values.length < 2 || mean === 0 ? [] : [valueOf(one)! / mean];
    }).sort((a, b) => a - b);
    return relative.length === 0 ? [] : [{ repetition, relative: middle(relative) }];
  });
};

export const judged = ({ metrics }: Declaration, settled: ReadonlyArray<Settled>, words: ReadonlyArray<PointWords>): Judged => ({ ...textsOf(settled, words), rounds: roundsOf(settled, metrics[0]!) });

export const tellJudged = ({ metrics }: Declaration, { compared, differences, rounds }: Judged): string =>
  [
    ...differences.map(({ first, second }) => `CLAIM FAILED: ${first} and ${second} wrote different texts, and nothing that differs between them may change one; a fault of the engine`),
    ...(differences.length === 0 && compared > 0 ? [`the same text in all ${compared} runs that must write the same`] : []),
    ...(rounds.length < 2 ? [] : [`round by round, ${metrics[0]} beside each point's mean: ${rounds.map(({ relative }) => relative.toFixed(3)).join(", ")}`]),
  ].join("\n");
