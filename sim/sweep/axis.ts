/** The axes of a sweep: what each moves, and the values it takes. */
import { E, type Either } from "../base/fp.js";
import { custom, exactly, formed, list, mapped, nullable, number, oneOf, optional, refined, text, type Codec } from "../base/decode.js";
import type { Mistake } from "../base/errors.js";
import { METHODS, type Method } from "./sampling.js";
import { engineWordOf } from "./engine-words.js";
import type { Design } from "./sensitivity/design.js";
import { MOST_AXES } from "./sensitivity/sobol-indices.js";
import { accepts, isWhole, targetOf, type Target } from "./targets.js";
import { between, numberOf, rangeOf, type Range, type Value } from "./values.js";

export type Spread = { readonly _tag: "Listed"; readonly values: ReadonlyArray<Value> } | { readonly _tag: "Ranged"; readonly range: Range; readonly steps: number | null };

export interface Axis {
  readonly name: string;
  /** All are moved together, by the same value or factor. */
  readonly over: ReadonlyArray<{ readonly word: string; readonly target: Target }>;
  readonly as: "value" | "factor";
  readonly spread: Spread;
  /** What is asked by moving a number that somebody printed or measured: "a phone with UFS 5". Without it only `calibrated` and `estimated` ones may be moved. */
  readonly whatIf: string | null;
}

export type Dimension =
  | { readonly _tag: "Single"; readonly axis: Axis }
  /** Value by value beside each other. */
  | { readonly _tag: "Zipped"; readonly axes: ReadonlyArray<Axis> }
  | { readonly _tag: "Sampled"; readonly method: Method; readonly points: number; readonly axes: ReadonlyArray<Axis> }
  /** Points by which each axis' worth is found. */
  | { readonly _tag: "Designed"; readonly design: Design; readonly axes: ReadonlyArray<Axis> };

export const axesOf = (dimension: Dimension): ReadonlyArray<Axis> => (dimension._tag === "Single" ? [dimension.axis] : dimension.axes);

const value: Codec<Value> = custom("value", (raw) => ((typeof raw === "number" && Number.isFinite(raw)) || (typeof raw === "string" && raw.trim() !== "") ? E.right(raw) : E.left(`should be a number or a text, got ${JSON.stringify(raw)}`)));
const ranged = refined(exactly({ from: value, to: value, steps: optional(nullable(number(2, 1e6, true)), null), scale: optional(oneOf("linear", "log"), "linear" as const) }), ({ from, to, scale }) => {
  const range = rangeOf(from, to, scale);
  return E.isLeft(range) ? [{ path: "from", message: range.left }] : [];
});

/** "device.flash.random[].rate" → "rate"; "device.cpu.clusters[1].count" → "count". */
const shortName = (word: string): string => word.split(".").at(-1)!.replace(/\[\d*\]$/, "");

interface Parsed { readonly name: string | null; readonly over: Axis["over"]; readonly as: Axis["as"]; readonly values: ReadonlyArray<Value> | null; readonly range: { readonly from: Value; readonly to: Value; readonly steps: number | null; readonly scale: "linear" | "log" } | null; readonly whatIf: string | null }

const rightRange = (given: { readonly from: Value; readonly to: Value; readonly scale: "linear" | "log" }): Range => (rangeOf(given.from, given.to, given.scale) as { readonly right: Range }).right;

const mistakesOf = ({ over, as, values, range }: Parsed): ReadonlyArray<Mistake> => {
  if ((values === null) === (range === null)) return [{ path: values === null ? "values" : "range", message: values === null ? "is missing; give values, or a range" : "is given beside values; give one of them" }];
  if (as === "factor" && over.some(({ target: one }) => one._tag !== "Fact")) return [{ path: "as", message: `factor is for numbers of profiles, not for ${over.find(({ target: one }) => one._tag !== "Fact")!.word}` }];
  const tried = values?.map((one, i) => [`values[${i}]`, one] as const) ?? [["range.from", range!.from], ["range.to", range!.to]] as const;
  const wrong = tried.flatMap(([path, one]) => over.flatMap(({ word, target: moved }) => {
    const taken = accepts(moved, as, one);
    return E.isLeft(taken) ? [{ path, message: over.length > 1 ? `${word}: ${taken.left}` : taken.left }] : [];
  }));
  const twice = (values ?? []).flatMap((one, i, all) => (all.indexOf(one) < i ? [{ path: `values[${i}]`, message: `is listed twice: ${JSON.stringify(one)}` }] : []));
  return [...wrong, ...twice, ...(range !== null && over.some(({ target: moved }) => numberOf(range.from) === null && moved._tag === "Name") ? [{ path: "range", message: "names have no order; list them" }] : [])];
};

/** Values of an axis that is walked through in order. */
export const stepsOf = ({ spread, over }: Axis): ReadonlyArray<Value> => {
  if (spread._tag === "Listed") return spread.values;
  const steps = spread.steps ?? 2;
  const walked = Array.from({ length: steps }, (_, i) => wholeIf(over, between(spread.range, i / (steps - 1))));
  return walked.filter((one, i) => walked.indexOf(one) === i);
};

/** The value at a place in [0, 1) of a sampled axis; a list is cut into equal parts. */
export const valueAt = ({ spread, over }: Axis, place: number): Value =>
  spread._tag === "Listed" ? spread.values[Math.min(spread.values.length - 1, Math.floor(place * spread.values.length))]! : wholeIf(over, between(spread.range, place));

