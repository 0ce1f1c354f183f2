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

const firstCapacity = 16;

/** Rounding in bytes over rate must not cost a whole ns: a transfer that misses a tick by less than this has made it. */
const roundingNs = 1e-6;

export class Share {
  private readonly agentCap: Float64Array;
  private readonly agentReserved: Float64Array;
  /** Sum of the caps of an agent's flows. */
  private readonly agentWanted: Float64Array;
  private readonly agentFlows: Int32Array;
  private readonly agentLevel: Float64Array;
  private readonly agentBytes: Float64Array;
  private readonly agentBusyNs: Float64Array;
  private readonly agentBusySinceNs: Float64Array;
  private totalLevel = Infinity;
  private scale = 1;

  /** Flows under way, in the order in which they started. */
  private flowCount = 0;
  private nextFlow = 0;
  private flowId = new Float64Array(firstCapacity);
  private flowAgent = new Int32Array(firstCapacity);
  private flowCap = new Float64Array(firstCapacity);
  private flowBytes = new Float64Array(firstCapacity);
  private flowLeft = new Float64Array(firstCapacity);
  private flowRate = new Float64Array(firstCapacity);
  private flowSettledNs = new Float64Array(firstCapacity);
  private flowEndNs = new Float64Array(firstCapacity);
  private flowHandler = new Int32Array(firstCapacity);
  private flowA = new Float64Array(firstCapacity);
  private flowB = new Float64Array(firstCapacity);

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
    if (this.flowCount === this.flowId.length) this.grow();
    const nowNs = this.kernel.now;
    const flow = this.flowCount++;
    const cap = Math.min(flowCap, this.agentCap[agent]);
    this.flowId[flow] = this.nextFlow;
    this.flowAgent[flow] = agent;
    this.flowCap[flow] = cap;
    this.flowBytes[flow] = bytes;
    this.flowLeft[flow] = bytes;
    this.flowRate[flow] = 0;
    this.flowSettledNs[flow] = nowNs;
    this.flowEndNs[flow] = bytes === 0 ? nowNs : Infinity;
    this.flowHandler[flow] = handler;
    this.flowA[flow] = a;
    this.flowB[flow] = b;
    if (this.agentFlows[agent]++ === 0) this.agentBusySinceNs[agent] = nowNs;
    this.agentWanted[agent] += cap;
    if (!this.isFinishing) this.rebalance(flow);
    return this.nextFlow++;
  }

  /** A constant background draw of an agent, in bytes per ns: the others, and the agent's own flows, have that much less. */
  reserve(agent: number, rate: number): void {
    if (!(rate >= 0 && rate < Infinity)) throw new Error(`reserved rate must be finite and not negative: ${rate}`);
    this.agentReserved[agent] = rate;
    if (!this.isFinishing) this.rebalance(this.flowCount);
  }

  /** Multiplies the total and every cap, of agents and of flows (a throttled phone); reservations stay as they are. */
  setScale(factor: number): void {
    if (!(factor > 0 && factor < Infinity)) throw new Error(`scale must be positive and finite: ${factor}`);
    this.scale = factor;
    if (!this.isFinishing) this.rebalance(0);
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
    const flow = this.flowId.subarray(0, this.flowCount).indexOf(id);
    return flow < 0 ? 0 : this.flowRate[flow];
  }

  /** Ends every flow that is due, tells their owners, and shares out again once, whatever the owners have started. */
  private finishDue(): void {
    const nowNs = this.kernel.now;
    this.event = -1;
    this.eventNs = Infinity;
    this.isFinishing = true;
    // Flows that an owner starts come behind these and end by an event of their own, even without a byte to move.
    let older = this.flowCount;
    for (let flow = 0; flow < older; ) {
      if (this.flowEndNs[flow] > nowNs) {
        flow++;
        continue;
      }
      const handler = this.flowHandler[flow];
      const a = this.flowA[flow];
      const b = this.flowB[flow];
      this.remove(flow);
      older--;
      this.kernel.call(handler, a, b);
    }
    this.isFinishing = false;
    this.rebalance(0);
  }

  private remove(flow: number): void {
    const agent = this.flowAgent[flow];
    this.agentBytes[agent] += this.flowBytes[flow];
    this.agentWanted[agent] -= this.flowCap[flow];
    if (--this.agentFlows[agent] === 0) {
      this.agentWanted[agent] = 0;
      this.agentBusyNs[agent] += this.kernel.now - this.agentBusySinceNs[agent];
    }
    this.flowCount--;
    for (let i = flow; i < this.flowCount; i++) this.move(i + 1, i);
  }

  /** Finds the levels anew, gives flows from `firstNew` on their first rate and the others theirs if a level has moved. */
  private rebalance(firstNew: number): void {
    let offered = 0;
    let reserved = 0;
    let isMoved = false;
    for (let agent = 0; agent < this.agentCap.length; agent++) {
      const cap = Math.max(0, this.agentCap[agent] - this.agentReserved[agent] / this.scale);
      const level = this.agentWanted[agent] <= cap ? Infinity : this.levelWithin(agent, cap);
      if (level !== this.agentLevel[agent]) {
        this.agentLevel[agent] = level;
        isMoved = true;
      }
      offered += Math.min(this.agentWanted[agent], cap);
      reserved += this.agentReserved[agent];
    }
    const factor = this.spec.capacityFactor === undefined ? 1 : this.spec.capacityFactor(this.flowCount);
    const total = Math.max(0, this.spec.capacity * factor - reserved / this.scale);
    const totalLevel = offered <= total ? Infinity : this.levelOfAll(total);
    if (totalLevel !== this.totalLevel) {
      this.totalLevel = totalLevel;
      isMoved = true;
    }
    for (let flow = isMoved ? 0 : firstNew; flow < this.flowCount; flow++) this.setRate(flow);
    this.expectNextEnd();
  }

  /** The rate at which an agent's flows, each up to its cap, fill what the agent has. */
  private levelWithin(agent: number, available: number): number {
    let level = available / this.agentFlows[agent];
    for (;;) {
      let left = available;
      let unbound = 0;
      for (let flow = 0; flow < this.flowCount; flow++) {
        if (this.flowAgent[flow] !== agent) continue;
        if (this.flowCap[flow] <= level) left -= this.flowCap[flow];
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
    let level = available / this.flowCount;
    for (;;) {
      let left = available;
      let unbound = 0;
      for (let flow = 0; flow < this.flowCount; flow++) {
        const limit = Math.min(this.flowCap[flow], this.agentLevel[this.flowAgent[flow]]);
        if (limit <= level) left -= limit;
        else unbound++;
      }
      if (unbound === 0) return level;
      const raised = left / unbound;
      if (!(raised > level)) return level;
      level = raised;
    }
  }

  private setRate(flow: number): void {
    const rate = this.scale * Math.min(this.flowCap[flow], this.agentLevel[this.flowAgent[flow]], this.totalLevel);
    if (rate === this.flowRate[flow]) return;
    const nowNs = this.kernel.now;
    const left = Math.max(0, this.flowLeft[flow] - this.flowRate[flow] * (nowNs - this.flowSettledNs[flow]));
    this.flowLeft[flow] = left;
    this.flowSettledNs[flow] = nowNs;
    this.flowRate[flow] = rate;
    this.flowEndNs[flow] = left === 0 ? nowNs : nowNs + Math.max(0, Math.ceil(left / rate - roundingNs));
  }

  private expectNextEnd(): void {
    let nextNs = Infinity;
    for (let flow = 0; flow < this.flowCount; flow++) if (this.flowEndNs[flow] < nextNs) nextNs = this.flowEndNs[flow];
    if (nextNs === this.eventNs) return;
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

  private move(from: number, to: number): void {
    this.flowId[to] = this.flowId[from];
    this.flowAgent[to] = this.flowAgent[from];
    this.flowCap[to] = this.flowCap[from];
    this.flowBytes[to] = this.flowBytes[from];
    this.flowLeft[to] = this.flowLeft[from];
    this.flowRate[to] = this.flowRate[from];
    this.flowSettledNs[to] = this.flowSettledNs[from];
    this.flowEndNs[to] = this.flowEndNs[from];
    this.flowHandler[to] = this.flowHandler[from];
    this.flowA[to] = this.flowA[from];
    this.flowB[to] = this.flowB[from];
  }

  private grow(): void {
    const length = this.flowId.length * 2;
    this.flowId = widened(this.flowId, length);
    this.flowAgent = widened(this.flowAgent, length);
    this.flowCap = widened(this.flowCap, length);
    this.flowBytes = widened(this.flowBytes, length);
    this.flowLeft = widened(this.flowLeft, length);
    this.flowRate = widened(this.flowRate, length);
    this.flowSettledNs = widened(this.flowSettledNs, length);
    this.flowEndNs = widened(this.flowEndNs, length);
    this.flowHandler = widened(this.flowHandler, length);
    this.flowA = widened(this.flowA, length);
    this.flowB = widened(this.flowB, length);
  }
}

export const createShare = (kernel: Kernel, spec: ShareSpec): Share => new Share(kernel, spec);
