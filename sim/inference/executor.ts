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

/** Lane groups. Threads of THREADS may run at different speeds; ANY_TIME has no limit (a launch on its way, a merge). */
export const THREADS = 0;
export const ALL_THREADS = 1;
export const NPU = 2;
export const GPU = 3;
export const FLASH = 4;
export const ANY_TIME = 5;
const GROUPS = 6;

/** Kernels whose rate depends on the core that runs them. */
export const DENSE = 0;
export const SPARSE = 1;

export interface ExecutorSpec {
  readonly kernel: Kernel;
  readonly recorder: Recorder;
  readonly dram: Share;
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

export class Executor {
  private readonly kernel: Kernel;
  private readonly recorder: Recorder;
  private readonly dram: Share;
  private readonly lanes: ReadonlyArray<ReadonlyArray<number>>;
  private readonly agents: ReadonlyArray<number>;
  private readonly threadRates: ReadonlyArray<Float64Array>;
  private readonly dramCounters: ReadonlyArray<number>;
  private readonly finishTask: HandlerId;
  private readonly leaveFlash: HandlerId;
  private readonly freeServers: Array<Array<number>>;
  private readonly queueHead = new Int32Array(GROUPS).fill(-1);
  private readonly queueTail = new Int32Array(GROUPS).fill(-1);

  /** Tasks of the graph being run; emptied by `clear`. */
  private count = 0;
  private unfinished = 0;
  private group = new Int8Array(512);
  private what = new Int8Array(512);
  private work = new Int8Array(512);
  private kernelKind = new Int8Array(512);
  private amount = new Float64Array(512);
  private cap = new Float64Array(512);
  private overheadNs = new Float64Array(512);
  private waitingFor = new Int32Array(512);
  private firstEdge = new Int32Array(512);
  private nextInQueue = new Int32Array(512);
  private causeSpan = new Float64Array(512);
  private startNs = new Float64Array(512);
  private server = new Int32Array(512);
  private layerOf = new Int32Array(512);
  private edgeTo = new Int32Array(1024);
  private edgeNext = new Int32Array(1024);
  private edges = 0;
  private onDone: ((lastSpan: number) => void) | null = null;
  /** Told of each task that has ended, before those that waited for it begin. */
  onEnd: ((task: number) => void) | null = null;
  private lastSpan = noCause;

  /** The token that the spans recorded from here on belong to. */
  token = -1;
  /** Clock ratio of CPU, NPU and GPU (throttling), and how many times longer a hot flash takes. */
  throttle = 1;
  readSlowdown = 1;
  private readonly busyUnits = new Int32Array(2);
  private exposureSinceNs = 0;
  /** Time in which nothing computes while a read is under way. */
  exposedReadNs = 0;
  /** Time in which anything computes. */
  computingNs = 0;

  constructor(private readonly spec: ExecutorSpec) {
    this.kernel = spec.kernel;
    this.recorder = spec.recorder;
    this.dram = spec.dram;
    this.lanes = spec.lanes;
    this.agents = spec.agents;
    this.threadRates = spec.threadRates;
    this.dramCounters = spec.dramCounters;
    this.finishTask = this.kernel.register((task) => this.finish(task));
    this.leaveFlash = this.kernel.register((task) => this.servedByFlash(task));
    this.freeServers = spec.lanes.map((lanes) => lanes.map((_, i) => lanes.length - 1 - i));
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
    const task = this.add(group, what, FLOW_WORK, bytes, layer);
    this.cap[task] = cap;
    this.overheadNs[task] = overheadNs;
    this.kernelKind[task] = -1;
    return task;
  }

  /** A task of THREADS: its cap is that of the core that takes it. */
  threadWork(what: number, kernelKind: number, bytes: number, overheadNs: number, layer: number): number {
    const task = this.add(THREADS, what, FLOW_WORK, bytes, layer);
    this.kernelKind[task] = kernelKind;
    this.overheadNs[task] = overheadNs;
    return task;
  }

  /** A task of fixed length. On FLASH, `overheadNs` is the latency within which it cannot complete, though the device may serve others by then. */
  fixed(group: number, what: number, ns: number, overheadNs: number, layer: number): number {
    const task = this.add(group, what, FIXED_WORK, ns, layer);
    this.overheadNs[task] = overheadNs;
    return task;
  }

  /** `later` starts no sooner than `earlier` ends. */
  after(later: number, earlier: number): void {
    if (this.edges === this.edgeTo.length) {
      this.edgeTo = widened(this.edgeTo, this.edges * 2);
      this.edgeNext = widened(this.edgeNext, this.edges * 2);
    }
    const edge = this.edges++;
    this.edgeTo[edge] = later;
    this.edgeNext[edge] = this.firstEdge[earlier]!;
    this.firstEdge[earlier] = edge;
    this.waitingFor[later]!++;
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
    for (let task = 0; task < tasks; task++) if (this.waitingFor[task] === 0) this.ready(task, cause);
  }

  /** Names of lane groups with work queued or under way: what a stuck run waits for. */
  get waiting(): number {
    return this.unfinished;
  }

  private add(group: number, what: number, work: number, amount: number, layer: number): number {
    if (this.count === this.group.length) this.grow();
    const task = this.count++;
    this.group[task] = group;
    this.what[task] = what;
    this.work[task] = work;
    this.amount[task] = amount;
    this.waitingFor[task] = 0;
    this.firstEdge[task] = -1;
    this.layerOf[task] = layer;
    return task;
  }

