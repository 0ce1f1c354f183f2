/**
 * Eviction decisions as shared vectors: what each policy does in a handful of situations, one JSON line each, replayed by
 * the Rust engine's tests so that both sides decide alike; the engine's own, in files of the same form, are replayed here. `steps` are requests by number and -1 for the end of a token;
 * `outcome` has one letter per step: 1 hit, 0 miss, - end of token; `evicted` lists [step, dropped things in order].
 */
import { stream } from "../../sim/base/random.js";
import { evictionPolicies, type EvictionPolicy } from "../../sim/policies/eviction/index.js";

interface Situation { readonly situation: string; readonly slots: number; readonly windowTokens: number; readonly heat: ReadonlyArray<number>; readonly tokens: ReadonlyArray<ReadonlyArray<number>> }

/** Tokens over `things` whose heat falls off by rank; a thing used in the last token is used again more readily. */
const drawn = (situation: string, slots: number, windowTokens: number, things: number, tokens: number, overlap: number): Situation => {
  const random = stream(1, `vectors/${situation}`);
  const heat = Array.from({ length: things }, (_, thing) => Math.round((100 * 0.6) / (1 + 0.35 * ((thing * 7) % things))) / 100);
  let active = new Set<number>();
  const drawnTokens = Array.from({ length: tokens }, () => {
    const before = active;
    active = new Set(heat.flatMap((rate, thing) => (random.uniform() < rate * (1 - overlap) + (before.has(thing) ? overlap : 0) ? [thing] : [])));
    return [...active];
  });
  return { situation, slots, windowTokens, heat, tokens: drawnTokens };
};

const even = (things: number): ReadonlyArray<number> => Array.from({ length: things }, () => 0.5);

const SITUATIONS: ReadonlyArray<Situation> = [
  { situation: "nothing fits", slots: 0, windowTokens: 2, heat: even(4), tokens: [[0, 1], [1, 2]] },
  { situation: "one slot", slots: 1, windowTokens: 2, heat: even(3), tokens: [[0], [0, 1], [1, 0], [0], [2]] },
  { situation: "all fits", slots: 6, windowTokens: 9, heat: even(6), tokens: [[0, 1, 2], [3, 4, 5], [0, 2, 4], [1, 3, 5]] },
  { situation: "cyclic scan one too large", slots: 7, windowTokens: 4, heat: even(8), tokens: Array.from({ length: 6 }, () => [0, 1, 2, 3, 4, 5, 6, 7]) },
  { situation: "empty tokens age the window", slots: 4, windowTokens: 2, heat: even(4), tokens: [[0, 1, 2], [], [0], [], [], [0, 1, 2, 3]] },
  { situation: "window larger than its room", slots: 3, windowTokens: 3, heat: [0.9, 0.1, 0.8, 0.2, 0.7], tokens: [[0, 1, 2, 3], [4, 0], [1, 2], [3, 4, 0], [0, 2, 4]] },
  { situation: "a clock with one slot more does worse", slots: 4, windowTokens: 12, heat: even(5), tokens: [[0, 1, 2, 3], [0, 1, 4], [0, 1, 2, 3, 4]] },
  drawn("skewed, tight", 8, 3, 40, 24, 0),
  drawn("skewed, roomy", 24, 4, 40, 24, 0),
  drawn("skewed with overlap, tight", 8, 3, 40, 24, 0.4),
  drawn("skewed with overlap, roomy", 20, 2, 40, 24, 0.4),
];

/** What a policy did, step by step. */
export interface Decisions { readonly outcome: string; readonly evicted: ReadonlyArray<ReadonlyArray<number>> }

/** A line of a vector file. */
export interface Vector extends Decisions { readonly policy: string; readonly situation: string; readonly slots: number; readonly windowTokens: number; readonly heat: ReadonlyArray<number>; readonly steps: ReadonlyArray<number> }

export const readVectors = (text: string): ReadonlyArray<Vector> => text.trimEnd().split("\n").map((line) => JSON.parse(line) as Vector);

export const decide = (policy: EvictionPolicy, { slots, windowTokens, heat, steps }: Pick<Vector, "slots" | "windowTokens" | "heat" | "steps">): Decisions => {
  const evicted: Array<Array<number>> = [];
  let step = 0;
  const onEvict = (thing: number): void => {
    if (evicted.at(-1)?.[0] === step) evicted.at(-1)!.push(thing);
    else evicted.push([step, thing]);
  };
  const state = policy.start({ slots, things: heat.length, heat, windowTokens, future: steps.filter((thing) => thing >= 0), onEvict });
  let outcome = "";
  for (; step < steps.length; step++) {
    if (steps[step] >= 0) outcome += state.request(steps[step]) ? "1" : "0";
    else {
      state.endToken();
      outcome += "-";
    }
  }
  return { outcome, evicted };
};

/** The text of test/vectors/eviction-<policy>.jsonl. */
export const evictionVectors = (policyName: string): string => {
  const policy = evictionPolicies.all.find((candidate) => candidate.name === policyName)!;
  return SITUATIONS.map(({ situation, slots, windowTokens, heat, tokens }) => {
    const steps = tokens.flatMap((token) => [...token, -1]);
    return `${JSON.stringify({ policy: policyName, situation, slots, windowTokens, heat, steps, ...decide(policy, { slots, windowTokens, heat, steps }) })}\n`;
  }).join("");
};
