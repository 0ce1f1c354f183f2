/** An experiment and a laboratory with finished runs to points, curves and verdicts. Pure. */
import type { ClaimResult, CurvePoint, Experiment, Lab, PointSpec, Result, ResultPoint } from "./experiment.js";

/** Why a point has no value, for the reader of the picture. */
const gapReason = (spec: PointSpec, lab: Lab): string => {
  const missing = spec.uses.find((c) => lab.run(c.key) === null);
  if (missing === undefined) return "the run does not give this value";
  return lab.reason?.(missing.key) ?? "the run could not be made";
};

const evaluatePoint = (spec: PointSpec, lab: Lab): ResultPoint => {
  const value = spec.simulated(lab);
  const simulated = value !== null && Number.isFinite(value) ? value : null;
  const { id, panel, series, x, unit, reported, printed, role } = spec;
  return {
    id, panel, series, x, unit, reported, printed, simulated,
    signedError: simulated === null ? null : (simulated - reported) / reported,
    withinPrint: simulated !== null && Math.abs(simulated - reported) <= printed,
    role,
    note: [simulated === null ? `no value: ${gapReason(spec, lab)}` : "", spec.note ?? ""].filter((text) => text !== "").join("; "),
  };
};

export const evaluate = (experiment: Experiment, lab: Lab): Result => {
  const points = experiment.points.map((spec) => evaluatePoint(spec, lab));
  const curves: ReadonlyArray<CurvePoint> = (experiment.curves?.(lab) ?? []).filter((c) => Number.isFinite(c.value));
  const evidence = { lab, points, curves };
  const claims: ReadonlyArray<ClaimResult> = experiment.claims.map(({ id, text, judge }) => ({ id, text, ...judge(evidence) }));
  return { experiment, points, curves, claims };
};
