/**
 * Runs graphs of tasks on the phone's parts. A task waits for its predecessors, then for a server of its lane group, then
 * moves bytes through DRAM (a fluid that all parts share) or takes a fixed time. Each span names as its cause the span whose
 * end let it start, so the critical path is exact and sums to the wall time.
 *
 * Inside: one mutable state, typed arrays, no allocation per task. The kernel drives it; it knows no model and no plan.
 */
import type { HandlerId, Kernel } from "../kernel/kernel.js";
import { noCause, type Recorder } from "../kernel/recorder.js";
import { widened } from "../kernel/widened.js";
import type { Share } from "../hardware/share.js";
import { COMPUTES, Exposure, READS } from "./exposure.js";
import { IdleThreads } from "./idle-threads.js";

/** Lane groups. Threads of THREADS may run at different speeds; ANY_TIME has no limit (a launch on its way, a merge). */
export const THREADS = 0;
export const ALL_THREADS = 1;
export const NPU = 2;
export const GPU = 3;
export const FLASH = 4;
export const ANY_TIME = 5;
/** Synchronous readers, each of which waits for its own read; what they get together is a fluid of its own. */
export const LANES = 6;
const GROUPS = 7;

/** Kernels whose rate depends on the core that runs them. */
export const DENSE = 0;
export const SPARSE = 1;

export interface ExecutorSpec {
  readonly kernel: Kernel;
  readonly recorder: Recorder;
  readonly dram: Share;
  /** What LANES share; null where the plan has none. */
  readonly reads: Share | null;
  /** Recorder lanes by group; the servers of a group in order of preference. ANY_TIME has one lane of unlimited capacity. */
  readonly lanes: ReadonlyArray<ReadonlyArray<number>>;
  /** Where the time between a read's device service and its completion is recorded. */
  readonly flightLane: number;
  /** DRAM agent by group. */
  readonly agents: ReadonlyArray<number>;
  /** Bytes/ns by kernel and server of THREADS. */
  readonly threadRates: ReadonlyArray<Float64Array>;
  /** Counters of the recorder: DRAM bytes by group, asked when a task starts. */
  readonly dramCounters: ReadonlyArray<number>;
}

const FIXED_WORK = 0;
const FLOW_WORK = 1;

/** A task's record: whole numbers in one array, amounts and times in another. An edge's: the task it leads to, and the next edge from where it starts. */
const GROUP = 0;
const WHAT = 1;
const WORK = 2;
const KERNEL_KIND = 3;
const WAITING_FOR = 4;
const FIRST_EDGE = 5;
const NEXT_IN_QUEUE = 6;
const SERVER = 7;
const LAYER = 8;
const ROLE = 9;
const TASK = 10;
const AMOUNT = 0;
const CAP = 1;
const OVERHEAD_NS = 2;
const START_NS = 3;
const CAUSE = 4;
const MEASURES = 5;
const TO = 0;
const NEXT = 1;
const EDGE = 2;
/**
 * What a task of fixed length is to the thread of THREADS that has it, bits. HOLDS_LOCK: while it runs under the lock under which threads take what is
 * next to be done, those that compute go on, and none begins. LENT: others make it on this thread's core, which is none of the thread's computing.
 */
const PLAIN = 0;
export const HOLDS_LOCK = 1;
export const LENT = 2;
const firstTasks = 512;

export class Executor {
  private readonly kernel: Kernel;
  private readonly recorder: Recorder;
  private readonly dram: Share;
  private readonly reads: Share | null;
  private readonly lanes: ReadonlyArray<ReadonlyArray<number>>;
  private readonly agents: ReadonlyArray<number>;
  private readonly threadRates: ReadonlyArray<Float64Array>;
  private readonly dramCounters: ReadonlyArray<number>;
  private readonly finishTask: HandlerId;
  private readonly leaveFlash: HandlerId;
  private readonly landRead: HandlerId;
  private readonly gather: HandlerId;
  /** Of THREADS. */
  private readonly idle: IdleThreads;
  private readonly freeServers: Array<Array<number>>;
  private readonly queueHead = new Int32Array(GROUPS).fill(-1);
  private readonly queueTail = new Int32Array(GROUPS).fill(-1);

