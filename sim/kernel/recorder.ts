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

  private laneOf = new Int32Array(firstCapacity);
  private whatOf = new Int32Array(firstCapacity);
  private startOf = new Float64Array(firstCapacity);
  private endOf = new Float64Array(firstCapacity);
  private causeOf = new Float64Array(firstCapacity);
  private tokenOf = new Int32Array(firstCapacity);
  private layerOf = new Int32Array(firstCapacity);
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
    if (!(lane >= 0 && lane < this.lanes.length)) throw new Error(`unknown lane: ${lane}; lanes are 0 to ${this.lanes.length - 1}`);
    if (!(what >= 0 && what < this.whats.length)) throw new Error(`unknown kind of span: ${what}; kinds are 0 to ${this.whats.length - 1}`);
    if (!(endNs >= startNs)) throw new Error(`span of ${this.whats[what]} ends before it starts: ${startNs} to ${endNs} ns`);
    if (!(cause >= noCause && cause < this.spanCount)) throw new Error(`cause is not recorded yet: span ${cause}; the next span is ${this.spanCount}`);
    const index = this.spanCount - this.forgotten;
    if (index === this.startOf.length) this.grow();
    this.laneOf[index] = lane;
    this.whatOf[index] = what;
    this.startOf[index] = startNs;
    this.endOf[index] = endNs;
    this.causeOf[index] = cause;
    this.tokenOf[index] = this.token;
    this.layerOf[index] = this.layer;
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
    return this.laneOf[span - this.forgotten];
  }
  whatAt(span: number): number {
    return this.whatOf[span - this.forgotten];
  }
  startNsAt(span: number): number {
    return this.startOf[span - this.forgotten];
  }
  endNsAt(span: number): number {
    return this.endOf[span - this.forgotten];
  }
  causeAt(span: number): number {
    return this.causeOf[span - this.forgotten];
  }
  tokenAt(span: number): number {
    return this.tokenOf[span - this.forgotten];
  }
  layerAt(span: number): number {
    return this.layerOf[span - this.forgotten];
  }

  private grow(): void {
    const length = this.startOf.length * 2;
    this.laneOf = widened(this.laneOf, length);
    this.whatOf = widened(this.whatOf, length);
    this.startOf = widened(this.startOf, length);
    this.endOf = widened(this.endOf, length);
    this.causeOf = widened(this.causeOf, length);
    this.tokenOf = widened(this.tokenOf, length);
    this.layerOf = widened(this.layerOf, length);
  }
}

export const createRecorder = (spec: RecorderSpec): Recorder => new Recorder(spec);
