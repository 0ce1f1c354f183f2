/** The look that all figures share: a page 640 px wide, no text below 12 px (9 pt). */
export const WIDTH = 640;
export const FONT = "DejaVu Sans, Verdana, sans-serif";
export const FONT_SIZE = 12;
export const INK = "#1f1f1f";
export const MUTED = "#555555";

const NARROW = 0.32;
/** Advances of DejaVu Sans in ems, by kind of character. */
const advance = (character: string): number => {
  if ("iljI.,:;'|! ".includes(character)) return NARROW;
  if ("ftr-()/".includes(character)) return 0.41;
  if ("mwMW%@".includes(character)) return 0.95;
  return /[A-Z]/.test(character) ? 0.7 : 0.63;
};

/** jsdom lays nothing out: widths are estimated. */
export const textWidth = (text: string, fontSize = FONT_SIZE, bold = false): number => [...text].reduce((sum, c) => sum + advance(c), 0) * fontSize * (bold ? 1.12 : 1);

/** Lines no wider than `width`, broken at spaces. */
export const wrapText = (text: string, width: number, fontSize = FONT_SIZE, bold = false): ReadonlyArray<string> => {
  const lines: Array<string> = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && textWidth(longer, fontSize, bold) > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return line === "" ? lines : [...lines, line];
};
