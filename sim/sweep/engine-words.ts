/**
 * What a point of a sweep over runs of the engine may say: the words of `neuronlab generate`, without those that name what is written. Whether a value
 * is right is for that command's own decoders to say; here stands which words there are, and what plans call the same.
 */
import { E, type Either } from "../base/fp.js";
import { nearest } from "../base/nearest.js";
import type { Value } from "./values.js";

export const ENGINE_WORDS = [
  "model", "prompt", "tokens", "memory", "plan", "threads", "lanes", "io-uring", "pin", "pin-io", "shape-flash", "depth", "cluster", "policy", "granularity", "overlap", "gates", "ffn",
  "slow-storage", "adapt", "predictor", "audit", "temperature", "top-k", "top-p", "ignore-end", "seed",
] as const;
export type EngineWord = (typeof ENGINE_WORDS)[number];

/** Words that take no value on a command line; here "on" or "off". */
export const SWITCHES: ReadonlySet<EngineWord> = new Set<EngineWord>(["adapt", "audit", "ignore-end"]);

const WHOLE: ReadonlySet<EngineWord> = new Set<EngineWord>(["tokens", "threads", "lanes", "io-uring", "pin-io", "depth", "cluster", "top-k", "seed"]);
export const isWholeWord = (word: EngineWord): boolean => WHOLE.has(word);

/** A decision by the plan's own name. */
const ALIASES: ReadonlyMap<string, EngineWord> = new Map<string, EngineWord>([
  ["plan.io.lanes", "lanes"], ["plan.io.gates", "gates"], ["plan.pipeline.depth", "depth"], ["plan.cluster.neurons", "cluster"], ["plan.mechanisms.overlap", "overlap"], ["mechanisms.overlap", "overlap"],
]);

export const engineWordOf = (word: string): Either<string, EngineWord> => {
  const known = ALIASES.get(word) ?? ENGINE_WORDS.find((one) => one === word);
  if (known !== undefined) return E.right(known);
  const words = [...ENGINE_WORDS, ...ALIASES.keys()];
  const near = nearest(word, words);
  return E.left(`generate takes nothing under the name ${JSON.stringify(word)};${near === null ? "" : ` did you mean ${near}?`} known: ${words.join(", ")}`);
};

/** Only of switches can be said here what is right. */
export const acceptsWord = (word: EngineWord, value: Value): Either<string, Value> =>
  SWITCHES.has(word) && value !== "on" && value !== "off" ? E.left(`is "on" or "off", got ${JSON.stringify(value)}`) : E.right(value);

/** What all points of such a sweep have in common; a switch may be written true or false. */
export type EngineBase = Readonly<Partial<Record<EngineWord, Value>>>;

/**
 * What may change the text that comes out. Nothing else may: tokens are the same to the last bit for any memory, threads, lanes, depth, eviction and
 * way of reading.
 */
export const OF_TEXT: ReadonlyArray<EngineWord> = ["model", "prompt", "tokens", "predictor", "temperature", "top-k", "top-p", "ignore-end", "seed"];
