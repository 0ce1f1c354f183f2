/** The planner's plan on the machine itself, beside the engine's own choices and drawn plans: found with the probed profile, then run. */
import { dirname, join } from "node:path";
import { E, RTE, TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import type { Exact } from "../../../sim/base/decode.js";
import { crc32 } from "../../../sim/base/checksum.js";
import type { AppError } from "../../../sim/base/errors.js";
import type { DeviceProfile } from "../../../sim/domain/device.js";
import { rowsOf, sizesOf } from "../../../sim/domain/model.js";
import type { Plan } from "../../../sim/domain/plan.js";
import type { SystemSpec } from "../../../sim/domain/system.js";
import type { Cell as Asked } from "../../../sim/planner/candidates.js";
import { fitMemory } from "../../../sim/planner/fit.js";
import { EFFORT, tune, type Tuned } from "../../../sim/planner/tune.js";
import { cellsOf, shapes, type Cell } from "../../../experiments/validate/cells.js";
import { reportTuned } from "../../../experiments/validate/tuned-report.js";
import { SHARE, TRIES, chosenOf, defaultId, finalistsOf, finals, marginOf, proposalId, screening, speedOf, tries, triedRatioOf, withRoom, type OfModel, type Timed } from "../../../experiments/validate/tuned.js";
import { argument, choice, nameOrFile, absent, optional, outputFolder, readWords, shared, switchedOn, wholeNumber, workers } from "../../args.js";
import type { Command, Words } from "../../command.js";
import { THIS_HOST, gather, inFormat, type Answer, type Capabilities, type Program } from "../../program.js";
import { drive } from "../drive.js";
import { knownNames, loadDevice, loadSystem, type Names } from "../load.js";
import { predictionOf, type Prepared } from "../models/prepared.js";
import { validateShape } from "./models.js";
import { outOf, placeNote } from "./out.js";
import { planOfRun, runTurns, type Contender, type KeptRun } from "./runs.js";

const DEFAULTS = { seed: 1, tokens: { full: 24, quick: 8 }, rounds: { full: 8, quick: 3 } } as const;
/** What a process of the engine holds beside weights and segments, about; what room there then is, it says itself. */
const PROCESS = 0.245e9;

const fieldsWith = (names: Names) => ({
  ...shared,
  what: choice("tuned"),
  device: optional(nameOrFile("device", names.device), THIS_HOST),
  system: optional(nameOrFile("system", names.system), "neuronlab"),
  quick: switchedOn,
  repetitions: absent(wholeNumber(1, 40)),
  out: absent(outputFolder),
  workers,
});
type Args = Exact<ReturnType<typeof fieldsWith>>;

interface Setting { readonly args: Args; readonly out: string; readonly device: DeviceProfile; readonly system: SystemSpec; readonly seed: number; readonly tokens: number; readonly rounds: number }
interface Stage { readonly prepared: Prepared; readonly memory: number; readonly had: Plan; readonly tuned: Tuned; readonly drawn: ReadonlyArray<{ readonly cell: Cell; readonly plan: Plan }> }

const memoryFor = ({ model }: Prepared): number => {
  const { gateRow, upDownRow } = rowsOf(model);
  return Math.ceil(sizesOf(model).nonFfnBytes + PROCESS + SHARE * sizesOf(model).neurons * (gateRow + upDownRow));
};

/** The search is given the room that the engine had, whatever the simulator thinks that a process holds beside it. */
const sought = ({ device, system, seed, tokens }: Setting, { model }: Prepared, had: Plan): E.Either<AppError, Asked> => {
  const request = { device: device.name, model: model.name, system: system.name, memory: { _tag: "All" as const }, phase: "decode" as const, prompt: 1, tokens: Math.max(tokens, EFFORT.clusterTokens), batch: 1, seed, fidelity: "cluster" as const };
  return pipe(
    fitMemory(device, model, system, system.mechanisms, request),
    E.map((fit) => ({ device, model, system, request: { ...request, memory: { _tag: "Bytes" as const, bytes: Math.floor(fit.memory - fit.ffnAll + had.cache.hot + had.cache.cold) } } })),
  );
};

const tunedFor = (capabilities: Capabilities, setting: Setting, prepared: Prepared, had: Plan): TaskEither<AppError, Tuned> =>
  pipe(
    TE.fromEither(sought(setting, prepared, had)),
    TE.chain((cell) => drive(tune({ cell, planner: "ours", objective: "tokens/s", atLeast: null, effort: EFFORT, explain: false }), capabilities, setting.args.workers)),
    TE.chain(TE.fromEither<AppError, Tuned>),
  );

const timed = (runs: ReadonlyArray<KeptRun>): ReadonlyArray<Timed> => runs.map(({ cell, repetition, outcome }) => ({ cell, repetition, ms: outcome.total }));

const expectedOf = (capabilities: Capabilities, { device, system, seed, tokens }: Setting, prepared: Prepared, plan: Plan): TaskEither<AppError, number> =>
  pipe(
    capabilities.runMany([predictionOf({ device, system, prepared, plan: { ...plan, device: device.name, system: system.name }, tokens, seed, name: plan.note })], { workers: 1, silent: true }),
    TE.chainEitherK(([outcome]) => E.map((run: { readonly tokensPerSec: number }) => run.tokensPerSec)(outcome!)),
  );

/** null when it was interrupted: what was run is kept, and the same command goes on there. */
const compared = (capabilities: Capabilities, setting: Setting, models: ReadonlyArray<Prepared>, cells: ReadonlyArray<Cell>, key: string): TaskEither<AppError, ReadonlyArray<OfModel> | null> => async () => {
  const { out, tokens, rounds } = setting;
  const byDefault = models.map((prepared): Contender => ({ id: defaultId(prepared.name), prepared, with: { memory: memoryFor(prepared) } }));
  const first = await runTurns(capabilities, out, key, setting.system, screening(byDefault.map(({ id }) => [id])), byDefault, tokens)();
  if (E.isLeft(first) || first.right === null) return first as E.Either<AppError, null>;
  const stages: Array<Stage> = [];
  for (const prepared of models) {
    const stage = await pipe(
      TE.fromEither(planOfRun(first.right.find(({ cell }) => cell === defaultId(prepared.name))!)),
      TE.chain((had) => pipe(tunedFor(capabilities, setting, prepared, had), TE.map((tuned): Stage => ({ prepared, memory: memoryFor(prepared), had, tuned, drawn: withRoom(cells, prepared.model, had) })))),
    )();
    if (E.isLeft(stage)) return stage;
    stages.push(stage.right);
  }
  // Sizes of a plan are the engine's own, which are given generously: room decides, and it is the same for all.
  const proposed = ({ prepared, tuned, drawn }: Stage): ReadonlyArray<Contender> =>
    [tuned.plan, ...tuned.proposals].map((plan, place): Contender => ({ id: proposalId(prepared.name, place), prepared, with: { plan: { ...plan, memory: drawn[0]!.plan.memory } } }));
  const proposals = stages.map(proposed);
  const contenders = [...byDefault, ...proposals.flat(), ...stages.flatMap(({ prepared, drawn }) => drawn.map(({ cell, plan }): Contender => ({ id: cell.id, prepared, with: { plan } })))];
  const tryIds = stages.map(({ prepared: { name } }, i) => [defaultId(name), ...proposals[i]!.map(({ id }) => id)]);
  const attempts = await runTurns(capabilities, out, key, setting.system, tries(tryIds, TRIES), contenders, tokens)();
  if (E.isLeft(attempts) || attempts.right === null) return attempts as E.Either<AppError, null>;
  const tried = timed(attempts.right);
  const chosen = tryIds.map((ids) => chosenOf(ids, ids[0]!, tried));
  const idsOf = ({ drawn }: Stage): ReadonlyArray<string> => drawn.map(({ cell }) => cell.id);
  const once = await runTurns(capabilities, out, key, setting.system, screening(stages.map(idsOf)), contenders, tokens)();
  if (E.isLeft(once) || once.right === null) return once as E.Either<AppError, null>;
  const screened = timed(once.right);
  const best = stages.map((stage) => finalistsOf(idsOf(stage), screened));
  const lastIds = stages.map(({ prepared: { name } }, i) => [...new Set([defaultId(name), proposalId(name, 0), chosen[i]!, ...best[i]!])]);
  const last = await runTurns(capabilities, out, key, setting.system, finals(lastIds, rounds), contenders, tokens)();
  if (E.isLeft(last) || last.right === null) return last as E.Either<AppError, null>;
  const runs = timed(last.right);
  const found: Array<OfModel> = [];
  for (const [i, stage] of stages.entries()) {
    const { prepared, memory, had, drawn } = stage;
    const { name } = prepared;
    const [fastest, tuned, searched, usual] = [[...best[i]!].sort((a, b) => speedOf(b, runs) - speedOf(a, runs))[0]!, chosen[i]!, proposalId(name, 0), defaultId(name)];
    const planOf = (id: string): Plan => (id === usual ? had : proposals[i]!.flatMap((one) => (one.id === id && "plan" in one.with ? [one.with.plan] : []))[0]!);
    const expected = await pipe(TE.Do, TE.bind("tuned", () => expectedOf(capabilities, setting, prepared, planOf(tuned))), TE.bind("searched", () => expectedOf(capabilities, setting, prepared, planOf(searched))), TE.bind("byDefault", () => expectedOf(capabilities, setting, prepared, had)))();
    if (E.isLeft(expected)) return expected;
    found.push({
      model: name, memory, room: had.cache.hot + had.cache.cold, plans: { tuned: planOf(tuned), searched: planOf(searched), byDefault: had }, expected: expected.right,
      measured: { tuned: speedOf(tuned, runs), searched: speedOf(searched, runs), byDefault: speedOf(usual, runs) },
      tried: tryIds[i]!.map((id) => ({ id, overDefault: triedRatioOf(id, usual, tried) })), chosen: tuned,
      drawn: drawn.map(({ cell }) => ({ cell, screened: 1e3 / screened.find((run) => run.cell === cell.id)!.ms, measured: best[i]!.includes(cell.id) ? speedOf(cell.id, runs) : null })),
      best: fastest, overDefault: marginOf(tuned, usual, runs), searchedOverDefault: marginOf(searched, usual, runs), overBest: marginOf(tuned, fastest, runs),
    });
  }
  return E.right(found);
};

const checksum = (text: string): number => {
  const bytes = new TextEncoder().encode(text);
  return crc32(bytes, 0, bytes.length);
};

const answered = (setting: Setting, models: ReadonlyArray<Prepared>): Program<Answer> => (capabilities) => {
  const { args, out, device, system, seed, tokens, rounds } = setting;
  return pipe(
    capabilities.host,
    TE.chain(({ cores }) => {
      const cells = cellsOf(models.map(({ name }) => name), seed, args.quick, cores);
      const key = `tuned ${capabilities.version} ${seed} ${tokens} ${cores} ${checksum(JSON.stringify([cells, models.map(({ model }) => model), device, system]))}`;
      return compared(capabilities, setting, models, cells, key);
    }),
    TE.map((found): Answer => {
      if (found === null) return { stdout: "", notes: [`interrupted: what was run is kept in ${join(out, "runs.json")}`] };
      const { text, json, files } = reportTuned({ device: device.title, system: args.system, seed, quick: args.quick, tokens, rounds, models: found });
      const placed = files.map((file) => ({ ...file, path: join(out, file.path) }));
      return { stdout: inFormat(args.format, { text, json }), files: placed, notes: placed.map(({ path }) => `wrote ${path}`) };
    }),
  );
};

export const validateTunedProgram = (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    knownNames,
    RTE.chain((names) => {
      const reading = readWords(command, fieldsWith(names))(given);
      return gather({ args: RTE.fromEither(reading.args), device: pipe(RTE.fromEither(argument(reading, "device")), RTE.chain(loadDevice)), system: pipe(RTE.fromEither(argument(reading, "system")), RTE.chain(loadSystem)) });
    }),
    RTE.chain(({ args, device, system }): Program<Answer> => (capabilities) => {
      const size = args.quick ? "quick" : "full";
      const setting: Setting = { args, out: outOf("tuned", args), device, system, seed: args.seed ?? DEFAULTS.seed, tokens: DEFAULTS.tokens[size], rounds: args.repetitions ?? DEFAULTS.rounds[size] };
      const folder = join(dirname(dirname(capabilities.thisHost)), "validate", size);
      const place = placeNote("tuned", args);
      if (place !== null) capabilities.log(place)();
      return pipe(TE.sequenceSeqArray(shapes(args.quick).map((shape) => validateShape(capabilities, folder, shape, setting.tokens))), TE.chain((models) => answered(setting, models)(capabilities)));
    }),
  );
