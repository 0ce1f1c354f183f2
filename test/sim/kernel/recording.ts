import fc from "fast-check";
import { createRecorder, type Recorder } from "../../../sim/kernel/recorder.js";

export const recorderOf = (keep = false): Recorder =>
  createRecorder({
    lanes: [
      { name: "cpu", capacity: 2 },
      { name: "flash", capacity: 1 },
    ],
    whats: ["compute", "read"],
    counters: ["bytes asked", "bytes moved"],
    keep,
  });

/** A span for a recording that is sound by construction: it starts `slackNs` after the end of an earlier span, or of nothing. */
export interface SoundSpan {
  readonly lane: number;
  readonly what: number;
  readonly causeBack: number;
  readonly slackNs: number;
  readonly lengthNs: number;
}

export const arbSoundSpans: fc.Arbitrary<ReadonlyArray<SoundSpan>> = fc.array(
  fc.record({ lane: fc.nat(1), what: fc.nat(1), causeBack: fc.integer({ min: 0, max: 6 }), slackNs: fc.oneof(fc.constant(0), fc.nat(1000)), lengthNs: fc.nat(1000) }),
  { minLength: 1, maxLength: 60 },
);

/** Records the spans; `causeBack` 0 means no cause. */
export const record = (recorder: Recorder, spans: ReadonlyArray<SoundSpan>): void => {
  for (const { lane, what, causeBack, slackNs, lengthNs } of spans) {
    const cause = causeBack === 0 ? -1 : Math.max(-1, recorder.spanCount - causeBack);
    const startNs = (recorder.isKnown(cause) ? recorder.endNsAt(cause) : 0) + slackNs;
    recorder.span(lane, what, startNs, startNs + lengthNs, cause);
  }
};
