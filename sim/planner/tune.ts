/**
 * The best plan for a device, a model and a budget of memory, with its reasons. One generator: it yields the runs that it
 * wants and is handed their outcomes, so the same search runs in a test, in one thread and on a pool.
 */
import { E, type Either } from "../base/fp.js";
import { unsupported, type AppError } from "../base/errors.js";
import type { DeviceProfile } from "../domain/device.js";
import type { Plan } from "../domain/plan.js";
import type { SimulatedRun } from "../domain/run.js";
import { withBatchRows } from "./batch-rows.js";
import { choiceOf, planAt, type Cell } from "./candidates.js";
import { cliffOf, type Cliff } from "./cliff.js";
import { defaultPlan } from "./default-plan.js";
import { settledAxes, type Settled } from "./dominance.js";
import { decisionsOf, nextBestOf, proposalsOf, type Decision, type NextBest } from "./explain.js";
import { seekFront, type FrontPoint, type Ran } from "./front.js";
import { objectiveOf, worthOf, type ObjectiveName, type Worth } from "./objectives.js";
import { PAPER_PLANNERS, paperPlan, type PaperPlanner } from "./paper-planners.js";
import { search, type Effort, type Found, type Question } from "./search.js";
import { sensitivityOf, type Sensitivity } from "./sensitivity.js";
import { AXES, choiceAt, hasCores, nearestPoint, sizeOf, spaceOf, type Choice, type Point, type Space } from "./space.js";
import { askOf, createTrials, runPlans, sumOf, type Counts, type Searching } from "./trials.js";

export const PLANNERS = ["ours", ...PAPER_PLANNERS] as const;
export type PlannerName = (typeof PLANNERS)[number];

export const EFFORT: Effort = { clusterTokens: 24, finalTokens: 128, neuronTokens: 16, promoted: 16, moves: 4, finalists: 4 };
/** A 99th percentile of fewer tokens is their slowest. */
const P99_TOKENS = 96;
/** Of the fastest plan's speed: what a plan of least memory must keep, unless told. */
const KEEPS_SPEED = 0.95;

export interface Tuning {
  readonly cell: Cell;
  readonly planner: PlannerName;
  readonly objective: ObjectiveName;
  /** For the objective memory: the least tokens/s; null for 95 % of the fastest. */
  readonly atLeast: number | null;
  readonly effort: Effort;
  /** Whether reasons are sought too: they take about as long as the plan. */
  readonly explain: boolean;
}

/** A plan that somebody else would choose, beside ours. */
export interface Rival { readonly planner: "default" | PaperPlanner; readonly plan: Plan; readonly record: SimulatedRun; readonly worth: Worth }

export interface Reasons {
  readonly decisions: ReadonlyArray<Decision>;
  readonly nextBest: NextBest | null;
  readonly sensitivity: ReadonlyArray<Sensitivity>;
  readonly front: ReadonlyArray<FrontPoint>;
  /** The chosen plan at the other two fidelities; null where it was not run so. */
  readonly byNeuron: SimulatedRun | null;
  readonly closedForm: SimulatedRun | null;
}

export interface Tuned {
  readonly plan: Plan;
  readonly record: SimulatedRun;
  readonly worth: Worth;
  /** What a machine that is at hand could try beside the plan: other plans that were run by cluster, best first. Empty for a planner that does not search. */
  readonly proposals: ReadonlyArray<Plan>;
  readonly rivals: ReadonlyArray<Rival>;
  readonly spaceSize: number;
  /** Runs that the search made, and those made afterwards to explain its answer. */
  readonly evaluations: Counts;
  readonly explaining: Counts;
  readonly ruledOut: { readonly settled: ReadonlyArray<Settled>; readonly byBound: number; readonly floor: number | null };
  readonly cliff: Cliff;
  /** null for a planner that does not search, and where none were asked for. */
  readonly reasons: Reasons | null;
}

