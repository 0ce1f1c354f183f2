/** Rows to aligned text. Pure; knows nothing of what it shows. */

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
  /** Longer cells continue on the next line, broken at spaces. */
  readonly wrap?: number;
}

const width = (text: string): number => [...text].length;

/** Lines no wider than `limit`, broken at spaces; a longer word is cut. */
export const wrapped = (text: string, limit: number): ReadonlyArray<string> => {
  const lines: Array<string> = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    let rest = word;
    if (line !== "" && width(line) + 1 + width(rest) <= limit) {
      line = `${line} ${rest}`;
      continue;
    }
    if (line !== "") lines.push(line);
    while (width(rest) > limit) {
      lines.push([...rest].slice(0, limit).join(""));
      rest = [...rest].slice(limit).join("");
    }
    line = rest;
  }
  lines.push(line);
  return lines;
};

const linesOf = (cell: string, column: Column): ReadonlyArray<string> => (column.wrap === undefined || width(cell) <= column.wrap ? [cell] : wrapped(cell, column.wrap));

const padded = (text: string, to: number, column: Column): string => {
  const gap = " ".repeat(Math.max(0, to - width(text)));
  return column.align === "right" ? gap + text : text + gap;
};

/** A header line, then one line (or several, where a cell wraps) for each row; two spaces between columns, none at the end. */
export const table = (columns: ReadonlyArray<Column>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const cells = rows.map((row) => columns.map((column, j) => linesOf(row[j] ?? "", column)));
  const widths = columns.map((column, j) => Math.max(width(column.title), ...cells.flatMap((row) => row[j].map(width))));
  const line = (texts: ReadonlyArray<string>): string => texts.map((text, j) => padded(text, widths[j], columns[j])).join("  ").trimEnd();
  const body = cells.flatMap((row) => {
    const height = Math.max(1, ...row.map((lines) => lines.length));
    return Array.from({ length: height }, (_, i) => line(row.map((lines) => lines[i] ?? "")));
  });
  return [line(columns.map((column) => column.title)), ...body].join("\n");
};

export const indented = (text: string, by = 2): string => text.split("\n").map((line) => (line === "" ? line : " ".repeat(by) + line)).join("\n");

/** Three significant digits and more where they lie before the point: 0.0123, 1.23, 12.3, 1234. */
export const showNumber = (value: number): string => {
  if (!Number.isFinite(value)) return String(value);
  const abs = Math.abs(value);
  if (abs === 0) return "0";
  if (abs >= 100) return value.toFixed(0);
  if (abs >= 10) return value.toFixed(1);
  if (abs >= 1) return value.toFixed(2);
  return abs >= 0.001 ? String(Number(value.toPrecision(3))) : value.toExponential(2);
};

export const showShare = (share: number): string => `${(100 * share).toFixed(1)}%`;
export const showSignedShare = (share: number): string => `${share > 0 ? "+" : ""}${(100 * share).toFixed(1)}%`;
