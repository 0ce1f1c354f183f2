/** Replays of one text, the engine's beside the simulator's, as a table and as JSON. Pure. */
import { showShare, showNumber, table } from "../../../sim/report/table.js";
import type { ActivationTrace } from "../../../sim/neurons/trace.js";
import type { TraceKeys } from "../../../sim/neurons/trace-keys.js";
import type { Replayed } from "../../../sim/policies/eviction/replay.js";
import type { ReplayRow } from "../../../engine/index.js";
import { inFormat, type Answer, type Format } from "../../program.js";

/** One policy with one number of slots. Rates in look-ups a second, null where no time passed that could be told. */
export interface Cell {
  readonly policy: string;
  readonly slots: number;
  readonly hits: number;
  readonly misses: number;
  readonly hitRate: number;
  readonly lookUpsPerSec: number | null;
  readonly simulator: { readonly hits: number; readonly hitRate: number; readonly lookUpsPerSec: number | null };
  /** The first look-up, counted from 0, on which the two do not agree; null where they agree on all. */
  readonly differsAt: number | null;
}

const rate = (count: number, seconds: number): number | null => (seconds > 0 ? count / seconds : null);

/** The place among look-ups alone; the lengths are those of one trace. */
const firstDifference = (one: Uint8Array | undefined, other: Uint8Array): number | null => {
  if (one === undefined || one.length !== other.length) return 0;
  const place = one.findIndex((outcome, at) => outcome !== other[at]);
  return place < 0 ? null : other.subarray(0, place).reduce((count, outcome) => count + (outcome < 2 ? 1 : 0), 0);
};

export const compared = ({ lookUps }: TraceKeys, row: ReplayRow, simulated: Replayed, simulatedSeconds: number): Cell => {
  const all = Math.max(1, lookUps.length);
  return {
    policy: row.policy, slots: row.slots, hits: row.hits, misses: row.misses, hitRate: row.hits / all, lookUpsPerSec: rate(lookUps.length, row.seconds),
    simulator: { hits: simulated.hits, hitRate: simulated.hits / all, lookUpsPerSec: rate(lookUps.length, simulatedSeconds) },
    differsAt: firstDifference(row.outcomes, simulated.outcomes) ?? (row.hits === simulated.hits && row.misses === simulated.misses ? null : lookUps.length),
  };
};

export interface Replays { readonly file: string; readonly trace: ActivationTrace; readonly keys: TraceKeys; readonly window: number }

const millions = (perSec: number | null): string => (perSec === null ? "--" : showNumber(perSec / 1e6));

const sizeOf = ({ layers, experts, ffn }: ActivationTrace, { what, keys }: TraceKeys): string =>
  `${keys} ${what} (${layers} layers${experts === 1 ? "" : ` of ${experts} experts`}${what === "neurons" ? ` of ${ffn}` : ""})`;

const DISAGREE = "our fault; please report it";

export const describe = ({ file, trace, keys, window }: Replays, cells: ReadonlyArray<Cell>, format: Format): Answer => {
  const different = cells.filter(({ differsAt }) => differsAt !== null);
  const verdict = different.length === 0
    ? "engine and simulator agree on every look-up"
    : [`engine and simulator disagree in ${different.length} of ${cells.length} rows: ${DISAGREE}`, ...different.map(({ policy, slots, differsAt }) => `  ${policy}, ${slots} slots: first at look-up ${differsAt}`)].join("\n");
  const rows = cells.map(({ policy, slots, hitRate, lookUpsPerSec, simulator, differsAt }) => [
    policy, String(slots), showShare(slots / keys.keys), showShare(hitRate), showShare(simulator.hitRate), differsAt === null ? "yes" : "NO", millions(lookUpsPerSec), millions(simulator.lookUpsPerSec),
  ]);
  const right = (title: string) => ({ title, align: "right" as const });
  const text = [
    `${file}: ${trace.tokens} tokens, ${keys.lookUps.length} look-ups of ${sizeOf(trace, keys)}`,
    "",
    table([{ title: "policy" }, right("slots"), right(`of the ${keys.what}`), right("found"), right("simulator"), { title: "equal" }, right("engine M/s"), right("simulator M/s")], rows),
    "",
    verdict,
    "M/s: million look-ups a second, the engine's by time on the processor, the simulator's by the clock",
  ].join("\n");
  const json = { file, tokens: trace.tokens, lookUps: keys.lookUps.length, what: keys.what, keys: keys.keys, window, agree: different.length === 0, rows: cells };
  return { stdout: inFormat(format, { text, json }), notes: format === "json" && different.length > 0 ? [verdict] : [], exit: different.length === 0 ? 0 : 70 };
};
