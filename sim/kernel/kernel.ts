/**
 * The discrete-event kernel: a clock, a queue of pending events and the loop that runs them. It knows events, not phones.
 *
 * Time is a whole number of nanoseconds held in a double: exact up to 2^53 ns, which is 104 days. Events at one time run in
 * the order in which they were scheduled. An event with delay 0 goes through the queue like every other one. Handlers are
 * registered once and events carry two numbers for them, so scheduling makes no object.
 */
import { EventQueue } from "./event-queue.js";

export type EventHandler = (a: number, b: number) => void;
export type HandlerId = number;
export type EventId = number;

export class Kernel {
  /** The model time; only `run` moves it. */
  now = 0;
  /** How many events have been run. */
  processed = 0;

  private readonly queue = new EventQueue();
  private readonly handlers: Array<EventHandler> = [];
  private isRunning = false;
  private isStopped = false;

  register(handler: EventHandler): HandlerId {
    return this.handlers.push(handler) - 1;
  }

  /** How many events wait. */
  get pending(): number {
    return this.queue.size;
  }

  /** Calls `handler(a, b)` at `atNs`, after everything that was scheduled for that time before. */
  schedule(atNs: number, handler: HandlerId, a: number, b: number): EventId {
    if (!this.isAhead(atNs)) throw refusedTime(atNs, this.now);
    return this.queue.push(atNs, handler, a, b);
  }

  /** The same, `delayNs` from now; a delay of 0 means after everything else that is scheduled for now. */
  after(delayNs: number, handler: HandlerId, a: number, b: number): EventId {
    if (!(delayNs >= 0 && Math.floor(delayNs) === delayNs)) throw new Error(`delay must be a whole number of ns from 0: ${delayNs}`);
    return this.schedule(this.now + delayNs, handler, a, b);
  }

  /** False, and nothing done, when the event has happened or was cancelled before. */
  cancel(id: EventId): boolean {
    return this.queue.cancel(id);
  }

  /**
   * Moves a pending event to another time; its id stays good. It takes a new sequence number, as if it were cancelled and
   * scheduled anew: among the events of its new time it is the last, even when the time is the old one. False, and nothing
   * done, when the event has happened or was cancelled before.
   */
  reschedule(id: EventId, atNs: number): boolean {
    if (!this.isAhead(atNs)) throw refusedTime(atNs, this.now);
    return this.queue.reschedule(id, atNs);
  }

  isPending(id: EventId): boolean {
    return this.queue.isPending(id);
  }

  /** Calls a registered handler at once, inside the running event. */
  call(handler: HandlerId, a: number, b: number): void {
    this.handlers[handler](a, b);
  }

  /**
   * Runs every event up to and including `untilNs`, in order, until none is left or a handler calls `stop`. Given a finite
   * `untilNs` and not stopped, the clock then stands at `untilNs`.
   */
  run(untilNs = Infinity): void {
    if (this.isRunning) throw new Error(`run called from inside a run: at ${this.now} ns`);
    if (untilNs !== Infinity && !this.isAhead(untilNs)) throw refusedTime(untilNs, this.now);
    this.isRunning = true;
    this.isStopped = false;
    try {
      const queue = this.queue;
      while (!this.isStopped) {
        const slot = queue.takeFirst(untilNs);
        if (slot < 0) break;
        this.now = queue.atNsIn(slot);
        this.processed++;
        this.handlers[queue.handlerIn(slot)](queue.aIn(slot), queue.bIn(slot));
      }
      if (!this.isStopped && untilNs !== Infinity) this.now = untilNs;
    } finally {
      this.isRunning = false;
    }
  }

  /** Ends the run after the current event; what is pending stays pending. */
  stop(): void {
    this.isStopped = true;
  }

  private isAhead(atNs: number): boolean {
    return atNs >= this.now && atNs <= Number.MAX_SAFE_INTEGER && Math.floor(atNs) === atNs;
  }
}

const refusedTime = (atNs: number, nowNs: number): Error =>
  new Error(Number.isSafeInteger(atNs) ? `time is in the past: ${atNs} ns; now ${nowNs} ns` : `time must be a whole number of ns up to 2^53 - 1: ${atNs}`);

export const createKernel = (): Kernel => new Kernel();
