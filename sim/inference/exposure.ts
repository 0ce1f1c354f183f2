/** Clocks of a run: when anything computes, when nothing does while a read is under way, and how long cores did others' work. (docs/metrics.md) */
import type { Kernel } from "../kernel/kernel.js";

/** What a unit at work does. */
export const COMPUTES = 0;
export const READS = 1;

export class Exposure {
  private readonly busyUnits = new Int32Array(2);
  private sinceNs = 0;
  /** Time in which nothing computes while a read is under way. */
  exposedReadNs = 0;
  /** Time in which anything computes. */
  computingNs = 0;
  /** Time of the cores of compute threads that is none of their computing, summed over cores: what others made on them, and reads of their own. */
  lentNs = 0;

  constructor(private readonly kernel: Kernel) {}

  get isReading(): boolean {
    return this.busyUnits[READS]! > 0;
  }

  /** A unit begins (1) or ends (-1) what it does. */
  note(kind: number, change: number): void {
    const before = this.busyUnits[kind]!;
    if (before === 0 || before + change === 0) this.settle();
    this.busyUnits[kind] = before + change;
  }

  /** Counts what has passed until now. */
  settle(): void {
    const elapsedNs = this.kernel.now - this.sinceNs;
    if (this.busyUnits[COMPUTES]! > 0) this.computingNs += elapsedNs;
    else if (this.busyUnits[READS]! > 0) this.exposedReadNs += elapsedNs;
    this.sinceNs = this.kernel.now;
  }
}