  /** Tasks of the graph being run; emptied by `clear`. */
  private count = 0;
  private unfinished = 0;
  private tasks = new Int32Array(firstTasks * TASK);
  private measures = new Float64Array(firstTasks * MEASURES);
  private edgesOf = new Int32Array(2 * firstTasks * EDGE);
  private edges = 0;
  private onDone: ((lastSpan: number) => void) | null = null;
  /** Told of each task that has ended, before those that waited for it begin. */
  onEnd: ((task: number) => void) | null = null;
  private lastSpan = noCause;
  /** Whether a task of THREADS holds the lock under which threads take what is next to be done. */
  private locked = false;
  /** The token that the spans recorded from here on belong to. */
  token = -1;
  /** Clock ratio of CPU, NPU and GPU (throttling), and how many times longer a hot flash takes. */
  throttle = 1;
  readSlowdown = 1;
  readonly exposure: Exposure;

  constructor(private readonly spec: ExecutorSpec) {
    this.kernel = spec.kernel;
    this.recorder = spec.recorder;
    this.dram = spec.dram;
    this.reads = spec.reads;
    this.lanes = spec.lanes;
    this.agents = spec.agents;
    this.threadRates = spec.threadRates;
    this.dramCounters = spec.dramCounters;
    this.exposure = new Exposure(spec.kernel);
    this.finishTask = this.kernel.register((task) => this.finish(task));
    this.leaveFlash = this.kernel.register((task) => this.servedByFlash(task));
    this.landRead = this.kernel.register((task) => this.landed(task));
    this.gather = this.kernel.register((task, cause) => this.gathered(task, cause));
    this.idle = new IdleThreads(this.kernel, spec.lanes[THREADS]!.length, {
      isWaiting: () => this.queueHead[THREADS] !== -1,
      isReading: () => this.exposure.isReading,
      woken: (server, cause) => this.woken(server, cause),
    });
    this.freeServers = spec.lanes.map((lanes, group) => (group === THREADS ? this.idle.awake : lanes.map((_, i) => lanes.length - 1 - i)));
  }

  /** What it takes to wake a thread that sleeps, 0 where none does, and how long one that has no reads to wait for spins before (ns). */
  sleeping(wakeNs: number, spinNs: number): void {
    this.idle.wakeNs = wakeNs;
    this.idle.spinNs = spinNs;
  }

  /** Starts an empty graph. */
  clear(): void {
    this.count = 0;
    this.edges = 0;
    this.unfinished = 0;
    this.lastSpan = noCause;
  }

  /** A task that moves `bytes` through DRAM at up to `cap` bytes/ns, after `overheadNs` of its own. */
  flow(group: number, what: number, bytes: number, cap: number, overheadNs: number, layer: number): number {
    const task = this.add(group, what, FLOW_WORK, bytes, overheadNs, layer);
    this.measures[task * MEASURES + CAP] = cap;
    this.tasks[task * TASK + KERNEL_KIND] = -1;
    return task;
  }

  /** A task of THREADS: its cap is that of the core that takes it. */
  threadWork(what: number, kernelKind: number, bytes: number, overheadNs: number, layer: number): number {
    const task = this.add(THREADS, what, FLOW_WORK, bytes, overheadNs, layer);
    this.tasks[task * TASK + KERNEL_KIND] = kernelKind;
    return task;
  }

  /** A task of fixed length. On FLASH, `overheadNs` is the latency within which it cannot complete, though the device may serve others by then. */
  fixed(group: number, what: number, ns: number, overheadNs: number, layer: number): number {
    return this.add(group, what, FIXED_WORK, ns, overheadNs, layer);
  }

  /** A task of fixed length that keeps a thread of THREADS from computing: `role` says how, HOLDS_LOCK, LENT or both. */
  held(role: number, what: number, ns: number, layer: number): number {
    const task = this.add(THREADS, what, FIXED_WORK, ns, 0, layer);
    this.tasks[task * TASK + ROLE] = role;
    return task;
  }

  /** `later` starts no sooner than `earlier` ends. */
  after(later: number, earlier: number): void {
    const edge = this.edges++;
    if (edge * EDGE === this.edgesOf.length) this.edgesOf = widened(this.edgesOf, this.edgesOf.length * 2);
    const { tasks, edgesOf } = this;
    edgesOf[edge * EDGE + TO] = later;
    edgesOf[edge * EDGE + NEXT] = tasks[earlier * TASK + FIRST_EDGE];
    tasks[earlier * TASK + FIRST_EDGE] = edge;
    tasks[later * TASK + WAITING_FOR]++;
  }

