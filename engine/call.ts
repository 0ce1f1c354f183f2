/** One call of the native module: its flag tied to a signal, its failure made the closed union that the simulator has. */
import { E, TE, pipe, type TaskEither } from "../sim/base/fp.js";
import { badInput, disk, fault, unsupported, type AppError } from "../sim/base/errors.js";
import { loadBinding, type Binding, type Failure, type Outcome } from "./binding.js";

export interface Hooks<Step> {
  readonly onStep: (step: Step) => void;
  readonly signal?: AbortSignal;
}

/** Messages of files begin with the file, and so do ours: which of these it is about, and what it says of it. */
const aboutFile = (message: string, files: ReadonlyArray<string>): { readonly file: string; readonly said: string } | null => {
  for (const file of files) for (const prefix of [`cannot pack ${file}: `, `${file}: `]) if (message.startsWith(prefix)) return { file, said: message.slice(prefix.length) };
  return null;
};

/** A third file, such as a predictor's: what stands before the first colon. */
const firstNamed = (message: string): { readonly file: string; readonly said: string } | null => {
  const at = message.indexOf(": ");
  return at < 0 ? null : { file: message.slice(0, at), said: message.slice(at + 2) };
};

const MEGABYTE = 1e6;

/** What the process itself holds is counted in steps of 64 MiB, so the next run needs the same; two megabytes for what is rounded. */
const enough = (bytes: number): string => `--memory ${Math.ceil(bytes / MEGABYTE) + 2}MB works`;

const errorOf = (model: string, out: string, failure: Failure): AppError => {
  switch (failure.kind) {
    case "input": {
      const about = aboutFile(failure.message, [model, out]);
      return badInput(about?.file ?? model, [{ path: failure.argument ?? "(whole)", message: about?.said ?? failure.message }]);
    }
    case "doesNotFit":
      return failure.needed === undefined || failure.allowed === undefined
        ? unsupported(model, failure.message)
        : { _tag: "DoesNotFit", needed: failure.needed, allowed: failure.allowed, parts: failure.parts, hint: `${enough(failure.needed)}; ${failure.message}` };
    case "unsupported":
      return unsupported(model, failure.message);
    case "disk": {
      const about = aboutFile(failure.message, [model, out]) ?? firstNamed(failure.message);
      return disk(about?.file ?? out, about?.said ?? failure.message);
    }
    case "cancelled":
    case "fault":
      return fault(failure.message);
  }
};

/** Hands a call its flag and ties that to the signal for as long as the call runs. */
export const call = <Report, Step>({ model, out }: { readonly model: string; readonly out: string }, start: (binding: Binding, cancel: InstanceType<Binding["Cancel"]>, tell: (step: Step) => void) => Promise<Outcome<unknown>>, hooks: Hooks<Step>): TaskEither<AppError, Report | null> =>
  pipe(
    TE.fromIOEither(() => loadBinding()),
    TE.chain((binding) => async () => {
      if (hooks.signal?.aborted === true) return E.right(null);
      const cancel = new binding.Cancel();
      const abort = (): void => cancel.cancel();
      hooks.signal?.addEventListener("abort", abort);
      try {
        const { failure, report } = await start(binding, cancel, hooks.onStep);
        if (failure?.kind === "cancelled") return E.right(null);
        return failure === undefined ? E.right(report as Report) : E.left(errorOf(model, out, failure));
      } catch (thrown) {
        // The border refuses an argument of another type: no caller of these types can hand one over.
        return E.left(fault(`the native engine refused a call: ${thrown instanceof Error ? thrown.message : String(thrown)}`));
      } finally {
        hooks.signal?.removeEventListener("abort", abort);
      }
    }),
  );

/** The border knows absent and not null. */
export const present = (of: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => Object.fromEntries(Object.entries(of).filter(([, value]) => value !== null));

/** Steps travel apart from the outcome and may come after it: those are not told. */
export const untilDone = <Report, Step>(hooks: Hooks<Step>, start: (hooks: Hooks<Step>) => TaskEither<AppError, Report>): TaskEither<AppError, Report> => async () => {
  let over = false;
  const outcome = await start({ ...hooks, onStep: (step) => (over ? undefined : hooks.onStep(step)) })();
  over = true;
  return outcome;
};
