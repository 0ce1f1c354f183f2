/**
 * What happened, in typed arrays: spans (something occupied a lane from then till then, allowed to start by the end of
 * another span) and named counters. Sums are kept as spans arrive, so that `rewind` may forget the spans of a finished token
 * without losing the totals: a run of thousands of tokens then needs the memory of one.
 */
import { widened } from "./widened.js";

export interface Lane {
  readonly name: string;
  /** How many spans may run at once: servers behind one name. */
  readonly capacity: number;
}

export interface RecorderSpec {
  readonly lanes: ReadonlyArray<Lane>;
  /** What a span can be about; a span names one by its index. */
  readonly whats: ReadonlyArray<string>;
  readonly counters: ReadonlyArray<string>;
  /** Keep every span, for a trace: `rewind` then forgets nothing. */
  readonly keep: boolean;
}

/** The cause of a span that nothing held up. */
export const noCause = -1;
const firstCapacity = 1024;

/** What is kept of a span: whole numbers in one array, times and the cause (which may pass 2^31) in another, a record each. */
const LANE = 0;
const WHAT = 1;
const TOKEN = 2;
const LAYER = 3;
const LABELS = 4;
const START_NS = 0;
const END_NS = 1;
const CAUSE = 2;
const MOMENTS = 3;

export class Recorder {
  readonly lanes: ReadonlyArray<Lane>;
  readonly whats: ReadonlyArray<string>;
  readonly counters: ReadonlyArray<string>;
  readonly keep: boolean;
  /** Sums over all spans ever recorded, forgotten ones included. */
  readonly laneBusyNs: Float64Array;
  readonly whatBusyNs: Float64Array;
  readonly counted: Float64Array;
  /** The earliest start and the latest end ever recorded; both 0 before the first span. */
  firstStartNs = 0;
  lastEndNs = 0;

  /** Spans are numbered for ever: those in memory are `forgotten` to `spanCount` - 1. */
  forgotten = 0;
  spanCount = 0;

  private labels = new Int32Array(firstCapacity * LABELS);
  private moments = new Float64Array(firstCapacity * MOMENTS);
  private token = -1;
  private layer = -1;

  constructor(spec: RecorderSpec) {
    this.lanes = spec.lanes;
    this.whats = spec.whats;
    this.counters = spec.counters;
    this.keep = spec.keep;
    this.laneBusyNs = new Float64Array(spec.lanes.length);
    this.whatBusyNs = new Float64Array(spec.whats.length);
    this.counted = new Float64Array(spec.counters.length);
  }

  /** The token and layer of the spans recorded from here on; -1 for none. */
  tag(token: number, layer: number): void {
    this.token = token;
    this.layer = layer;
  }

  /** Records a span and returns its number. `cause` is the span whose end allowed this one to start, or `noCause`. */
  span(lane: number, what: number, startNs: number, endNs: number, cause: number): number {
    // One condition, and the sentences elsewhere: short enough that the compiler takes it into its callers, and no time is boxed.
    const isSound = lane >= 0 && lane < this.laneBusyNs.length && what >= 0 && what < this.whatBusyNs.length && endNs >= startNs && cause >= noCause && cause < this.spanCount;
    if (!isSound) throw this.refused(lane, what, startNs, endNs, cause);
    const index = this.spanCount - this.forgotten;
    if (index * LABELS === this.labels.length) this.grow();
    const label = index * LABELS;
    const { labels, moments } = this;
    labels[label + LANE] = lane;
    labels[label + WHAT] = what;
    labels[label + TOKEN] = this.token;
    labels[label + LAYER] = this.layer;
    const moment = index * MOMENTS;
    moments[moment + START_NS] = startNs;
    moments[moment + END_NS] = endNs;
    moments[moment + CAUSE] = cause;
    this.laneBusyNs[lane] += endNs - startNs;
    this.whatBusyNs[what] += endNs - startNs;
    if (this.spanCount === 0 || startNs < this.firstStartNs) this.firstStartNs = startNs;
    if (endNs > this.lastEndNs) this.lastEndNs = endNs;
    return this.spanCount++;
  }

  count(counter: number, amount: number): void {
    this.counted[counter] += amount;
  }

  /** The sum of a counter by name; an unknown name is a programming mistake. */
  total(counter: string): number {
    const index = this.counters.indexOf(counter);
    if (index < 0) throw new Error(`unknown counter: ${counter}; known: ${this.counters.join(", ")}`);
    return this.counted[index];
  }

  /** Forgets the spans and keeps the totals. Later spans may still name a forgotten cause; a critical path ends there. */
  rewind(): void {
    if (!this.keep) this.forgotten = this.spanCount;
  }

  isKnown(span: number): boolean {
    return span >= this.forgotten && span < this.spanCount;
  }

  laneAt(span: number): number {
    return this.labels[(span - this.forgotten) * LABELS + LANE];
  }
  whatAt(span: number): number {
    return this.labels[(span - this.forgotten) * LABELS + WHAT];
  }
  startNsAt(span: number): number {
    return this.moments[(span - this.forgotten) * MOMENTS + START_NS];
  }
  endNsAt(span: number): number {
    return this.moments[(span - this.forgotten) * MOMENTS + END_NS];
  }
  causeAt(span: number): number {
    return this.moments[(span - this.forgotten) * MOMENTS + CAUSE];
  }
  tokenAt(span: number): number {
    return this.labels[(span - this.forgotten) * LABELS + TOKEN];
  }
  layerAt(span: number): number {
    return this.labels[(span - this.forgotten) * LABELS + LAYER];
  }

  private refused(lane: number, what: number, startNs: number, endNs: number, cause: number): Error {
    if (!(lane >= 0 && lane < this.lanes.length)) return new Error(`unknown lane: ${lane}; lanes are 0 to ${this.lanes.length - 1}`);
    if (!(what >= 0 && what < this.whats.length)) return new Error(`unknown kind of span: ${what}; kinds are 0 to ${this.whats.length - 1}`);
    if (!(endNs >= startNs)) return new Error(`span of ${this.whats[what]} ends before it starts: ${startNs} to ${endNs} ns`);
    return new Error(`cause is not recorded yet: span ${cause}; the next span is ${this.spanCount}`);
  }

  private grow(): void {
    this.labels = widened(this.labels, this.labels.length * 2);
    this.moments = widened(this.moments, this.moments.length * 2);
  }
}

export const createRecorder = (spec: RecorderSpec): Recorder => new Recorder(spec);