  private ready(task: number, cause: number): void {
    const group = this.group[task]!;
    if (group === ANY_TIME) {
      this.start(task, 0, cause);
      return;
    }
    const free = this.freeServers[group]!;
    if (free.length > 0) {
      this.start(task, free.pop()!, cause);
      return;
    }
    this.nextInQueue[task] = -1;
    if (this.queueHead[group] === -1) this.queueHead[group] = task;
    else this.nextInQueue[this.queueTail[group]!] = task;
    this.queueTail[group] = task;
  }

  private start(task: number, server: number, cause: number): void {
    const group = this.group[task]!;
    const nowNs = this.kernel.now;
    this.startNs[task] = nowNs;
    this.server[task] = server;
    this.causeSpan[task] = cause;
    if (group === FLASH) this.noteUnit(1, 1);
    else if (group !== ANY_TIME) this.noteUnit(0, 1);
    if (this.work[task] === FIXED_WORK) {
      this.kernel.after(Math.ceil(this.amount[task]! * (group === FLASH ? this.readSlowdown : 1)), group === FLASH ? this.leaveFlash : this.finishTask, task, 0);
      return;
    }
    // Whole bytes, so that what is asked and what is moved are exact sums and must agree to the byte.
    const bytes = Math.round(this.amount[task]!);
    const kernelKind = this.kernelKind[task]!;
    const free = (kernelKind < 0 ? this.cap[task]! : this.threadRates[kernelKind]![server]!) * this.throttle;
    this.recorder.count(this.dramCounters[group]!, bytes);
    if (bytes <= 0) {
      this.kernel.after(Math.ceil(this.overheadNs[task]!), this.finishTask, task, 0);
      return;
    }
    // The task's own overhead is folded into its cap: over the whole task it moves no faster than this.
    const cap = bytes / (bytes / free + this.overheadNs[task]!);
    this.dram.start(this.agents[group]!, bytes, cap, this.finishTask, task, 0);
  }

  private release(group: number, server: number, span: number): void {
    const next = this.queueHead[group]!;
    if (next === -1) {
      this.freeServers[group]!.push(server);
      return;
    }
    this.queueHead[group] = this.nextInQueue[next]!;
    if (this.queueHead[group] === -1) this.queueTail[group] = -1;
    this.start(next, server, span);
  }

  /** The device has served a read; its completion reaches the reader once the command's latency has passed. */
  private servedByFlash(task: number): void {
    const nowNs = this.kernel.now;
    const span = this.record(task, this.lanes[FLASH]![this.server[task]!]!, this.startNs[task]!, this.causeSpan[task]!);
    const flightNs = Math.ceil(this.startNs[task]! + this.overheadNs[task]! - nowNs);
    this.release(FLASH, this.server[task]!, span);
    this.causeSpan[task] = span;
    if (flightNs > 0) this.kernel.after(flightNs, this.finishTask, task, 0);
    else this.complete(task, span);
  }

  private finish(task: number): void {
    const group = this.group[task]!;
    if (group === FLASH) {
      this.complete(task, this.record(task, this.spec.flightLane, this.recorder.endNsAt(this.causeSpan[task]!), this.causeSpan[task]!));
      return;
    }
    const span = this.record(task, this.lanes[group]![this.server[task]!]!, this.startNs[task]!, this.causeSpan[task]!);
    if (group !== ANY_TIME) {
      this.noteUnit(0, -1);
      this.release(group, this.server[task]!, span);
    }
    this.follow(task, span);
  }

  private complete(task: number, span: number): void {
    this.noteUnit(1, -1);
    this.follow(task, span);
  }

  private record(task: number, lane: number, startNs: number, cause: number): number {
    this.recorder.tag(this.token, this.layerOf[task]!);
    return this.recorder.span(lane, this.what[task]!, startNs, this.kernel.now, cause);
  }

  private follow(task: number, span: number): void {
    if (this.onEnd !== null) this.onEnd(task);
    for (let edge = this.firstEdge[task]!; edge !== -1; edge = this.edgeNext[edge]!) {
      const later = this.edgeTo[edge]!;
      if (--this.waitingFor[later]! === 0) this.ready(later, span);
    }
    this.lastSpan = span;
    if (--this.unfinished === 0) this.onDone!(this.lastSpan);
  }

  /** `kind` 0 computes, 1 reads. Settles the clocks of exposed reads and of computing when a first unit starts or a last one stops. */
  private noteUnit(kind: number, change: number): void {
    const before = this.busyUnits[kind]!;
    if (before === 0 || before + change === 0) this.settleExposure();
    this.busyUnits[kind] = before + change;
  }

  settleExposure(): void {
    const elapsedNs = this.kernel.now - this.exposureSinceNs;
    if (this.busyUnits[0]! > 0) this.computingNs += elapsedNs;
    else if (this.busyUnits[1]! > 0) this.exposedReadNs += elapsedNs;
    this.exposureSinceNs = this.kernel.now;
  }

  private grow(): void {
    const length = this.group.length * 2;
    this.group = widened(this.group, length);
    this.what = widened(this.what, length);
    this.work = widened(this.work, length);
    this.kernelKind = widened(this.kernelKind, length);
    this.amount = widened(this.amount, length);
    this.cap = widened(this.cap, length);
    this.overheadNs = widened(this.overheadNs, length);
    this.waitingFor = widened(this.waitingFor, length);
    this.firstEdge = widened(this.firstEdge, length);
    this.nextInQueue = widened(this.nextInQueue, length);
    this.causeSpan = widened(this.causeSpan, length);
    this.startNs = widened(this.startNs, length);
    this.server = widened(this.server, length);
    this.layerOf = widened(this.layerOf, length);
  }
}
