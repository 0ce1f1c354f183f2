/** What the planner's plan was worth on the machine, to a table, a page and JSON, as values. Pure. */
import { encodePlan, type Plan } from "../../sim/domain/plan.js";
import { showBytes } from "../../sim/base/units.js";
import { settingOf } from "./report.js";
import { BEHIND, TRIES, beatsDefault, isSure, nearBest, staysAsItWas, type Margin, type OfModel } from "./tuned.js";
import { markdown, padded, plain, type ValidationReport } from "./words.js";

export interface TunedHere { readonly device: string; readonly system: string; readonly seed: number; readonly quick: boolean; readonly tokens: number; readonly rounds: number; readonly models: ReadonlyArray<OfModel> }

const chosen = ({ mechanisms, compute, cluster, pipeline, io, cache }: Plan): string =>
  `${mechanisms.loading}, gates ${io.gates}, ${mechanisms.overlap}, ${mechanisms.cache}, ${mechanisms.submitters === "io-thread" ? `${io.lanes} lanes` : `ring of ${io.lanes}`}, ${compute.threads.big + compute.threads.mid + compute.threads.little} threads, depth ${pipeline.depth}, clusters of ${cluster.neurons}, ${showBytes(cache.hot)} hot, ${showBytes(cache.cold)} cold`;

const interval = ({ ratio, low, high, confidence }: Margin): string => `${ratio.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)} with ${plain(confidence)})`;

const verdict = (margin: Margin): string => `${interval(margin)}: ${isSure(margin) && margin.low > 1 ? "better" : isSure(margin) && margin.high < 1 ? "worse" : "undecided"}`;
/** How sure it is that a ratio is on its side of the limit. */
const sureness = ({ low, high }: Margin, limit: number): string => (low >= limit || high < limit ? "" : ", by its interval undecided");

const verdicts = (of: OfModel): ReadonlyArray<string> => [
  staysAsItWas(of)
    ? `${of.model}: none of what the planner proposes was faster in ${TRIES} tries than the engine's own choices, round by round, and they stay: no gain, and no loss`
    : `${of.model}: tuned over default ${verdict(of.overDefault)}; the simulator expected ${(of.expected.tuned / of.expected.byDefault).toFixed(2)}`,
  `${of.model}: the plan that the simulator alone takes for the best, over default ${verdict(of.searchedOverDefault)}; it expected ${(of.expected.searched / of.expected.byDefault).toFixed(2)}`,
  `${of.model}: tuned over the best drawn plan (${of.best}) ${interval(of.overBest)}: ${nearBest(of) ? `within ${plain(BEHIND)} of it or better` : `${plain(1 - of.overBest.ratio)} behind it, missed`}${sureness(of.overBest, 1 - BEHIND)}`,
];

const COLUMNS = ["plan", "choices", "once, tokens/s", "median of rounds", "predicted"] as const;
const rate = (value: number | null): string => (value === null ? "-" : value.toFixed(2));

const rowsOf = (of: OfModel): ReadonlyArray<ReadonlyArray<string>> => [
  ["default", chosen(of.plans.byDefault), "-", rate(of.measured.byDefault), rate(of.expected.byDefault)],
  [`tuned (${of.chosen})`, chosen(of.plans.tuned), "-", rate(of.measured.tuned), rate(of.expected.tuned)],
  ["the simulator's best", chosen(of.plans.searched), "-", rate(of.measured.searched), rate(of.expected.searched)],
  ...[...of.drawn].sort((a, b) => b.screened - a.screened).map(({ cell, screened, measured }) => [cell.id, settingOf({ cell }), rate(screened), rate(measured), "-"]),
];

const page = ({ device, system, seed, quick, tokens, rounds, models }: TunedHere): string => `# Tuned for this machine, and run on it

Written by \`neuronlab validate tuned${quick ? " --quick" : ""} --seed ${seed}\` on ${device}, with the constants of ${system}. Of each model, with room for about half of its FFN weights: the plan that the engine chooses by itself,
what \`neuronlab tune\` proposes, and every plan that \`validate host\` draws, all with the same room for them (plans that are given, and not the engine's own, are allowed more memory beside it). The simulator proposes and the machine decides: proposals and the engine's own choices are tried ${TRIES} times each, and the one that is fastest beside the default, round by round, is the
tuned plan. Each drawn plan is run once; the fastest of them, the default, the tuned plan and the simulator's best then take ${rounds} turns of ${tokens} tokens anew, each in a process of its own. A ratio is the median over rounds, with an interval by order
statistics that assumes no distribution.

${models.flatMap(verdicts).map((line) => `- ${line}`).join("\n")}

${models.map((of) => `## ${of.model}, ${showBytes(of.memory)}, of which ${showBytes(of.room)} for FFN weights\n\n${markdown(COLUMNS, rowsOf(of))}\n`).join("\n")}`;

const marginIn = ({ ratio, low, high, confidence, pairs }: Margin): unknown => ({ ratio, low, high, confidence, pairs });

export const reportTuned = (all: TunedHere): ValidationReport => {
  const json = {
    device: all.device, system: all.system, seed: all.seed, quick: all.quick, tokens: all.tokens, rounds: all.rounds,
    models: all.models.map((of) => ({
      model: of.model, memory: of.memory, room: of.room, best: of.best, expected: of.expected, measured: of.measured,
      tried: of.tried, chosen: of.chosen, overDefault: marginIn(of.overDefault), beatsDefault: beatsDefault(of), searchedOverDefault: marginIn(of.searchedOverDefault), overBest: marginIn(of.overBest), nearBest: nearBest(of),
      drawn: of.drawn.map(({ cell, screened, measured }) => ({ id: cell.id, screened, measured, plan: cell })),
      plans: { tuned: encodePlan(of.plans.tuned), searched: encodePlan(of.plans.searched), default: encodePlan(of.plans.byDefault) },
    })),
  };
  return {
    text: [...all.models.flatMap((of) => [...padded([["", `${of.model}, ${showBytes(of.room)} for FFN weights`, ...COLUMNS.slice(2)], ...rowsOf(of)]), ""]), ...all.models.flatMap(verdicts)].join("\n"),
    json,
    files: [
      { path: "README.md", text: page(all) },
      { path: "tuned.json", text: `${JSON.stringify(json, null, 1)}\n` },
      ...all.models.map((of) => ({ path: `${of.model}.plan.json`, text: `${JSON.stringify(encodePlan(of.plans.tuned), null, 2)}\n` })),
    ],
  };
};
