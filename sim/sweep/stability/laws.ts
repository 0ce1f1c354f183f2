/**
 * How far a fact of a profile may be off, as a law that a draw follows. Facts that one source gives move together. A profile states no interval for a
 * number, so an estimated one moves by a share that the sweep says; a calibrated one follows the interval of its fit, which whoever knows the fit
 * hands in.
 */
import { custom, exactly, list, number, oneOf, text, type Codec, type TypeOf } from "../../base/decode.js";
import { E } from "../../base/fp.js";
import { stream } from "../../base/random.js";
import { KINDS, type Kind } from "../../domain/fact.js";
import { asOne, isCounted } from "../../planner/weak-facts.js";
import { PROFILES, type Profile } from "../targets.js";

/** `uniform` and `log-uniform`: between low and high. `log-normal`: 95 % of it between them. `between`: the place of a curve between the two that its source states, -1 to 1. */
export const LAWS = ["uniform", "log-uniform", "log-normal", "between"] as const;
export type Law = (typeof LAWS)[number];

const moves = exactly({ profile: oneOf(...PROFILES), name: text, paths: list(text, 1) });
/** Factors; 1 is the profile as it is. */
export const doubtCodec = exactly({ fact: text, moves: list(moves, 1), law: oneOf(...LAWS), low: number(-1, 1e6), high: number(-1, 1e6), from: text });
export type Doubt = TypeOf<typeof doubtCodec>;

export const doubtsCodec: Codec<ReadonlyArray<Doubt>> = custom("facts", (raw) => {
  const read = list(doubtCodec).decode(raw);
  if (E.isLeft(read)) return E.left("should be the facts as a sweep writes them; leave them out to have them found");
  const wrong = read.right.find(({ law, low, high }) => low > high || (law !== "between" && low <= 0));
  return wrong === undefined ? read : E.left(`${wrong.fact}: low and high should be factors above zero, low first`);
});

type Tree = Readonly<Record<string, unknown>> | ReadonlyArray<unknown>;
const isTree = (node: unknown): node is Tree => typeof node === "object" && node !== null;
const isFact = (node: Tree): node is Tree & { readonly kind: Kind } => "value" in node && KINDS.includes((node as unknown as { readonly kind: Kind }).kind);

const joined = (path: string, key: string, inList: boolean): string => (inList ? `${path}[${key}]` : path === "" ? key : `${path}.${key}`);

/** Paths of the facts of a document, as its file has them. */
export const factsIn = (node: unknown, path = ""): ReadonlyArray<{ readonly path: string; readonly kind: Kind }> => {
  if (!isTree(node)) return [];
  if (isFact(node)) return [{ path, kind: node.kind }];
  return Object.entries(node).flatMap(([key, inner]: [string, unknown]) => factsIn(inner, joined(path, key, Array.isArray(node))));
};

/** Sizes are read off a phone, not estimated; facts of one name here are off together, or their order would be lost. */
const READ_OFF = /^dram\.(total|usable)$/;
const together = (path: string): string => asOne(path).replace(/^thermal\.throttle(Start|Full)$/, "thermal.throttle");

export const SKEW = "activations.skew";

const hasSkew = (document: unknown): boolean => isTree(document) && "activations" in document && isTree(document.activations) && "skew" in document.activations;

export interface Named { readonly profile: Profile; readonly name: string; readonly document: unknown }

/** What moves by itself: weak facts that no given doubt moves already, by `spread` of their value, the entries of a table as one; and a curve between those that its source states. */
export const doubtsOf = (profiles: ReadonlyArray<Named>, given: ReadonlyArray<Doubt>, spread: number): ReadonlyArray<Doubt> => {
  const taken = new Set(given.flatMap((doubt) => doubt.moves.flatMap(({ profile, name, paths }) => paths.map((path) => `${profile}/${name}/${path}`))));
  const found = profiles.flatMap(({ profile, name, document }): ReadonlyArray<Doubt> => {
    const groups = new Map<string, { readonly kind: Kind; readonly paths: Array<string> }>();
    for (const { path, kind } of factsIn(document)) {
      if ((kind !== "estimated" && kind !== "calibrated") || isCounted(path) || READ_OFF.test(path) || taken.has(`${profile}/${name}/${path}`)) continue;
      const before = groups.get(together(path));
      if (before === undefined) groups.set(together(path), { kind, paths: [path] });
      else before.paths.push(path);
    }
    return [
      ...[...groups].map(([path, { kind, paths }]): Doubt => ({ fact: `${name}: ${path}`, moves: [{ profile, name, paths }], law: "uniform", low: 1 - spread, high: 1 + spread, from: `${kind}, no interval is stated` })),
      ...(profile === "model" && hasSkew(document) ? [{ fact: `${name}: ${SKEW}`, moves: [{ profile, name, paths: [SKEW] }], law: "between" as const, low: -1, high: 1, from: "between the curves that the profile states" }] : []),
    ];
  });
  return [...given, ...found];
};

/** What a sweep is uncertain of: the facts, and which of the candidates that their streams give are draws, because their numbers do not contradict each other. */
export interface Drawing { readonly facts: ReadonlyArray<Doubt>; readonly accepted: ReadonlyArray<number> }

/** Factors of one fact by candidate, from 1 on. Each fact has a stream of its own, so that another one beside it changes nothing. */
export const candidatesOf = ({ fact, law, low, high }: Doubt, seed: number): (() => number) => {
  const random = stream(seed, `sweep/uncertain/${fact}`);
  const [centre, deviation] = law === "log-normal" ? [Math.log(low * high) / 2, Math.log(high / low) / (2 * 1.959964)] : [0, 0];
  const next = (): number => {
    switch (law) {
      case "uniform":
      case "between":
        return low + (high - low) * random.uniform();
      case "log-uniform":
        return low * (high / low) ** random.uniform();
      case "log-normal":
        return Math.exp(centre + deviation * random.normal());
    }
  };
  return () => Number(next().toPrecision(12));
};

/** The factor that leaves a fact as it is. */
export const unmoved = ({ law }: Doubt): number => (law === "between" ? 0 : 1);

/** Factors of one fact, draw by draw; the first, of draw 0, is the profile as it is. */
export const factorsOf = (doubt: Doubt, accepted: ReadonlyArray<number>, seed: number): ReadonlyArray<number> => {
  const next = candidatesOf(doubt, seed);
  const all = Array.from({ length: Math.max(0, ...accepted) }, next);
  return [unmoved(doubt), ...accepted.map((candidate) => all[candidate - 1]!)];
};
