/**
 * Bandwidth shared as a fluid: a DRAM bus, a flash device. Flows belong to agents (CPU, NPU, flash). All flows are raised at
 * an equal rate until a flow's own cap, its agent's cap or the total binds: max-min fairness by flow, under agents' caps.
 *
 * Bytes are settled lazily. When a flow comes or goes, only flows whose rate changes are touched; while the caps together do
 * not reach the total, that is nobody. The whole share holds one pending event, for the flow that finishes first.
 *
 * A flow's rate is min(its cap, its agent's level, the total's level). A level is infinite while its limit does not bind.
 * Caps are kept unscaled: `setScale` multiplies the rates, as if time ran slower, and reservations are divided by it instead.
 */
import { widened } from "../kernel/widened.js";
import type { HandlerId, Kernel } from "../kernel/kernel.js";

export interface ShareSpec {
  /** What all agents can have together, in bytes per ns, which is GB/s. */
  readonly capacity: number;
  /** An agent is named by its index here. `cap` in bytes per ns; Infinity when only the total limits it. */
  readonly agents: ReadonlyArray<{ readonly name: string; readonly cap: number }>;
  /** What share of the total is left with so many flows: a device that many submitters slow down. */
  readonly capacityFactor?: (activeFlows: number) => number;
}

/** A flow's number; never used twice. */
export type FlowId = number;

/** What is kept of a flow: places in its record. One array of records, not an array a place: fewer bounds to check, and a flow moves in one loop. */
const ID = 0;
const AGENT = 1;
const CAP = 2;
const BYTES = 3;
const LEFT = 4;
const RATE = 5;
export const SETTLED_NS = 6;
const END_NS = 7;
const HANDLER = 8;
const A = 9;
const B = 10;
export const RECORD = 11;

const firstCapacity = 16;

/** Rounding in bytes over rate must not cost a whole ns: a transfer that misses a tick by less than this has made it. */
const roundingNs = 1e-6;

export class Share {
  private readonly agentCap: Float64Array;
  private readonly agentReserved: Float64Array;
  /** What an agent's flows can have together: its cap less what it has reserved. */
  private readonly agentRoom: Float64Array;
  /** Sum of the caps of an agent's flows. */
  private readonly agentWanted: Float64Array;
  private readonly agentFlows: Int32Array;
  private readonly agentLevel: Float64Array;
  private readonly agentBytes: Float64Array;
  private readonly agentBusyNs: Float64Array;
  private readonly agentBusySinceNs: Float64Array;
  private totalLevel = Infinity;
  private reservedInAll = 0;
  private scale = 1;
  /** Some level may have to move: somebody wants more, or somebody left while a limit was in force. */
  private areLevelsStale = false;
  private isLimited = false;

  /** Flows under way, in the order in which they started, a record each. The first `ratedCount` of them have their rate. */
  private flowCount = 0;
  private ratedCount = 0;
  private nextFlow = 0;
  private flows = new Float64Array(firstCapacity * RECORD);

  private readonly finishHandler: HandlerId;
  private event = -1;
  private eventNs = Infinity;
  private isFinishing = false;

  constructor(
    private readonly kernel: Kernel,
    private readonly spec: ShareSpec,
  ) {
    if (!(spec.capacity > 0 && spec.capacity < Infinity)) throw new Error(`capacity must be positive and finite: ${spec.capacity}`);
    for (const agent of spec.agents) if (!(agent.cap > 0)) throw new Error(`cap of ${agent.name} must be positive: ${agent.cap}`);
    const agents = spec.agents.length;
    this.agentCap = Float64Array.from(spec.agents, (agent) => Math.min(agent.cap, spec.capacity));
    this.agentReserved = new Float64Array(agents);
    this.agentRoom = this.agentCap.slice();
    this.agentWanted = new Float64Array(agents);
    this.agentFlows = new Int32Array(agents);
    this.agentLevel = new Float64Array(agents).fill(Infinity);
    this.agentBytes = new Float64Array(agents);
    this.agentBusyNs = new Float64Array(agents);
    this.agentBusySinceNs = new Float64Array(agents);
    this.finishHandler = kernel.register(() => this.finishDue());
  }

  /** Flows under way. */
  get active(): number {
    return this.flowCount;
  }

