/**
 * Where the time went: from the last span back along the causes, each moment of the wall time belongs to the span that was
 * holding things up, or to `wait` when the cause had ended and nobody had started yet. The pieces sum to the wall time exactly.
 *
 * A span that starts before its cause has ended ("negative slack") is impossible in a sound model. It is a violation: the
 * allocation-free form counts it and gives the overlap to the later span, so that the sum still holds; the listing form is Left.
 */
import { E, type Either } from "../base/fp.js";
import type { Recorder } from "./recorder.js";

export interface PathPiece {
  /** Index of the kind of span, or `whats.length` for a wait. */
  readonly what: number;
  readonly startNs: number;
  readonly endNs: number;
  /** The span the time belongs to; for a wait, the span that was late. */
  readonly span: number;
}

/** The index under which waiting is summed: one past the last kind of span. */
export const waitIndex = (recorder: Recorder): number => recorder.whats.length;

/**
 * Adds the path's nanoseconds to `out` by kind of span, waits at `waitIndex`, and returns the number of violations. The path
 * runs from `fromNs` to the end of `lastSpan`; what lies before `fromNs` is cut off. At a span without a known cause it ends,
 * and what is left before that counts as waiting.
 */
export const criticalPathInto = (recorder: Recorder, lastSpan: number, fromNs: number, out: Float64Array): number => {
  refuseUnknown(recorder, lastSpan);
  const wait = waitIndex(recorder);
  let violations = 0;
  let span = lastSpan;
  let edgeNs = recorder.endNsAt(span);
  while (edgeNs > fromNs) {
    // A span counts down to its start, but not below fromNs, nor upwards when it started after the moment in question.
    const heldFromNs = Math.max(fromNs, Math.min(recorder.startNsAt(span), edgeNs));
    out[recorder.whatAt(span)] += edgeNs - heldFromNs;
    const cause = recorder.causeAt(span);
    if (startsTooEarly(recorder, span)) violations++;
    const readyNs = recorder.isKnown(cause) ? Math.max(fromNs, recorder.endNsAt(cause)) : fromNs;
    edgeNs = Math.min(readyNs, heldFromNs);
    out[wait] += heldFromNs - edgeNs;
    span = cause;
  }
  return violations;
};

/** The same path as a list, earliest piece first; Left names the last span on it that started before its cause had ended. */
export const criticalPath = (recorder: Recorder, lastSpan: number, fromNs: number): Either<string, ReadonlyArray<PathPiece>> => {
  refuseUnknown(recorder, lastSpan);
  const pieces: Array<PathPiece> = [];
  let span = lastSpan;
  let edgeNs = recorder.endNsAt(span);
  while (edgeNs > fromNs) {
    if (startsTooEarly(recorder, span)) return E.left(describeSlack(recorder, span));
    const heldFromNs = Math.max(fromNs, recorder.startNsAt(span));
    const cause = recorder.causeAt(span);
    const readyNs = recorder.isKnown(cause) ? Math.max(fromNs, recorder.endNsAt(cause)) : fromNs;
    if (heldFromNs < edgeNs) pieces.push({ what: recorder.whatAt(span), startNs: heldFromNs, endNs: edgeNs, span });
    edgeNs = Math.min(readyNs, heldFromNs);
    if (edgeNs < heldFromNs) pieces.push({ what: waitIndex(recorder), startNs: edgeNs, endNs: heldFromNs, span });
    span = cause;
  }
  return E.right(pieces.reverse());
};

/** Whether a span started before its cause had ended, as far as the cause is still known. */
export const startsTooEarly = (recorder: Recorder, span: number): boolean => {
  const cause = recorder.causeAt(span);
  return recorder.isKnown(cause) && recorder.startNsAt(span) < recorder.endNsAt(cause);
};

/** The sentence about a span that `startsTooEarly`. */
export const describeSlack = (recorder: Recorder, span: number): string => {
  const cause = recorder.causeAt(span);
  const named = (one: number): string => `span ${one} (${recorder.whats[recorder.whatAt(one)]})`;
  return `${named(span)} starts at ${recorder.startNsAt(span)} ns before its cause, ${named(cause)}, ends at ${recorder.endNsAt(cause)} ns`;
};

const refuseUnknown = (recorder: Recorder, span: number): void => {
  if (!recorder.isKnown(span)) throw new Error(`unknown span: ${span}; known: ${recorder.forgotten} to ${recorder.spanCount - 1}`);
};
