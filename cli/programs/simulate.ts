/** One run: decode the words, load the profiles, simulate, describe. */
import { E, RTE, TE, pipe } from "../../sim/base/fp.js";
import { custom, decode, type Codec } from "../../sim/base/decode.js";
import type { Mistake } from "../../sim/base/errors.js";
import { mechanismsCodec, type Mechanisms } from "../../sim/domain/system.js";
import type { MemoryRequest, RunRecord, RunRequest } from "../../sim/domain/run.js";
import type { DeviceProfile } from "../../sim/domain/device.js";
import { encodePlan, type Plan } from "../../sim/domain/plan.js";
import { describeRun, summaryOf } from "../../sim/report/describe-run.js";
import { timeline, timelineText } from "../../sim/report/timeline.js";
import { absent, choice, decodeWords, knownName, optional, shared, shareOf, size, wholeNumber, word, words } from "../args.js";
import { inFormat, type Answer, type OutputFile, type Program, type RunInputs } from "../program.js";
import type { Command, Words } from "../command.js";
import { knownNames, loadDevice, loadModel, loadPlan, loadSystem, type Names } from "./load.js";

/** What runs when nothing else is asked for: the paper's headline. Written in --help too. */
export const DEFAULTS = { device: "oneplus-12", model: "turbosparse-mixtral-47b", system: "powerinfer-2", decodePrompt: 64, prefillPrompt: 512, tokens: 128, batch: 1, seed: 1 } as const;

const memory: Codec<MemoryRequest> = custom("memory", (raw) => {
  if (raw === "all") return E.right({ _tag: "All" });
  const bytes = size.decode(raw);
  return E.isRight(bytes) ? E.right({ _tag: "Bytes", bytes: bytes.right }) : E.left(`${bytes.left[0]?.message ?? "is not a size"}, or all`);
});

/** KEY=VALUE words to mechanisms. Only what is given is checked; the system supplies the rest. */
const switches: Codec<Partial<Mechanisms>> = custom("switches", (raw) => {
  const typed = words.decode(raw);
  if (E.isLeft(typed)) return E.left("has no value; write it like overlap=none");
  const given = new Map<string, string>();
  const wrong: Array<string> = [];
  for (const pair of typed.right) {
    const at = pair.indexOf("=");
    const key = at < 0 ? pair : pair.slice(0, at);
    if (at <= 0 || at === pair.length - 1) wrong.push(`should be KEY=VALUE such as overlap=none, got ${pair}`);
    else if (given.has(key)) wrong.push(`${key} is given twice`);
    else given.set(key, pair.slice(at + 1));
  }
  const record = Object.fromEntries(given);
  const decoded = decode(mechanismsCodec, "--set")(record);
  if (E.isLeft(decoded) && decoded.left._tag === "BadInput") wrong.push(...decoded.left.mistakes.filter((m) => given.has(m.path)).map((m) => `${m.path} ${m.message}`));
  return wrong.length > 0 ? E.left(wrong.join("; ")) : E.right(record as Partial<Mechanisms>);
});

const fieldsWith = (names: Names) => ({
  ...shared,
  device: absent(knownName("device", names.device, true)),
  model: absent(knownName("model", names.model, true)),
  system: absent(knownName("system", names.system, true)),
  memory: absent(memory),
  offload: absent(shareOf(0, 1)),
  phase: optional(choice("prefill", "decode"), "decode" as const),
  prompt: absent(wholeNumber(1, 1 << 20)),
  tokens: absent(wholeNumber(1, 1 << 20)),
  batch: absent(wholeNumber(1, 4096)),
  plan: absent(word),
  fidelity: optional(choice("analytic", "cluster", "neuron"), "cluster" as const),
  set: optional(switches, {} as Partial<Mechanisms>),
  trace: absent(word),
  save: absent(word),
  "save-plan": absent(word),
});

