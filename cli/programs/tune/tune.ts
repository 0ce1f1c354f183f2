/** A tuning: decode the words, load the profiles, search on the pool, describe, write. Studies are many of them. */
import { join, relative } from "node:path";
import { E, RTE, TE, pipe, type Either } from "../../../sim/base/fp.js";
import type { Exact } from "../../../sim/base/decode.js";
import { unknownName, type AppError, type Mistake } from "../../../sim/base/errors.js";
import { nearest } from "../../../sim/base/nearest.js";
import type { DeviceProfile } from "../../../sim/domain/device.js";
import { encodePlan } from "../../../sim/domain/plan.js";
import type { Cell } from "../../../sim/planner/candidates.js";
import { OBJECTIVES } from "../../../sim/planner/objectives.js";
import { EFFORT, PLANNERS, tune, type Tuned, type Tuning } from "../../../sim/planner/tune.js";
import type { Study, StudyFile, Studied } from "../../../experiments/study.js";
import type { Front } from "../../../experiments/plots/front.js";
import { absent, argument, choice, decimal, isSamePath, nameOrFile, optional, outputFile, readWords, shared, size, switchedOn, wholeNumber, workers, type Reading, type Sound } from "../../args.js";
import type { Command, Words } from "../../command.js";
import { gather, inFormat, type Answer, type Capabilities, type OutputFile, type Program } from "../../program.js";
import { describeTuned, isChosen, summaryOfTuned } from "./describe.js";
import { drive } from "../drive.js";
import { knownNames, loadDevice, loadModel, loadProfiles, loadSystem, type Names, type Profiles } from "../load.js";
import { DEFAULTS } from "../simulate.js";

/** What is drawn with and what is studied, handed in so that tests bring their own. */
export interface Workshop {
  readonly draw: (front: Front) => string;
  readonly png: (svg: string) => Uint8Array;
  readonly published: Study;
  readonly regretStudy: Study;
  readonly adaptationStudy: Study;
}

const fieldsWith = (names: Names) => ({
  ...shared,
  device: absent(nameOrFile("device", names.device)),
  model: absent(nameOrFile("model", names.model)),
  system: absent(nameOrFile("system", names.system)),
  memory: absent(size()),
  objective: optional(choice(...OBJECTIVES), "tokens/s" as const),
  "at-least": absent(decimal(0, 1e6)),
  planner: optional(choice(...PLANNERS), "ours" as const),
  batch: absent(wholeNumber(1, 4096)),
  prompt: absent(wholeNumber(1, 1 << 20)),
  tokens: absent(wholeNumber(1, 1 << 20)),
  out: absent(outputFile),
  front: absent(outputFile),
  published: switchedOn,
  regret: switchedOn,
  adaptation: switchedOn,
  check: switchedOn,
  workers,
});

type ArgFields = ReturnType<typeof fieldsWith>;
type Args = Exact<ArgFields>;
type Typed = Reading<ArgFields>;

const isGiven = (arg: unknown): boolean => arg !== null && arg !== undefined;

/** What says which plan is sought; a study brings its own. */
const ASKED = ["device", "model", "system", "memory", "at-least", "batch", "prompt", "tokens", "out", "front", "seed"] as const;

