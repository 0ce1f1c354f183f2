/** Step 2: a sparse model, packed for flash and recorded: the one that came along, or one that is made up here. Kept for the next tour. */
import { basename } from "node:path";
import { TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import type { AppError } from "../../../sim/base/errors.js";
import { showBytes } from "../../../sim/base/units.js";
import { sizesOf } from "../../../sim/domain/model.js";
import type { Plan } from "../../../sim/domain/plan.js";
import type { SystemSpec } from "../../../sim/domain/system.js";
import { cutOf, wholeSegments } from "../../../sim/inference/gated/cut.js";
import { planOf } from "../../../experiments/validate/plan.js";
import type { Cell, ModelShape } from "../../../experiments/validate/cells.js";
import { loadSystem } from "../load.js";
import { preparedFile, preparedShape, type Preparation, type Ready, type Reading } from "../models/prepared.js";
import { showShare } from "../../../sim/report/table.js";
import { lines } from "./lines.js";
import { stoppable, type TourContext, type Work } from "./context.js";

/** A mixture of experts as the paper's 47B, in small; larger than what a processor's caches hold. */
export const MADE_UP: ModelShape = { name: "made-up-mixture", architecture: "smallthinker", activation: "relu", hidden: 2048, neurons: 1536, layers: 3, heads: 32, kvHeads: 8, experts: 8, expertsUsed: 2, share: 0.12, repeat: 0.5 };

/** What is read and continued: of a made-up model any words of its tokeniser will do; a small trained one repeats itself unless its words are drawn. */
const READINGS: Readonly<Record<"shipped" | "made up", Reading>> = {
  "shipped": { prompt: "It was a fine morning, and the whole party", tokens: 64, temperature: 0.5 },
  "made up": { prompt: "the other one is that of the time and of those who were there when it was over and the others had gone", tokens: 48 },
};

/** Among systems/. */
const ENGINE = "neuronlab";

/** Of the FFNs' weights, how much the run may hold. */
export const HELD = 0.5;

export interface TourModel {
  readonly ready: Ready;
  /** This engine, as the simulator knows it. */
  readonly system: SystemSpec;
  readonly origin: keyof typeof READINGS;
  /** The GGUF file that came along; null where it was made up. */
  readonly source: string | null;
  readonly reading: Reading;
  /** How it is to run, half of the FFNs held and single neurons read: in the words of `validate host`, and as a plan. */
  readonly cell: Cell;
  readonly plan: Plan;
  /** Bytes of all FFNs' weights in memory, and of those held. */
  readonly ffnBytes: number;
  readonly heldBytes: number;
}

/** The engine's own choices, where `generate` is told nothing else. */
const cellOf = (model: string, cores: number): Cell => ({
  id: "tour", model, role: "check", budget: HELD, loading: "two-phase", overlap: "cluster", cache: "segmented", submitters: "compute-threads", reads: 64, threads: Math.min(cores, 2), depth: 16, cluster: 256,
});

/** Positions that the plan has room for. */
const POSITIONS = 512;

/** What the segments are is given; the simulator wants to know too what the process holds beside them. */
const planFor = ({ name, model }: Ready, cell: Cell, system: SystemSpec): Plan => {
  const plan = planOf(cell, model);
  return { ...plan, note: `neuronlab tour: half of the FFNs of ${name} in memory`, cache: { ...plan.cache, kv: POSITIONS * sizesOf(model).kvBytesPerToken, runtime: system.software.runtimeBytes.value } };
};

const tourModel = ({ capabilities }: TourContext, origin: TourModel["origin"], source: string | null) => ({ ready, system }: { readonly ready: Ready; readonly system: SystemSpec }): TourModel => {
  const cell = cellOf(ready.name, capabilities.machine.cores);
  const plan = planFor(ready, cell, system);
  const whole = wholeSegments(cutOf(ready.model, { mechanisms: plan.mechanisms, cluster: plan.cluster, io: plan.io, cache: plan.cache }));
  return { ready, system, origin, source, reading: READINGS[origin], cell, plan, ffnBytes: whole.hot + whole.cold, heldBytes: plan.cache.hot + plan.cache.cold };
};

/** Bars count in these. */
const MEGABYTE = 1e6;

/** A bar for what is written, and one for each thing after it. */
const watched = ({ capabilities }: TourContext, signal: AbortSignal) => {
  let [gauge, under]: [ReturnType<typeof capabilities.gauge> | null, string | null] = [null, null];
  const end = (): void => gauge?.end();
  const onStep = ({ done, total }: { readonly done: number; readonly total: number }, of: "writing" | "packing" | "recording"): void => {
    const per = of === "recording" ? 1 : MEGABYTE;
    if (under !== of) {
      end();
      [gauge, under] = [capabilities.gauge(Math.ceil(total / per), of === "recording" ? "tokens recorded" : of === "packing" ? "MB packed" : "MB written"), of];
    }
    gauge?.at(Math.floor(done / per));
  };
  return { hooks: { onStep, signal }, end };
};

export const modelStep: Work<TourModel> = (context) =>
  stoppable(context, (signal) => {
    const { capabilities, cache, fresh } = context;
    const { hooks, end } = watched(context, signal);
    const preparation = (origin: TourModel["origin"]): Preparation => ({ folder: cache, reading: READINGS[origin], fresh, hooks });
    const found = pipe(
      capabilities.shippedModels,
      TE.bindTo("shipped"),
      TE.bind("system", () => loadSystem(ENGINE)(capabilities)),
      TE.chain(({ shipped: [shipped], system }): TaskEither<AppError, TourModel> => {
        const origin = shipped === undefined ? "made up" : "shipped";
        const ready = shipped === undefined ? preparedShape(capabilities, preparation(origin), MADE_UP) : preparedFile(capabilities, preparation(origin), shipped);
        return pipe(ready, TE.map((one) => tourModel(context, origin, shipped ?? null)({ ready: one, system })));
      }),
    );
    return async () => {
      const ended = await found();
      end();
      return ended;
    };
  });

export const tellModel = ({ ready: { model, file, made }, origin, source, ffnBytes, heldBytes }: TourModel): string => {
  const experts = model.experts.count === 1 ? "" : ` of ${model.experts.count} experts, ${model.experts.active} a token`;
  return lines([
    origin === "shipped"
      ? `${basename(source ?? file)}, a model trained for this repository: it writes words.`
      : `No trained model came along, so this one is made up: its neurons fire as those of sparse models do, and its words are nonsense.`,
    `${model.layers} layers${experts}, ${model.ffn} neurons each, ${showShare(model.activations.activeShare.value)} of those in use active a token. FFN weights ${showBytes(ffnBytes)}; the next step may hold ${showBytes(heldBytes)} of them.`,
    made ? `Packed, so that single neurons can be read: ${file}` : `Kept from before (--fresh makes it again): ${file}`,
  ]);
};

export const modelJson = ({ ready: { name, file, model, made }, origin, source, ffnBytes, heldBytes }: TourModel): unknown => ({
  name, origin, source, file, kept: !made, layers: model.layers, hidden: model.hidden, neurons: model.ffn, experts: model.experts.count, expertsUsed: model.experts.active, activeShare: model.activations.activeShare.value, ffnBytes, heldBytes,
});