  /** Starts a transfer and calls `handler(a, b)` at the first whole ns at which all its bytes have moved. */
  start(agent: number, bytes: number, flowCap: number, handler: HandlerId, a: number, b: number): FlowId {
    if (!(bytes >= 0 && bytes < Infinity)) throw new Error(`bytes must be finite and not negative: ${bytes}`);
    if (!(flowCap > 0)) throw new Error(`flow cap must be positive: ${flowCap}`);
    if (!(agent >= 0 && agent < this.agentCap.length)) throw new Error(`unknown agent: ${agent}; agents are 0 to ${this.agentCap.length - 1}`);
    const at = this.flowCount++ * RECORD;
    if (at === this.flows.length) this.flows = widened(this.flows, this.flows.length * 2);
    const { flows } = this;
    const nowNs = this.kernel.now;
    const cap = Math.min(flowCap, this.agentCap[agent]);
    flows[at + ID] = this.nextFlow;
    flows[at + AGENT] = agent;
    flows[at + CAP] = cap;
    flows[at + BYTES] = bytes;
    flows[at + LEFT] = bytes;
    flows[at + RATE] = 0;
    flows[at + SETTLED_NS] = nowNs;
    flows[at + END_NS] = bytes === 0 ? nowNs : Infinity;
    flows[at + HANDLER] = handler;
    flows[at + A] = a;
    flows[at + B] = b;
    if (this.agentFlows[agent]++ === 0) this.agentBusySinceNs[agent] = nowNs;
    this.agentWanted[agent] += cap;
    this.areLevelsStale = true;
    if (!this.isFinishing) this.rebalance();
    return this.nextFlow++;
  }

  /** A constant background draw of an agent, in bytes per ns: the others, and the agent's own flows, have that much less. */
  reserve(agent: number, rate: number): void {
    if (!(rate >= 0 && rate < Infinity)) throw new Error(`reserved rate must be finite and not negative: ${rate}`);
    this.agentReserved[agent] = rate;
    this.makeRoom();
  }

  /** Multiplies the total and every cap, of agents and of flows (a throttled phone); reservations stay as they are. */
  setScale(factor: number): void {
    if (!(factor > 0 && factor < Infinity)) throw new Error(`scale must be positive and finite: ${factor}`);
    this.scale = factor;
    this.ratedCount = 0;
    this.makeRoom();
  }

  /** Bytes of the agent's finished flows. */
  bytesMoved(agent: number): number {
    return this.agentBytes[agent];
  }

  /** Time until now with at least one of the agent's flows under way. */
  busyNs(agent: number): number {
    return this.agentBusyNs[agent] + (this.agentFlows[agent] > 0 ? this.kernel.now - this.agentBusySinceNs[agent] : 0);
  }

  /** The rate of a flow now, in bytes per ns; 0 when it has finished. */
  rate(id: FlowId): number {
    for (let at = 0; at < this.flowCount * RECORD; at += RECORD) if (this.flows[at + ID] === id) return this.flows[at + RATE];
    return 0;
  }

  private makeRoom(): void {
    this.reservedInAll = 0;
    for (let agent = 0; agent < this.agentCap.length; agent++) {
      this.agentRoom[agent] = Math.max(0, this.agentCap[agent] - this.agentReserved[agent] / this.scale);
      this.reservedInAll += this.agentReserved[agent];
    }
    this.areLevelsStale = true;
    if (!this.isFinishing) this.rebalance();
  }

  /** Ends every flow that is due, tells their owners, and shares out again once, whatever the owners have started. */
  private finishDue(): void {
    const nowNs = this.kernel.now;
    this.event = -1;
    this.eventNs = Infinity;
    this.isFinishing = true;
    // Flows that an owner starts come behind these and end by an event of their own, even without a byte to move.
    let older = this.flowCount * RECORD;
    for (let at = 0; at < older; ) {
      const { flows } = this;
      if (flows[at + END_NS] > nowNs) {
        at += RECORD;
        continue;
      }
      const handler = flows[at + HANDLER];
      const a = flows[at + A];
      const b = flows[at + B];
      this.remove(at);
      older -= RECORD;
      this.kernel.call(handler, a, b);
    }
    this.isFinishing = false;
    this.rebalance();
  }

  private remove(at: number): void {
    const { flows } = this;
    const agent = flows[at + AGENT];
    this.agentBytes[agent] += flows[at + BYTES];
    this.agentWanted[agent] -= flows[at + CAP];
    if (--this.agentFlows[agent] === 0) {
      this.agentWanted[agent] = 0;
      this.agentBusyNs[agent] += this.kernel.now - this.agentBusySinceNs[agent];
    }
    // Where no limit is in force, one flow fewer brings none into force, unless the total depends on their number.
    if (this.isLimited || this.spec.capacityFactor !== undefined) this.areLevelsStale = true;
    const end = --this.flowCount * RECORD;
    for (let i = at; i < end; i++) flows[i] = flows[i + RECORD];
    if (at < this.ratedCount * RECORD) this.ratedCount--;
  }