  /** Puts every task without predecessors to work; `onDone` gets the span that ended last. */
  launch(cause: number, onDone: (lastSpan: number) => void): void {
    this.onDone = onDone;
    this.unfinished = this.count;
    if (this.count === 0) {
      onDone(cause);
      return;
    }
    const tasks = this.count;
    for (let task = 0; task < tasks; task++) if (this.tasks[task * TASK + WAITING_FOR] === 0) this.ready(task, cause);
  }

  /** Names of lane groups with work queued or under way: what a stuck run waits for. */
  get waiting(): number {
    return this.unfinished;
  }

  private add(group: number, what: number, work: number, amount: number, overheadNs: number, layer: number): number {
    const task = this.count++;
    if (task * TASK === this.tasks.length) this.grow();
    const { tasks, measures } = this;
    const at = task * TASK;
    tasks[at + GROUP] = group;
    tasks[at + WHAT] = what;
    tasks[at + WORK] = work;
    tasks[at + WAITING_FOR] = 0;
    tasks[at + FIRST_EDGE] = -1;
    tasks[at + LAYER] = layer;
    tasks[at + ROLE] = PLAIN;
    measures[task * MEASURES + AMOUNT] = amount;
    measures[task * MEASURES + OVERHEAD_NS] = overheadNs;
    return task;
  }

  private ready(task: number, cause: number): void {
    const { tasks } = this;
    const group = tasks[task * TASK + GROUP];
    if (group === ANY_TIME) {
      this.start(task, 0, cause);
      return;
    }
    const gatheringNs = group === ALL_THREADS ? this.idle.gatheringNs : 0;
    if (gatheringNs > 0) {
      this.kernel.after(gatheringNs, this.gather, task, cause);
      return;
    }
    const free = this.freeServers[group];
    if (free.length > 0 && !(group === THREADS && this.locked)) {
      this.start(task, free.pop()!, cause);
      return;
    }
    tasks[task * TASK + NEXT_IN_QUEUE] = -1;
    if (this.queueHead[group] === -1) this.queueHead[group] = task;
    else tasks[this.queueTail[group] * TASK + NEXT_IN_QUEUE] = task;
    this.queueTail[group] = task;
    if (group === THREADS) this.idle.wakeOne(cause);
  }

  /** A thread that was woken takes what is left; it waits for the lock where somebody holds it. */
  private woken(server: number, cause: number): void {
    if (this.queueHead[THREADS] !== -1 && !this.locked) this.startNext(THREADS, server, cause);
    else this.idle.rest(server);
  }

  /** Those that sleep come to what all threads do together. */
  private gathered(task: number, cause: number): void {
    this.idle.wakeAll();
    this.ready(task, cause);
  }

  /** What all threads do together is over: none sleeps. */
  private awaken(span: number): void {
    const free = this.idle.awake;
    this.idle.wakeAll();
    while (!this.locked && this.queueHead[THREADS] !== -1 && free.length > 0) this.startNext(THREADS, free.pop()!, span);
    this.idle.mayDoze();
  }

  private start(task: number, server: number, cause: number): void {
    const { tasks, measures } = this;
    const at = task * TASK;
    const from = task * MEASURES;
    const group = tasks[at + GROUP];
    tasks[at + SERVER] = server;
    if ((tasks[at + ROLE] & HOLDS_LOCK) !== 0) this.locked = true;
    measures[from + START_NS] = this.kernel.now;
    measures[from + CAUSE] = cause;
    if (group === FLASH || group === LANES) this.exposure.note(READS, 1);
    else if (group !== ANY_TIME && (tasks[at + ROLE] & LENT) === 0) this.exposure.note(COMPUTES, 1);
    if (tasks[at + WORK] === FIXED_WORK) {
      if (group === FLASH) this.kernel.after(Math.ceil(measures[from + AMOUNT] * this.readSlowdown), this.leaveFlash, task, 0);
      else this.kernel.after(Math.ceil(measures[from + AMOUNT]), this.finishTask, task, 0);
      return;
    }
    // Whole bytes, so that what is asked and what is moved are exact sums and must agree to the byte.
    const bytes = Math.round(measures[from + AMOUNT]);
    if (group === LANES) {
      this.recorder.count(this.dramCounters[group], bytes);
      this.reads!.start(0, bytes, measures[from + CAP], this.finishTask, task, 0);
      return;
    }
    const kernelKind = tasks[at + KERNEL_KIND];
    const free = (kernelKind < 0 ? measures[from + CAP] : this.threadRates[kernelKind][server]) * this.throttle;
    this.recorder.count(this.dramCounters[group], bytes);
    if (bytes <= 0) {
      this.kernel.after(Math.ceil(measures[from + OVERHEAD_NS]), this.finishTask, task, 0);
      return;
    }
    // The task's own overhead is folded into its cap: over the whole task it moves no faster than this.
    this.dram.start(this.agents[group], bytes, bytes / (bytes / free + measures[from + OVERHEAD_NS]), this.finishTask, task, 0);
  }

