/** What is kept of a run's outcome: all that a sweep looks at, small enough to travel, and the same however it came here. */
import { E } from "../sim/base/fp.js";
import { custom, exactly, nullable, number, oneOf, refined, text, type Codec } from "../sim/base/decode.js";
import { describeError, exitCode, type AppError } from "../sim/base/errors.js";
import { encodePlan, planCodec } from "../sim/domain/plan.js";
import { METRICS } from "../sim/report/metrics.js";
import type { Outcome } from "./simulation.js";
import type { RunState } from "./store.js";

export interface Finding {
  readonly state: RunState;
  /** Of a run that is not done. */
  readonly reason: string | null;
  /** The exit code that such a failure has by itself; 0 for a run that is done. */
  readonly exit: number;
  /** As a plan's file has it; null where none was run. */
  readonly plan: unknown;
  readonly metrics: Readonly<Record<string, number | null>>;
  /** What holds most of the critical path. */
  readonly limit: string | null;
}

/** "Does not fit" and "cannot" are answers; all else says that the question or the program is wrong. */
export const stateOf = (error: AppError): RunState => (error._tag === "DoesNotFit" || error._tag === "Unsupported" ? "refused" : "failed");

const NOTHING = { plan: null, metrics: {}, limit: null } as const;

export const findingOf = (outcome: Outcome): Finding => {
  if (E.isLeft(outcome)) return { ...NOTHING, state: stateOf(outcome.left), reason: describeError(outcome.left), exit: exitCode(outcome.left) };
  const record = outcome.right;
  const broken = record.violations.length > 0;
  return {
    state: broken ? "failed" : "done",
    reason: broken ? `broke its own checks, a fault of ours: ${record.violations.join("; ")}` : null,
    exit: broken ? 70 : 0,
    plan: encodePlan(record.plan),
    metrics: Object.fromEntries(Object.entries(METRICS).map(([name, metric]) => [name, metric.of(record)])),
    limit: record.limits[0]?.part ?? null,
  };
};

const metricsCodec: Codec<Finding["metrics"]> = custom("metrics", (raw) => {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return E.left("should be an object of numbers");
  const wrong = Object.entries(raw).find(([name, value]) => !Object.hasOwn(METRICS, name) || !(value === null || Number.isFinite(value)));
  return wrong === undefined ? E.right(raw as Finding["metrics"]) : E.left(`${JSON.stringify(wrong[0])} is no metric with a number`);
});

/** A plan is kept as it came, once it is known to be one. */
const writtenPlan: Codec<unknown> = custom("plan", (raw) => {
  const read = planCodec.decode(raw);
  return E.isRight(read) ? E.right(encodePlan(read.right)) : E.left("should be a plan");
});

/** A finding that was made elsewhere. */
export const findingCodec: Codec<Finding> = refined(
  exactly({ state: oneOf("done", "refused", "failed"), reason: nullable(text), exit: number(0, 255, true), plan: nullable(writtenPlan), metrics: metricsCodec, limit: nullable(text) }),
  ({ state, exit, reason }) => ((state === "done") === (exit === 0 && reason === null) ? [] : [{ path: "state", message: `${state} does not go with exit code ${exit} and ${reason === null ? "no reason" : "a reason"}` }]),
);