/** With the plan itself. */
const MOST_PROPOSALS = 6;

const NONE: Counts = { analytic: 0, cluster: 0, neuron: 0 };

type Team = Pick<Choice, "driver" | "mid" | "little">;

/** A reader and all mid cores but one, as phones have them; where there are no such cores, any team that the device has. null where nobody can compute. */
const plainTeam = (space: Space, device: DeviceProfile): Team | null => {
  const usual: Team = { driver: space.driver.find((d) => d.ioCore === "big") ?? space.driver.find((d) => d.big > 0) ?? space.driver[0]!, mid: Math.max(0, space.mid.length - 2), little: 0 };
  const others = space.driver.flatMap((driver) => space.mid.flatMap((mid) => space.little.map((little): Team => ({ driver, mid, little }))));
  return [usual, ...others].find((team) => hasCores(device, team)) ?? null;
};

/** Beginnings that owe nothing to any planner: in the leanest layout, for budgets in which the default plan has no room. */
const plainChoices = (space: Space, cell: Cell): ReadonlyArray<Choice> => {
  const team = plainTeam(space, cell.device);
  return team === null ? [] : space.layout.map((layout): Choice => ({
    ...choiceAt(space, Object.fromEntries(AXES.map((axis) => [axis, space[axis].length - 1])) as unknown as Point),
    ...team, layout, hot: 1, npuShare: 0.5, attentionOn: space.attentionOn[0]!, clusterNeurons: 1024, depth: 16, overlap: "cluster", prefetchHot: space.prefetchHot[0]!, lanes: 1, keep: 1,
  })).filter((choice) => E.isRight(planAt(cell, choice)));
};

/** Only systems that compute neurons, predicted or gated, from a segmented cache have these decisions to make; the paper's planners know predicted ones. */
const unfit = ({ system }: Cell, planner: PlannerName): AppError | null => {
  const { computation, cache } = system.mechanisms;
  if (cache !== "segmented" || (computation !== "predicted" && computation !== "gated"))
    return unsupported(`tuning ${system.name}`, "its plan has nothing to tune: it computes or caches in another way than neuron clusters in segments; choose powerinfer-2, powerinfer-2-v1, powerinfer-2-cpu-only or neuronlab");
  return computation === "gated" && planner !== "ours" ? unsupported(`planner ${planner} for ${system.name}`, "the paper's planners plan for neurons that a predictor names; choose planner ours") : null;
};

function* rivalsOf(cell: Cell, tokens: number): Searching<Either<AppError, ReadonlyArray<Rival>>> {
  const plans = [
    { planner: "default" as const, plan: defaultPlan(cell.device, cell.model, cell.system, cell.request) },
    ...(cell.system.mechanisms.computation === "predicted" ? PAPER_PLANNERS : []).map((planner) => ({ planner, plan: paperPlan(planner, cell) })),
  ];
  const first = plans[0]!.plan;
  const made = plans.flatMap(({ planner, plan }) => (E.isRight(plan) ? [{ planner, plan: plan.right }] : []));
  const runs = yield* runPlans(cell, made.map(({ plan }) => plan), "cluster", tokens);
  const rivals = made.flatMap((rival, i): ReadonlyArray<Rival> => (runs[i] === null || runs[i] === undefined ? [] : [{ ...rival, record: runs[i], worth: worthOf(runs[i]) }]));
  // What cannot run at all says so here; what only has no room for the default plan may have room for another.
  return E.isLeft(first) && first.left._tag !== "DoesNotFit" ? first : E.right(rivals);
}

