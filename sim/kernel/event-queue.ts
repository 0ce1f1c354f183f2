/**
 * The pending events, in the order in which they will happen: by time, and at equal times first scheduled, first served.
 *
 * A timing wheel of seven levels, one for each byte of a time, over typed arrays; nothing is allocated per event. An event is
 * filed under the highest byte in which its time differs from `baseNs`, the time of the last event taken, and under the value
 * of that byte. So what lies on a lower level comes before what lies higher up; on one level a lower byte comes first; and on
 * level 0 all events of a bucket have the same time. When level 0 is empty, the first bucket above is dealt out anew, seen
 * from its earliest event, and everything in it comes to lie lower: an event moves six times at most, usually once.
 *
 * No two times are ever compared to keep order among equals: buckets are lists that grow at their tail and are dealt out from
 * their head, so events of one time stay in the order in which they came. Cancelling takes an event out of its list.
 *
 * Faster than a bare binary heap (test/bench/kernel.ts) at 1,000 and 100,000 pending events. A handful, which is all that a
 * phone has, is kept in a short sorted list instead; when it overflows, all go to the wheel, until that has run empty.
 */
import { FirstBucket, bucketsPerLevel, levels } from "./first-bucket.js";
import { ShortList, shortListRoom } from "./short-list.js";
import { widened } from "./widened.js";

const none = -1;
const word = 2 ** 32;
/** Slot numbers take the low 22 bits of an event's id, the slot's generation the 31 above. */
const slotLimit = 2 ** 22;
const lastGeneration = 2 ** 31 - 1;
const firstCapacity = 64;

export class EventQueue {
  size = 0;

  private readonly head = new Int32Array(levels * bucketsPerLevel).fill(none);
  private readonly tail = new Int32Array(levels * bucketsPerLevel).fill(none);
  private readonly filled = new FirstBucket();
  private baseNs = 0;
  private readonly few = new ShortList();
  /** Whether events wait in the short list; else they wait in the wheel. */
  private areFew = true;

  /** An event lives in a slot. A slot's generation is odd while it holds an event and even while it is free. */
  private atNs = new Float64Array(firstCapacity);
  private a = new Float64Array(firstCapacity);
  private b = new Float64Array(firstCapacity);
  private handler = new Int32Array(firstCapacity);
  private generation = new Int32Array(firstCapacity);
  private next = new Int32Array(firstCapacity);
  private previous = new Int32Array(firstCapacity);
  private freeSlots = new Int32Array(firstCapacity);
  private freeCount = 0;
  private usedSlots = 0;

  /** Adds an event and returns its id. `atNs` is a whole number, not before the last event taken. */
  push(atNs: number, handler: number, a: number, b: number): number {
    const slot = this.freeCount > 0 ? this.freeSlots[--this.freeCount] : this.newSlot();
    this.atNs[slot] = atNs;
    this.handler[slot] = handler;
    this.a[slot] = a;
    this.b[slot] = b;
    this.size++;
    this.file(slot, atNs);
    return ++this.generation[slot] * slotLimit + slot;
  }

  /**
   * Takes out the first event and returns its slot, or -1, and changes nothing, when none happens up to `untilNs`. The
   * `…In` functions read the slot; it stays as it is until the next `push`.
   */
  takeFirst(untilNs: number): number {
    if (this.areFew) return this.takeFromFew(untilNs);
    let bucket = this.filled.first();
    let slot = this.head[bucket];
    if (bucket >= bucketsPerLevel && this.next[slot] !== none) {
      const earliestNs = this.earliestIn(bucket);
      if (earliestNs > untilNs) return none;
      bucket = this.dealOut(bucket, earliestNs);
      slot = this.head[bucket];
    }
    const atNs = this.atNs[slot];
    if (atNs > untilNs) return none;
    this.baseNs = atNs;
    const second = this.next[slot];
    this.head[bucket] = second;
    if (second !== none) this.previous[second] = none;
    else this.empty(bucket);
    this.release(slot);
    return slot;
  }

  private takeFromFew(untilNs: number): number {
    if (this.size === 0) return none;
    const atNs = this.few.firstNs();
    if (atNs > untilNs) return none;
    this.baseNs = atNs;
    const slot = this.few.take();
    this.release(slot);
    return slot;
  }

  atNsIn(slot: number): number {
    return this.atNs[slot];
  }
  handlerIn(slot: number): number {
    return this.handler[slot];
  }
  aIn(slot: number): number {
    return this.a[slot];
  }
  bIn(slot: number): number {
    return this.b[slot];
  }

  /** False when the event has been taken or cancelled before. */
  cancel(id: number): boolean {
    const slot = this.slotOf(id);
    if (slot === none) return false;
    this.unfile(slot);
    this.release(slot);
    return true;
  }

