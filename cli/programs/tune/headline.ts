/** What was asked for, first: the figure of the objective beside the default plan's, then the speed, then the rest. Pure. */
import { showBytes } from "../../../sim/base/units.js";
import type { ObjectiveName, Worth } from "../../../sim/planner/objectives.js";
import type { Tuned, Tuning } from "../../../sim/planner/tune.js";
import { showNumber, showSignedShare } from "../../../sim/report/table.js";

interface Figure { readonly of: (worth: Worth) => number; readonly show: (value: number) => string; readonly words: (shown: string) => string }

const FIGURES: Readonly<Record<ObjectiveName, Figure>> = {
  "tokens/s": { of: (w) => w.tokensPerSec, show: showNumber, words: (shown) => `${shown} tokens/s` },
  p99: { of: (w) => w.p99Ms, show: showNumber, words: (shown) => `P99 ${shown} ms` },
  "J/token": { of: (w) => w.joulesPerToken, show: showNumber, words: (shown) => `${shown} J/token` },
  memory: { of: (w) => w.memoryBytes, show: showBytes, words: (shown) => `${shown} held` },
};
const REST: ReadonlyArray<ObjectiveName> = ["p99", "J/token", "memory"];

/** By how much the figure of an objective changes from one plan to another; less is better in all but tokens/s. */
export const changeIn = (objective: ObjectiveName, is: Worth, was: Worth): number => FIGURES[objective].of(is) / FIGURES[objective].of(was) - 1;

const said = (objective: ObjectiveName, { worth }: Tuned, was: Worth | null): string => {
  const { of, show, words } = FIGURES[objective];
  return `${words(show(of(worth)))}${was === null ? "" : ` (default plan ${show(of(was))}, ${showSignedShare(changeIn(objective, worth, was))})`}`;
};

export const defaultWorth = ({ rivals }: Tuned): Worth | null => rivals.find(({ planner }) => planner === "default")?.worth ?? null;

export const headline = (tuned: Tuned, { objective }: Tuning): ReadonlyArray<readonly [string, string]> => {
  const was = defaultWorth(tuned);
  const { lower, upper } = tuned.record.bound;
  const missing = was === null ? "; the default plan has no room in this budget" : "";
  const bounds = `; bounds ${showNumber(lower)} to ${showNumber(upper)}`;
  return [
    ...(objective === "tokens/s" ? [["best", `${said(objective, tuned, was)}${missing}${bounds}`] as const] : [["best", `${said(objective, tuned, was)}${missing}`] as const, ["speed", `${said("tokens/s", tuned, was)}${bounds}`] as const]),
    ["costs", REST.filter((name) => name !== objective).map((name) => said(name, tuned, null)).join(", ")],
  ];
};

/** The same for a program. */
export const objectiveFigure = (tuned: Tuned, { objective }: Tuning): Readonly<Record<string, unknown>> => {
  const was = defaultWorth(tuned);
  const { of } = FIGURES[objective];
  return { name: objective, value: of(tuned.worth), ofDefaultPlan: was === null ? null : of(was), change: was === null ? null : changeIn(objective, tuned.worth, was) };
};
