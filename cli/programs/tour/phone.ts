/** Step 4: the paper's largest model on its first phone, in the least memory that it was shown with (7 of its 26 GB): simulated by the default plan, a tuned one, and llama.cpp. */
import { join } from "node:path";
import { E, TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import { describeError, type AppError } from "../../../sim/base/errors.js";
import { encodePlan } from "../../../sim/domain/plan.js";
import type { SimulatedRun } from "../../../sim/domain/run.js";
import { worthOf, type Worth } from "../../../sim/planner/objectives.js";
import { EFFORT, evaluatedIn, tune, type Tuned, type Tuning } from "../../../sim/planner/tune.js";
import { showNumber, showShare, table } from "../../../sim/report/table.js";
import { gather, type Capabilities } from "../../program.js";
import { drive } from "../drive.js";
import { loadDevice, loadModel, loadSystem } from "../load.js";
import { DEFAULTS } from "../simulate.js";
import { lines } from "./lines.js";
import type { TourContext, Work } from "./context.js";

/** The first budget of the paper's Figure 10: a quarter of what the model takes. */
const MEMORY = 7 * 2 ** 30;
const RIVAL = "llama.cpp";
export const PHONE_PLAN = `${DEFAULTS.device}.plan.json`;

export interface Phone {
  readonly tuning: Tuning;
  readonly tuned: Tuned;
  /** llama.cpp in the same memory; the reason where there is no such run. */
  readonly rival: E.Either<AppError, SimulatedRun>;
  readonly seconds: number;
  readonly plan: string;
}

const tuningOf = ({ capabilities, seed }: TourContext): TaskEither<AppError, Tuning> =>
  pipe(
    gather({ device: loadDevice(DEFAULTS.device), model: loadModel(DEFAULTS.model), system: loadSystem(DEFAULTS.system) })(capabilities),
    TE.map(({ device, model, system }): Tuning => ({
      cell: {
        device, model, system,
        request: {
          device: device.name, model: model.name, system: system.name, memory: { _tag: "Bytes", bytes: MEMORY }, phase: "decode", prompt: DEFAULTS.decodePrompt, tokens: DEFAULTS.tokens, batch: DEFAULTS.batch, seed,
          fidelity: "cluster",
        },
      },
      // Reasons take as long as the plan; the command that follows the tour gives them.
      planner: "ours", objective: "tokens/s", atLeast: null, effort: EFFORT, explain: false,
    })),
  );

/** Rounds as long as this show a bar: the few that look at every neuron take longest. */
const SHOWN = 2;
const withBars = ({ runMany }: Capabilities): Pick<Capabilities, "runMany"> => ({ runMany: (inputs, options) => runMany(inputs, { ...options, silent: inputs.length < SHOWN }) });

const rivalRun = ({ cell: { device, model, request } }: Tuning, { capabilities }: TourContext): TaskEither<AppError, E.Either<AppError, SimulatedRun>> =>
  pipe(
    loadSystem(RIVAL)(capabilities),
    TE.chain((system) => capabilities.runMany([{ device, model, system, request: { ...request, system: system.name } }], { workers: 1, silent: true })),
    TE.map(([outcome]) => outcome!),
  );

export const phoneStep: Work<Phone> = (context) => {
  const { capabilities } = context;
  const began = capabilities.now();
  const plan = join(context.out, PHONE_PLAN);
  return pipe(
    tuningOf(context),
    TE.bindTo("tuning"),
    TE.bind("rival", ({ tuning }) => rivalRun(tuning, context)),
    TE.bind("tuned", ({ tuning }) => pipe(drive(tune(tuning), withBars(capabilities), null), TE.chain(TE.fromEither<AppError, Tuned>))),
    TE.chainFirst(({ tuned }) => capabilities.write([{ path: plan, text: `${JSON.stringify(encodePlan(tuned.plan), null, 2)}\n` }])),
    TE.map(({ tuning, tuned, rival }): Phone => ({ tuning, tuned, rival, plan, seconds: (capabilities.now() - began) / 1e3 })),
  );
};

export const gibibytes = (bytes: number): string => `${bytes / 2 ** 30}GiB`;

const NAMES: Readonly<Record<string, string>> = { "default": "default plan", "powerinfer-2-v1": "the paper's first planner", "powerinfer-2": "the paper's planner" };

const rivalWorth = ({ rival }: Phone): Worth | null => (E.isRight(rival) ? worthOf(rival.right) : null);

export const tellPhone = (phone: Phone): string => {
  const { tuning: { cell }, tuned, rival, seconds, plan } = phone;
  const row = (name: string, worth: Worth): ReadonlyArray<string> => [name, showNumber(worth.tokensPerSec), showNumber(worth.p99Ms), showNumber(worth.joulesPerToken), `${showNumber(tuned.worth.tokensPerSec / worth.tokensPerSec)}x`];
  const llama = rivalWorth(phone);
  return lines([
    `${cell.model.title} on ${cell.device.title}, in ${gibibytes(MEMORY)} of memory. All of this is simulated:`,
    "",
    table(
      [{ title: "" }, { title: "tokens/s", align: "right" }, { title: "p99 ms", align: "right" }, { title: "J/token", align: "right" }, { title: "tuned against it", align: "right" }],
      [
        ...(llama === null ? [] : [row(RIVAL, llama)]),
        ...tuned.rivals.map((one) => row(NAMES[one.planner] ?? one.planner, one.worth)),
        row("tuned plan", tuned.worth),
      ],
    ),
    "",
    ...(E.isLeft(rival) ? [`${RIVAL} was not simulated: ${describeError(rival.left)}.`] : []),
    ...(tuned.rivals.some(({ planner }) => planner === "default") ? [] : ["The default plan has no room in this budget."]),
    `A token's time in it goes to ${tuned.record.limits.slice(0, 2).map(({ part, share }) => `${part} (${showShare(share)})`).join(", then ")}. ${evaluatedIn(tuned)} of ${tuned.spaceSize.toLocaleString("en-US")} plans were looked at, in ${seconds.toFixed(0)} s.`,
    `The tuned plan: ${plan}`,
  ]);
};

export const phoneJson = (phone: Phone): unknown => {
  const { tuning: { cell }, tuned, rival, seconds, plan } = phone;
  const llama = rivalWorth(phone);
  const byDefault = tuned.rivals.find(({ planner }) => planner === "default")?.worth ?? null;
  return {
    origin: "simulated", device: cell.device.name, model: cell.model.name, memory: MEMORY,
    tuned: tuned.worth,
    planners: tuned.rivals.map(({ planner, worth }) => ({ planner, ...worth })),
    rival: llama === null ? { system: RIVAL, missing: E.isLeft(rival) ? describeError(rival.left) : "" } : { system: RIVAL, ...llama },
    gain: { overDefault: byDefault === null ? null : tuned.worth.tokensPerSec / byDefault.tokensPerSec, overRival: llama === null ? null : tuned.worth.tokensPerSec / llama.tokensPerSec },
    evaluated: evaluatedIn(tuned), spaceSize: tuned.spaceSize, seconds, limits: tuned.record.limits, plan,
  };
};
