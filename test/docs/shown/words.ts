/** A shown command's words: are they whole, and does the program know them? */
import type { Command } from "../../../cli/command.js";
import { sharedFlags } from "../../../cli/command.js";

/** Words as a shell splits them: blanks, quotes; nothing is expanded. */
export const wordsOf = (text: string): ReadonlyArray<string> => {
  const found: Array<string> = [];
  let word: string | null = null;
  let quote = "";
  for (const sign of text) {
    if (quote !== "") {
      if (sign === quote) quote = "";
      else word += sign;
    } else if (sign === "'" || sign === '"') {
      quote = sign;
      word ??= "";
    } else if (/\s/.test(sign)) {
      if (word !== null) found.push(word);
      word = null;
    } else word = (word ?? "") + sign;
  }
  return word === null ? found : [...found, word];
};

/** The words after `neuronlab` of every part of a command line that starts it; parts are joined by `&&` or `|`. */
export const neuronlabParts = (text: string): ReadonlyArray<ReadonlyArray<string>> =>
  text.split(/\s(?:&&|\|)\s/).flatMap((part) => {
    const words = wordsOf(part);
    if (words[0] === "neuronlab") return [words.slice(1)];
    if (words[0] === "npx" && words[1] === "neuronlab") return [words.slice(2)];
    return [];
  });

const PLACEHOLDER = /^[A-Z]{1,}(?:[._][A-Za-z]+)*$|…|<[a-z]+>|^\.\.\.$|^\[/;

/** Whether it is the form of a command and no command: a word stands for another (`FILE`, `…`), or a flag has not got its value. */
export const isForm = (commands: ReadonlyArray<Command>) => (text: string): boolean =>
  wordsOf(text).some((word) => PLACEHOLDER.test(word)) ||
  neuronlabParts(text).some(([name, ...words]) => {
    const values = [...(commands.find((one) => one.name === name)?.flags ?? []), ...sharedFlags].flatMap((flag) => (flag.value === null ? [] : [`--${flag.name}`]));
    return words.some((word, i) => values.includes(word) && (words[i + 1] === undefined || /^--?[a-z]/.test(words[i + 1]!)));
  });

/** What the program does not know of a command line: the command, or a flag of it. */
export const unknownWords = (commands: ReadonlyArray<Command>) => (text: string): ReadonlyArray<string> =>
  neuronlabParts(text).flatMap(([name, ...rest]) => {
    if (name === undefined || name.startsWith("-") || PLACEHOLDER.test(name)) return [];
    const command = commands.find((one) => one.name === name);
    if (command === undefined) return [`there is no command ${name}`];
    const known = [...command.flags, ...sharedFlags];
    return rest.flatMap((word, i) => {
      // What follows --baseline-args is words for another program.
      const taken = known.some(({ name: flag, dashes }) => dashes === true && rest[i - 1] === `--${flag}`);
      if (taken || !/^--?[a-zA-Z]/.test(word)) return [];
      const flag = word.replace(/=.*$/, "");
      return flag === "--help" || flag === "-h" || known.some(({ name: long, short }) => flag === `--${long}` || (short !== undefined && flag === `-${short}`)) ? [] : [`${name} has no ${flag}`];
    });
  });
