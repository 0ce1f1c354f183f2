/**
 * An experiment is a question put to the simulator: the runs it needs, the points that the paper reports for them, and
 * the claims to be tested. Pure data and pure functions; the command line runs it.
 */
import type { DeviceProfile } from "../sim/domain/device.js";
import type { ModelSpec } from "../sim/domain/model.js";
import type { RunRecord, RunRequest } from "../sim/domain/run.js";

export type Role = "calibration" | "check";

export interface Case { readonly key: string; readonly request: RunRequest }

/** What points, curves and claims are computed from. */
export interface Lab {
  /** A finished run by its case key; null where the system cannot run that case. */
  readonly run: (key: string) => RunRecord | null;
  readonly device: (name: string) => DeviceProfile;
  readonly model: (name: string) => ModelSpec;
}

export interface PointSpec {
  readonly id: string;
  readonly series: string;
  /** Position on the figure's x axis: a number, or a category. */
  readonly x: number | string;
  readonly unit: string;
  readonly reported: number;
  /** Half of the last printed digit: 0.05 for "0.4". The reported value may lie anywhere in reported ± this. */
  readonly printed: number;
  readonly role: Role;
  readonly note?: string;
  readonly simulated: (lab: Lab) => number | null;
}

export interface ResultPoint {
  readonly id: string;
  readonly series: string;
  readonly x: number | string;
  readonly unit: string;
  readonly reported: number;
  readonly printed: number;
  /** null: the run could not be made (the reason is in `note`). */
  readonly simulated: number | null;
  /** (simulated − reported) / reported. */
  readonly signedError: number | null;
  readonly role: Role;
  readonly note: string;
}

/** A curve or set of simulated values drawn without a reported twin (Figures 2, 3, 13: only orderings are known). */
export interface CurvePoint { readonly series: string; readonly x: number | string; readonly value: number; readonly unit: string }

export interface ClaimSpec {
  readonly id: string;
  readonly text: string;
  readonly holds: (lab: Lab, points: ReadonlyArray<ResultPoint>, curves: ReadonlyArray<CurvePoint>) => boolean;
}
export interface ClaimResult { readonly id: string; readonly text: string; readonly holds: boolean }

export type Chart =
  | { readonly kind: "bars"; readonly yLabel: string; readonly xLabel: string; readonly log?: boolean; readonly facet?: boolean }
  | { readonly kind: "lines"; readonly yLabel: string; readonly xLabel: string; readonly xLog?: boolean; readonly log?: boolean };

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
  readonly claims: ReadonlyArray<ClaimSpec>;
  readonly chart: Chart;
}
