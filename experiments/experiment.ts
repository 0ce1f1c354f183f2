/**
 * An experiment is a question put to the simulator: the runs it needs, the points that the paper reports for them, and
 * the claims to be tested. Pure data and pure functions; the command line runs it.
 */
import type { DeviceProfile } from "../sim/domain/device.js";
import type { ModelSpec } from "../sim/domain/model.js";
import type { SimulatedRun, RunRequest } from "../sim/domain/run.js";

/** calibration: a constant was fitted to it, or it is an input that comes straight back. check: everything else. */
export type Role = "calibration" | "check";

/** The key follows from the request (cases.ts), so the same run has the same key in every experiment and is made once. */
export interface Case { readonly key: string; readonly request: RunRequest }

/** What points, curves and claims are computed from. */
export interface Lab {
  /** A finished run by its case key; null where the system cannot run that case. */
  readonly run: (key: string) => SimulatedRun | null;
  /** Why `run` gave null, in a few words for the picture's gap: "does not fit in memory". */
  readonly reason?: (key: string) => string | null;
  readonly device: (name: string) => DeviceProfile;
  readonly model: (name: string) => ModelSpec;
}

export interface PointSpec {
  readonly id: string;
  /** Key of one panel of the figure: a device, a prompt length, a metric. Empty where the figure has one panel. */
  readonly panel: string;
  /** What is compared: mostly a system's name. */
  readonly series: string;
  /** Position on the figure's x axis: a number, or a category. */
  readonly x: number | string;
  readonly unit: string;
  readonly reported: number;
  /** Half of the last printed digit: 0.05 for "0.4". The reported value may lie anywhere in reported ± this. */
  readonly printed: number;
  readonly role: Role;
  readonly note?: string;
  /** The runs it is computed from: they become the experiment's cases, and say why a point is missing. */
  readonly uses: ReadonlyArray<Case>;
  readonly simulated: (lab: Lab) => number | null;
}

export interface ResultPoint {
  readonly id: string;
  readonly panel: string;
  readonly series: string;
  readonly x: number | string;
  readonly unit: string;
  readonly reported: number;
  readonly printed: number;
  /** null: the run could not be made (the reason is in `note`). */
  readonly simulated: number | null;
  /** (simulated − reported) / reported. */
  readonly signedError: number | null;
  /** The error is no larger than the rounding of the printed value. */
  readonly withinPrint: boolean;
  readonly role: Role;
  readonly note: string;
}

/** A curve or set of simulated values drawn without a reported twin (Figures 2, 3, 13: only orderings are known). */
export interface CurvePoint { readonly panel?: string; readonly series: string; readonly x: number | string; readonly value: number; readonly unit: string }

/** A value that the paper reports and a timing simulator cannot give: shown as reported (Table 7's accuracy). */
export interface ReportedOnly { readonly panel: string; readonly series: string; readonly x: number | string; readonly unit: string; readonly reported: number }

/** A place of the figure where the paper itself shows no run. */
export interface Gap { readonly panel: string; readonly series: string; readonly x: number | string; readonly reason: string }

export interface Evidence {
  readonly lab: Lab;
  readonly points: ReadonlyArray<ResultPoint>;
  readonly curves: ReadonlyArray<CurvePoint>;
}
/** `found` says what the simulation shows, in the claim's own terms: "3.61× on average". */
export interface Verdict { readonly holds: boolean; readonly found: string }

export interface ClaimSpec {
  readonly id: string;
  /** With its tolerance where it names a number; the tolerance is the same for all (claims.ts). */
  readonly text: string;
  readonly judge: (evidence: Evidence) => Verdict;
}
export interface ClaimResult { readonly id: string; readonly text: string; readonly holds: boolean; readonly found: string }

/** One coordinate system of a figure. It shows the points and curves of its key, and of those only `series` where it names some. */
export interface Panel {
  readonly key: string;
  /** For values of very different size: each panel has an axis of its own. */
  readonly series?: ReadonlyArray<string>;
  readonly title: string;
  /** bars: categories on x, a pair of bars (reported, simulated) for each series. lines: x is a quantity, or an ordered category. */
  readonly kind: "bars" | "lines";
  readonly yLabel: string;
  readonly log?: boolean;
  /** Panels stand side by side, this many in a row; 1 unless said. */
  readonly columns?: number;
  /** Top of the axis where the data alone do not decide it. */
  readonly max?: number;
  readonly xLabel?: string;
  readonly xScale?: "linear" | "log" | "category";
  readonly ticks?: ReadonlyArray<number>;
}

export interface Chart {
  readonly panels: ReadonlyArray<Panel>;
  /** Names shown for x; categories are used as they are where absent. A line break is "\n". */
  readonly names?: Readonly<Record<string, string>>;
}

export interface Experiment {
  readonly id: string;
  /** As the paper names it: "Figure 10". */
  readonly paper: string;
  readonly title: string;
  readonly question: string;
  readonly cases: ReadonlyArray<Case>;
  readonly points: ReadonlyArray<PointSpec>;
  /** Simulated values without a reported twin; also those that need no whole run (flash curves, matrix kernels). */
  readonly curves?: (lab: Lab) => ReadonlyArray<CurvePoint>;
  readonly reportedOnly?: ReadonlyArray<ReportedOnly>;
  readonly gaps?: ReadonlyArray<Gap>;
  readonly claims: ReadonlyArray<ClaimSpec>;
  readonly chart: Chart;
}

/** An experiment's outcome; everything that tables, pictures and pages show. */
export interface Result {
  readonly experiment: Experiment;
  readonly points: ReadonlyArray<ResultPoint>;
  readonly curves: ReadonlyArray<CurvePoint>;
  readonly claims: ReadonlyArray<ClaimResult>;
}
