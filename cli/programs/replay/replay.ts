/** A recorded text through the engine's caches and through the simulator's: decode the words, read the trace, replay it, compare, describe. */
import { E, RTE, TE, pipe, type Either } from "../../../sim/base/fp.js";
import { custom, type Codec, type Exact } from "../../../sim/base/decode.js";
import { badInput, unsupported, type AppError, type Mistake } from "../../../sim/base/errors.js";
import { WINDOW_TOKENS } from "../../../sim/inference/gated/segments.js";
import { decodeTrace, type ActivationTrace } from "../../../sim/neurons/trace.js";
import { MOST_TRACE_KEYS, keyCount, traceKeys, type TraceKeys } from "../../../sim/neurons/trace-keys.js";
import { evictionPolicies } from "../../../sim/policies/eviction/index.js";
import { replayThrough } from "../../../sim/policies/eviction/replay.js";
import { MOST_KEYS, REPLAY_POLICIES } from "../../../engine/index.js";
import { absent, argument, choice, inputFile, readWords, several, share, shared, wholeNumber } from "../../args.js";
import type { Command, Words } from "../../command.js";
import { gather, type Answer, type Capabilities, type Program } from "../../program.js";
import { asTyped } from "../as-typed.js";
import { shippedTrace } from "../models/shipped-trace.js";
import { compared, describe, type Cell } from "./describe.js";

type Policy = (typeof REPLAY_POLICIES)[number];

/** Slots as a share of all keys, or as their number. */
type Slots = { readonly typed: string } & ({ readonly share: number } | { readonly count: number });

const SLOTS_RIGHT = "write it like 10%, or as a number of slots";

const slotsAsked: Codec<Slots> = custom("slots", (raw): Either<string, Slots> => {
  const typed = typeof raw === "string" ? raw.trim() : "";
  if (typed === "") return E.left(`has no value; ${SLOTS_RIGHT}`);
  if (typed.endsWith("%")) return pipe(share.decode(typed), E.bimap((errors) => errors[0]?.message ?? SLOTS_RIGHT, (of) => ({ typed, share: of })));
  return pipe(wholeNumber(1, MOST_KEYS).decode(typed), E.bimap(() => `${SLOTS_RIGHT}, at least 1; got ${typed}`, (count) => ({ typed, count })));
});

/** What happens without a word about it. Written in --help too. */
const DEFAULT_SLOTS: ReadonlyArray<Slots> = [10, 25, 50].map((percent) => ({ typed: `${percent}%`, share: percent / 100 }));

const fields = {
  ...shared,
  file: absent(inputFile),
  policy: absent(several(choice(...REPLAY_POLICIES))),
  slots: absent(several(slotsAsked)),
  window: absent(wholeNumber(1, 1 << 20)),
};

type Args = Exact<typeof fields>;

interface Recording { readonly file: string; readonly trace: ActivationTrace }

const recordingIn = (file: string): Program<Recording> => (capabilities) =>
  pipe(
    capabilities.readBytes(file),
    TE.chainEitherK(decodeTrace(file)),
    TE.chainEitherK((trace): Either<AppError, Recording> => {
      const keys = keyCount(trace);
      // Of neurons: a decoded trace has at most 2^24 experts, over all layers.
      return keys <= MOST_TRACE_KEYS ? E.right({ file, trace }) : E.left(unsupported(file, `its header tells of ${keys} neurons; replay takes traces of ${MOST_TRACE_KEYS} at most, for the tables that caches keep of every one`));
    }),
  );

/** Each different number of slots once, in the order in which they were asked for. */
const slotsOf = (asked: ReadonlyArray<Slots>, { keys, what }: TraceKeys, where: string): Either<AppError, ReadonlyArray<number>> => {
  const counts = asked.map((one) => ("count" in one ? one.count : Math.floor(one.share * keys)));
  const none = asked.filter((_, place) => counts[place] === 0).map(({ typed }): Mistake => ({ path: "--slots", message: `${typed} of ${keys} ${what} is less than one; give more` }));
  return none.length > 0 ? E.left(badInput(where, none)) : E.right([...new Set(counts)]);
};

/** One policy with one number of slots at a time: outcomes of a long trace take memory, and between two of them Ctrl-C is heard. */
const cellOf = (keys: TraceKeys, policy: Policy, slots: number, windowTokens: number, hooks: { readonly onShare: (share: number) => void; readonly signal: AbortSignal }, { engine, now }: Capabilities): TE.TaskEither<AppError, Cell | null> =>
  pipe(
    engine.replay(
      { policies: [policy], slots: [slots], keys: keys.keys, trace: keys.requests, heat: policy === "static-hot" ? keys.heat : null, windowTokens, outcomes: true },
      { signal: hooks.signal, onStep: ({ done, total }) => hooks.onShare(done / Math.max(1, total)) },
    ),
    TE.chainEitherK((report) => (report === null ? E.right(null) : pipe(evictionPolicies.find(policy), E.map((twin) => {
      const began = now();
      const simulated = replayThrough(twin, keys, { slots, windowTokens });
      return compared(keys, report.rows[0]!, simulated, (now() - began) / 1e3);
    })))),
  );

const cells = (keys: TraceKeys, args: Args, slots: ReadonlyArray<number>): Program<ReadonlyArray<Cell> | null> => (capabilities) =>
  capabilities.interruptible((signal) => async () => {
    const wanted = [...new Set(args.policy ?? REPLAY_POLICIES)].flatMap((policy) => slots.map((count) => ({ policy, count })));
    const gauge = capabilities.gauge(wanted.length, "replays");
    const done: Array<Cell> = [];
    try {
      for (const { policy, count } of wanted) {
        const cell = await cellOf(keys, policy, count, args.window ?? WINDOW_TOKENS, { signal, onShare: (of) => gauge.at(done.length + of / 2) }, capabilities)();
        if (E.isLeft(cell) || cell.right === null) return cell as Either<AppError, null>;
        done.push(cell.right);
        gauge.at(done.length);
      }
      return E.right(done);
    } finally {
      gauge.end();
    }
  });

const INTERRUPTED: Answer = { stdout: "", notes: ["interrupted"] };

export const replayProgram = (command: Command) => (given: Words): Program<Answer> => {
  const where = `neuronlab ${command.name}`;
  const reading = readWords(command, fields)(given);
  const recording = pipe(
    RTE.fromEither(argument(reading, "file")),
    RTE.chain((named) => (named === null ? shippedTrace(where) : RTE.right(named))),
    RTE.chain(recordingIn),
  );
  return pipe(
    gather({ args: RTE.fromEither(reading.args), recording }),
    RTE.bind("keys", ({ recording: { trace } }) => RTE.right(traceKeys(trace))),
    RTE.bind("slots", ({ args, keys }) => RTE.fromEither(slotsOf(args.slots ?? DEFAULT_SLOTS, keys, where))),
    RTE.chain(({ args, recording: { file, trace }, keys, slots }) =>
      pipe(
        cells(keys, args, slots),
        RTE.mapLeft(asTyped(fields, where)),
        RTE.map((found) => (found === null ? INTERRUPTED : describe({ file, trace, keys, window: args.window ?? WINDOW_TOKENS }, found, args.format))),
      )),
  );
};
