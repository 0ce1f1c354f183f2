/** The numbers of a profile that nobody measured or printed, and what a profile would be if one of them were off. */
import { mayBeFitted, type Fact, type Kind } from "../domain/fact.js";

export interface WeakFact {
  /** As in the file: `cpu.clusters[0].sparseBandwidth`; a table's rates are one fact, `flash.random[].rate`. */
  readonly path: string;
  readonly kind: Kind;
}

type Tree = Readonly<Record<string, unknown>> | ReadonlyArray<unknown>;

const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null;
const isFact = (value: Tree): value is Tree & Fact => "kind" in value && "source" in value && typeof (value as unknown as Fact).value === "number";

/** Numbers of things and the coordinates of tables are not off by a fifth: they are what the other numbers are of. */
const COUNTED = /(^|\.)(count|queues|depth|contentionSubmitters|block|range|prefillChunk)$/;
/** Shares and ratios that one is the most of. */
const AT_MOST_ONE = /(^|\.)(contentionFloor|hotRatio|streamedRatio|duty|floor|streamEfficiency|activeShare|tokenOverlap|gateFires|predictorRecall|repeat)$/;
export const isCounted = (path: string): boolean => COUNTED.test(path);
export const isAtMostOne = (path: string): boolean => AT_MOST_ONE.test(path);
/** The points of a curve come from one source and are off together. */
export const asOne = (path: string): string => path.replace(/^(flash\.(?:sequential|random))\[\d+\]/, "$1[]");

const join = (path: string, key: string, inList: boolean): string => (inList ? `${path}[${key}]` : path === "" ? key : `${path}.${key}`);

const walk = (value: unknown, path: string, visit: (fact: Fact, path: string) => void): void => {
  if (!isTree(value)) return;
  if (isFact(value)) visit(value, path);
  else for (const [key, inner] of Object.entries(value)) walk(inner, join(path, key, Array.isArray(value)), visit);
};

/** `calibrated` and `estimated` ones, each once, in the order of the file. */
export const weakFacts = (profile: object): ReadonlyArray<WeakFact> => {
  const found = new Map<string, Kind>();
  walk(profile, "", (fact, path) => {
    if (mayBeFitted(fact) && !isCounted(path) && !found.has(asOne(path))) found.set(asOne(path), fact.kind);
  });
  return [...found].map(([path, kind]) => ({ path, kind }));
};

/** The profile with one fact times `factor`; of a table only its weak points move. */
export const withFactOff = <P extends object>(profile: P, path: string, factor: number): P => {
  const change = (value: unknown, at: string): unknown => {
    if (!isTree(value)) return value;
    if (isFact(value)) {
      if (asOne(at) !== path || !mayBeFitted(value)) return value;
      const moved = value.value * factor;
      return { ...value, value: isAtMostOne(at) ? Math.min(1, moved) : moved };
    }
    return Array.isArray(value) ? value.map((inner, i) => change(inner, join(at, String(i), true))) : Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, change(inner, join(at, key, false))]));
  };
  return change(profile, "") as P;
};
