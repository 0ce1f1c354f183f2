/** What one panel shows, cut from a result. */
import type { Panel, Result } from "../experiment.js";

export type Source = "reported" | "simulated";

export interface Mark {
  readonly series: string;
  readonly x: number | string;
  readonly source: Source;
  /** null: no run; `label` then says why. */
  readonly value: number | null;
  readonly label: string;
}

export interface Line { readonly series: string; readonly x: number | string; readonly value: number }

export interface PanelRows {
  readonly panel: Panel;
  readonly marks: ReadonlyArray<Mark>;
  readonly lines: ReadonlyArray<Line>;
  /** In order of first appearance. */
  readonly series: ReadonlyArray<string>;
  readonly categories: ReadonlyArray<string>;
}

const distinct = <A>(values: ReadonlyArray<A>): ReadonlyArray<A> => [...new Set(values)];

/** A reported value as it was printed: 10.0 keeps its zero. */
export const showReported = (value: number, printed: number): string => {
  const decimals = Math.max(0, Math.round(-Math.log10(2 * printed)));
  return Number.isInteger(Math.log10(2 * printed)) || Math.abs(2 * printed - 10 ** -decimals) < 1e-9 ? value.toFixed(decimals) : showSimulated(value);
};

/** Three digits, no exponents: labels and tables stay short. */
export const showSimulated = (value: number): string => {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3);
};

/** A name that an axis breaks into lines, as text has it: a line that ends in a hyphen goes on without a space. */
export const inOneLine = (name: string): string => name.replaceAll("-\n", "-").replaceAll("\n", " ");

/** Whether a panel shows this point, curve or gap. */
export const shows = (panel: Panel, of: { readonly panel?: string; readonly series: string }): boolean => (of.panel ?? "") === panel.key && (panel.series?.includes(of.series) ?? true);

export const panelRows = ({ experiment, points, curves }: Result, panel: Panel): PanelRows => {
  const isShown = (of: { readonly panel?: string; readonly series: string }): boolean => shows(panel, of);
  const inside = points.filter(isShown);
  const gaps = (experiment.gaps ?? []).filter(isShown);
  const reportedOnly = (experiment.reportedOnly ?? []).filter(isShown);
  const marks: ReadonlyArray<Mark> = [
    ...inside.flatMap((p): ReadonlyArray<Mark> => [
      { series: p.series, x: p.x, source: "reported", value: p.reported, label: showReported(p.reported, p.printed) },
      { series: p.series, x: p.x, source: "simulated", value: p.simulated, label: p.simulated === null ? "no run" : showSimulated(p.simulated) },
    ]),
    ...gaps.flatMap((g): ReadonlyArray<Mark> => [
      { series: g.series, x: g.x, source: "reported", value: null, label: "no run" },
      { series: g.series, x: g.x, source: "simulated", value: null, label: "no run" },
    ]),
    ...reportedOnly.map((r): Mark => ({ series: r.series, x: r.x, source: "reported", value: r.reported, label: showSimulated(r.reported) })),
  ];
  const lines = curves.filter(isShown).map(({ series, x, value }) => ({ series, x, value }));
  return { panel, marks, lines, series: distinct([...marks, ...lines].map((m) => m.series)), categories: distinct([...marks, ...lines].map((m) => String(m.x))) };
};