  /** Moves an event to another time, as if it were cancelled and added anew, but its id stays good. */
  reschedule(id: number, atNs: number): boolean {
    const slot = this.slotOf(id);
    if (slot === none) return false;
    this.unfile(slot);
    this.atNs[slot] = atNs;
    this.file(slot, atNs);
    return true;
  }

  isPending(id: number): boolean {
    return this.slotOf(id) !== none;
  }

  private slotOf(id: number): number {
    const slot = id & (slotLimit - 1);
    const generation = this.generation[slot];
    return (generation & 1) === 1 && generation * slotLimit + slot === id ? slot : none;
  }

  /** The event's id dies with its generation. A slot that has used up its generations is retired, so no id ever comes back. */
  private release(slot: number): void {
    if (--this.size === 0) this.areFew = true;
    if (++this.generation[slot] < lastGeneration - 1) this.freeSlots[this.freeCount++] = slot;
  }

  private file(slot: number, atNs: number): void {
    if (this.areFew && this.few.count === shortListRoom) this.moveToWheel();
    if (this.areFew) this.few.add(slot, atNs);
    else this.link(slot, this.bucketOf(atNs));
  }

  private moveToWheel(): void {
    this.areFew = false;
    while (this.few.count > 0) {
      const slot = this.few.take();
      this.link(slot, this.bucketOf(this.atNs[slot]));
    }
  }

  private unfile(slot: number): void {
    if (this.areFew) this.few.remove(slot);
    else this.unlink(slot);
  }

  private bucketOf(atNs: number): number {
    const high = Math.floor(atNs / word);
    const baseHigh = Math.floor(this.baseNs / word);
    // `| 0` keeps the low 32 bits of any whole double; `| 1` files equal times on level 0.
    if (high !== baseHigh) {
      const level = 4 + ((31 - Math.clz32(high ^ baseHigh)) >> 3);
      return level * bucketsPerLevel + ((high >> ((level - 4) * 8)) & 255);
    }
    const low = atNs | 0;
    const level = (31 - Math.clz32((low ^ (this.baseNs | 0)) | 1)) >> 3;
    return level * bucketsPerLevel + ((low >>> (level * 8)) & 255);
  }

  private link(slot: number, bucket: number): void {
    const last = this.tail[bucket];
    this.next[slot] = none;
    this.previous[slot] = last;
    this.tail[bucket] = slot;
    if (last !== none) {
      this.next[last] = slot;
    } else {
      this.head[bucket] = slot;
      this.filled.add(bucket);
    }
  }

  private unlink(slot: number): void {
    const before = this.previous[slot];
    const after = this.next[slot];
    if (before !== none) this.next[before] = after;
    if (after !== none) this.previous[after] = before;
    if (before !== none && after !== none) return;
    const bucket = this.bucketOf(this.atNs[slot]);
    if (before === none) this.head[bucket] = after;
    if (after === none) this.tail[bucket] = before;
    if (before === none && after === none) this.filled.remove(bucket);
  }

  private empty(bucket: number): void {
    this.head[bucket] = none;
    this.tail[bucket] = none;
    this.filled.remove(bucket);
  }

  private earliestIn(bucket: number): number {
    let earliestNs = Infinity;
    for (let slot = this.head[bucket]; slot !== none; slot = this.next[slot]) {
      if (this.atNs[slot] < earliestNs) earliestNs = this.atNs[slot];
    }
    return earliestNs;
  }

  /** Files a bucket's events anew as seen from the earliest of them, in their order, and returns the earliest one's bucket. */
  private dealOut(bucket: number, earliestNs: number): number {
    let slot = this.head[bucket];
    this.empty(bucket);
    this.baseNs = earliestNs;
    while (slot !== none) {
      const following = this.next[slot];
      this.link(slot, this.bucketOf(this.atNs[slot]));
      slot = following;
    }
    return earliestNs & 255;
  }

  private newSlot(): number {
    if (this.usedSlots === this.atNs.length) this.grow();
    return this.usedSlots++;
  }

  private grow(): void {
    const length = this.atNs.length * 2;
    if (length > slotLimit) throw new Error(`too many pending events: ${this.size + 1}; at most ${slotLimit}`);
    this.atNs = widened(this.atNs, length);
    this.a = widened(this.a, length);
    this.b = widened(this.b, length);
    this.handler = widened(this.handler, length);
    this.generation = widened(this.generation, length);
    this.next = widened(this.next, length);
    this.previous = widened(this.previous, length);
    this.freeSlots = widened(this.freeSlots, length);
  }
}
