/** One text to words, as a shell would: spaces between them, quotes around what holds spaces. Pure. */
import { E, type Either } from "../../sim/base/fp.js";

const WORD = /\s*((?:'[^']*'|"[^"]*"|[^\s'"])+)/y;

export const splitWords = (typed: string): Either<string, ReadonlyArray<string>> => {
  const words: Array<string> = [];
  WORD.lastIndex = 0;
  for (let at = 0; typed.slice(at).trim() !== ""; at = WORD.lastIndex) {
    const found = WORD.exec(typed);
    if (found === null) return E.left(`has a quote that nothing closes: ${typed}`);
    words.push(found[1]!.replaceAll(/'([^']*)'|"([^"]*)"/g, (_, single: string | undefined, double: string | undefined) => single ?? double ?? ""));
  }
  return E.right(words);
};
