/** Runs of the engine: who each is, and what of its outcome is kept. Pure. */
import { E, type Either } from "../../../../sim/base/fp.js";
import { canonical } from "../../../../sim/base/canonical.js";
import { describeError, exitCode, type AppError } from "../../../../sim/base/errors.js";
import type { MeasuredRun } from "../../../../sim/domain/run.js";
import { METRICS } from "../../../../sim/report/metrics.js";
import type { Place } from "../../../../sim/sweep/schedule.js";
import type { MachineFacts } from "../../../program.js";
import type { StoredDocument } from "../../../store.js";
import { stateOf } from "../../../finding.js";
import type { Jobs, Maker } from "../jobs.js";
import type { PointWords } from "./points.js";

/** What one process is started with. */
export interface EngineInputs { readonly words: PointWords }
export interface EngineWanted { readonly of: Place; readonly inputs: EngineInputs }

/** What one process left. */
export interface EngineRun {
  readonly record: MeasuredRun;
  readonly text: string;
  readonly tokens: ReadonlyArray<number>;
  /** Cores that everything else kept busy meanwhile, and that a virtual machine's host gave to others; null where nobody counted. */
  readonly othersBusy: number | null;
  readonly stolen: number | null;
}
export type EngineOutcome = Either<AppError, EngineRun>;

/** A point as it is run: `words` name the files that are really opened, `identity` has what they hold in the place of their names. */
export interface EnginePoint { readonly words: PointWords; readonly identity: unknown; readonly model: { readonly name: string; readonly hash: string } }

export interface EngineSetting {
  readonly points: ReadonlyArray<EnginePoint>;
  readonly machine: MachineFacts & { readonly name: string };
  readonly native: { readonly path: string; readonly hash: string };
}

/** What a measured number depends on: the compiled engine, the machine, the point with its files by content, and which of its repetitions it is. */
export const engineJobs = ({ points, machine, native }: EngineSetting) => ({ digest, manifest, now }: Maker): Jobs<EngineWanted, EngineOutcome> => {
  const document = (kind: StoredDocument["kind"], name: string, content: unknown): StoredDocument => ({ hash: digest(canonical(content)), kind, name, content });
  const device = document("device", machine.name, machine);
  const system = document("system", "neuronlab", { native: native.hash });
  const keyOf = ({ point, repetition }: Place): string => digest(canonical({ program: "engine", native: native.hash, machine, point: points[point]!.identity, repetition }));
  return {
    keyOf,
    wantedAt: (place) => E.right({ of: place, inputs: { words: points[place.point]!.words } }),
    failed: (error) => E.left(error),
    stored: (place, outcome, seconds) => {
      const { words, model: file } = points[place.point]!;
      const model = document("model", file.name, file);
      const head = { key: keyOf(place), manifest, device: device.hash, model: model.hash, system: system.hash, seconds: Number(seconds.toFixed(6)), finishedAt: now().toISOString(), request: { program: "engine", words, repetition: place.repetition }, limit: null };
      if (E.isLeft(outcome)) return { run: { ...head, state: stateOf(outcome.left), reason: describeError(outcome.left), exit: exitCode(outcome.left), plan: null, text: null, metrics: {} }, documents: [device, model, system] };
      const { record, text, tokens, othersBusy, stolen } = outcome.right;
      const plan = document("plan", `${file.name} on ${machine.name}`, record.plan);
      const written = document("text", file.name, { text, tokens });
      return {
        run: {
          ...head, state: "done", reason: null, exit: 0, plan: plan.hash, text: written.hash,
          metrics: { ...Object.fromEntries(Object.entries(METRICS).map(([name, metric]) => [name, metric.of(record)])), othersBusy, stolen },
        },
        documents: [device, model, system, plan, written],
      };
    },
  };
};
