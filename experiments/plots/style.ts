/** The look that all figures share: a page 640 px wide, no text below 12 px (9 pt). */
export const WIDTH = 640;
export const FONT = "DejaVu Sans, Verdana, sans-serif";
export const FONT_SIZE = 12;
export const INK = "#1f1f1f";
export const MUTED = "#555555";

/** jsdom lays nothing out: widths are estimated from DejaVu Sans' mean advance, on the safe side. */
export const textWidth = (text: string, fontSize = FONT_SIZE, bold = false): number => [...text].length * fontSize * (bold ? 0.68 : 0.61);

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
