/** Text of the tour for a terminal of 80 columns: sentences are broken at spaces, tables are left as they are. */
import { wrapped } from "../../../sim/report/table.js";

export const WIDTH = 78;

const isTable = (line: string): boolean => /\S {2,}\S/.test(line);

/** Each sentence or table as it is to stand, one below the other. */
export const lines = (parts: ReadonlyArray<string>): string =>
  parts.flatMap((part) => part.split("\n")).flatMap((line) => (isTable(line) || line === "" ? [line] : wrapped(line, WIDTH))).join("\n");

/** Text that comes in pieces, in lines of that width behind a margin. A word is told when its end is known: an empty piece ends the text. */
export const flowing = (print: (text: string) => void, margin = "  ", width = WIDTH): ((piece: string) => void) => {
  const room = width - margin.length;
  let [column, word] = [0, ""];
  const tell = (): void => {
    const length = [...word].length;
    if (length === 0) return;
    const wraps = column > 0 && column + 1 + length > room;
    print(`${column === 0 ? margin : wraps ? `\n${margin}` : " "}${word}`);
    column = column === 0 || wraps ? length : column + 1 + length;
    word = "";
  };
  return (piece) => {
    if (piece === "") {
      tell();
      print("\n\n");
      column = 0;
    }
    for (const character of piece) {
      if (/\s/.test(character)) tell();
      else word += character;
      if ([...word].length >= room) tell();
    }
  };
};