const contradictions = (args: Sound<ArgFields>): ReadonlyArray<Mistake> => {
  const study = args.published === true ? "--published" : args.regret === true ? "--regret" : args.adaptation === true ? "--adaptation" : null;
  const inputs = (["device", "model", "system"] as const).map((name) => ({ name, path: args[name] }));
  return [
    ...(["regret", "adaptation"] as const).filter((name) => args[name] === true && study !== `--${name}`).map((name) => ({ path: `--${name}`, message: `is a study of its own, and so is ${study}; give one of them` })),
    ...(study === null ? [] : ASKED.filter((name) => isGiven(args[name])).map((name) => ({ path: `--${name}`, message: `is fixed by ${study}; leave it out` }))),
    ...(study === null && args.check === true ? [{ path: "--check", message: "compares with what is stored; give --published, --regret or --adaptation too" }] : []),
    ...(isGiven(args["at-least"]) && args.objective !== undefined && args.objective !== "memory" ? [{ path: "--at-least", message: "is for --objective memory: the speed that the plan must keep" }] : []),
    ...(isGiven(args.front) && args.planner !== undefined && args.planner !== "ours" ? [{ path: "--front", message: `needs a search, and ${args.planner} chooses one plan; leave it out, or say --planner ours` }] : []),
    ...(typeof args.front === "string" && !/\.(svg|png)$/i.test(args.front) ? [{ path: "--front", message: `should end in .svg or .png, got ${args.front}` }] : []),
    ...(isSamePath(args.out, args.front) ? [{ path: "--front", message: `names the same file as --out: ${args.front}` }] : []),
    ...(["out", "front"] as const).flatMap((output) => inputs.filter((input) => isSamePath(input.path, args[output])).map((input) => ({ path: `--${output}`, message: `names the file that --${input.name} reads: ${args[output]}` }))),
  ];
};

/** Where nothing is said: the paper's system, or its kin without an NPU on a device that has none. */
const defaultSystem = (device: DeviceProfile): string => (device.npu === null ? "powerinfer-2-cpu-only" : DEFAULTS.system);

const cellOf = (typed: Typed): Program<{ readonly args: Args; readonly cell: Cell }> =>
  pipe(
    gather({
      args: RTE.fromEither(typed.args),
      device: pipe(RTE.fromEither(argument(typed, "device")), RTE.chain((name) => loadDevice(name ?? DEFAULTS.device))),
      model: pipe(RTE.fromEither(argument(typed, "model")), RTE.chain((name) => loadModel(name ?? DEFAULTS.model))),
    }),
    RTE.bind("system", ({ args, device }) => loadSystem(args.system ?? defaultSystem(device))),
    RTE.map(({ args, device, model, system }) => ({
      args,
      cell: {
        device, model, system,
        request: {
          device: device.name, model: model.name, system: system.name, memory: { _tag: "Bytes" as const, bytes: Math.floor(args.memory ?? device.dram.usable.value) }, phase: "decode" as const,
          prompt: args.prompt ?? DEFAULTS.decodePrompt, tokens: args.tokens ?? DEFAULTS.tokens, batch: args.batch ?? DEFAULTS.batch, seed: args.seed ?? DEFAULTS.seed, fidelity: "cluster" as const,
        },
      },
    })),
  );

const frontFile = (path: string, tuned: Tuned, { cell, objective }: Tuning, workshop: Workshop): OutputFile => {
  const title = `${cell.model.name} on ${cell.device.name}: what speed costs`;
  const marks = (tuned.reasons?.front ?? []).filter((point) => !isChosen(tuned)(point)).map(({ plan: _plan, record: _record, ...worth }) => ({ ...worth, chosen: false }));
  const svg = workshop.draw({ title: `${title} (chosen for ${objective})`, tokens: tuned.record.inputs.tokens, marks: [...marks, { ...tuned.worth, chosen: true }] });
  return path.toLowerCase().endsWith(".png") ? { path, bytes: workshop.png(svg) } : { path, text: svg };
};

const describe = (args: Args, tuning: Tuning, tuned: Tuned, seconds: number, workshop: Workshop): Answer => {
  const files: ReadonlyArray<OutputFile> = [
    ...(args.out === null ? [] : [{ path: args.out, text: `${JSON.stringify(encodePlan(tuned.plan), null, 2)}\n` }]),
    ...(args.front === null ? [] : [frontFile(args.front, tuned, tuning, workshop)]),
  ];
  const { violations } = tuned.record;
  return {
    stdout: inFormat(args.format, { text: describeTuned(tuned, tuning), json: summaryOfTuned(tuned, tuning, seconds) }),
    files,
    notes: [...files.map((file) => `wrote ${file.path}`), ...(violations.length === 0 ? [] : [`the tuned run broke its own checks, a fault of ours: ${violations.join("; ")}`])],
    exit: violations.length === 0 ? 0 : 70,
  };
};

