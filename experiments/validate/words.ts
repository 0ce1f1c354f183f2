/** Words and tables that the reports of validations share. Pure. */
export type ReportFile = { readonly path: string; readonly text: string } | { readonly path: string; readonly bytes: Uint8Array };
export interface ValidationReport { readonly text: string; readonly json: unknown; readonly files: ReadonlyArray<ReportFile> }
export interface Tools { readonly document: Document; readonly png: ((svg: string) => Uint8Array) | null }

export const percent = (share: number, digits = 1): string => `${share > 0 ? "+" : ""}${(100 * share).toFixed(digits)} %`;
export const plain = (share: number): string => `${(100 * share).toFixed(1)} %`;

export const padded = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) => row.map((text, i) => (i < 2 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!))).join("  ").trimEnd());
};

export const markdown = (columns: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => [`| ${columns.join(" | ")} |`, `|${columns.map(() => "---").join("|")}|`, ...rows.map((row) => `| ${row.join(" | ")} |`)].join("\n");

const UNIT: Readonly<Record<string, string>> = { runtimeBytes: "B", cacheUpkeep: "GB/s", memorySupply: "GB/s", own: "ns", handed: "ns", handing: "ns", command: "ns", layer: "ns", meeting: "ns", token: "ns", spin: "ns", readStart: "ns" };

/** A system as a profile has it: quantities with their units, and no empty notes, which the decoder refuses. */
export const written = (key: string, value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([inner, of]) => inner !== "note" || of !== "");
  const unit = UNIT[key];
  return Object.fromEntries(entries.map(([inner, of]) => [inner, inner === "value" && unit !== undefined ? `${String(of)}${unit}` : written(inner, of)]));
};