  private release(group: number, server: number, span: number): void {
    const next = this.queueHead[group];
    if (next === -1 || (group === THREADS && this.locked)) {
      if (group === THREADS) this.idle.rest(server);
      else this.freeServers[group].push(server);
      return;
    }
    this.startNext(group, server, span);
  }

  private startNext(group: number, server: number, span: number): void {
    const next = this.queueHead[group];
    this.queueHead[group] = this.tasks[next * TASK + NEXT_IN_QUEUE];
    if (this.queueHead[group] === -1) this.queueTail[group] = -1;
    this.start(next, server, span);
  }

  /** The lock is free: its thread, and those that waited for it, take what is next, until one of them holds it. */
  private unlock(server: number, span: number): void {
    this.locked = false;
    const free = this.idle.awake;
    this.idle.rest(server);
    while (!this.locked && this.queueHead[THREADS] !== -1 && free.length > 0) this.startNext(THREADS, free.pop()!, span);
  }

  /** The device has served a read; its completion reaches the reader once the command's latency has passed. */
  private servedByFlash(task: number): void {
    const { measures } = this;
    const from = task * MEASURES;
    const server = this.tasks[task * TASK + SERVER];
    const span = this.record(task, this.lanes[FLASH][server], measures[from + START_NS], measures[from + CAUSE]);
    const flightNs = Math.ceil(measures[from + START_NS] + measures[from + OVERHEAD_NS] - this.kernel.now);
    measures[from + CAUSE] = span;
    this.release(FLASH, server, span);
    if (flightNs > 0) this.kernel.after(flightNs, this.landRead, task, 0);
    else this.complete(task, span);
  }

  /** A read's latency has passed. */
  private landed(task: number): void {
    const served = this.measures[task * MEASURES + CAUSE];
    this.complete(task, this.record(task, this.spec.flightLane, this.recorder.endNsAt(served), served));
  }

  private finish(task: number): void {
    const group = this.tasks[task * TASK + GROUP];
    const server = this.tasks[task * TASK + SERVER];
    const span = this.record(task, this.lanes[group][server], this.measures[task * MEASURES + START_NS], this.measures[task * MEASURES + CAUSE]);
    if (group !== ANY_TIME) {
      const role = this.tasks[task * TASK + ROLE];
      if ((role & LENT) !== 0) this.exposure.lentNs += this.kernel.now - this.measures[task * MEASURES + START_NS];
      else this.exposure.note(group === LANES ? READS : COMPUTES, -1);
      if ((role & HOLDS_LOCK) !== 0) this.unlock(server, span);
      else this.release(group, server, span);
    }
    if (group === ALL_THREADS) this.awaken(span);
    this.follow(task, span);
  }

  private complete(task: number, span: number): void {
    this.exposure.note(READS, -1);
    this.follow(task, span);
    if (!this.exposure.isReading) this.idle.heard();
    else this.idle.mayDoze();
  }

  private record(task: number, lane: number, startNs: number, cause: number): number {
    const at = task * TASK;
    this.recorder.tag(this.token, this.tasks[at + LAYER]);
    return this.recorder.span(lane, this.tasks[at + WHAT], startNs, this.kernel.now, cause);
  }

  private follow(task: number, span: number): void {
    if (this.onEnd !== null) this.onEnd(task);
    const { tasks, edgesOf } = this;
    for (let edge = tasks[task * TASK + FIRST_EDGE]; edge !== -1; edge = edgesOf[edge * EDGE + NEXT]) {
      const later = edgesOf[edge * EDGE + TO];
      if (--tasks[later * TASK + WAITING_FOR] === 0) this.ready(later, span);
    }
    this.lastSpan = span;
    if (--this.unfinished === 0) this.onDone!(this.lastSpan);
  }

  private grow(): void {
    this.tasks = widened(this.tasks, this.tasks.length * 2);
    this.measures = widened(this.measures, this.measures.length * 2);
  }
}
