/** Pieces of the strict readers: lines, `key=value` words, numbers. Each mistake names its line. */
import type { Mistake } from "../../../sim/base/errors.js";
import { nearest } from "../../../sim/base/nearest.js";

export interface Line { readonly place: string; readonly text: string }

/** Lines of a text with their places; a mark of byte order before the first and a line break after the last are no lines. */
export const linesOf = (text: string): ReadonlyArray<Line> =>
  text.replace(/^\uFEFF/, "").replace(/\r?\n$/, "").split(/\r?\n/).map((line, i) => ({ place: `line ${i + 1}`, text: line }));

const NUMBER = /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/;

/** NaN for what is no number. */
export const numberOf = (typed: string): number => (NUMBER.test(typed) ? Number(typed) : NaN);

/** A reader of one file: mistakes pile up, and values that are wrong are NaN or "" meanwhile. */
export class Mistakes {
  readonly all: Array<Mistake> = [];

  add(path: string, message: string): void {
    this.all.push({ path, message });
  }

  number(path: string, typed: string | undefined, low = 0, high = Infinity, whole = false): number {
    if (typed === undefined) {
      this.add(path, "is missing");
      return NaN;
    }
    const value = numberOf(typed);
    if (Number.isNaN(value)) this.add(path, `should be a number, got ${typed === "" ? "nothing" : typed}`);
    else if (value < low || value > high) this.add(path, `should be ${high === Infinity ? `at least ${low}` : `between ${low} and ${high}`}, got ${typed}`);
    else if (whole && !Number.isInteger(value)) this.add(path, `should be a whole number, got ${typed}`);
    else return value;
    return NaN;
  }

  /** `key=value` words of a line, exactly these keys, once each. */
  pairs(place: string, words: string, required: ReadonlyArray<string>, allowed: ReadonlyArray<string> = []): ReadonlyMap<string, string> {
    const found = new Map<string, string>();
    const known = [...required, ...allowed];
    for (const word of words.split(" ").filter((one) => one !== "")) {
      const equals = word.indexOf("=");
      const key = equals < 0 ? word : word.slice(0, equals);
      if (equals < 0) this.add(place, `should consist of key=value, got ${word}`);
      else if (!known.includes(key)) {
        const near = nearest(key, known);
        this.add(`${place}.${key}`, `no version that is known here has this key${near === null ? "" : `; did you mean ${near}?`}`);
      } else if (found.has(key)) this.add(`${place}.${key}`, "stands there twice");
      else found.set(key, word.slice(equals + 1));
    }
    for (const key of required) if (!found.has(key)) this.add(`${place}.${key}`, "is missing");
    return found;
  }
}