const wholeIf = (over: Axis["over"], one: Value): Value => (typeof one === "number" && over.some(({ target: moved }) => isWhole(moved)) ? Math.round(one) : one);

const stepped = (axis: Axis): ReadonlyArray<Mistake> => (axis.spread._tag === "Ranged" && axis.spread.steps === null ? [{ path: "range.steps", message: "is missing: how many values, the ends included" }] : []);
const has = (raw: unknown, key: string): boolean => typeof raw === "object" && raw !== null && key in raw;

/** Names have no order, but a list of them has: its equal parts are places as good as any. An axis needs two values to have an effect. */
const constants = (axes: ReadonlyArray<Axis>): ReadonlyArray<Mistake> =>
  axes.flatMap(({ spread, name }, i) => (spread._tag === "Listed" && spread.values.length < 2 ? [{ path: `axes[${i}].values`, message: `has one value, so ${name} can have no effect` }] : []));

/** What an axis is over, by the words of one program. */
type Find = (word: string) => Either<string, Target>;

const dimensionsOver = (find: Find): Codec<Dimension> => {
  const target = custom("target", (raw) => {
    if (typeof raw !== "string") return E.left(`should be the name of what is varied, got ${JSON.stringify(raw)}`);
    const found = find(raw);
    return E.isLeft(found) ? found : E.right({ word: raw, target: found.right });
  });
  const targets: Codec<Axis["over"]> = formed((raw) => (Array.isArray(raw) ? list(target, 1) : mapped(target, (one): Axis["over"] => [one])));
  const axisFields = exactly({
    name: optional(nullable(text), null),
    over: targets,
    as: optional(oneOf("value", "factor"), "value" as const),
    values: optional(nullable(list(value, 1)), null),
    range: optional(nullable(ranged), null),
    whatIf: optional(nullable(text), null),
  });
  const axisCodec: Codec<Axis> = mapped(refined<Parsed>(axisFields, mistakesOf), ({ name, over, as, values, range, whatIf }): Axis => ({
    name: name ?? shortName(over[0]!.word),
    over,
    as,
    whatIf,
    spread: values !== null ? { _tag: "Listed", values } : { _tag: "Ranged", range: rightRange(range!), steps: range!.steps },
  }));
  const zipped = refined(exactly({ zip: list(axisCodec, 2) }), ({ zip }) => {
    const lengths = zip.map((axis) => stepsOf(axis).length);
    const short = lengths.findIndex((length) => length !== lengths[0]);
    return short < 0 ? [] : [{ path: `zip[${short}]`, message: `has ${lengths[short]} values, and ${zip[0]!.name} has ${lengths[0]}; zipped axes go value by value` }];
  });
  const sampled = exactly({ sample: oneOf(...METHODS), points: number(1, 1e6, true), axes: list(axisCodec, 1) });
  const morris = refined(exactly({ sensitivity: oneOf("morris"), trajectories: optional(number(2, 1e5, true), 10), levels: optional(number(2, 100, true), 4), axes: list(axisCodec, 1) }), ({ levels, axes }) => [
    ...(levels % 2 === 0 ? [] : [{ path: "levels", message: `should be even, so that each level is equally likely to be visited, got ${levels}` }]),
    ...constants(axes),
  ]);
  const sobol = refined(exactly({ sensitivity: oneOf("sobol"), points: optional(number(8, 1e6, true), 256), axes: list(axisCodec, 1) }), ({ axes }) => [
    ...(axes.length <= MOST_AXES ? [] : [{ path: "axes", message: `has ${axes.length} axes, and both samples need a column for each; the sequence is known for ${MOST_AXES}` }]),
    ...constants(axes),
  ]);
  const designs: Codec<Dimension> = formed((raw) => {
    const method = (raw as { readonly sensitivity: unknown }).sensitivity;
    if (method === "morris") return mapped(morris, ({ trajectories, levels, axes }): Dimension => ({ _tag: "Designed", design: { _tag: "Morris", trajectories, levels }, axes }));
    if (method === "sobol") return mapped(sobol, ({ points, axes }): Dimension => ({ _tag: "Designed", design: { _tag: "Sobol", points }, axes }));
    return custom("sensitivity", () => E.left(`should say sensitivity: morris or sobol, got ${JSON.stringify(method)}`));
  });
  const single: Codec<Dimension> = mapped(refined(axisCodec, stepped), (axis): Dimension => ({ _tag: "Single", axis }));
  return formed((raw) =>
    has(raw, "zip") ? mapped(zipped, ({ zip }): Dimension => ({ _tag: "Zipped", axes: zip }))
    : has(raw, "sample") ? mapped(sampled, ({ sample, points, axes }): Dimension => ({ _tag: "Sampled", method: sample, points, axes }))
    : has(raw, "sensitivity") ? designs
    : single);
};

export const dimensionCodec: Codec<Dimension> = dimensionsOver(targetOf);

/** The same where the points are runs of the engine. */
export const engineDimensionCodec: Codec<Dimension> = dimensionsOver((word) => {
  const found = engineWordOf(word);
  return E.isLeft(found) ? found : E.right({ _tag: "Engine", word: found.right });
});