/** The plan of one of the paper's planners, run as it is. */
function* tunePaper({ cell }: Tuning, planner: PaperPlanner, rivals: ReadonlyArray<Rival>): Searching<Either<AppError, Tuned>> {
  const { device, model, system, request } = cell;
  const made = paperPlan(planner, cell);
  if (E.isLeft(made)) return made;
  const [outcome] = yield [askOf(cell, made.right, "cluster", request.tokens)];
  if (outcome === undefined || E.isLeft(outcome)) return outcome ?? E.left(unsupported(`planner ${planner}`, "its plan was not run"));
  return E.right({
    plan: made.right, record: outcome.right, worth: worthOf(outcome.right), proposals: [], rivals, spaceSize: sizeOf(device, spaceOf(device, model, system)),
    evaluations: { ...NONE, cluster: 1 }, explaining: NONE, ruledOut: { settled: [], byBound: 0, floor: null }, cliff: cliffOf(model, made.right, request.batch), reasons: null,
  });
}

/** No run is longer than what the KV cache has room for; where the slowest tokens count, there must be enough of them. */
const effortFor = ({ effort, objective, cell }: Tuning): Effort => {
  const most = cell.request.tokens;
  const clusterTokens = objective === "p99" ? Math.max(effort.clusterTokens, P99_TOKENS) : effort.clusterTokens;
  return { ...effort, clusterTokens: Math.min(clusterTokens, most), finalTokens: Math.min(effort.finalTokens, most), neuronTokens: Math.min(effort.neuronTokens, most) };
};

/** Counts the runs that go through. */
function* counted<A>(asked: Searching<A>, counts: { -readonly [F in keyof Counts]: Counts[F] }): Searching<A> {
  let next = asked.next();
  while (next.done !== true) {
    for (const { request } of next.value) counts[request.fidelity]++;
    next = asked.next(yield next.value);
  }
  return next.value;
}

export function* tune(tuning: Tuning): Searching<Either<AppError, Tuned>> {
  const { cell, planner } = tuning;
  const { device, model, system, request } = cell;
  const wrong = unfit(cell, planner);
  if (wrong !== null) return E.left(wrong);
  const effort = effortFor(tuning);
  const others = yield* rivalsOf(cell, request.tokens);
  if (E.isLeft(others)) return others;
  if (planner !== "ours") return yield* tunePaper(tuning, planner, others.right);

  const space = spaceOf(device, model, system);
  const trials = createTrials(cell, space);
  const choices = others.right.map(({ plan }) => choiceOf(plan, request.batch));
  const starts = (choices.length > 0 ? choices : plainChoices(space, cell)).map((choice) => nearestPoint(space, choice));
  if (starts.length === 0) return noRoom(space, cell);
  const speed = objectiveOf("tokens/s");
  const settledFor = (name: ObjectiveName): ReadonlyArray<Settled> => settledAxes(device, space, name);
  let floor: number | null = null;
  let from = starts;
  if (tuning.objective === "memory") {
    const fastest: Found | null = yield* search({ trials, space, objective: speed, settled: settledFor("tokens/s"), starts, effort: { ...effort, finalists: 1 } });
    if (fastest !== null && tuning.atLeast !== null && fastest.best.record.tokensPerSec < tuning.atLeast)
      return E.left(unsupported(`at least ${tuning.atLeast} tokens/s`, `the fastest plan that was found within the memory makes ${fastest.best.record.tokensPerSec.toPrecision(3)}; ask for less, or give more memory`));
    floor = tuning.atLeast ?? KEEPS_SPEED * (fastest?.best.record.tokensPerSec ?? 0);
    from = fastest === null ? starts : [fastest.best.point];
  }
  const objective = objectiveOf(tuning.objective, floor ?? 0);
  const settled = settledFor(tuning.objective);
  const found = yield* search({ trials, space, objective, settled, starts: from, effort });
  if (found === null) return noRoom(space, cell);
  const { best } = found;
  const evaluations = trials.counts();

  const planned = yield* withBatchRows(cell, best.plan, choiceAt(space, best.point).npuShare, effort.clusterTokens);
  const [searched] = yield* runPlans(cell, [planned], "cluster", request.tokens);
  if (searched === null || searched === undefined) return E.left(unsupported("the tuned plan", "its run failed after the search"));
  // A plan between the points of the grid may be better than all of them: nobody is told to use a worse one than he had.
  const rival = others.right.reduce<Rival | null>((most, one) => (objective.score(one.record) > objective.score(most?.record ?? searched) ? one : most), null);
  const plan = rival === null ? { ...planned, note: `tuned for ${tuning.objective}` } : { ...rival.plan, note: `tuned for ${tuning.objective}: no better plan than ${rival.planner === "default" ? "the default" : `that of planner ${rival.planner}`} was found` };
  const record = rival?.record ?? searched;
  const tuned: Tuned = {
    plan, record, worth: worthOf(record), proposals: rival === null ? proposalsOf(found.ranked, best, objective.score, MOST_PROPOSALS) : [best.plan, ...proposalsOf(found.ranked, best, objective.score, MOST_PROPOSALS - 1)], rivals: others.right, spaceSize: sizeOf(device, space), evaluations, explaining: NONE,
    ruledOut: { settled, byBound: found.ruledOut, floor }, cliff: cliffOf(model, plan, request.batch), reasons: null,
  };
  if (!tuning.explain) return E.right(tuned);
  const explaining = { ...NONE };
  const reasons = yield* counted(reasonsOf(tuning, { trials, space, objective: tuning.objective === "memory" ? { ...objective, score: speed.score } : objective, settled, starts, effort }, found, { plan, record }, others.right), explaining);
  return E.right({ ...tuned, explaining, reasons });
}

