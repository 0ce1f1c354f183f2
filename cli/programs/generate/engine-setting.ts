/** Words to how the engine runs a model, for every command that runs one: flags first, then the plan, then the defaults of --help. */
import { RTE, pipe, type Either } from "../../../sim/base/fp.js";
import type { Exact } from "../../../sim/base/decode.js";
import type { AppError, Mistake } from "../../../sim/base/errors.js";
import { GATE_READS, type Plan } from "../../../sim/domain/plan.js";
import { FFNS, GRANULARITIES, OVERLAPS, POLICIES, type FlashShape, type PlannedModel, type RunSetting } from "../../../engine/index.js";
import { absent, choice, inputFile, optional, several, switchedOn, wholeNumber, word, type Sound } from "../../args.js";
import { gather, type Capabilities, type Program } from "../../program.js";
import { mapPlan, plannedModel, type Mapped } from "./engine-plan.js";
import { flashShape } from "./flash-shape.js";
import { knownNames, loadDevice, loadModel, loadPlan } from "../load.js";

/** What happens without a word about it. Written in --help too. */
const DEFAULTS = { io: { backend: "io_uring", reads: 64 }, depth: 16, cluster: 256, policy: "lru", granularity: "neuron", overlap: "cluster", gates: "joined" } as const;

export const settingFields = {
  plan: absent(inputFile),
  lanes: absent(wholeNumber(1, 1024)),
  "io-uring": absent(wholeNumber(1, 1024)),
  pin: absent(several(wholeNumber(0, 1023))),
  "pin-io": absent(wholeNumber(0, 1023)),
  "shape-flash": absent(word("name a device, or a file of your own")),
  depth: absent(wholeNumber(1, 4096)),
  cluster: absent(wholeNumber(1, 1 << 20)),
  policy: absent(choice(...POLICIES)),
  granularity: absent(choice(...GRANULARITIES)),
  overlap: absent(choice(...OVERLAPS)),
  gates: absent(choice(...GATE_READS)),
  ffn: optional(choice(...FFNS), "auto" as const),
};

export type SettingArgs = Exact<typeof settingFields>;

/** Of those that generate token by token: passes of many tokens divide memory anew, and keep little of what was read before. */
export const preloadField = { preload: switchedOn };

const isGiven = (arg: unknown): boolean => arg !== null && arg !== undefined;

/** What only matters while weights are read; without a budget it would be without effect. */
const FOR_FLASH = ["lanes", "io-uring", "pin-io", "shape-flash", "depth", "cluster", "policy", "granularity", "overlap", "gates"] as const;

/** `inMemory`: there is no budget, in flags or plan. `threads`: the numbers of threads that were typed. */
export const settingMistakes = (args: Sound<typeof settingFields> & { readonly preload?: unknown }, inMemory: boolean, threads: ReadonlyArray<number>): ReadonlyArray<Mistake> => [
  ...threads.filter((count) => Array.isArray(args.pin) && args.pin.length !== count).slice(0, 1).map((count) => ({ path: "--pin", message: `names ${args.pin?.length} cores, and --threads says ${count}; give one core for each thread` })),
  ...(isGiven(args.lanes) && isGiven(args["io-uring"]) ? [{ path: "--io-uring", message: "says how to read, and so does --lanes; give one of them" }] : []),
  ...(inMemory ? [...FOR_FLASH.filter((name) => isGiven(args[name])), ...(args.preload === true ? ["preload"] : [])].map((name) => ({ path: `--${name}`, message: "is for reads from flash, and without --memory everything is in memory; give --memory too, or leave it out" })) : []),
];

/** For commands that take a predictor beside the setting. */
export const predictorMistakes = ({ audit, predictor, ffn }: { readonly audit?: unknown; readonly predictor?: unknown; readonly ffn?: unknown }): ReadonlyArray<Mistake> => [
  ...(audit === true && predictor === null ? [{ path: "--audit", message: "counts what a predictor misses, and without one every gate decides; give --predictor too, or leave it out" }] : []),
  ...(ffn === "dense" && isGiven(predictor) ? [{ path: "--predictor", message: "says which neurons to compute, and --ffn dense computes all; give one of them" }] : []),
];

export const settingOf = (args: SettingArgs & { readonly preload?: boolean }, plan: Mapped["request"], shape: FlashShape | null): Omit<RunSetting, "model" | "memory" | "threads"> => ({
  segments: plan.segments ?? null,
  io: args["io-uring"] !== null ? { backend: "io_uring", reads: args["io-uring"] } : args.lanes !== null ? { backend: "lanes", reads: args.lanes } : (plan.io ?? DEFAULTS.io),
  cores: args.pin,
  ioCore: args["pin-io"],
  shape,
  depth: args.depth ?? plan.depth ?? DEFAULTS.depth,
  cluster: args.cluster ?? plan.cluster ?? DEFAULTS.cluster,
  policy: args.policy ?? plan.policy ?? DEFAULTS.policy,
  granularity: args.granularity ?? plan.granularity ?? DEFAULTS.granularity,
  overlap: args.overlap ?? plan.overlap ?? DEFAULTS.overlap,
  gates: args.gates ?? plan.gates ?? DEFAULTS.gates,
  preload: args.preload ?? false,
  ffn: args.ffn === "auto" ? (plan.ffn ?? args.ffn) : args.ffn,
  planned: plan.planned ?? null,
});

const NO_PLAN: Mapped = { given: null, request: {}, unmapped: [] };

/** The shape of the model that a plan names; null where no model of that name is known: a user's own, or one that was made here. */
const plannedFor = (plan: Plan): Program<PlannedModel | null> =>
  pipe(
    knownNames,
    RTE.chain(({ model }) => (model.includes(plan.model) ? pipe(loadModel(plan.model), RTE.map(plannedModel)) : RTE.right(null))),
  );

const mapped = (predicts: boolean) => (plan: Plan): Program<Mapped> =>
  pipe(
    gather({ cores: RTE.asks(({ machine }: Capabilities) => machine.cores), planned: plannedFor(plan) }),
    RTE.map(({ cores, planned }) => mapPlan(plan, cores, predicts, planned)),
  );

/** The plan of that path, mapped onto this machine; nothing where there is none. `predicts`: whether a predictor is given. */
export const planAt = (path: Either<AppError, string | null>, predicts: boolean): Program<Mapped> =>
  pipe(
    RTE.fromEither(path),
    RTE.chain((given) => (given === null ? RTE.right(NO_PLAN) : pipe(loadPlan(given), RTE.chain(mapped(predicts))))),
  );

/** The flash of the device of that name or path, with reads issued by the kind of core that the plan says; null where none is named. */
export const shapeFor = (name: string | null, { given }: Mapped): Program<FlashShape | null> =>
  name === null ? RTE.right(null) : pipe(loadDevice(name), RTE.map((device) => flashShape(device, given?.compute.ioCore ?? "none")));
