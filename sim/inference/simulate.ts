/**
 * The one function behind the simulator: profiles and a request in, a run record out. Pure: same inputs and seed, same
 * bytes. Three fidelities stand behind it: closed form, events per neuron cluster (the default), every neuron looked up.
 */
import { E, pipe, type Either } from "../base/fp.js";
import { badInput, unsupported, type AppError } from "../base/errors.js";
import type { DeviceProfile } from "../domain/device.js";
import type { ModelSpec } from "../domain/model.js";
import type { SimulatedRun, RunRequest } from "../domain/run.js";
import type { Plan } from "../domain/plan.js";
import { streamsExperts, type SystemSpec } from "../domain/system.js";
import type { Replay } from "../neurons/routing.js";
import { asRecorded } from "../neurons/trace-statistics.js";
import { decodeTrace, type ActivationTrace } from "../neurons/trace.js";
import { checkPlan } from "../planner/check-plan.js";
import { defaultPlan } from "../planner/default-plan.js";
import { bounds } from "./analytic-estimate.js";
import { analyticRecord } from "./analytic.js";
import { clusterWork } from "./cluster-work.js";
import { decode, type Finished, type Work } from "./decode.js";
import { cutOf, wholeSegments } from "./gated/cut.js";
import { gatedWork } from "./gated/work.js";
import { runRecordOf } from "./run-record.js";
import { layerRates } from "./layer-rates.js";
import { neuronDraws } from "./neuron-draws.js";
import { prefill } from "./prefill.js";
import type { Setting } from "./setting.js";
import { layerLaws, sparseDraws } from "./sparse-draws.js";
import { streamedWork } from "./streamed/work.js";

/** What changes in mid-run needs a run with tokens, of a system that can. */
const unchanging = ({ slowStorage, adapt, phase, fidelity, system }: RunRequest, { mechanisms }: Plan): AppError | null => {
  if (slowStorage === undefined && adapt === undefined) return null;
  const what = adapt === true ? "adapting" : "storage that becomes slower";
  if (phase === "prefill" || fidelity === "analytic") return unsupported(what, `happens between tokens, and ${phase === "prefill" ? "a prompt" : "the closed form"} has none; take --phase decode at --fidelity cluster or neuron`);
  if (mechanisms.computation === "gated") return null;
  if (adapt === true) return unsupported(what, `changes how gate rows are read between tokens where the true gates decide, and ${system} does not read so; take --system neuronlab`);
  return slowStorage === undefined || slowStorage.of === "all" ? null : unsupported(what, `by ${slowStorage.of} alone is known of reads where the true gates decide, and ${system} does not read so; take --system neuronlab, or slow all`);
};

/** Of the engine's segments: rows as they are kept for computing, each slot begun with a cache line. */
const mostKept = (model: ModelSpec, plan: Plan): number => {
  if (plan.mechanisms.computation !== "gated") return 0;
  const { hot, cold } = wholeSegments(cutOf(model, plan));
  return hot + cold;
};

export interface SimulationInputs {
  readonly device: DeviceProfile;
  readonly model: ModelSpec;
  readonly system: SystemSpec;
  readonly request: RunRequest;
  /** An activation trace, as its file has it: its statistics stand in the model's place, and at fidelity `neuron` its very neurons are played. */
  readonly activations?: Uint8Array;
  /** A recorded routing that is played in the place of drawn experts, where experts are read whole. */
  readonly replay?: Replay;
}

export const simulate = ({ activations, ...inputs }: SimulationInputs): Either<AppError, SimulatedRun> => {
  if (activations === undefined) return run(inputs, null);
  const where = inputs.request.activations ?? "activations";
  return pipe(
    decodeTrace(where)(activations),
    E.chain((trace) => pipe(recordedModel(inputs, trace, where), E.chain((model) => run({ ...inputs, model }, trace)))),
  );
};

