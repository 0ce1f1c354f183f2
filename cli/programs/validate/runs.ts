/** Real runs of cells: each in a process of its own, in the order of the turns, kept one by one so that an interrupted validation goes on where it was. */
import { basename, dirname, join } from "node:path";
import { E, TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import { decode, parseJson } from "../../../sim/base/decode.js";
import { badInput, fault, unsupported, type AppError } from "../../../sim/base/errors.js";
import { encodePlan, planCodec, type Plan } from "../../../sim/domain/plan.js";
import { systemCodec, type SystemSpec } from "../../../sim/domain/system.js";
import type { MeasuredRun } from "../../../sim/domain/run.js";
import { outcomeOf, type Outcome } from "../../../experiments/validate/compare.js";
import type { Turn } from "../../../experiments/validate/cells.js";
import { written } from "../../../experiments/validate/words.js";
import type { Capabilities } from "../../program.js";
import type { Prepared } from "../models/prepared.js";
import { PROMPT } from "./models.js";

/** What is run under an id: a packed model with a plan, or with so much memory and the engine's own choices. */
export interface Contender { readonly id: string; readonly prepared: Prepared; readonly with: { readonly plan: Plan } | { readonly memory: number } }

/** One run as it is kept. */
export interface KeptRun extends Turn { readonly outcome: Outcome; readonly plan: unknown }
/** `engine`: what made them, as a system describes it. Files from before it was kept have none. */
export interface Kept { readonly schema: "neuronlab/validation-runs@1"; readonly key: string; readonly engine?: unknown; readonly runs: ReadonlyArray<KeptRun> }

const turnId = ({ cell, repetition, reference }: Turn): string => `${cell} ${repetition} ${reference}`;

const keptIn = (text: string | null, key: string): Kept | null => {
  if (text === null) return null;
  const raw = parseJson("kept runs", text);
  if (E.isLeft(raw)) return null;
  const kept = raw.right as Kept;
  return kept.schema === "neuronlab/validation-runs@1" && kept.key === key ? kept : null;
};

export const isSameSystem = (a: SystemSpec, b: SystemSpec): boolean => JSON.stringify(written("", a)) === JSON.stringify(written("", b));

/** The engine that made the runs kept in a folder: an older one's are predicted as what it was. `now` where they do not say, or there are none. */
export const engineOfRuns = (capabilities: Capabilities, out: string, key: string, now: SystemSpec): TaskEither<AppError, SystemSpec> =>
  pipe(
    capabilities.readStored(join(out, "runs.json")),
    TE.chainEitherK((text): E.Either<AppError, SystemSpec> => {
      const engine = keptIn(text, key)?.engine;
      return engine === undefined ? E.right(now) : decode(systemCodec, `the engine of ${join(out, "runs.json")}`)(engine);
    }),
  );

/** The plan that a run had, as the record says. */
export const planOfRun = (run: KeptRun): E.Either<AppError, Plan> => decode(planCodec, `the plan of ${run.cell}`)(run.plan);

const runTurn = (capabilities: Capabilities, folder: string, turn: Turn, { id, prepared, with: given }: Contender, tokens: number): TaskEither<AppError, KeptRun | null> => {
  const [plan, record] = [join(folder, "plan.json"), join(folder, "run.json")];
  const chosen = "plan" in given ? ["--plan", plan] : ["--memory", `${given.memory}B`];
  const words = ["generate", "--model", prepared.file, "--prompt", PROMPT, "--tokens", String(tokens + 1), ...chosen, "--save", record, "--ignore-end", "--format", "json"];
  return pipe(
    capabilities.write("plan" in given ? [{ path: plan, text: `${JSON.stringify(encodePlan(given.plan))}\n` }] : []),
    TE.chain(() => capabilities.interruptible((signal) => pipe(
      capabilities.runProgram({ command: [...capabilities.self, ...words], memory: null, cold: [], warm: [], signal }),
      TE.map((ended) => ({ ended, stopped: signal.aborted })),
    ))),
    TE.chain(({ ended, stopped }): TaskEither<AppError, KeptRun | null> => {
      if (stopped) return TE.right(null);
      if (ended.exit !== 0) return TE.left(unsupported(`cell ${id} (${basename(prepared.file)})`, `its run ended with ${ended.exit === null ? (ended.signal ?? "no code") : `exit code ${ended.exit}`}: ${ended.stderr.trim().split("\n").slice(-3).join(" ")}`));
      return pipe(
        capabilities.readJson(record),
        TE.chain(({ raw }) => {
          const run = raw as MeasuredRun;
          return run.origin === "measured" && run.tokens.length === tokens ? TE.right({ ...turn, outcome: outcomeOf(run), plan: run.plan }) : TE.left(fault(`the record of ${id} has ${run.tokens.length} tokens; ${tokens} were asked for`));
        }),
      );
    }),
  );
};

/** All turns that are not kept yet, by the engine that `system` describes; null when it was interrupted. */
export const runTurns = (capabilities: Capabilities, out: string, key: string, system: SystemSpec, turns: ReadonlyArray<Turn>, contenders: ReadonlyArray<Contender>, tokens: number): TaskEither<AppError, ReadonlyArray<KeptRun> | null> => async () => {
  const path = join(out, "runs.json");
  const stored = await capabilities.readStored(path)();
  if (E.isLeft(stored)) return stored;
  const earlier = keptIn(stored.right, key);
  const runs = [...(earlier?.runs ?? [])];
  const engine = earlier?.engine ?? written("", system);
  const known = new Set(runs.map(turnId));
  const left = turns.filter((turn) => !known.has(turnId(turn)));
  if (stored.right !== null && runs.length === 0) {
    // Runs of other plans, or of another machine: hours, perhaps, that nobody asked to lose.
    const aside = join(out, "runs.earlier.json");
    const moved = await capabilities.write([{ path: aside, text: stored.right }])();
    if (E.isLeft(moved)) return moved;
    capabilities.log(`${path} has other runs than these; they are kept in ${aside}`)();
  }
  if (left.length > 0 && runs.length > 0 && JSON.stringify(engine) !== JSON.stringify(written("", system)))
    return E.left(badInput("neuronlab validate", [{ path: path, message: `has ${known.size} runs of an engine that describes itself otherwise than the one that is here, and ${left.length} more would be mixed with them; name another --out, or as many --repetitions as there are` }]));
  if (known.size > 0) capabilities.log(`${known.size} of ${turns.length} runs are kept in ${path}; ${left.length} are left`)();
  const gauge = capabilities.gauge(left.length, "runs");
  for (const [done, turn] of left.entries()) {
    const contender = contenders.find(({ id }) => id === turn.cell)!;
    const run = await runTurn(capabilities, join(dirname(contender.prepared.file), "run"), turn, contender, tokens)();
    if (E.isLeft(run) || run.right === null) {
      gauge.end();
      return run as E.Either<AppError, null>;
    }
    runs.push(run.right);
    const kept: Kept = { schema: "neuronlab/validation-runs@1", key, engine, runs };
    const saved = await capabilities.write([{ path, text: `${JSON.stringify(kept)}\n` }])();
    if (E.isLeft(saved)) {
      gauge.end();
      return saved;
    }
    gauge.at(done + 1);
  }
  gauge.end();
  const order = new Map(turns.map((turn, i) => [turnId(turn), i]));
  return E.right(runs.filter((run) => order.has(turnId(run))).sort((a, b) => order.get(turnId(a))! - order.get(turnId(b))!));
};
