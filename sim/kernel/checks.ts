/** Laws that every finished recording obeys. A broken one is a fault of the model, never of the input. */
import { describeSlack, startsTooEarly } from "./critical-path.js";
import type { Recorder } from "./recorder.js";

/** Two counters that must agree at the end, such as bytes asked for and bytes moved. */
export interface Conserved {
  readonly into: string;
  readonly outOf: string;
}

/** What is wrong with a recording, one sentence each; empty when all is well. Looks at spans only as far as they are kept. */
export const checkRecording = (recorder: Recorder, wallNs: number, conserved: ReadonlyArray<Conserved>): ReadonlyArray<string> => [
  ...busyViolations(recorder, wallNs),
  ...overlapViolations(recorder),
  ...slackViolations(recorder),
  ...conserved.flatMap((pair) => conservationViolation(recorder, pair)),
];

const busyViolations = (recorder: Recorder, wallNs: number): ReadonlyArray<string> =>
  recorder.lanes.flatMap((lane, index) => {
    const busyNs = recorder.laneBusyNs[index];
    const possibleNs = wallNs * lane.capacity;
    return busyNs <= possibleNs ? [] : [`lane ${lane.name} is busy for ${busyNs} ns; possible: ${possibleNs} ns (${wallNs} ns x ${lane.capacity})`];
  });

const overlapViolations = (recorder: Recorder): ReadonlyArray<string> =>
  recorder.lanes.flatMap((lane, index) => (lane.capacity === 1 ? overlapsOn(recorder, index, lane.name) : []));

const overlapsOn = (recorder: Recorder, lane: number, name: string): ReadonlyArray<string> => {
  const spans = keptSpans(recorder)
    .filter((span) => recorder.laneAt(span) === lane && recorder.endNsAt(span) > recorder.startNsAt(span))
    .sort((x, y) => recorder.startNsAt(x) - recorder.startNsAt(y) || x - y);
  const found: Array<string> = [];
  let longest = spans[0];
  for (const span of spans.slice(1)) {
    const startNs = recorder.startNsAt(span);
    const endNs = recorder.endNsAt(longest);
    if (startNs < endNs) found.push(`lane ${name}: span ${span} starts at ${startNs} ns before span ${longest} ends at ${endNs} ns`);
    if (recorder.endNsAt(span) > endNs) longest = span;
  }
  return found;
};

const slackViolations = (recorder: Recorder): ReadonlyArray<string> =>
  keptSpans(recorder)
    .filter((span) => startsTooEarly(recorder, span))
    .map((span) => describeSlack(recorder, span));

const conservationViolation = (recorder: Recorder, pair: Conserved): ReadonlyArray<string> => {
  const into = recorder.total(pair.into);
  const outOf = recorder.total(pair.outOf);
  return into === outOf ? [] : [`${pair.into} is ${into} but ${pair.outOf} is ${outOf}`];
};

const keptSpans = (recorder: Recorder): Array<number> => Array.from({ length: recorder.spanCount - recorder.forgotten }, (_, index) => recorder.forgotten + index);
