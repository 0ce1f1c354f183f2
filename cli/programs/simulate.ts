/** One run: decode the words, load the profiles, simulate, describe. */
import { E, RTE, TE, pipe, type Either } from "../../sim/base/fp.js";
import { custom, decode, type Codec, type Exact } from "../../sim/base/decode.js";
import { badInput, type AppError, type Mistake } from "../../sim/base/errors.js";
import { mechanismsCodec, type Mechanisms } from "../../sim/domain/system.js";
import { encodeRecord, titleOf, type MemoryRequest, type SimulatedRun, type RunRequest } from "../../sim/domain/run.js";
import type { DeviceProfile } from "../../sim/domain/device.js";
import { encodePlan, type Plan } from "../../sim/domain/plan.js";
import { describeRun, summaryOf } from "../../sim/report/describe-run.js";
import { timeline, timelineText } from "../../sim/report/timeline.js";
import { absent, argument, choice, inputFile, isSamePath, nameOrFile, optional, outputFile, readWords, share, shared, size, slowStorage, switchedOn, wholeNumber, words, type Reading, type Sound } from "../args.js";
import { gather, inFormat, tried, type Answer, type OutputFile, type ProfileKind, type Program, type RunInputs } from "../program.js";
import type { Command, Words } from "../command.js";
import { lateSlowing } from "./late-slowing.js";
import { knownNames, loadDevice, loadModel, loadPlan, loadSystem, type Names } from "./load.js";

/** What runs when nothing else is asked for: the paper's headline. Written in --help too. */
export const DEFAULTS = { device: "oneplus-12", model: "turbosparse-mixtral-47b", system: "powerinfer-2", decodePrompt: 64, prefillPrompt: 512, tokens: 128, batch: 1, seed: 1 } as const;

const someMemory = size('"19GB" or "19GiB", or all');
const memory: Codec<MemoryRequest> = custom("memory", (raw) => {
  if (raw === "all") return E.right({ _tag: "All" });
  const bytes = someMemory.decode(raw);
  return E.isRight(bytes) ? E.right({ _tag: "Bytes", bytes: bytes.right }) : E.left(bytes.left[0]?.message ?? "is not a size");
});

const pairs = words("write it like overlap=none");

/** KEY=VALUE words to mechanisms. Only what is given is checked; the system supplies the rest. */
const switches: Codec<Partial<Mechanisms>> = custom("switches", (raw) => {
  const typed = pairs.decode(raw);
  if (E.isLeft(typed)) return E.left(typed.left[0]?.message ?? "has no value");
  const given = new Map<string, string>();
  const wrong: Array<string> = [];
  for (const pair of typed.right) {
    const at = pair.indexOf("=");
    const key = at < 0 ? pair : pair.slice(0, at);
    if (at <= 0 || at === pair.length - 1) wrong.push(`should be KEY=VALUE such as overlap=none, got ${pair}`);
    else if (given.has(key)) wrong.push(`${key}: is given twice`);
    else given.set(key, pair.slice(at + 1));
  }
  const record = Object.fromEntries(given);
  const decoded = decode(mechanismsCodec, "--set")(record);
  if (E.isLeft(decoded) && decoded.left._tag === "BadInput") wrong.push(...decoded.left.mistakes.filter((m) => given.has(m.path)).map((m) => `${m.path}: ${m.message}`));
  return wrong.length > 0 ? E.left(wrong.join("; ")) : E.right(record as Partial<Mechanisms>);
});

const fieldsWith = (names: Names) => ({
  ...shared,
  device: absent(nameOrFile("device", names.device)),
  model: absent(nameOrFile("model", names.model)),
  system: absent(nameOrFile("system", names.system)),
  memory: absent(memory),
  offload: absent(share),
  phase: optional(choice("prefill", "decode"), "decode" as const),
  prompt: absent(wholeNumber(1, 1 << 20)),
  tokens: absent(wholeNumber(1, 1 << 20)),
  batch: absent(wholeNumber(1, 4096)),
  plan: absent(inputFile),
  activations: absent(inputFile),
  fidelity: optional(choice("analytic", "cluster", "neuron"), "cluster" as const),
  set: optional(switches, {} as Partial<Mechanisms>),
  "slow-storage": absent(slowStorage),
  adapt: switchedOn,
  trace: absent(outputFile),
  save: absent(outputFile),
  "save-plan": absent(outputFile),
});

type ArgFields = ReturnType<typeof fieldsWith>;

const isGiven = (arg: unknown): boolean => arg !== null && arg !== undefined;

