/** The runs of a sweep: who each is, what it needs, and what of its outcome is kept. */
import { E, type Either } from "../../../sim/base/fp.js";
import { canonical } from "../../../sim/base/canonical.js";
import { describeError, exitCode, type AppError } from "../../../sim/base/errors.js";
import { encodePlan, type Plan } from "../../../sim/domain/plan.js";
import { encodeRequest, type SimulatedRun } from "../../../sim/domain/run.js";
import { METRICS } from "../../../sim/report/metrics.js";
import { identities, keyOf, seedOf, type Digest } from "../../../sim/sweep/identity.js";
import type { Resolved } from "../../../sim/sweep/resolve.js";
import { DRAW } from "../../../sim/sweep/stability/draw.js";
import { drawnResolver } from "../../../sim/sweep/stability/drawn.js";
import type { Place } from "../../../sim/sweep/schedule.js";
import type { Outcome, RunInputs } from "../../program.js";
import type { Line, RunState, StoredDocument, StoredRun } from "../../store.js";
import type { Declared } from "./load.js";

export interface Jobs {
  readonly keyOf: (place: Place) => string;
  readonly inputsOf: (place: Place) => Either<AppError, RunInputs>;
  /** What is kept of an outcome, and the documents that it refers to. */
  readonly stored: (place: Place, outcome: Outcome, seconds: number) => { readonly run: StoredRun; readonly documents: ReadonlyArray<StoredDocument> };
}

export interface Maker { readonly digest: Digest; readonly code: string; readonly manifest: string; readonly now: () => Date }

/** "Does not fit" and "cannot" are answers; all else says that the question or the program is wrong. */
export const stateOf = (error: AppError): RunState => (error._tag === "DoesNotFit" || error._tag === "Unsupported" ? "refused" : "failed");

/** What a point is: that of its inputs, or, where there are none because it cannot be resolved, that of what was asked. */
interface Known { readonly point: string; readonly device: string; readonly model: string; readonly system: string; readonly seed: number | null }

export const jobsOf = ({ declaration, shelf, points }: Declared, { digest, code, manifest, now }: Maker): Jobs => {
  const resolve = drawnResolver(declaration, shelf);
  const identify = identities(digest);
  const fixed = declaration.axes.flatMap((dimension) => (dimension._tag === "Single" ? [dimension.axis] : dimension.axes)).some((axis) => axis.over.some(({ word }) => word === "seed"));
  const whoIs = points.kept.map((at): Known => {
    const run = resolve(at);
    if (E.isLeft(run)) return { point: digest(canonical({ base: declaration.base, at })), device: "", model: "", system: "", seed: null };
    return { ...identify(run.right), seed: fixed ? run.right.request.seed : null };
  });
  /** Points of one draw have the same seed, so that what differs between them is not their luck. */
  const named = (point: number): string => (declaration.uncertain === null ? whoIs[point]!.point : `draw/${points.kept[point]![DRAW]}`);
  const seedAt = ({ point, repetition }: Place): number => whoIs[point]!.seed ?? seedOf(digest, declaration.seed, named(point), repetition);
  const seeded = (run: Resolved, place: Place): RunInputs => ({ ...run, request: { ...run.request, seed: seedAt(place) } });
  const planDocument = (plan: Plan): StoredDocument => {
    const content = encodePlan(plan);
    return { hash: digest(canonical(content)), kind: "plan", name: `${plan.model} on ${plan.device}`, content };
  };
  const keyAt = (place: Place): string => keyOf(digest, code, whoIs[place.point]!.point, seedAt(place));
  const inputsOf = (place: Place): Either<AppError, RunInputs> => {
    const run = resolve(points.kept[place.point]!);
    return E.isLeft(run) ? run : E.right(seeded(run.right, place));
  };
  return {
    keyOf: keyAt,
    inputsOf,
    stored: (place, outcome, seconds) => {
      const known = whoIs[place.point]!;
      const inputs = inputsOf(place);
      const head = { key: keyAt(place), manifest, device: known.device, model: known.model, system: known.system, seconds: Number(seconds.toFixed(6)), finishedAt: now().toISOString() };
      const profiles: ReadonlyArray<StoredDocument> = E.isLeft(inputs) ? [] : (["device", "model", "system"] as const).map((kind) => ({ hash: known[kind], kind, name: inputs.right[kind].name, content: inputs.right[kind] }));
      const request = E.isLeft(inputs) ? { coordinates: points.kept[place.point] } : encodeRequest(inputs.right.request);
      if (E.isLeft(outcome)) return { run: { ...head, state: stateOf(outcome.left), reason: describeError(outcome.left), exit: exitCode(outcome.left), request, plan: null, metrics: {}, limit: null }, documents: profiles };
      const record: SimulatedRun = outcome.right;
      const plan = planDocument(record.plan);
      const broken = record.violations.length > 0;
      return {
        run: {
          ...head, request, plan: plan.hash,
          state: broken ? "failed" : "done",
          reason: broken ? `broke its own checks, a fault of ours: ${record.violations.join("; ")}` : null,
          exit: broken ? 70 : 0,
          metrics: Object.fromEntries(Object.entries(METRICS).map(([name, metric]) => [name, metric.of(record)])),
          limit: record.limits[0]?.part ?? null,
        },
        documents: [...profiles, plan],
      };
    },
  };
};

/** The lines of one finished run; a document is written once a journal. */
export const linesOf = (written: Set<string>, sweep: string, coordinates: Declared["points"]["kept"][number], place: Place, { run, documents }: { readonly run: StoredRun; readonly documents: ReadonlyArray<StoredDocument> }): ReadonlyArray<Line> => {
  const fresh = documents.filter(({ hash }) => !written.has(hash));
  for (const { hash } of fresh) written.add(hash);
  return [...fresh.map((document): Line => ({ line: "document", ...document })), { line: "run", ...run }, { line: "member", sweep, ...place, coordinates, run: run.key }];
};
