/**
 * Conditions that points must meet, as data: ["<=", ["*", "$lanes", "$block"], "1MiB"]. "$name" is an axis; words and quantities stand for
 * themselves. Data and not code, so that a declaration can be kept, hashed and sent as it is.
 */
import { E, type Either } from "../base/fp.js";
import { custom, type Codec } from "../base/decode.js";
import { numberOf, type Value } from "./values.js";

type Arithmetic = "+" | "-" | "*" | "/";
type Comparison = "<" | "<=" | ">" | ">=" | "=" | "!=";
const ARITHMETIC: ReadonlyArray<string> = ["+", "-", "*", "/"];
const COMPARISONS: ReadonlyArray<string> = ["<", "<=", ">", ">=", "=", "!="];

export type Term = Value | readonly [Arithmetic, Term, Term];
export type Constraint = readonly [Comparison, Term, Term];

const termOf = (raw: unknown): Either<string, Term> => {
  if (typeof raw === "string" || (typeof raw === "number" && Number.isFinite(raw))) return E.right(raw);
  if (!Array.isArray(raw) || raw.length !== 3 || !ARITHMETIC.includes(String(raw[0]))) return E.left(`a term is a number, a word, "$axis" or ["*", TERM, TERM] with one of ${ARITHMETIC.join(" ")}, got ${JSON.stringify(raw)}`);
  const [left, right] = [termOf(raw[1]), termOf(raw[2])];
  if (E.isLeft(left)) return left;
  return E.isLeft(right) ? right : E.right([raw[0] as Arithmetic, left.right, right.right]);
};

export const constraintCodec: Codec<Constraint> = custom("constraint", (raw) => {
  if (!Array.isArray(raw) || raw.length !== 3 || !COMPARISONS.includes(String(raw[0]))) return E.left(`should be [${COMPARISONS.map((c) => `"${c}"`).join(" or ")}, TERM, TERM], such as ["<=", "$lanes", 4], got ${JSON.stringify(raw)}`);
  const [left, right] = [termOf(raw[1]), termOf(raw[2])];
  if (E.isLeft(left)) return left;
  return E.isLeft(right) ? right : E.right([raw[0] as Comparison, left.right, right.right]);
});

/** Axes that a condition names. */
export const axesIn = (term: Term | Constraint): ReadonlyArray<string> => {
  if (Array.isArray(term)) return (term as ReadonlyArray<Term>).slice(1).flatMap(axesIn);
  return typeof term === "string" && term.startsWith("$") ? [term.slice(1)] : [];
};

export type Coordinates = Readonly<Record<string, Value>>;

const valueIn = (term: Term, at: Coordinates): Value => {
  if (typeof term === "number") return term;
  if (typeof term === "string") return term.startsWith("$") ? (at[term.slice(1)] ?? NaN) : term;
  const [left, right] = [numberOf(valueIn(term[1], at)) ?? NaN, numberOf(valueIn(term[2], at)) ?? NaN];
  switch (term[0]) {
    case "+":
      return left + right;
    case "-":
      return left - right;
    case "*":
      return left * right;
    case "/":
      return left / right;
  }
};

/** Sizes and numbers are compared by what they amount to, words letter by letter. */
const sidesOf = (one: Value, other: Value): readonly [Value, Value] => {
  const [a, b] = [numberOf(one), numberOf(other)];
  return a !== null && b !== null ? [a, b] : [String(one), String(other)];
};

export const holds = (constraint: Constraint, at: Coordinates): boolean => {
  const [left, right] = sidesOf(valueIn(constraint[1], at), valueIn(constraint[2], at));
  switch (constraint[0]) {
    case "<":
      return left < right;
    case "<=":
      return left <= right;
    case ">":
      return left > right;
    case ">=":
      return left >= right;
    case "=":
      return left === right;
    case "!=":
      return left !== right;
  }
};
