/**
 * The one function behind the simulator: profiles and a request in, a run record out. Pure: same inputs and seed, same
 * bytes. Three fidelities stand behind it: closed form, events per neuron cluster (the default), every neuron looked up.
 */
import { E, pipe, type Either } from "../base/fp.js";
import type { AppError } from "../base/errors.js";
import type { DeviceProfile } from "../domain/device.js";
import type { ModelSpec } from "../domain/model.js";
import type { RunRecord, RunRequest } from "../domain/run.js";
import type { SystemSpec } from "../domain/system.js";
import { checkPlan } from "../planner/check-plan.js";
import { defaultPlan } from "../planner/default-plan.js";
import { bounds } from "./analytic-estimate.js";
import type { Setting } from "./analytic-parts.js";
import { analyticRecord } from "./analytic.js";
import { decode, type Finished } from "./decode.js";
import { runRecordOf } from "./run-record.js";
import { layerRates } from "./layer-rates.js";
import { neuronDraws } from "./neuron-draws.js";
import { prefill } from "./prefill.js";
import { layerLaws, sparseDraws } from "./sparse-draws.js";

export interface SimulationInputs {
  readonly device: DeviceProfile;
  readonly model: ModelSpec;
  readonly system: SystemSpec;
  readonly request: RunRequest;
}

export const simulate = ({ device, model, system, request }: SimulationInputs): Either<AppError, RunRecord> =>
  pipe(
    request.plan === undefined ? defaultPlan(device, model, system, request) : checkPlan(device, model, system, request, request.plan),
    E.chain((plan) => {
      const rates = layerRates(device, model, system, plan, request);
      const laws = layerLaws(model, plan, rates, request);
      const setting: Setting = { device, model, system, plan, rates, laws, request };
      if (request.fidelity === "analytic") return E.right(analyticRecord(setting));
      const described = (done: Finished): RunRecord => runRecordOf(done, plan, request, bounds(setting, done.demand ?? undefined, done.heat), device, model, rates.predictedRows);
      if (request.phase === "prefill") return pipe(prefill(device, model, system, plan, rates, request), E.map(described));
      // A dense system touches every neuron of every token: there is nothing to draw, and `neuron` and `cluster` are one.
      const draws = plan.mechanisms.computation === "dense" ? null : request.fidelity === "neuron" ? neuronDraws(model, plan, rates, request) : sparseDraws(model, plan, rates, request, laws);
      const efficiency = { dense: system.software.denseEfficiency.value, sparse: system.software.sparseEfficiency.value };
      return pipe(decode({ device, model, plan, rates, laws, request, efficiency, draws }), E.map(described));
    }),
  );
