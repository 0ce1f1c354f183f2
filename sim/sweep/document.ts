/**
 * Numbers inside a profile's document, found by their path in the file: `flash.latency`, `cpu.clusters[1].sparseBandwidth`, `flash.random[].rate`
 * for all entries of a table. A number that a sweep has set says so in its provenance.
 */
import { E, type Either } from "../base/fp.js";
import { nearest } from "../base/nearest.js";
import { KINDS, type Kind } from "../domain/fact.js";
import { measureOf, valueOf, type Value } from "./values.js";

type Tree = Readonly<Record<string, unknown>> | ReadonlyArray<unknown>;
const isTree = (node: unknown): node is Tree => typeof node === "object" && node !== null;

interface WrittenFact { readonly value: Value; readonly kind: Kind }
const isFact = (node: unknown): node is WrittenFact & Tree => isTree(node) && "value" in node && KINDS.includes((node as unknown as WrittenFact).kind);

/** The skew of a model's neurons is a curve; as a whole it can be made steeper or flatter. */
const SKEW = "activations.skew";

/** "cpu.clusters[1].count" → cpu, clusters, 1, count; an empty step is every entry. */
export const stepsIn = (path: string): ReadonlyArray<string> => path.replaceAll(/\[(\d*)\]/g, ".$1").split(".");

const entriesAt = (node: Tree, step: string): ReadonlyArray<readonly [string, unknown]> =>
  Array.isArray(node) && step === "" ? node.map((inner: unknown, i) => [String(i), inner] as const) : Object.entries(node).filter(([key]) => key === step);

/** What lies at a path: nodes, in the order of the file. */
const found = (node: unknown, steps: ReadonlyArray<string>): ReadonlyArray<unknown> => {
  const [step, ...rest] = steps;
  if (step === undefined) return [node];
  return isTree(node) ? entriesAt(node, step).flatMap(([, inner]) => found(inner, rest)) : [];
};

/** Every path under which a number can be found; entries of a table as one. */
const pathsIn = (node: unknown, path: string): ReadonlyArray<string> => {
  if (isFact(node) || typeof node === "number") return [path];
  if (!isTree(node)) return [];
  return Array.isArray(node) ? node.flatMap((inner: unknown) => pathsIn(inner, `${path}[]`)) : Object.entries(node).flatMap(([key, inner]) => pathsIn(inner, path === "" ? key : `${path}.${key}`));
};

/** Kinds of the facts at a path, null for a number without provenance; or what is wrong with the path. */
export const kindsAt = (document: unknown, path: string): Either<string, ReadonlyArray<Kind | null>> => {
  const nodes = found(document, stepsIn(path));
  if (path === SKEW && nodes.length > 0) return E.right([null]);
  if (nodes.length > 0 && nodes.every((node) => isFact(node) || typeof node === "number")) return E.right(nodes.map((node) => (isFact(node) ? node.kind : null)));
  const known = [...new Set(pathsIn(document, ""))].filter((one) => !one.startsWith("measurements"));
  const near = nearest(path.replaceAll(/\[\d+\]/g, "[]"), known);
  return E.left(`there is no number at ${path};${near === null ? "" : ` did you mean ${near}?`} known: ${known.join(", ")}`);
};

/** Fifteen digits: what a double keeps. */
const times = (value: unknown, factor: number): unknown => {
  const measure = measureOf(value);
  return measure === null ? value : valueOf({ ...measure, amount: Number((measure.amount * factor).toPrecision(15)) });
};

interface SkewNode { readonly points: ReadonlyArray<Readonly<Record<"neurons" | "activations" | "low" | "high", number>>> }

/** Distance of the curve from the diagonal, where all neurons are equally active, times `factor`; no curve rises above 1. */
const steeper = (node: SkewNode, factor: number): unknown => {
  const moved = (neurons: number, share: number): number => Math.min(1, Math.max(neurons, neurons + (share - neurons) * factor));
  return { ...node, source: SET, points: node.points.map((p) => ({ neurons: p.neurons, activations: moved(p.neurons, p.activations), low: moved(p.neurons, p.low), high: moved(p.neurons, p.high) })) };
};

const SET = "set by a sweep";

const set = (node: unknown, as: "value" | "factor", value: Value): unknown => {
  const next = (before: unknown): unknown => (as === "factor" ? times(before, value as number) : value);
  return isFact(node) ? { ...node, value: next(node.value), kind: "estimated", source: SET } : next(node);
};

const change = (node: unknown, steps: ReadonlyArray<string>, make: (node: unknown) => unknown): unknown => {
  const [step, ...rest] = steps;
  if (step === undefined) return make(node);
  if (!isTree(node)) return node;
  const hit = new Set(entriesAt(node, step).map(([key]) => key));
  return Array.isArray(node) ? node.map((inner: unknown, i) => (hit.has(String(i)) ? change(inner, rest, make) : inner)) : Object.fromEntries(Object.entries(node).map(([key, inner]) => [key, hit.has(key) ? change(inner, rest, make) : inner]));
};

export interface Edit { readonly path: string; readonly as: "value" | "factor"; readonly value: Value }

export const edited = (document: unknown, edits: ReadonlyArray<Edit>): unknown =>
  edits.reduce((before, { path, as, value }) => change(before, stepsIn(path), (node) => (path === SKEW ? steeper(node as SkewNode, Number(value)) : set(node, as, value))), document);
