/** A claim of this project, what shows it, and what came out. */

/** `holds` null: not judged, because nothing was aimed at, or because it cannot be measured here. */
export interface Row {
  readonly group: string;
  readonly claim: string;
  /** What to type to see it, and how long that takes. */
  readonly command: string;
  readonly takes: string;
  /** What it is held to; empty where nothing was aimed at. */
  readonly tolerance: string;
  readonly found: string;
  readonly holds: boolean | null;
  /** Where and when, of what was measured; empty of what every machine computes alike. */
  readonly measured: string;
}

/** Parsed results by their path in the repository. */
export type Documents = Readonly<Record<string, unknown>>;

export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`;

/** A figure that should not exceed an aim; both in percent of one. */
export const atMost = (value: number, aim: number, digits = 1): Pick<Row, "tolerance" | "found" | "holds"> => ({ tolerance: `at most ${percent(aim, aim < 0.01 ? 1 : 0)}`, found: percent(value, digits), holds: value <= aim });
export const atLeast = (value: number, aim: number, digits = 2): Pick<Row, "tolerance" | "found" | "holds"> => ({ tolerance: `at least ${aim}`, found: value.toFixed(digits), holds: value >= aim });