const decodeArgs = (command: Command, names: Names) =>
  decodeWords(command, fieldsWith(names), (args): ReadonlyArray<Mistake> => [
    ...(args.memory !== null && args.offload !== null ? [{ path: "--offload", message: "says how much memory there is, and so does --memory; give one of them" }] : []),
    ...(args.plan !== null && args.memory !== null ? [{ path: "--memory", message: "is fixed by the plan; leave it out, or leave out --plan" }] : []),
    ...(args.plan !== null && args.offload !== null ? [{ path: "--offload", message: "is fixed by the plan; leave it out, or leave out --plan" }] : []),
    ...(args.phase === "prefill" && args.tokens !== null ? [{ path: "--tokens", message: "is for decode: prefill makes no tokens; leave it out, or say --phase decode" }] : []),
    ...(args.phase === "prefill" && args.batch !== null && args.batch > 1 ? [{ path: "--batch", message: "is for decode: prefill runs one prompt; leave it out, or say --phase decode" }] : []),
    ...(args.trace !== null && args.fidelity === "analytic" ? [{ path: "--trace", message: "needs events, and the closed form has none; say --fidelity cluster" }] : []),
    ...(args.trace !== null && args.trace === args.save ? [{ path: "--save", message: `names the same file as --trace: ${args.save}` }] : []),
    ...(args["save-plan"] === null ? [] : (["trace", "save"] as const).filter((other) => args[other] === args["save-plan"]).map((other) => ({ path: "--save-plan", message: `names the same file as --${other}: ${args["save-plan"]}` }))),
  ]);
type DecodedArgs = ReturnType<ReturnType<typeof decodeArgs>> extends E.Either<unknown, infer A> ? A : never;

/** Without a word about memory: what the plan was made for, or what the phone gives one app. */
const memoryOf = (args: DecodedArgs, plan: Plan | null, device: DeviceProfile): MemoryRequest =>
  args.memory ?? (args.offload !== null ? { _tag: "OffloadFfn", share: args.offload } : { _tag: "Bytes", bytes: plan?.memory ?? device.dram.usable.value });

/** The plan that was named, with the mechanisms that --set switches: a plan carries its own, and a switch must not be without effect. */
const planOf = (args: DecodedArgs): Program<Plan | null> =>
  args.plan === null ? RTE.right(null) : pipe(loadPlan(args.plan), RTE.map((plan) => ({ ...plan, mechanisms: { ...plan.mechanisms, ...args.set } })));

const loadInputs = (args: DecodedArgs): Program<RunInputs> =>
  pipe(
    planOf(args),
    RTE.chain((plan): Program<RunInputs> =>
      pipe(
        RTE.Do,
        RTE.bind("device", () => loadDevice(args.device ?? plan?.device ?? DEFAULTS.device)),
        RTE.bind("model", () => loadModel(args.model ?? plan?.model ?? DEFAULTS.model)),
        RTE.bind("system", () => loadSystem(args.system ?? plan?.system ?? DEFAULTS.system)),
        RTE.map(({ device, model, system }) => {
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
            ...(args.trace === null && args.save === null ? {} : { trace: true }),
          };
          return { device, model, system, request };
        }),
      ),
    ),
  );

const runOne = (inputs: RunInputs): Program<RunRecord> => (capabilities) =>
  pipe(
    capabilities.runMany([inputs], { workers: 1 }),
    TE.chain((outcomes) => TE.fromEither(outcomes[0])),
  );

const quoted = (typed: string): string => (/^[\w@%+=:,./-]+$/.test(typed) ? typed : `'${typed.replaceAll("'", "'\\''")}'`);

/** What was typed, as it can be typed again. */
export const typedCommand = (command: Command, given: Words): string =>
  ["neuronlab", command.name, ...Object.entries(given.named).flatMap(([key, value]) => (Array.isArray(value) ? value : [value]).flatMap((one) => (one === true ? [`--${key}`] : [`--${key}`, quoted(String(one))])))].join(" ");

const titleOf = (record: RunRecord): string => `${record.inputs.model} on ${record.inputs.device} with ${record.inputs.system} (${record.origin} ${record.inputs.phase})`;

const describe = (command: Command, given: Words, args: DecodedArgs) => (record: RunRecord): Answer => {
  const files: ReadonlyArray<OutputFile> = [
    ...(args.trace === null ? [] : [{ path: args.trace, text: timelineText(timeline({ title: titleOf(record), lanes: record.lanes, spans: record.spans })) }]),
    ...(args.save === null ? [] : [{ path: args.save, text: `${JSON.stringify(record)}\n` }]),
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
    RTE.chain((names) => RTE.fromEither(decodeArgs(command, names)(given))),
    RTE.chain((args) => pipe(loadInputs(args), RTE.chain(runOne), RTE.map(describe(command, given, args)))),
  );
