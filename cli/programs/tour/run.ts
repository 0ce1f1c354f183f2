/** Step 3: a run that is predicted first and then made, again and again in turn with one that has all weights in memory. */
import { join } from "node:path";
import { E, TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import { fault, type AppError } from "../../../sim/base/errors.js";
import type { DeviceProfile } from "../../../sim/domain/device.js";
import { encodePlan } from "../../../sim/domain/plan.js";
import { encodeRecord, type MeasuredRun } from "../../../sim/domain/run.js";
import { compared, outcomeOf, type CellResult, type Outcome } from "../../../experiments/validate/compare.js";
import { measuredRun, type Ran } from "../generate/measured-run.js";
import { encodePackedModel } from "../models/packed-model.js";
import { predictionOf } from "../models/prepared.js";
import type { TourContext, Work } from "./context.js";
import type { TourModel } from "./model.js";

/** Each of the two runs, so many times in turn: their spread says how quiet the machine is. */
const ROUNDS = 5;

/** Files that this step leaves, for the commands that follow the tour. */
export const RUN_FILES = { plan: "here.plan.json", model: "model.json", record: "run.json" } as const;

export interface TourRun {
  /** null where this machine has no profile to predict from. */
  readonly predicted: Outcome | null;
  readonly measured: ReadonlyArray<Outcome>;
  readonly inMemory: ReadonlyArray<Outcome>;
  /** Predicted beside measured, with signed errors; null without a prediction. */
  readonly compared: CellResult | null;
  readonly text: string;
  readonly tokens: number;
  /** Whether every run chose the very same tokens. */
  readonly same: boolean;
  /** Of the process; null where the system does not say. */
  readonly peakResident: number | null;
  readonly labels: ReadonlyArray<string>;
  readonly threads: number;
  readonly model: TourModel;
  readonly files: ReadonlyArray<string>;
}

/** The words that a user would type for such a run: the plan says how, and without one everything is in memory. */
export const wordsOf = ({ ready, reading }: TourModel, how: { readonly plan: string } | { readonly threads: number }): Readonly<Record<string, unknown>> => ({
  model: ready.file,
  prompt: reading.prompt,
  tokens: String(reading.tokens + 1),
  "ignore-end": true,
  ...(reading.temperature === undefined ? {} : { temperature: String(reading.temperature), seed: "1" }),
  ...("plan" in how ? { plan: how.plan } : { threads: String(how.threads) }),
});

interface Turn { readonly record: MeasuredRun; readonly ran: Ran }

/** Recorded, so that it says where its time went. */
const turn = ({ capabilities, parts }: TourContext, words: Readonly<Record<string, unknown>>, tokens: number, stream: (text: string) => void): TaskEither<AppError, Turn | null> =>
  pipe(
    parts.generation({ named: { ...words, save: RUN_FILES.record }, extra: [] })({ ...capabilities, print: (text) => () => stream(text) }),
    TE.chainEitherK(({ ran }): E.Either<AppError, Turn | null> => {
      if (ran === null || ran.report.stop === "cancelled") return E.right(null);
      const record = measuredRun(ran);
      return record === null || record.tokens.length !== tokens ? E.left(fault(`a run of ${record?.tokens.length ?? 0} tokens; ${tokens} were asked for`)) : E.right({ record, ran });
    }),
  );

const predicted = ({ capabilities, seed }: TourContext, device: DeviceProfile, { ready, system, plan, reading }: TourModel): TaskEither<AppError, Outcome> =>
  pipe(
    capabilities.runMany([predictionOf({ device, system, prepared: ready, plan, tokens: reading.tokens, seed, name: ready.name })], { workers: 1, silent: true }),
    TE.chainEitherK(([outcome]) => (outcome === undefined ? E.left(fault("a prediction without an outcome")) : pipe(outcome, E.map(outcomeOf)))),
  );

interface Rounds { readonly half: ReadonlyArray<Turn>; readonly all: ReadonlyArray<Turn> }

/** A B A B: what the machine does meanwhile falls on both. The text of the first is told as it comes, and a bar goes on from there. */
const rounds = (context: TourContext, model: TourModel, plan: string): TaskEither<AppError, Rounds | null> => async () => {
  const { tokens, prompt } = model.reading;
  const threads = Object.values(model.plan.compute.threads).reduce((sum, count) => sum + count, 0);
  const done: { readonly half: Array<Turn>; readonly all: Array<Turn> } = { half: [], all: [] };
  const run = (of: "half" | "all", stream: (text: string) => void) => turn(context, wordsOf(model, of === "half" ? { plan } : { threads }), tokens, stream)();
  context.stream(`[${prompt}] `);
  const first = await run("half", context.stream);
  context.stream("");
  if (E.isLeft(first) || first.right === null) return first as E.Either<AppError, null>;
  done.half.push(first.right);
  const left = Array.from({ length: 2 * ROUNDS - 1 }, (_, i) => (i % 2 === 0 ? "all" : "half"));
  const gauge = context.capabilities.gauge(left.length, "more runs");
  for (const [made, of] of left.entries()) {
    gauge.at(made);
    const ended = await run(of, () => undefined);
    if (E.isLeft(ended) || ended.right === null) {
      gauge.end();
      return ended as E.Either<AppError, null>;
    }
    done[of].push(ended.right);
  }
  gauge.end();
  return E.right(done);
};

const isSame = (turns: ReadonlyArray<Turn>): boolean => {
  const texts = turns.map(({ ran }) => ran.report.tokens.join(" "));
  return texts.every((text) => text === texts[0]);
};

export const runStep = (device: DeviceProfile | null, model: TourModel): Work<TourRun> => (context) => {
  const at = (name: string): string => join(context.out, name);
  const { capabilities } = context;
  return pipe(
    capabilities.write([{ path: at(RUN_FILES.plan), text: `${JSON.stringify(encodePlan(model.plan), null, 2)}\n` }, { path: at(RUN_FILES.model), text: `${JSON.stringify(encodePackedModel(model.ready.model), null, 2)}\n` }]),
    TE.chain((): TaskEither<AppError, Outcome | null> => (device === null ? TE.right(null) : predicted(context, device, model))),
    TE.bindTo("prediction"),
    TE.bind("made", () => rounds(context, model, at(RUN_FILES.plan))),
    TE.chain(({ prediction, made }): TaskEither<AppError, TourRun | null> => {
      if (made === null) return TE.right(null);
      const measured = made.half.map(({ record: of }) => outcomeOf(of));
      const { ran, record } = made.half[0]!;
      return pipe(
        capabilities.write([{ path: at(RUN_FILES.record), text: `${JSON.stringify(encodeRecord(record))}\n` }]),
        TE.map((): TourRun => ({
          predicted: prediction,
          measured,
          inMemory: made.all.map(({ record: of }) => outcomeOf(of)),
          compared: prediction === null ? null : compared(model.cell, prediction, prediction, measured),
          text: ran.report.text,
          tokens: model.reading.tokens,
          same: isSame([...made.half, ...made.all]),
          peakResident: ran.report.peakResident ?? null,
          labels: ran.report.labels,
          threads: ran.report.threads,
          model,
          files: Object.values(RUN_FILES).map(at),
        })),
      );
    }),
  );
};
