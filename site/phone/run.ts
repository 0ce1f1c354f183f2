/**
 * From the controls to a run. A state is a declared sweep of one point (sim/sweep): what the page shows is what `neuronlab sweep` finds for the
 * same declaration, and `neuronlab simulate` where flags or a plan say it all.
 */
import { E, pipe, type Either } from "../../sim/base/fp.js";
import type { AppError } from "../../sim/base/errors.js";
import { decode } from "../../sim/base/decode.js";
import type { SimulatedRun } from "../../sim/domain/run.js";
import { cacheHeat, type CacheHeat } from "../../sim/inference/cache-heat.js";
import { simulate } from "../../sim/inference/simulate.js";
import { choiceOf } from "../../sim/planner/candidates.js";
import { sweepCodec, type DeclaredAxis, type Sweep } from "../../sim/sweep/declaration.js";
import { resolver, type Resolved } from "../../sim/sweep/resolve.js";
import type { NumberName, State } from "./state.js";

/** Enough for a mean that does not tremble, few enough for a slider. */
export const TOKENS = 32;
const SEED = 1;

/** Profiles as their files have them. */
export type Documents = Readonly<Record<"device" | "model" | "system", Readonly<Record<string, unknown>>>>;

const AXES: Readonly<Record<NumberName, (value: number) => Omit<DeclaredAxis, "values"> & { readonly value: number | string }>> = {
  memory: (gib) => ({ over: "memory", value: `${gib}GiB` }),
  hot: (share) => ({ over: "plan.hotShare", value: share }),
  cluster: (neurons) => ({ over: "plan.cluster.neurons", value: neurons }),
  depth: (clusters) => ({ over: "plan.pipeline.depth", value: clusters }),
  lanes: (lanes) => ({ over: "plan.io.lanes", value: lanes }),
  active: (factor) => ({ over: "model.activations.activeShare", as: "factor", value: factor, whatIf: "a model of which so many times as many neurons are active" }),
  flash: (factor) => ({ over: ["device.flash.random[].rate", "device.flash.sequential[].rate"], as: "factor", value: factor, whatIf: "the same phone with a flash so many times as fast" }),
};

export const numbersOf = (state: State): ReadonlyArray<readonly [NumberName, number]> =>
  (Object.keys(AXES) as ReadonlyArray<NumberName>).flatMap((name) => (state[name] === null ? [] : [[name, state[name]] as const]));

export const declarationOf = (state: State): Sweep => ({
  schema: "neuronlab/sweep@1",
  id: "phone",
  title: "One point of the phone in the browser",
  base: { device: state.device, model: state.model, system: state.system, tokens: TOKENS, fidelity: state.fidelity },
  axes: [
    { name: "seed", over: "seed", values: [SEED] },
    ...numbersOf(state).map(([name, number]): DeclaredAxis => {
      const { value, ...axis } = AXES[name](number);
      return { name, ...axis, values: [value] };
    }),
  ],
});

/** What the system chose where the controls leave it the choice, in the controls' units. */
export type Chosen = Readonly<Record<NumberName, number>>;

export interface Outcome {
  readonly resolved: Resolved;
  readonly record: SimulatedRun;
  readonly heat: CacheHeat | null;
  readonly chosen: Chosen;
}

const chosenIn = (record: SimulatedRun): Chosen => {
  const { plan, inputs } = record;
  const choice = choiceOf(plan, inputs.batch);
  return { memory: plan.memory / 2 ** 30, hot: choice.hot, cluster: choice.clusterNeurons, depth: choice.depth, lanes: choice.lanes, active: 1, flash: 1 };
};

export const resolve = (documents: Documents, state: State): Either<AppError, Resolved> =>
  pipe(
    decode(sweepCodec, "phone.json")(declarationOf(state)),
    E.chain((declaration) =>
      resolver(declaration, { plan: null, document: (profile, name) => documents[profile][name] })(Object.fromEntries(declaration.axes.flatMap((axis) => (axis._tag === "Single" && axis.axis.spread._tag === "Listed" ? [[axis.axis.name, axis.axis.spread.values[0]!]] : []))))),
  );

export const runOf = (documents: Documents) => (state: State): Either<AppError, Outcome> =>
  pipe(
    resolve(documents, state),
    E.chain((resolved) => pipe(simulate(resolved), E.map((record): Outcome => ({ resolved, record, heat: cacheHeat({ ...resolved, plan: record.plan }), chosen: chosenIn(record) })))),
  );

/** The second token of a short run of the same plan, with every span: the first one finds the pipeline empty. */
export const tokenOf = ({ resolved, record }: Outcome): Either<AppError, Pick<SimulatedRun, "lanes" | "spans">> =>
  pipe(
    simulate({ ...resolved, request: { ...resolved.request, fidelity: "cluster", tokens: 2, plan: record.plan, trace: true } }),
    E.map(({ lanes, spans }) => {
      const second = spans.filter(({ token }) => token === 1);
      const begin = Math.min(...second.map(({ startNs }) => startNs));
      return { lanes, spans: second.map((span) => ({ ...span, startNs: span.startNs - begin, endNs: span.endNs - begin })) };
    }),
  );