/** A trace of another model would be played without anyone noticing. */
const recordedModel = ({ model, system, request }: SimulationInputs, trace: ActivationTrace, where: string): Either<AppError, ModelSpec> => {
  const shapes: ReadonlyArray<readonly [string, number, number]> = [["layers", trace.layers, model.layers], ["experts", trace.experts, model.experts.count], ["experts used", trace.active, model.experts.active], ["neurons", trace.ffn, model.ffn]];
  const mistakes = shapes.filter(([, found, wanted]) => found !== wanted).map(([path, found, wanted]) => ({ path, message: `${found}; ${model.name} has ${wanted}` }));
  if (mistakes.length > 0) return E.left(badInput(where, mistakes));
  // Where every neuron is played, and none is drawn or predicted, statistics would be counted for nothing.
  const { computation } = { ...(request.plan?.mechanisms ?? system.mechanisms), ...request.mechanisms };
  if (computation === "gated" && request.fidelity === "neuron") return E.right(model);
  return E.right(asRecorded(model, trace, `${trace.name === "" ? "a recording" : `a recording of ${trace.name}`} by neuronlab record`));
};

/** A routing of another model, or one that ends too soon, would be played without anyone noticing. */
const strangeReplay = ({ model, request, replay }: Omit<SimulationInputs, "activations">, plan: Plan): AppError | null => {
  if (replay === undefined) return null;
  const { routing, skip } = replay;
  const shapes: ReadonlyArray<readonly [string, number, number]> = [["layers", routing.layers, model.layers], ["experts", routing.experts, model.experts.count], ["experts used", routing.active, model.experts.active]];
  const mistakes = [
    ...shapes.filter(([, found, wanted]) => found !== wanted).map(([path, found, wanted]) => ({ path, message: `${found}; ${model.name} has ${wanted}` })),
    ...(skip + request.tokens <= routing.tokens ? [] : [{ path: "tokens", message: `${routing.tokens} were recorded; ${skip} before the clock starts and ${request.tokens} after it are asked for` }]),
    ...(streamsExperts(plan.mechanisms) && request.fidelity !== "analytic" ? [] : [{ path: "(whole)", message: "a routing is played where whole experts are read (loading expert, computation dense), and not in closed form" }]),
  ];
  return mistakes.length > 0 ? badInput("routing", mistakes) : null;
};

const run = (inputs: Omit<SimulationInputs, "activations">, trace: ActivationTrace | null): Either<AppError, SimulatedRun> => {
  const { device, model, system, request } = inputs;
  return pipe(
    request.plan === undefined ? defaultPlan(device, model, system, request) : checkPlan(device, model, system, request, request.plan, mostKept(model, request.plan)),
    E.chain((plan) => {
      const strange = strangeReplay(inputs, plan);
      if (strange !== null) return E.left(strange);
      const refused = unchanging(request, plan);
      if (refused !== null) return E.left(refused);
      const rates = layerRates(device, model, system, plan, request);
      const laws = layerLaws(model, plan, rates, request);
      const setting: Setting = { device, model, system, plan, rates, laws, request };
      if (request.fidelity === "analytic") return E.right(analyticRecord(setting));
      const described = (done: Finished): SimulatedRun => runRecordOf(done, plan, request, bounds(setting, done.demand ?? undefined, done.heat), device, model, rates.predictedRows);
      if (request.phase === "prefill") return pipe(prefill(device, model, system, plan, rates, request), E.map(described));
      const played = trace !== null && (trace.neuronsRecorded || plan.mechanisms.computation === "gated") ? trace : null;
      const work = workOf(setting, played, inputs.replay ?? null);
      const efficiency = { dense: system.software.denseEfficiency.value, sparse: system.software.sparseEfficiency.value };
      return pipe(decode({ device, layers: model.layers, plan, rates, request, efficiency, work }), E.map(described));
    }),
  );
};

const workOf = (setting: Setting, played: ActivationTrace | null, replay: Replay | null): Work => {
  const { model, plan, rates, laws, request } = setting;
  if (streamsExperts(plan.mechanisms)) return streamedWork(setting, replay);
  if (plan.mechanisms.computation === "gated") return gatedWork(setting, played);
  // A dense system touches every neuron of every token: there is nothing to draw, and `neuron` and `cluster` are one.
  const draws = plan.mechanisms.computation === "dense" ? null : request.fidelity === "neuron" ? neuronDraws(model, plan, rates, request, played) : sparseDraws(model, plan, rates, request, laws);
  return clusterWork({ model, plan, rates, laws, request, draws });
};