/** What decisions are worth, what doubts of the profile mean, and what else could be had. For least memory, worth is speed: it is what memory is taken from. */
function* reasonsOf({ cell }: Tuning, asked: Question, { best, ranked, byNeuron }: Found, chosen: Ran, rivals: ReadonlyArray<Rival>): Searching<Reasons> {
  const { trials, space, objective, settled, effort } = asked;
  const { score } = objective;
  const byDefault = rivals.find((rival) => rival.planner === "default");
  // Settled axes are as they are for everyone.
  const beside = byDefault === undefined ? null : settled.reduce<Point>((point, { axis }) => ({ ...point, [axis]: best.point[axis] }), nearestPoint(space, choiceOf(byDefault.plan, cell.request.batch)));
  const decisions = beside === null ? [] : yield* decisionsOf(trials, space, best.point, beside, score, effort.clusterTokens);
  const [closed] = yield* trials.at([best.point], "analytic", effort.clusterTokens);
  const free = AXES.filter((axis) => space[axis].length > 1 && axis !== "keep" && !settled.some((s) => s.axis === axis));
  const sensitivity = closed === null || closed === undefined ? [] : yield* sensitivityOf(cell, space, free, objective, closed, effort.clusterTokens);
  const front = yield* seekFront(trials, space, settledAxes(cell.device, space, "tokens/s"), best.point, effort, { tokens: cell.request.tokens, known: [chosen, ...rivals] });
  return { decisions, nextBest: nextBestOf(ranked, space, best, score), sensitivity, front, byNeuron: byNeuron.find((t) => t.point === best.point)?.record ?? null, closedForm: closed?.record ?? null };
}

/** Why no point is a plan: what the layout that needs least would need. */
const noRoom = (space: Space, cell: Cell): Either<AppError, never> => {
  const point = Object.fromEntries(AXES.map((axis) => [axis, space[axis].length - 1])) as unknown as Point;
  const team = plainTeam(space, cell.device);
  if (team === null) return E.left(unsupported("tuning", `${cell.device.title} has no core that could compute`));
  const lean = planAt(cell, { ...choiceAt(space, point), ...team, layout: space.layout.find((layout) => layout.scalesResident === "no") ?? space.layout[0]! });
  return E.left(E.isLeft(lean) ? lean.left : unsupported("tuning", "no plan of the space could be run here"));
};

export const evaluatedIn = ({ evaluations }: Tuned): number => sumOf(evaluations);
