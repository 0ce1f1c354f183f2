/** A point of a sweep over runs of the engine, as the words of `neuronlab generate`. Pure. */
import { E, type Either } from "../../../../sim/base/fp.js";
import type { AppError, Mistake } from "../../../../sim/base/errors.js";
import type { Coordinates } from "../../../../sim/sweep/constraint.js";
import { allAxes, type Declaration } from "../../../../sim/sweep/declaration.js";
import { SWITCHES, type EngineBase, type EngineWord } from "../../../../sim/sweep/engine-words.js";
import { generationArgs } from "../../generate/generate.js";

/** Words and values, in the order of nothing: whoever needs an order sorts them. */
export type PointWords = EngineBase;

export const pointWords = ({ engine, axes }: Pick<Declaration, "engine" | "axes">, at: Coordinates, shipped: string | null): PointWords => {
  const words: Partial<Record<EngineWord, string | number>> = { ...(shipped === null ? {} : { model: shipped }), ...engine!.base };
  for (const axis of allAxes({ axes })) for (const { target } of axis.over) if (target._tag === "Engine") words[target.word] = at[axis.name]!;
  return words;
};

const entries = (words: PointWords): ReadonlyArray<readonly [EngineWord, string | number]> => Object.entries(words) as Array<[EngineWord, string | number]>;

/** As a shell would hand them over. */
export const typedWords = (words: PointWords): ReadonlyArray<string> => entries(words).flatMap(([word, value]) => (SWITCHES.has(word) ? (value === "on" ? [`--${word}`] : []) : [`--${word}=${value}`]));

/** What `generate` makes of them: sizes in bytes, defaults in their places. */
export const pointArgs = (words: PointWords): ReturnType<typeof generationArgs> =>
  generationArgs({ named: Object.fromEntries(entries(words).flatMap(([word, value]): ReadonlyArray<readonly [string, unknown]> => (SWITCHES.has(word) ? (value === "on" ? [[word, true]] : []) : [[word, String(value)]]))), extra: [] });

const shown = (at: Coordinates): string => Object.entries(at).map(([name, value]) => `${name} ${value}`).join(", ");

/** What `generate` would refuse of any point, each mistake once, with the first point that has it. */
export const pointMistakes = (declaration: Declaration, points: ReadonlyArray<Coordinates>, shipped: string | null): ReadonlyArray<Mistake> => {
  const found = new Map<string, Mistake>();
  for (const at of points) {
    const args: Either<AppError, unknown> = pointArgs(pointWords(declaration, at, shipped));
    if (E.isLeft(args) && args.left._tag === "BadInput")
      for (const { path, message } of args.left.mistakes) if (!found.has(`${path} ${message}`)) found.set(`${path} ${message}`, { path: path.replace(/^--/, ""), message: `${message} (at ${shown(at)})` });
  }
  return [...found.values()];
};
