import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createShare, RECORD, SETTLED_NS, type Share, type ShareSpec } from "../../../sim/hardware/share.js";
import { shareEndsSlow, type ShareStep } from "../../../sim/hardware/share-slow.js";
import { createKernel, type HandlerId, type Kernel } from "../../../sim/kernel/kernel.js";

/** The DRAM bus of the OnePlus 12 as the paper measured it: CPU alone, NPU alone, both. */
const cpu = 0;
const npu = 1;
const dram: ShareSpec = { capacity: 59.6, agents: [{ name: "cpu", cap: 43.9 }, { name: "npu", cap: 56 }] };
const bus = (capacity: number): ShareSpec => ({ capacity, agents: [{ name: "cpu", cap: Infinity }] });

/** A share whose transfers write down when they end, under the number given as `a`. */
const setUp = (spec: ShareSpec): { readonly kernel: Kernel; readonly share: Share; readonly ends: Array<number>; readonly end: HandlerId } => {
  const kernel = createKernel();
  const ends: Array<number> = [];
  const end = kernel.register((a) => {
    ends[a] = kernel.now;
  });
  return { kernel, share: createShare(kernel, spec), ends, end };
};

/** Plays a script on the real share: when each started flow ends, Infinity for never, and what was moved. */
const play = (spec: ShareSpec, steps: ReadonlyArray<ShareStep>) => {
  const { kernel, share, ends, end } = setUp(spec);
  const started: Array<number> = [];
  const doStep = kernel.register((index) => {
    const step = steps[index];
    if (step._tag === "start") share.start(step.agent, step.bytes, step.cap, end, started.push(Infinity) - 1, 0);
    else if (step._tag === "reserve") share.reserve(step.agent, step.rate);
    else share.setScale(step.factor);
  });
  steps.forEach((step, index) => kernel.schedule(step.atNs, doStep, index, 0));
  kernel.run();
  return { kernel, share, ends: started.map((never, flow) => ends[flow] ?? never) };
};

const arbRate = fc.oneof(fc.constantFrom(0.1, 1, 10, 59.6), fc.double({ min: 0.05, max: 80, noNaN: true }));
const arbCap = fc.oneof(fc.constant(Infinity), arbRate);
const arbSpec = fc.record({ capacity: arbRate, caps: fc.array(arbCap, { minLength: 1, maxLength: 4 }), slope: fc.constantFrom(0, 0.05, 0.4) }).map(
  ({ capacity, caps, slope }): ShareSpec => ({
    capacity,
    agents: caps.map((cap, index) => ({ name: `agent ${index}`, cap })),
    ...(slope === 0 ? {} : { capacityFactor: (activeFlows: number) => Math.max(0.6, 1 - slope * Math.max(0, activeFlows - 1)) }),
  }),
);
const arbStart = fc.record({ _tag: fc.constant("start" as const), agent: fc.nat(3), bytes: fc.oneof(fc.nat(10), fc.nat(20_000)), cap: arbCap });
const arbOther = fc.oneof(
  fc.record({ _tag: fc.constant("reserve" as const), agent: fc.nat(3), rate: fc.oneof(fc.constant(0), arbRate) }),
  fc.record({ _tag: fc.constant("scale" as const), factor: fc.double({ min: 0.2, max: 1.5, noNaN: true }) }),
);
const scriptOf = (arbChange: fc.Arbitrary<{ readonly _tag: string }>) =>
  fc.tuple(arbSpec, fc.array(fc.tuple(fc.oneof(fc.constant(0), fc.nat(1500)), arbChange), { minLength: 1, maxLength: 25 })).map(([spec, changes]) => {
    let atNs = 0;
    const steps = changes.map(([delayNs, change]) => {
      atNs += delayNs;
      const agent = "agent" in change ? { agent: (change.agent as number) % spec.agents.length } : {};
      return { ...change, ...agent, atNs } as ShareStep;
    });
    return { spec, steps };
  });

const expectTwinsAgree = (spec: ShareSpec, steps: ReadonlyArray<ShareStep>): void => {
  const slow = shareEndsSlow(spec, steps);
  play(spec, steps).ends.forEach((endNs, flow) => {
    if (slow[flow] === Infinity) expect(endNs).toBe(Infinity);
    else expect(Math.abs(endNs - slow[flow])).toBeLessThanOrEqual(1);
  });
};

