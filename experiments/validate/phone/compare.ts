/** Predicted beside recorded, cell by cell; and the rule of thumb that is known to fail. Pure. */
import type { ModelSpec } from "../../../sim/domain/model.js";
import type { SimulatedRun } from "../../../sim/domain/run.js";
import type { PhoneCell, PhoneRole } from "./cells.js";
import { recordedOutcome, simulatedOutcome, type PhoneOutcome, type PhoneSystems } from "./predict.js";

export interface PhoneResult {
  readonly id: string;
  readonly role: PhoneRole;
  readonly cell: PhoneCell;
  /** Tokens/s over the tokens after the warm-up. */
  readonly predicted: number;
  readonly measured: number;
  /** Predicted over measured, less one. */
  readonly signedError: number;
  /** The same of the middle token, which a few disturbed tokens do not move. */
  readonly medianError: number;
  readonly parts: { readonly predicted: PhoneOutcome; readonly measured: PhoneOutcome };
}

export const comparedPhone = (cell: PhoneCell, run: SimulatedRun, model: ModelSpec, systems: PhoneSystems): PhoneResult => {
  const measured = recordedOutcome(cell, model);
  const predicted = simulatedOutcome(cell, run, cell.setting.streams ? systems.streaming : systems.mapped);
  return {
    id: cell.id, role: cell.role, cell, predicted: 1e3 / predicted.total, measured: 1e3 / measured.total,
    signedError: measured.total / predicted.total - 1, medianError: measured.median / predicted.median - 1, parts: { predicted, measured },
  };
};

/** Which component is off by most of the token's time, in words. */
export const phoneReasonOf = ({ cell, parts: { predicted, measured } }: PhoneResult): string => {
  const parts = cell.setting.overlaps ? (["stall", "management", "rest"] as const) : (["io", "management", "rest"] as const);
  const off = parts.map((name) => ({ name, by: (predicted[name] ?? 0) - (measured[name] ?? 0) })).sort((a, b) => Math.abs(b.by) - Math.abs(a.by))[0]!;
  const said = { stall: "waiting for reads", io: "reads", management: "making room", rest: "computing and all else" }[off.name];
  return `${said}: ${(predicted[off.name] ?? 0).toFixed(0)} ms predicted, ${(measured[off.name] ?? 0).toFixed(0)} ms recorded`;
};

/** An overlapped run beside the serial one of the same setting. */
export interface OverlapPair {
  readonly id: string;
  readonly serial: string;
  readonly measured: number;
  readonly predicted: number;
  /** The slower of reads and the rest of the serial run, as recorded: what perfect overlap would take, ms. */
  readonly slower: number;
  /** Recorded ratio of the serial token's time to the overlapped one's, and the predicted one. */
  readonly gain: { readonly measured: number; readonly predicted: number };
}

export const overlapPairs = (results: ReadonlyArray<PhoneResult>): ReadonlyArray<OverlapPair> =>
  results.flatMap((overlapped) => {
    const of = overlapped.cell.setting;
    if (!of.overlaps) return [];
    const serial = results.find(({ cell: { setting: s } }) => s.streams && !s.overlaps && s.model === of.model && s.expertsUsed === of.expertsUsed && s.cacheMib === of.cacheMib && s.lanes === of.lanes);
    if (serial === undefined) return [];
    const alone = serial.parts.measured;
    const [measured, predicted] = [overlapped.parts.measured.total, overlapped.parts.predicted.total];
    return [{ id: overlapped.id, serial: serial.id, measured, predicted, slower: Math.max(alone.io, alone.total - alone.io), gain: { measured: alone.total / measured, predicted: serial.parts.predicted.total / predicted } }];
  });