  /** Gives new flows their first rate, and the others theirs if a level has moved; then looks for the flow that ends first. */
  private rebalance(): void {
    if (this.areLevelsStale && this.findLevels()) this.ratedCount = 0;
    const { flows } = this;
    const unrated = this.ratedCount * RECORD;
    const end = this.flowCount * RECORD;
    let nextNs = Infinity;
    for (let at = 0; at < end; at += RECORD) {
      if (at >= unrated) this.setRate(at);
      if (flows[at + END_NS] < nextNs) nextNs = flows[at + END_NS];
    }
    this.ratedCount = this.flowCount;
    if (nextNs !== this.eventNs) this.expectEnd(nextNs);
  }

  /** Finds all levels anew; true when one has moved. */
  private findLevels(): boolean {
    let offered = 0;
    let isMoved = false;
    let isLimited = false;
    for (let agent = 0; agent < this.agentRoom.length; agent++) {
      const room = this.agentRoom[agent];
      const wanted = this.agentWanted[agent];
      let level = Infinity;
      if (wanted <= room) {
        offered += wanted;
      } else {
        level = this.levelWithin(agent, room);
        offered += room;
        isLimited = true;
      }
      if (level !== this.agentLevel[agent]) {
        this.agentLevel[agent] = level;
        isMoved = true;
      }
    }
    const factor = this.spec.capacityFactor === undefined ? 1 : this.spec.capacityFactor(this.flowCount);
    const total = Math.max(0, this.spec.capacity * factor - this.reservedInAll / this.scale);
    const totalLevel = offered <= total ? Infinity : this.levelOfAll(total);
    if (totalLevel !== this.totalLevel) {
      this.totalLevel = totalLevel;
      isMoved = true;
    }
    this.isLimited = isLimited || totalLevel !== Infinity;
    this.areLevelsStale = false;
    return isMoved;
  }

  /** The rate at which an agent's flows, each up to its cap, fill what the agent has. */
  private levelWithin(agent: number, available: number): number {
    const { flows } = this;
    const end = this.flowCount * RECORD;
    let level = available / this.agentFlows[agent];
    for (;;) {
      let left = available;
      let unbound = 0;
      for (let at = 0; at < end; at += RECORD) {
        if (flows[at + AGENT] !== agent) continue;
        if (flows[at + CAP] <= level) left -= flows[at + CAP];
        else unbound++;
      }
      if (unbound === 0) return level;
      const raised = left / unbound;
      if (!(raised > level)) return level;
      level = raised;
    }
  }

  /** The same over all flows, each up to the lower of its cap and its agent's level. */
  private levelOfAll(available: number): number {
    const { flows } = this;
    const end = this.flowCount * RECORD;
    let level = available / this.flowCount;
    for (;;) {
      let left = available;
      let unbound = 0;
      for (let at = 0; at < end; at += RECORD) {
        const limit = Math.min(flows[at + CAP], this.agentLevel[flows[at + AGENT]]);
        if (limit <= level) left -= limit;
        else unbound++;
      }
      if (unbound === 0) return level;
      const raised = left / unbound;
      if (!(raised > level)) return level;
      level = raised;
    }
  }

  private setRate(at: number): void {
    const { flows } = this;
    const rate = this.scale * Math.min(flows[at + CAP], this.agentLevel[flows[at + AGENT]], this.totalLevel);
    if (rate === flows[at + RATE]) return;
    const nowNs = this.kernel.now;
    const left = Math.max(0, flows[at + LEFT] - flows[at + RATE] * (nowNs - flows[at + SETTLED_NS]));
    flows[at + LEFT] = left;
    flows[at + SETTLED_NS] = nowNs;
    flows[at + RATE] = rate;
    flows[at + END_NS] = left === 0 ? nowNs : nowNs + Math.max(0, Math.ceil(left / rate - roundingNs));
  }

  private expectEnd(nextNs: number): void {
    if (nextNs === Infinity) {
      this.kernel.cancel(this.event);
      this.event = -1;
    } else if (this.eventNs === Infinity) {
      this.event = this.kernel.schedule(nextNs, this.finishHandler, 0, 0);
    } else {
      this.kernel.reschedule(this.event, nextNs);
    }
    this.eventNs = nextNs;
  }
}

export const createShare = (kernel: Kernel, spec: ShareSpec): Share => new Share(kernel, spec);
