/** What every step of the tour works with: effects, places, and the parts of other commands that it is made of. */
import { TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import type { AppError } from "../../../sim/base/errors.js";
import type { Experiment, Lab, Result } from "../../../experiments/experiment.js";
import type { Words } from "../../command.js";
import type { Capabilities, OutputFile, Program } from "../../program.js";
import type { Generated } from "../generate/generate.js";

/** Handed in, so that tests bring their own. */
export interface Parts {
  /** What the command `generate` does with its words. */
  readonly generation: (words: Words) => Program<Generated>;
  /** The figure that is shown. */
  readonly figure: Experiment;
  readonly evaluate: (experiment: Experiment, lab: Lab) => Pick<Result, "points" | "curves" | "claims">;
  /** Paths relative to the tour's folder. */
  readonly report: (results: ReadonlyArray<Result>) => ReadonlyArray<OutputFile>;
}

export interface TourContext {
  readonly capabilities: Capabilities;
  readonly parts: Parts;
  /** Where models lie that are kept from one tour to the next, and where the disk is measured. */
  readonly cache: string;
  /** Where the tour writes what it found. */
  readonly out: string;
  /** Nothing that was kept is taken. */
  readonly fresh: boolean;
  readonly seed: number;
  /** Text as it is generated; nowhere where only a document is asked for. */
  readonly stream: (text: string) => void;
}

/** One step: null when it was interrupted. */
export type Work<A> = (context: TourContext) => TaskEither<AppError, A | null>;

/** Work of the engine: Ctrl-C asks it to end, and what it then calls its failure was ours to ask for. */
export const stoppable = <A>({ capabilities }: TourContext, work: (signal: AbortSignal) => TaskEither<AppError, A | null>): TaskEither<AppError, A | null> =>
  capabilities.interruptible((signal) => pipe(work(signal), TE.orElse((error) => (signal.aborted ? TE.right(null) : TE.left(error)))));
