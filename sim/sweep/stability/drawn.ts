/** Profiles as one draw has them: documents with their uncertain facts moved before anything is made of them, so that plans and edits follow. */
import { stepsIn } from "../document.js";
import { measureOf, valueOf } from "../values.js";
import type { Coordinates } from "../constraint.js";
import type { Declaration } from "../declaration.js";
import { resolver, writtenAt, type Resolved, type Shelf } from "../resolve.js";
import type { Either } from "../../base/fp.js";
import type { AppError } from "../../base/errors.js";
import { isAtMostOne } from "../../planner/weak-facts.js";
import { DRAW } from "./draw.js";
import { SKEW, factorsOf, type Doubt } from "./laws.js";

/** Fifteen digits: what a double keeps. */
const times = (written: unknown, factor: number, path: string): unknown => {
  const measure = measureOf(written);
  if (measure === null) return written;
  const moved = Number((measure.amount * factor).toPrecision(15));
  return valueOf({ ...measure, amount: isAtMostOne(path) ? Math.min(measure.unit === "%" ? 100 : 1, moved) : moved });
};

interface SkewPoint { readonly neurons: number; readonly activations: number; readonly low: number; readonly high: number }

const between = (node: { readonly points: ReadonlyArray<SkewPoint> }, place: number): unknown => ({
  ...node,
  points: node.points.map((p) => ({ ...p, activations: p.activations + place * (place < 0 ? p.activations - p.low : p.high - p.activations) })),
});

const changed = (node: unknown, steps: ReadonlyArray<string>, make: (node: unknown) => unknown): unknown => {
  const [step, ...rest] = steps;
  if (step === undefined) return make(node);
  if (Array.isArray(node)) return node.map((inner: unknown, i) => (String(i) === step ? changed(inner, rest, make) : inner));
  if (typeof node !== "object" || node === null || !Object.hasOwn(node, step)) return node;
  return { ...node, [step]: changed((node as Readonly<Record<string, unknown>>)[step], rest, make) };
};

/** A document with one fact moved; a path that it has not leaves it as it is. */
export const movedBy = (document: unknown, path: string, factor: number): unknown =>
  changed(document, stepsIn(path), (node) => {
    if (path === SKEW) return between(node as Parameters<typeof between>[0], factor);
    const fact = node as { readonly value: unknown };
    return { ...fact, value: times(fact.value, factor, path) };
  });

export const movesOf = ({ moves }: Doubt, factor: number): ReadonlyArray<Move> => moves.flatMap(({ profile, name, paths }) => paths.map((path) => ({ profile, name, path, factor })));

export interface Move { readonly profile: string; readonly name: string; readonly path: string; readonly factor: number }

export const movedDocument = (document: unknown, profile: string, name: string, moves: ReadonlyArray<Move>): unknown =>
  moves.filter((move) => move.profile === profile && move.name === name).reduce((before, { path, factor }) => movedBy(before, path, factor), document);

/** The shelf of one draw. */
const drawnShelf = (shelf: Shelf, moves: ReadonlyArray<Move>): Shelf => {
  const made = new Map<string, unknown>();
  return {
    plan: shelf.plan,
    document: (profile, name) => {
      const key = `${profile}/${name}`;
      if (!made.has(key)) made.set(key, movedDocument(shelf.document(profile, name), profile, name, moves));
      return made.get(key);
    },
  };
};

/** The shelf that the draw of a point has; null facts move nothing. Each is made once. */
const shelves = ({ uncertain, seed }: Declaration, shelf: Shelf): ((draw: number) => Shelf) => {
  const facts = (uncertain?.facts ?? []).map((doubt) => ({ doubt, factors: factorsOf(doubt, uncertain?.accepted ?? [], seed) }));
  return (draw) => drawnShelf(shelf, draw === 0 ? [] : facts.flatMap(({ doubt, factors }) => movesOf(doubt, factors[draw]!)));
};

/** What is made of a shelf once for each draw, asked of points. */
const byDraw = <A>(declaration: Declaration, shelf: Shelf, make: (drawn: Shelf) => (at: Coordinates) => A): ((at: Coordinates) => A) => {
  if (declaration.uncertain === null) return make(shelf);
  const shelfOf = shelves(declaration, shelf);
  const known = new Map<number, (at: Coordinates) => A>();
  return (at) => {
    const draw = Number(at[DRAW]);
    const made = known.get(draw) ?? make(shelfOf(draw));
    known.set(draw, made);
    return made(at);
  };
};

/** As `resolver`, with the facts of the point's draw. */
export const drawnResolver = (declaration: Declaration, shelf: Shelf): ((at: Coordinates) => Either<AppError, Resolved>) => byDraw(declaration, shelf, (drawn) => resolver(declaration, drawn));

/** As `writtenAt`, with the documents of the point's draw. */
export const drawnWritten = (declaration: Declaration, shelf: Shelf): ReturnType<typeof writtenAt> => byDraw(declaration, shelf, (drawn) => writtenAt(declaration, drawn));
