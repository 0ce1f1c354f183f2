/**
 * The hot path makes no objects. Measured as growth of the heap by chunks of events, too small for the collector to come in
 * between often, of which the median counts.
 *
 * The limit is not 0, because V8 keeps a number above 2^31 (a time, an event's id) in a box of 16 bytes where it hands one
 * from function to function without having compiled the two together; which it does varies, and up to two boxes were seen. The
 * least object that could stand for an event, with time, handler and payload, takes 56 bytes, a closure 64, and each box more.
 */
import { describe, expect, it } from "vitest";
import { createShare } from "../../sim/hardware/share.js";
import { createKernel, type Kernel } from "../../sim/kernel/kernel.js";

const limitBytes = 50;
const chunk = 5000;
const chunks = 200;
/** Beyond 2^31, as nearly all of a run is: a smaller time needs no box. */
const startNs = 2 ** 34;

/** Bytes by which the heap grows for each event of an endless model: a million events after half a million to warm up. */
const bytesAnEvent = (kernel: Kernel): number => {
  const runFor = (ns: number): number => {
    const before = kernel.processed;
    kernel.run(kernel.now + ns);
    return kernel.processed - before;
  };
  const trialNs = 1e6;
  const chunkNs = Math.ceil((chunk / runFor(trialNs)) * trialNs);
  for (let round = 0; round < chunks / 2; round++) runFor(chunkNs);
  const growths = Array.from({ length: chunks }, () => {
    const before = process.memoryUsage().heapUsed;
    const events = runFor(chunkNs);
    return (process.memoryUsage().heapUsed - before) / events;
  });
  return growths.sort((x, y) => x - y)[chunks >> 1];
};

/** So many events are pending at all times. */
const hold = (pending: number, each: (a: number, b: number) => void = () => {}): Kernel => {
  const kernel = createKernel();
  const again = kernel.register((a, b) => {
    each(a, b);
    kernel.after(1000 + ((kernel.processed * 7919) & 1023), again, a, b);
  });
  kernel.run(startNs);
  for (let event = 0; event < pending; event++) kernel.after(event, again, event, 0);
  return kernel;
};

/** So many flows are under way at all times. */
const shareOf = (flows: number, flowCap: number): Kernel => {
  const kernel = createKernel();
  const share = createShare(kernel, { capacity: 59.6, agents: [{ name: "cpu", cap: 43.9 }, { name: "npu", cap: 56 }] });
  const next = kernel.register((a, b) => void share.start(a & 1, 2000 + 16 * ((kernel.processed * 7919) & 1023), flowCap, next, a, b));
  kernel.run(startNs);
  for (let flow = 0; flow < flows; flow++) share.start(flow & 1, 2000 + 16 * flow, flowCap, next, flow, 0);
  return kernel;
};

describe("an event", () => {
  it.each([3, 1000])("of the kernel makes no object, with %i others pending", (pending) => {
    const bytes = bytesAnEvent(hold(pending));
    console.log(`kernel, ${pending} pending: ${bytes.toFixed(2)} bytes an event`);
    expect(bytes).toBeLessThan(limitBytes);
  });

  it.each([["reach no limit", 4, 5], ["are held by limits", 4, Infinity]] as const)("of the share makes no object while its flows %s", (what, flows, flowCap) => {
    const bytes = bytesAnEvent(shareOf(flows, flowCap));
    console.log(`share, flows ${what}: ${bytes.toFixed(2)} bytes an event`);
    expect(bytes).toBeLessThan(limitBytes);
  });

  it("that did make an object would be seen", () => {
    const kept: Array<object> = [{}];
    const bytes = bytesAnEvent(hold(3, (a, b) => void (kept[0] = { atNs: startNs, handler: 0, a, b })));
    console.log(`with an object of four: ${bytes.toFixed(2)} bytes an event`);
    expect(bytes).toBeGreaterThan(limitBytes);
  });
});
