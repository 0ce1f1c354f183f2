/** One step of the tour: what happens, what came of it, and how that is told. A step that fails is told, and the others go on. */
import { E } from "../../../sim/base/fp.js";
import { describeError, exitCode, unsupported, type AppError } from "../../../sim/base/errors.js";
import { lines } from "./lines.js";
import type { TourContext, Work } from "./context.js";

export interface Step<A> {
  readonly id: string;
  /** What happens, and about how long it takes on two cores: one line. */
  readonly heading: string;
  readonly work: Work<A>;
  readonly tell: (result: A) => string;
  readonly json: (result: A) => unknown;
}

export type End<A> =
  | { readonly _tag: "Done"; readonly result: A; readonly seconds: number }
  | { readonly _tag: "Failed"; readonly error: AppError; readonly seconds: number }
  | { readonly _tag: "Interrupted"; readonly seconds: number };

/** Nothing is broken: this machine, or what an earlier step left, does not allow it. */
export const isImpossible = (error: AppError): boolean => exitCode(error) === 3;

/** A step that has nothing to work with. */
export const without = (what: string, missing: string): Work<never> => () => async () => E.left(unsupported(what, `there is ${missing}`));

const HELP: Partial<Readonly<Record<AppError["_tag"], string>>> = {
  Disk: "make room there, or name other folders: --dir for models, --out for what is written",
  DoesNotFit: "close other programs, or try a machine with more memory",
  BadInput: "mend that, or leave the flag out",
};

/** null where the error itself says what to do. */
const helpOf = ({ _tag }: AppError): string | null => HELP[_tag] ?? null;

/** Where what is told goes: headings and results as the tour goes on. */
export interface Telling { readonly heading: (text: string) => void; readonly result: (text: string) => void }

export const tellEnd = <A>(step: Step<A>, end: End<A>): string => {
  switch (end._tag) {
    case "Done":
      return step.tell(end.result);
    case "Failed": {
      const help = helpOf(end.error);
      return lines([`${isImpossible(end.error) ? "Not possible here" : "Failed"}: ${describeError(end.error)}`, ...(help === null ? [] : [`What helps: ${help}.`])]);
    }
    case "Interrupted":
      return "Interrupted.";
  }
};

export const endJson = <A>(step: Step<A>, end: End<A>): unknown => {
  const head = { id: step.id, heading: step.heading, seconds: end.seconds };
  switch (end._tag) {
    case "Done":
      return { ...head, outcome: "done", result: step.json(end.result) };
    case "Failed":
      return { ...head, outcome: isImpossible(end.error) ? "impossible" : "failed", error: describeError(end.error), help: helpOf(end.error) };
    case "Interrupted":
      return { ...head, outcome: "interrupted" };
  }
};

export const conduct = <A>(context: TourContext, telling: Telling, step: Step<A>): (() => Promise<End<A>>) => async () => {
  telling.heading(step.heading);
  const { now } = context.capabilities;
  const began = now();
  const outcome = await step.work(context)();
  const seconds = (now() - began) / 1e3;
  const end: End<A> = E.isLeft(outcome) ? { _tag: "Failed", error: outcome.left, seconds } : outcome.right === null ? { _tag: "Interrupted", seconds } : { _tag: "Done", result: outcome.right, seconds };
  telling.result(tellEnd(step, end));
  return end;
};
