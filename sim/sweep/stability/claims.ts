/**
 * What a sweep is said to show, as data: [">", { "at": { "depth": 8 } }, { "at": { "depth": 1 } }] is an order of two points, ["/", A, B] compared with a
 * number a ratio, ["-", A, B] a difference, and { "best": "larger", "along": "depth" } the value of an axis at which a metric is best.
 */
import { E, type Either } from "../../base/fp.js";
import { custom, type Codec } from "../../base/decode.js";
import type { Coordinates } from "../constraint.js";
import { numberOf, type Value } from "../values.js";

type Arithmetic = "+" | "-" | "*" | "/";
type Comparison = "<" | "<=" | ">" | ">=" | "=" | "!=";
const ARITHMETIC: ReadonlyArray<string> = ["+", "-", "*", "/"];
const COMPARISONS: ReadonlyArray<string> = ["<", "<=", ">", ">=", "=", "!="];

/** A metric at a point; without a metric, the first that the sweep looks at. */
export interface At { readonly of: string | null; readonly at: Coordinates }
/** The value of an axis at which a metric is the best. */
export interface Best extends At { readonly best: "larger" | "smaller"; readonly along: string }
export type ClaimTerm = Value | At | Best | readonly [Arithmetic, ClaimTerm, ClaimTerm];
export type Holds = readonly [Comparison, ClaimTerm, ClaimTerm];

const isObject = (raw: unknown): raw is Readonly<Record<string, unknown>> => typeof raw === "object" && raw !== null && !Array.isArray(raw);
const isBest = (term: ClaimTerm): term is Best => isObject(term) && "best" in term;
const isAt = (term: ClaimTerm): term is At => isObject(term) && !("best" in term);
const isCoordinates = (raw: unknown): raw is Coordinates => isObject(raw) && Object.values(raw).every((value) => typeof value === "string" || (typeof value === "number" && Number.isFinite(value)));

const TERM = 'a term is a number, a word, {"at": {"depth": 8}}, {"best": "larger", "along": "depth"} or ["/", TERM, TERM]';

const termOf = (raw: unknown): Either<string, ClaimTerm> => {
  if (typeof raw === "string" || (typeof raw === "number" && Number.isFinite(raw))) return E.right(raw);
  if (isObject(raw)) {
    const { of = null, at = {}, best, along, ...more } = raw;
    if (Object.keys(more).length > 0 || (of !== null && typeof of !== "string") || !isCoordinates(at)) return E.left(`${TERM}; got ${JSON.stringify(raw)}`);
    if (best === undefined && along === undefined) return E.right({ of, at });
    return (best === "larger" || best === "smaller") && typeof along === "string" ? E.right({ of, at, best, along }) : E.left(`best is larger or smaller, and along names an axis; got ${JSON.stringify(raw)}`);
  }
  if (!Array.isArray(raw) || raw.length !== 3 || !ARITHMETIC.includes(String(raw[0]))) return E.left(`${TERM}; got ${JSON.stringify(raw)}`);
  const [left, right] = [termOf(raw[1]), termOf(raw[2])];
  if (E.isLeft(left)) return left;
  return E.isLeft(right) ? right : E.right([raw[0] as Arithmetic, left.right, right.right]);
};

export const holdsCodec: Codec<Holds> = custom("claim", (raw) => {
  if (!Array.isArray(raw) || raw.length !== 3 || !COMPARISONS.includes(String(raw[0]))) return E.left(`should be [${COMPARISONS.map((c) => `"${c}"`).join(" or ")}, TERM, TERM]; ${TERM}; got ${JSON.stringify(raw)}`);
  const [left, right] = [termOf(raw[1]), termOf(raw[2])];
  if (E.isLeft(left)) return left;
  return E.isLeft(right) ? right : E.right([raw[0] as Comparison, left.right, right.right]);
});

const same = (a: Value, b: Value): boolean => a === b || (numberOf(a) !== null && numberOf(a) === numberOf(b));

/** Numbers of the points that have these coordinates. */
const matching = (points: ReadonlyArray<Coordinates>, at: Coordinates): ReadonlyArray<number> =>
  points.flatMap((point, i) => (Object.entries(at).every(([name, value]) => point[name] !== undefined && same(point[name], value)) ? [i] : []));

