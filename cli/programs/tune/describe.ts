/** What a tuning found, as a text for people and as JSON for programs. Pure. */
import { showBytes } from "../../../sim/base/units.js";
import { encodePlan } from "../../../sim/domain/plan.js";
import type { Cliff } from "../../../sim/planner/cliff.js";
import { AXIS_NAMES } from "../../../sim/planner/explain.js";
import type { FrontPoint } from "../../../sim/planner/front.js";
import type { Worth } from "../../../sim/planner/objectives.js";
import type { MovedBy } from "../../../sim/planner/sensitivity.js";
import { evaluatedIn, type Reasons, type Tuned, type Tuning } from "../../../sim/planner/tune.js";
import { choiceOf } from "../../../sim/planner/candidates.js";
import { showNumber, showShare, showSignedShare, table, type Column } from "../../../sim/report/table.js";
import { changeIn, headline, objectiveFigure } from "./headline.js";

const gain = (is: number, was: number): string => showSignedShare(is / was - 1);
const worthOf = ({ worth }: { readonly worth: number | null }): string => (worth === null ? "no such plan" : showShare(worth));

/** A budget in which a cache by recency alone would find nothing, and a cold segment that does. */
export const warningsOf = (cliff: Cliff): ReadonlyArray<string> => [
  ...(cliff.wholeIsUnder ? [`LRU cliff: the FFN cache holds ${showBytes(cliff.cacheBytes)} and one token uses ${showBytes(cliff.demandBytes)}, so a cache that only evicts the least recently used would find next to nothing here; what is pinned by frequency is found`] : []),
  ...(cliff.coldIsUnder ? [`LRU cliff: the cold segment holds ${showBytes(cliff.coldBytes)} and one token asks ${showBytes(cliff.coldDemandBytes)} of it: what it finds is luck, and the hot segment does the work`] : []),
];

const FOUR: ReadonlyArray<Column> = ["tokens/s", "p99 ms", "J/token", "memory"].map((title) => ({ title, align: "right" }));
const fourFigures = (w: Worth): ReadonlyArray<string> => [showNumber(w.tokensPerSec), showNumber(w.p99Ms), showNumber(w.joulesPerToken), showBytes(w.memoryBytes)];

const limitsOf = ({ record }: Tuned): string => record.limits.slice(0, 3).map((limit) => `${limit.part} (${showShare(limit.share)})`).join(", then ");

const planners = ({ rivals, worth }: Tuned, tuning: Tuning): string => {
  const row = (name: string, w: Worth): ReadonlyArray<string> => [name, ...fourFigures(w), showSignedShare(changeIn(tuning.objective, worth, w))];
  return table(
    [{ title: "planner" }, ...FOUR, { title: `this plan against it${tuning.objective === "tokens/s" ? "" : `, ${tuning.objective}`}`, align: "right" }],
    [...rivals.map((rival) => row(rival.planner === "default" ? "default plan" : rival.planner, rival.worth)), row(`${tuning.planner} (this plan)`, worth)],
  );
};

const movedText = ({ change, betterPlan }: MovedBy): string => `${showSignedShare(change)}${betterPlan === null ? "" : betterPlan < 1e-3 ? ", same plan" : `, another plan ${showSignedShare(betterPlan)}`}`;

/** The front has the very run of the chosen plan, unless another plan beats it in everything. */
export const isChosen = ({ record }: Tuned) => (point: { readonly record: FrontPoint["record"] }): boolean => point.record === record;

const frontLines = (tuned: Tuned, front: ReadonlyArray<FrontPoint>): ReadonlyArray<string> =>
  front.length < 2 ? [] : [
    "",
    table([{ title: `front of ${front.length}` }, ...FOUR], front.map((point) => [isChosen(tuned)(point) ? "this plan" : "", ...fourFigures(point)])),
    `each of the front and of the planners above was run for ${tuned.record.inputs.tokens} tokens${front.some(isChosen(tuned)) ? "" : "; this plan is not on the front: one there is no worse in anything and better in something"}`,
  ];

const because = (tuned: Tuned, reasons: Reasons, tuning: Tuning): ReadonlyArray<string> => [
  ...(reasons.decisions.length === 0 ? ["", "every decision is the default plan's, or there is no default plan to compare with"] : [
    "",
    table(
      [{ title: "decision" }, { title: "here", wrap: 44 }, { title: "default plan", wrap: 44 }, { title: `worth, ${tuning.objective === "memory" ? "tokens/s" : tuning.objective}`, align: "right" }],
      reasons.decisions.map((d) => [AXIS_NAMES[d.axis], d.chosen, d.byDefault, worthOf(d)]),
    ),
  ]),
  ...(reasons.nextBest === null ? [] : ["", `next best ${showShare(reasons.nextBest.behind)} behind: ${reasons.nextBest.differs.map((d) => `${AXIS_NAMES[d.axis]} ${d.there}`).join("; ")}`]),
  ...(reasons.sensitivity.length === 0 ? [] : [
    "",
    table(
      [{ title: "if this weak fact is off" }, { title: "kind" }, { title: "by -20%" }, { title: "by +20%" }],
      reasons.sensitivity.map((s) => [`${s.profile} ${s.fact}`, s.kind, movedText(s.low), movedText(s.high)]),
    ),
  ]),
  ...frontLines(tuned, reasons.front),
];

const searchLine = ({ evaluations: e, ruledOut, spaceSize }: Tuned): string =>
  `${spaceSize.toLocaleString("en-US")} plans in the space; ${e.analytic} closed forms, ${e.cluster} runs by cluster, ${e.neuron} by neuron; ${ruledOut.byBound} of the closed forms not run because their upper bound lies under the best run`;

