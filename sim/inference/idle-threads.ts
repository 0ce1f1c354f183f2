/**
 * Threads that have nothing to do. Those that are awake take at once what becomes ready; those that sleep have to be woken first, which
 * takes longer than many a task. They sleep at once while reads are under way, but for one that listens; else they spin for a while before.
 * (engine/crates/offload/src/layer_run: `await_change`; docs/model.md, "sleeping")
 */
import type { HandlerId, Kernel } from "../kernel/kernel.js";

export interface Work {
  /** Whether tasks wait for a thread. */
  readonly isWaiting: () => boolean;
  readonly isReading: () => boolean;
  /** A thread that was woken by the span `cause` is awake; it is none of the idle ones any more. */
  readonly woken: (server: number, cause: number) => void;
}

const SOON = 0;
const WHEN_SPUN = 1;

export class IdleThreads {
  /** The one that takes the next task is the last. */
  readonly awake: Array<number>;
  private readonly asleep: Array<number> = [];
  /** Since when each has had nothing to do. */
  private readonly sinceNs: Float64Array;
  /** When the last one that was woken is awake. */
  private lastAwakeNs = 0;
  private readonly pending = [false, false];
  private readonly wakeUp: HandlerId;
  private readonly dozeOff: HandlerId;
  /** What it takes to wake one that sleeps (ns); 0 where none ever sleeps. */
  wakeNs = 0;
  /** How long one without reads to wait for stays awake. */
  spinNs = 0;

  constructor(
    private readonly kernel: Kernel,
    threads: number,
    private readonly work: Work,
  ) {
    this.awake = Array.from({ length: threads }, (_, i) => threads - 1 - i);
    this.sinceNs = new Float64Array(threads);
    this.dozeOff = kernel.register((when) => this.doze(when));
    this.wakeUp = kernel.register((server, cause) => work.woken(server, cause));
  }

  /** How long it takes until none sleeps: those that do are woken now, others are on their way. */
  get gatheringNs(): number {
    return this.asleep.length > 0 ? this.wakeNs : Math.max(0, this.lastAwakeNs - this.kernel.now);
  }

  /** It has nothing to do from now on. */
  rest(server: number): void {
    this.awake.push(server);
    this.sinceNs[server] = this.kernel.now;
    this.mayDoze();
  }

  /** There is nothing to listen for any more: who listened spins from now on. */
  heard(): void {
    for (const server of this.awake) this.sinceNs[server] = this.kernel.now;
    this.mayDoze();
  }

  /** Wakes one that sleeps, if one does. */
  wakeOne(cause: number): void {
    if (this.asleep.length === 0) return;
    this.kernel.after(this.wakeNs, this.wakeUp, this.asleep.pop()!, cause);
    this.lastAwakeNs = this.kernel.now + this.wakeNs;
  }

  /** What all threads do together begins, or is over. */
  wakeAll(): void {
    while (this.asleep.length > 0) this.awake.push(this.asleep.pop()!);
    this.sinceNs.fill(this.kernel.now);
  }

  /**
   * A tick later, when all that this moment makes ready has come, through markers without length too: who ends a task takes what follows it
   * without having slept.
   */
  mayDoze(): void {
    if (this.wakeNs > 0 && this.awake.length > 0) this.look(1, SOON);
  }

  private look(afterNs: number, when: number): void {
    if (this.pending[when]!) return;
    this.pending[when] = true;
    this.kernel.after(afterNs, this.dozeOff, when, 0);
  }

  private doze(when: number): void {
    this.pending[when] = false;
    if (this.work.isWaiting()) return;
    const { awake, asleep, sinceNs } = this;
    if (this.work.isReading()) {
      while (awake.length > 1) asleep.push(awake.shift()!);
      return;
    }
    let left = Infinity;
    let spinning = 0;
    for (const server of awake) {
      const spins = sinceNs[server]! + this.spinNs - this.kernel.now;
      if (spins > 0) {
        awake[spinning++] = server;
        left = Math.min(left, spins);
      } else asleep.push(server);
    }
    awake.length = spinning;
    if (spinning > 0) this.look(left, WHEN_SPUN);
  }
}