/** What single arguments cannot see of each other; an argument that is wrong by itself, and so undefined, takes no part. */
const contradictions = (args: Sound<ArgFields>): ReadonlyArray<Mistake> => {
  const planned = isGiven(args.plan);
  const outputs = (["trace", "save", "save-plan"] as const).map((name) => ({ name, path: args[name] }));
  const inputs = (["plan", "activations", "device", "model", "system"] as const).map((name) => ({ name, path: args[name] }));
  const fixed = "is fixed by the plan; leave it out, or leave out --plan";
  return [
    ...(isGiven(args.memory) && isGiven(args.offload) ? [{ path: "--offload", message: "says how much memory there is, and so does --memory; give one of them" }] : []),
    ...(planned && isGiven(args.memory) ? [{ path: "--memory", message: fixed }] : []),
    ...(planned && isGiven(args.offload) ? [{ path: "--offload", message: fixed }] : []),
    ...(args.phase === "prefill" && isGiven(args.tokens) ? [{ path: "--tokens", message: "is for decode: prefill makes no tokens; leave it out, or say --phase decode" }] : []),
    ...(args.phase === "prefill" && typeof args.batch === "number" && args.batch > 1 ? [{ path: "--batch", message: "is for decode: prefill runs one prompt; leave it out, or say --phase decode" }] : []),
    ...(isGiven(args.trace) && args.fidelity === "analytic" ? [{ path: "--trace", message: "needs events, and the closed form has none; say --fidelity cluster" }] : []),
    ...(args.phase === "prefill" || args.tokens === undefined ? [] : lateSlowing(args["slow-storage"], args.tokens ?? DEFAULTS.tokens)),
    ...outputs.flatMap((output, i) => outputs.slice(0, i).filter((other) => isSamePath(other.path, output.path)).map((other) => ({ path: `--${output.name}`, message: `names the same file as --${other.name}: ${output.path}` }))),
    ...outputs.flatMap((output) => inputs.filter((input) => isSamePath(input.path, output.path)).map((input) => ({ path: `--${output.name}`, message: `names the file that --${input.name} reads: ${output.path}` }))),
  ];
};

type Args = Exact<ArgFields>;
type Typed = Reading<ArgFields>;

/** Without a word about memory: what the plan was made for, or what the phone gives one app. */
const memoryOf = (args: Args, plan: Plan | null, device: DeviceProfile): MemoryRequest =>
  args.memory ?? (args.offload !== null ? { _tag: "OffloadFfn", share: args.offload } : { _tag: "Bytes", bytes: plan?.memory ?? device.dram.usable.value });

/** The plan that was named, with the mechanisms that --set switches: a plan carries its own, and a switch must not be without effect. */
const planOf = ({ plan, set }: Sound<ArgFields>): Program<Plan | null> =>
  typeof plan !== "string" ? RTE.right(null) : pipe(loadPlan(plan), RTE.map((read) => ({ ...read, mechanisms: { ...read.mechanisms, ...set } })));

/** What the arguments name, or else the plan, or else the default. A name in a plan is not a flag, so it is looked up here. */
const nameFor = (kind: ProfileKind, typed: Typed, plan: Either<AppError, Plan | null>, names: Names): Either<AppError, string> =>
  pipe(
    argument(typed, kind),
    E.chain((name) => (name !== null ? E.right(name) : pipe(plan, E.chain((read) => (read === null ? E.right(DEFAULTS[kind]) : namedInPlan(kind, typed, read, names)))))),
  );

const namedInPlan = (kind: ProfileKind, typed: Typed, plan: Plan, names: Names): Either<AppError, string> => {
  const read = nameOrFile(kind, names[kind]).decode(plan[kind]);
  return E.isRight(read) ? read : E.left(badInput(typed.sound.plan ?? "plan", [{ path: kind, message: `${read.left[0]?.message ?? "is unknown"}, with --${kind}` }]));
};

/** A file that was named, or nothing. */
const bytesOf = (path: string | null | undefined): Program<Uint8Array | null> => (typeof path === "string" ? (capabilities) => capabilities.readBytes(path) : RTE.right(null));