const teamOf = ({ plan }: Tuned): string => {
  const { threads, ioCore, attentionOn, npuRows } = plan.compute;
  const rows = npuRows.some((r) => r.share > 0) ? `; rows on the NPU ${npuRows.map((r) => `${showShare(r.share)} at batch ${r.batch}`).join(", ")}` : "";
  return `${threads.big} big, ${threads.mid} mid, ${threads.little} little threads compute, ${ioCore === "none" ? "and read for themselves" : `a ${ioCore} core reads`}; attention on ${attentionOn}${rows}`;
};

/**
 * Predictions of our own engine's runs were 8.3 and 10.8 % off on average where they were checked, and a plan that was expected to gain 11 % over its own choices gained
 * nothing (results/host/validate, results/host/xeon): less than this is no promise.
 */
const CREDIBLE_GAIN = 0.15;

const allWarnings = ({ cliff, worth, rivals }: Tuned, { cell, objective }: Tuning): ReadonlyArray<string> => {
  const was = rivals.find((rival) => rival.planner === "default");
  const expected = was === undefined ? Infinity : worth.tokensPerSec / was.worth.tokensPerSec - 1;
  const promises = objective !== "tokens/s" || cell.system.mechanisms.computation !== "gated" || expected >= CREDIBLE_GAIN;
  return [...warningsOf(cliff), ...(promises ? [] : [`this plan is expected to be ${gain(worth.tokensPerSec, was!.worth.tokensPerSec)} beside the engine's own choices, less than predictions of this engine were off where they were checked (results/host): neuronlab validate tuned measures it`])];
};

export const describeTuned = (tuned: Tuned, tuning: Tuning): string => {
  const { cell, objective } = tuning;
  const { plan, ruledOut, reasons } = tuned;
  const neuron = reasons?.byNeuron ?? null;
  const lines: ReadonlyArray<readonly [string, string]> = [
    ...headline(tuned, tuning),
    ["team", teamOf(tuned)],
    ["memory", `${showBytes(plan.cache.hot)} hot, ${showBytes(plan.cache.cold)} cold; clusters of ${plan.cluster.neurons}, ${plan.pipeline.depth} in flight; ${plan.mechanisms.loading}, overlap ${plan.mechanisms.overlap}, scales resident ${plan.mechanisms.scalesResident}`],
    ["limit", limitsOf(tuned)],
    ...(reasons === null ? [] : [["search", searchLine(tuned)] as const]),
    ...ruledOut.settled.map((s): readonly [string, string] => ["settled", `${AXIS_NAMES[s.axis]}: ${s.why}`]),
    ...(ruledOut.floor === null ? [] : [["keeps", `${showNumber(ruledOut.floor)} tokens/s at least`] as const]),
    ...(neuron === null ? [] : [["neuron", `${showNumber(neuron.tokensPerSec)} tokens/s with every neuron looked up (${neuron.inputs.tokens} tokens)`] as const]),
  ];
  return [
    `${cell.model.name} on ${cell.device.name} with ${cell.system.name}, ${showBytes(cell.request.memory._tag === "Bytes" ? cell.request.memory.bytes : plan.memory)}${cell.request.batch === 1 ? "" : `, batch ${cell.request.batch}`}: for ${objective}, planner ${tuning.planner}`,
    ...lines.map(([name, text]) => `${name.padEnd(9)}${text}`),
    ...allWarnings(tuned, tuning).map((warning) => `warning  ${warning}`),
    "",
    planners(tuned, tuning),
    ...(reasons === null ? [] : because(tuned, reasons, tuning)),
  ].join("\n");
};

const frontRow = (tuned: Tuned) => ({ plan, record, ...worth }: FrontPoint): Readonly<Record<string, unknown>> => {
  const { keep: _keep, ...choice } = choiceOf(plan, record.inputs.batch);
  return { ...worth, tokens: record.inputs.tokens, chosen: isChosen(tuned)({ record }), choice };
};

export const summaryOfTuned = (tuned: Tuned, tuning: Tuning, seconds: number): Readonly<Record<string, unknown>> => {
  const { record, reasons, evaluations, explaining, ruledOut, cliff } = tuned;
  return {
    schema: "neuronlab/tuned@1",
    plan: encodePlan(tuned.plan),
    tokensPerSec: record.tokensPerSec,
    evaluated: evaluatedIn(tuned),
    spaceSize: tuned.spaceSize,
    seconds,
    explanation: {
      limits: record.limits,
      bound: record.bound,
      decisions: reasons?.decisions ?? [],
      nextBest: reasons === null || reasons.nextBest === null ? null : { ...reasons.nextBest, plan: encodePlan(reasons.nextBest.plan) },
      sensitivity: reasons?.sensitivity ?? [],
      warnings: allWarnings(tuned, tuning),
      lruCliff: cliff,
    },
    planner: tuning.planner,
    objective: tuning.objective,
    objectiveFigure: objectiveFigure(tuned, tuning),
    tokens: record.inputs.tokens,
    worth: tuned.worth,
    planners: tuned.rivals.map(({ planner, plan, worth }) => ({ planner, ...worth, note: plan.note })),
    evaluations,
    explaining,
    ruledOut: { settled: ruledOut.settled.map(({ axis, why }) => ({ axis, why })), byBound: ruledOut.byBound, speedFloor: ruledOut.floor },
    fidelities: { analytic: reasons?.closedForm?.tokensPerSec ?? null, cluster: record.tokensPerSec, neuron: reasons?.byNeuron?.tokensPerSec ?? null },
    front: reasons?.front.map(frontRow(tuned)) ?? [],
  };
};
