/** Runs of the engine, each in a process of its own and never two at once. */
import { E, TE, pipe, type TaskEither } from "../../../../sim/base/fp.js";
import { parseJson } from "../../../../sim/base/decode.js";
import { badInput, disk, fault, unsupported, type AppError } from "../../../../sim/base/errors.js";
import type { MeasuredRun } from "../../../../sim/domain/run.js";
import type { Place } from "../../../../sim/sweep/schedule.js";
import type { Executed, Feed } from "../../../executor.js";
import type { Capabilities, Ended } from "../../../program.js";
import { typedWords } from "./points.js";
import type { EngineInputs, EngineOutcome, EngineRun, EngineWanted } from "./jobs.js";

const ENGINE = "the engine";

/** What a call of the command by itself would have ended with. */
const failureOf = ({ exit, signal, stderr }: Ended): AppError => {
  const said = stderr.trim().split("\n").slice(0, 12).join("\n");
  if (exit === 2) return badInput(ENGINE, [{ path: "(whole)", message: said }]);
  if (exit === 3) return unsupported(ENGINE, said);
  if (exit === 74) return disk(ENGINE, said);
  return fault(`${ENGINE} ended with ${exit === null ? (signal ?? "no code") : `exit code ${exit}`}: ${said}`);
};

interface Summary { readonly text: string; readonly tokens: ReadonlyArray<number> }

const finished = (capabilities: Capabilities, record: string, ended: Ended): TaskEither<AppError, EngineRun> =>
  pipe(
    TE.Do,
    TE.bind("summary", () => TE.fromEither(pipe(parseJson(ENGINE, ended.stdout), E.map((raw) => raw as Summary), E.mapLeft(() => fault(`${ENGINE} printed no JSON`))))),
    TE.bind("run", () => pipe(capabilities.readJson(record), TE.map(({ raw }) => raw as MeasuredRun))),
    TE.chainEitherK(({ summary, run }) => run.origin === "measured" && Array.isArray(summary.tokens)
      ? E.right({ record: run, text: summary.text, tokens: summary.tokens, othersBusy: ended.spent?.othersBusy ?? null, stolen: ended.spent?.stolen ?? null })
      : E.left(fault(`${ENGINE} left no record of a run`))),
  );

/** `record`: where each run leaves its record, for the next to overwrite. null after an interruption. */
const runOne = (capabilities: Capabilities, record: string, { words }: EngineInputs, signal: AbortSignal): TaskEither<AppError, EngineOutcome | null> => async () => {
  // A record of the run before must not be taken for this one's.
  const emptied = await capabilities.write([{ path: record, text: "{}\n" }])();
  if (E.isLeft(emptied)) return emptied;
  const ended = await capabilities.runProgram({ command: [...capabilities.self, "generate", ...typedWords(words), `--save=${record}`, "--format=json"], memory: null, cold: [], warm: [], signal })();
  if (signal.aborted) return E.right(null);
  if (E.isLeft(ended)) return ended;
  return E.right(ended.right.exit === 0 ? await finished(capabilities, record, ended.right)() : E.left(failureOf(ended.right)));
};

/** One after the other, whatever number of workers is asked for. */
export const runInTurn = (capabilities: Capabilities, record: string) => (feed: Feed<Place, EngineWanted, EngineOutcome>, { signal }: { readonly signal: AbortSignal }): TaskEither<AppError, Executed> => async () => {
  for (let job = feed.next(); job !== null && !signal.aborted; job = feed.next()) {
    const began = capabilities.now();
    const outcome = await runOne(capabilities, record, job.inputs, signal)();
    if (E.isLeft(outcome)) return outcome;
    if (outcome.right === null || !feed.settled(job.of, outcome.right, (capabilities.now() - began) / 1e3)) break;
  }
  return E.right({ notes: [] });
};