const leaves = (term: ClaimTerm): ReadonlyArray<At | Best> => (Array.isArray(term) ? (term as ReadonlyArray<ClaimTerm>).slice(1).flatMap(leaves) : isAt(term) || isBest(term) ? [term] : []);

/** Metrics that claims look at. */
export const metricsIn = (holds: Holds): ReadonlyArray<string> => [holds[1], holds[2]].flatMap(leaves).flatMap(({ of }) => (of === null ? [] : [of]));

/** What of a claim leads to no point, or to more than one. */
export const claimMistakes = (holds: Holds, points: ReadonlyArray<Coordinates>, metrics: ReadonlyArray<string>): ReadonlyArray<string> => {
  const names = Object.keys(points[0] ?? {});
  return [holds[1], holds[2]].flatMap(leaves).flatMap((term): ReadonlyArray<string> => {
    const unknown = [...Object.keys(term.at), ...(isBest(term) ? [term.along] : [])].filter((name) => !names.includes(name));
    if (unknown.length > 0) return unknown.map((name) => `there is no axis ${name}; known: ${names.join(", ")}`);
    if (term.of !== null && !metrics.includes(term.of)) return [`unknown metric: ${term.of}; known: ${metrics.join(", ")}`];
    const found = matching(points, term.at);
    const where = JSON.stringify(term.at);
    if (found.length === 0) return [`no point is at ${where}`];
    if (!isBest(term)) return found.length === 1 ? [] : [`${found.length} points are at ${where}; name more of ${names.join(", ")}`];
    const values = found.map((i) => points[i]![term.along]!);
    if (new Set(values).size < values.length) return [`several points at ${where} have the same ${term.along}; name more of ${names.join(", ")}`];
    return values.length === 1 ? [`only one point is at ${where}, so there is no best ${term.along}`] : [];
  });
};

/** A metric's value; null where nobody knows yet, "refused" where a run cannot be. */
export type Found = number | null | "refused";

const valueOf = (term: ClaimTerm, points: ReadonlyArray<Coordinates>, at: (point: number, metric: string | null) => Found): Value | null => {
  if (isBest(term)) {
    let best: { readonly place: Value; readonly value: number } | null = null;
    for (const point of matching(points, term.at)) {
      const value = at(point, term.of);
      // What cannot be is not the best; of what nobody knows nobody can say.
      if (value === "refused") continue;
      if (value === null) return null;
      if (best === null || (term.best === "larger" ? value > best.value : value < best.value)) best = { place: points[point]![term.along]!, value };
    }
    return best?.place ?? null;
  }
  if (isAt(term)) {
    const value = at(matching(points, term.at)[0]!, term.of);
    return value === "refused" ? null : value;
  }
  if (!Array.isArray(term)) return term as Value;
  const [operation, one, other] = term as readonly [Arithmetic, ClaimTerm, ClaimTerm];
  const [left, right] = [valueOf(one, points, at), valueOf(other, points, at)];
  const [a, b] = [left === null ? null : numberOf(left), right === null ? null : numberOf(right)];
  if (a === null || b === null) return null;
  switch (operation) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      return a / b;
  }
};

/** `margin`: how far it is from failing, negative where it fails; of words, and of equality, 1 or -1. */
export interface Verdict { readonly holds: boolean; readonly margin: number }

/** null where a run that it needs is not there. */
export const verdictOf = ([comparison, one, other]: Holds, points: ReadonlyArray<Coordinates>, at: (point: number, metric: string | null) => Found): Verdict | null => {
  const [left, right] = [valueOf(one, points, at), valueOf(other, points, at)];
  if (left === null || right === null) return null;
  const [a, b] = [numberOf(left), numberOf(right)];
  const either = (holds: boolean): Verdict => ({ holds, margin: holds ? 1 : -1 });
  if (comparison === "=" || comparison === "!=") return either((a !== null && b !== null ? a === b : String(left) === String(right)) === (comparison === "="));
  if (a === null || b === null || Number.isNaN(a) || Number.isNaN(b)) return null;
  switch (comparison) {
    case "<":
      return { holds: a < b, margin: b - a };
    case "<=":
      return { holds: a <= b, margin: b - a };
    case ">":
      return { holds: a > b, margin: a - b };
    case ">=":
      return { holds: a >= b, margin: a - b };
  }
};