const tuneOne = (args: Args, cell: Cell, workshop: Workshop): Program<Answer> => (capabilities) => {
  const tuning: Tuning = { cell, planner: args.planner, objective: args.objective, atLeast: args["at-least"], effort: EFFORT, explain: true };
  const began = capabilities.now();
  return pipe(
    drive(tune(tuning), capabilities, args.workers),
    TE.chain(TE.fromEither<AppError, Tuned>),
    TE.map((tuned) => describe(args, tuning, tuned, (capabilities.now() - began) / 1e3, workshop)),
  );
};

const shelfOf = (profiles: Profiles): Parameters<Study>[0] => {
  const from = <A>(what: string, all: ReadonlyMap<string, A>) => (name: string): Either<AppError, A> => {
    const found = all.get(name);
    return found === undefined ? E.left(unknownName(what, name, [...all.keys()], nearest(name, [...all.keys()]))) : E.right(found);
  };
  return { device: from("device", profiles.devices), model: from("model", profiles.models), system: from("system", profiles.systems) };
};

const differing = (files: ReadonlyArray<StudyFile>, folder: string): Program<ReadonlyArray<string>> => (capabilities) =>
  pipe(
    files,
    TE.traverseSeqArray((file) => pipe(capabilities.readStored(join(folder, file.path)), TE.map((stored) => (stored === file.text ? [] : [`${file.path}: ${stored === null ? "not stored yet" : "differs from what comes out now"}`])))),
    TE.map((found) => found.flat()),
  );

const studied = (args: Args, { files, text, json }: Studied): Program<Answer> => (capabilities: Capabilities) => {
  const folder = join(capabilities.home, "results", "tuned");
  const shown = relative(process.cwd(), folder);
  if (!args.check) return TE.right({ stdout: inFormat(args.format, { text, json }), files: files.map((file) => ({ ...file, path: join(folder, file.path) })), notes: [`wrote ${files.length} files under ${shown}`] });
  return pipe(
    differing(files, folder)(capabilities),
    TE.map((found): Answer => {
      const verdict = found.length === 0 ? `what is stored under ${shown} is what comes out now` : [`${found.length} ${found.length === 1 ? "difference" : "differences"} from what is stored under ${shown}:`, ...found.map((line) => `  ${line}`)].join("\n");
      return { stdout: inFormat(args.format, { text: `${text}\n\n${verdict}`, json: { check: { same: found.length === 0, differing: found }, study: json } }), notes: args.format === "json" && found.length > 0 ? [verdict] : [], exit: found.length === 0 ? 0 : 70 };
    }),
  );
};

const runStudy = (args: Args, study: Study): Program<Answer> =>
  pipe(
    loadProfiles,
    RTE.chain((profiles): Program<Studied> => (capabilities) => pipe(drive(study(shelfOf(profiles), (line) => capabilities.log(line)()), capabilities, args.workers), TE.chain(TE.fromEither<AppError, Studied>))),
    RTE.chain((done) => studied(args, done)),
  );

export const tuneProgram = (workshop: Workshop) => (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    knownNames,
    RTE.map((names) => readWords(command, fieldsWith(names), contradictions)(given)),
    RTE.chain((typed) =>
      pipe(
        RTE.fromEither(typed.sound.published === true || typed.sound.regret === true || typed.sound.adaptation === true ? typed.args : E.right(null)),
        RTE.chain((args): Program<Answer> => (args === null ? pipe(cellOf(typed), RTE.chain((asked) => tuneOne(asked.args, asked.cell, workshop))) : runStudy(args, args.published ? workshop.published : args.regret ? workshop.regretStudy : workshop.adaptationStudy))),
      )),
  );