/** Arguments, plan, activations, device, model and system: each is looked at, whatever is wrong with the others. */
const loadInputs = (typed: Typed, names: Names): Program<{ readonly args: Args; readonly inputs: RunInputs }> =>
  pipe(
    tried(planOf(typed.sound)),
    RTE.chain((plan) => {
      const loaded = <A>(kind: ProfileKind, load: (name: string) => Program<A>): Program<A> => pipe(RTE.fromEither(nameFor(kind, typed, plan, names)), RTE.chain(load));
      return gather({ args: RTE.fromEither(typed.args), plan: RTE.fromEither(plan), activations: bytesOf(typed.sound.activations), device: loaded("device", loadDevice), model: loaded("model", loadModel), system: loaded("system", loadSystem) });
    }),
    RTE.map(({ args, plan, activations, device, model, system }) => {
      const request: RunRequest = {
        device: device.name,
        model: model.name,
        system: system.name,
        memory: memoryOf(args, plan, device),
        phase: args.phase,
        prompt: args.prompt ?? (args.phase === "prefill" ? DEFAULTS.prefillPrompt : DEFAULTS.decodePrompt),
        tokens: args.tokens ?? (args.phase === "prefill" ? 1 : DEFAULTS.tokens),
        batch: args.batch ?? DEFAULTS.batch,
        seed: args.seed ?? DEFAULTS.seed,
        fidelity: args.fidelity,
        ...(Object.keys(args.set).length === 0 ? {} : { mechanisms: args.set }),
        ...(plan === null ? {} : { plan }),
        ...(args.activations === null ? {} : { activations: args.activations }),
        ...(args["slow-storage"] === null ? {} : { slowStorage: args["slow-storage"] }),
        ...(args.adapt ? { adapt: true as const } : {}),
        ...(args.trace === null && args.save === null ? {} : { trace: true }),
      };
      return { args, inputs: { device, model, system, request, ...(activations === null ? {} : { activations }) } };
    }),
  );

/** The simulator knows a plan and not its file. */
const inFile = (plan: string | null) => (error: AppError): AppError =>
  plan !== null && error._tag === "BadInput" && error.where === "plan" ? badInput(plan, error.mistakes.map((m) => ({ ...m, path: m.path.replace(/^plan\./, "") }))) : error;

const runOne = (args: Args, inputs: RunInputs): Program<SimulatedRun> => (capabilities) =>
  pipe(
    capabilities.runMany([inputs], { workers: 1 }),
    TE.chain((outcomes) => TE.fromEither(pipe(outcomes[0], E.mapLeft(inFile(args.plan))))),
  );

export const quoted = (typed: string): string => (/^[\w@%+=:,./-]+$/.test(typed) ? typed : `'${typed.replaceAll("'", "'\\''")}'`);

/** What was typed, as it can be typed again. */
export const typedCommand = (command: Command, given: Words): string =>
  ["neuronlab", command.name, ...Object.entries(given.named).sort(([a], [b]) => Number(b === command.positional?.key) - Number(a === command.positional?.key)).flatMap(([key, value]) =>
    (Array.isArray(value) ? value : [value]).flatMap((one) => (one === true ? [`--${key}`] : key === command.positional?.key ? [quoted(String(one))] : [`--${key}`, quoted(String(one))])))].join(" ");

const describe = (command: Command, given: Words, args: Args) => (record: SimulatedRun): Answer => {
  const files: ReadonlyArray<OutputFile> = [
    ...(args.trace === null ? [] : [{ path: args.trace, text: timelineText(timeline({ title: titleOf(record), lanes: record.lanes, spans: record.spans })) }]),
    ...(args.save === null ? [] : [{ path: args.save, text: `${JSON.stringify(encodeRecord(record))}\n` }]),
    ...(args["save-plan"] === null ? [] : [{ path: args["save-plan"], text: `${JSON.stringify(encodePlan(record.plan), null, 2)}\n` }]),
  ];
  const line = args.trace === null ? `${typedCommand(command, given)} --trace timeline.json   (open it at ui.perfetto.dev)` : `${args.trace}   (open it at ui.perfetto.dev)`;
  return {
    stdout: inFormat(args.format, { text: describeRun(record, { timeline: line }), json: summaryOf(record) }),
    files,
    notes: [
      ...files.map((file) => `wrote ${file.path}`),
      ...(record.violations.length === 0 ? [] : [`this run broke ${record.violations.length} of its own checks, a fault of ours: ${record.violations.join("; ")}`]),
    ],
    exit: record.violations.length === 0 ? 0 : 70,
  };
};

export const simulateProgram = (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    knownNames,
    RTE.chain((names) => loadInputs(readWords(command, fieldsWith(names), contradictions)(given), names)),
    RTE.chain(({ args, inputs }) => pipe(runOne(args, inputs), RTE.map(describe(command, given, args)))),
  );