describe("a bandwidth share", () => {
  it("gives the CPU alone 43.9, the NPU alone 56 and both together 59.6 bytes per ns", () => {
    const rates = (agents: ReadonlyArray<number>): number => {
      const { share, end } = setUp(dram);
      const flows = agents.map((agent) => share.start(agent, 1e6, Infinity, end, 0, 0));
      return flows.reduce((sum, flow) => sum + share.rate(flow), 0);
    };
    expect(rates([cpu])).toBe(43.9);
    expect(rates([npu])).toBe(56);
    expect(rates([cpu, npu])).toBe(59.6);
    expect(rates([cpu, cpu])).toBe(43.9);
    expect(rates([cpu, cpu, npu, npu])).toBeCloseTo(59.6, 12);
  });

  it("shares by flow: three flows of the CPU and one of the NPU have a quarter each, until the CPU's cap binds", () => {
    const { share, end } = setUp({ capacity: 60, agents: [{ name: "cpu", cap: 42 }, { name: "npu", cap: 56 }] });
    const one = share.start(npu, 1e6, Infinity, end, 0, 0);
    for (let flow = 0; flow < 2; flow++) share.start(cpu, 1e6, Infinity, end, 0, 0);
    expect(share.rate(one)).toBe(20);
    share.start(cpu, 1e6, Infinity, end, 0, 0);
    expect(share.rate(one)).toBe(18);
    for (let flow = 0; flow < 3; flow++) expect(share.rate(flow + 1)).toBe(14);
  });

  it("makes two equal flows take twice as long as one", () => {
    const { kernel, share, ends, end } = setUp(bus(10));
    for (let flow = 0; flow < 2; flow++) share.start(0, 1000, Infinity, end, flow, 0);
    kernel.run();
    expect(ends).toEqual([200, 200]);
  });

  it("gives what a slow flow leaves to the others", () => {
    const { kernel, share, ends, end } = setUp(bus(10));
    share.start(0, 200, 2, end, 0, 0);
    share.start(0, 800, Infinity, end, 1, 0);
    kernel.run();
    expect(ends).toEqual([100, 100]);
  });

  it("speeds up the one that stays when the other leaves: 1000 bytes, of which 500 at half rate", () => {
    const { kernel, share, ends, end } = setUp(bus(10));
    share.start(0, 500, Infinity, end, 0, 0);
    share.start(0, 1000, Infinity, end, 1, 0);
    kernel.run();
    expect(ends).toEqual([100, 150]);
  });

  it("ends a transfer at the first whole ns at which all its bytes have moved, and not one tick before", () => {
    for (const [bytes, rate, endNs] of [[1000, 10, 100], [1001, 10, 101], [1, 10, 1], [4096, 0.1, 40_960], [439, 43.9, 10]]) {
      const { kernel, share, ends, end } = setUp(bus(rate));
      share.start(0, bytes, Infinity, end, 0, 0);
      kernel.run(endNs - 1);
      expect(ends).toEqual([]);
      kernel.run(endNs);
      expect(ends).toEqual([endNs]);
    }
  });

  it("ends a transfer of nothing at once, but through the queue, also when an owner starts it", () => {
    const { kernel, share, ends, end } = setUp(bus(10));
    const again = kernel.register(() => {
      share.start(0, 0, Infinity, end, 1, 0);
      expect(ends).toEqual([]);
    });
    share.start(0, 0, Infinity, again, 0, 0);
    kernel.run();
    expect([ends.length, ends[1]]).toEqual([2, 0]);
  });

  it("leaves less for the others, and for the agent itself, when an agent reserves", () => {
    const { share, end } = setUp(dram);
    const flow = share.start(cpu, 1e6, Infinity, end, 0, 0);
    share.reserve(npu, 9.6);
    expect(share.rate(flow)).toBe(43.9);
    share.reserve(npu, 29.6);
    expect(share.rate(flow)).toBeCloseTo(30, 12);
    share.reserve(npu, 0);
    share.reserve(cpu, 3.9);
    expect(share.rate(flow)).toBeCloseTo(40, 12);
    share.reserve(cpu, 100);
    expect(share.rate(flow)).toBe(0);
  });

  it("takes twice as long for everything at scale 0.5, whoever is bound by what", () => {
    for (const cap of [Infinity, 50, 5]) {
      const { kernel, share, ends, end } = setUp(dram);
      share.setScale(0.5);
      share.start(cpu, 43_900, cap, end, 0, 0);
      kernel.run();
      expect(ends[0]).toBe(Math.ceil((2 * 43_900) / Math.min(cap, 43.9)));
    }
  });

  it("multiplies the total by the factor for the flows under way, and only the total", () => {
    const factor = (activeFlows: number): number => (activeFlows > 1 ? 0.6 : 1);
    const { share, end } = setUp({ capacity: 10, agents: [{ name: "flash", cap: Infinity }], capacityFactor: factor });
    const first = share.start(0, 1e6, 2, end, 0, 0);
    const second = share.start(0, 1e6, Infinity, end, 0, 0);
    expect([share.rate(first), share.rate(second)]).toEqual([2, 4]);
  });

  it("touches nobody's rate or end while the caps do not reach the total", () => {
    const { kernel, share, ends, end } = setUp(bus(100));
    share.start(0, 1000, 10, end, 0, 0);
    const { flows } = share as unknown as { readonly flows: Float64Array };
    kernel.run(50);
    share.start(0, 1000, 10, end, 1, 0);
    expect([flows[SETTLED_NS], flows[RECORD + SETTLED_NS]]).toEqual([0, 50]);
    kernel.run();
    expect(ends).toEqual([100, 150]);
  });

  it("takes the short way again, with no limit in force, once a crowd has gone", () => {
    const { kernel, share, end } = setUp(dram);
    const levels = share as unknown as { readonly totalLevel: number; readonly agentLevel: Float64Array };
    share.start(cpu, 1e6, 10, end, 0, 0);
    for (let flow = 0; flow < 6; flow++) share.start(flow & 1, 1000, 20, end, 1, 0);
    expect([levels.totalLevel, levels.agentLevel[cpu]].map(Number.isFinite)).toEqual([true, true]);
    kernel.run(5000);
    expect(share.active).toBe(1);
    expect([levels.totalLevel, levels.agentLevel[cpu]]).toEqual([Infinity, Infinity]);
  });

  it("ends flows that are due together in the order in which they started", () => {
    const kernel = createKernel();
    const order: Array<number> = [];
    const end = kernel.register((a) => void order.push(a));
    const share = createShare(kernel, bus(30));
    for (let flow = 0; flow < 20; flow++) share.start(0, 300, Infinity, end, flow, 0);
    kernel.run();
    expect(order).toEqual(Array.from({ length: 20 }, (_, flow) => flow));
    expect(kernel.processed).toBe(1);
  });

  it("agrees with its slow twin within 1 ns on any script of arrivals", () => {
    fc.assert(
      fc.property(scriptOf(arbStart), ({ spec, steps }) => expectTwinsAgree(spec, steps)),
      { seed: 41, numRuns: 1000 },
    );
  });

  it("agrees with its slow twin within 1 ns when reservations and throttling come in between", () => {
    fc.assert(
      fc.property(scriptOf(fc.oneof({ weight: 3, arbitrary: arbStart }, { weight: 1, arbitrary: arbOther })), ({ spec, steps }) => expectTwinsAgree(spec, steps)),
      { seed: 42, numRuns: 1000 },
    );
  });

  it("moves exactly the bytes that were put in, and no agent faster than its cap, on any script of arrivals", () => {
    fc.assert(
      fc.property(scriptOf(arbStart), ({ spec, steps }) => {
        const { kernel, share } = play(spec, steps);
        spec.agents.forEach((agent, index) => {
          const bytes = steps.reduce((sum, step) => sum + (step._tag === "start" && step.agent === index ? step.bytes : 0), 0);
          expect(share.bytesMoved(index)).toBe(bytes);
          expect(share.busyNs(index)).toBeLessThanOrEqual(kernel.now);
          expect(bytes).toBeLessThanOrEqual(Math.min(agent.cap, spec.capacity) * share.busyNs(index) + 1e-3);
        });
        expect(share.active).toBe(0);
      }),
      { seed: 43, numRuns: 300 },
    );
  });

  it("counts an agent as busy while it has a flow, once for many, and up to now for one under way", () => {
    const { kernel, share, end } = setUp(bus(10));
    share.start(0, 100, Infinity, end, 0, 0);
    share.start(0, 100, Infinity, end, 0, 0);
    kernel.run(100);
    expect(share.busyNs(0)).toBe(20);
    share.start(0, 100, Infinity, end, 0, 0);
    kernel.run(104);
    expect([share.busyNs(0), share.bytesMoved(0)]).toEqual([24, 200]);
  });

  it("gives the same ends for the same script, twice", () => {
    const scripts = fc.sample(scriptOf(arbStart), { seed: 44, numRuns: 20 });
    for (const { spec, steps } of scripts) expect(play(spec, steps).ends).toEqual(play(spec, steps).ends);
  });

  it("refuses what makes no sense, naming it", () => {
    const { kernel, share, end } = setUp(dram);
    expect(() => share.start(cpu, -1, 1, end, 0, 0)).toThrow(new Error("bytes must be finite and not negative: -1"));
    expect(() => share.start(cpu, NaN, 1, end, 0, 0)).toThrow(new Error("bytes must be finite and not negative: NaN"));
    expect(() => share.start(cpu, 1, 0, end, 0, 0)).toThrow(new Error("flow cap must be positive: 0"));
    expect(() => share.start(2, 1, 1, end, 0, 0)).toThrow(new Error("unknown agent: 2; agents are 0 to 1"));
    expect(() => share.reserve(cpu, -2)).toThrow(new Error("reserved rate must be finite and not negative: -2"));
    expect(() => share.setScale(0)).toThrow(new Error("scale must be positive and finite: 0"));
    expect(() => createShare(kernel, bus(Infinity))).toThrow(new Error("capacity must be positive and finite: Infinity"));
    expect(() => createShare(kernel, { capacity: 1, agents: [{ name: "gpu", cap: 0 }] })).toThrow(new Error("cap of gpu must be positive: 0"));
    expect(share.active).toBe(0);
  });
});
