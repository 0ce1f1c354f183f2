/**
 * The hot path makes no objects. Measured as growth of the heap by chunks of events, too small for the collector to come in
 * between often, of which the median counts.
 *
 * V8 puts a number above 2^31 or a fraction (a time, an event's id, a rate) into a box of 16 bytes where it hands one from
 * function to function without having compiled the two together. How often varies from run to run: up to 64 bytes an event of
 * the share. Boxes are not what this is about, so V8 may compile more together here than it does by itself, and the least of
 * five attempts counts: an object that the code asks for is there in all of them.
 */
import { setFlagsFromString } from "node:v8";
import { describe, expect, it } from "vitest";
import { createShare } from "../../sim/hardware/share.js";
import { createKernel, type Kernel } from "../../sim/kernel/kernel.js";

setFlagsFromString("--max-inlined-bytecode-size=2000");
setFlagsFromString("--max-inlined-bytecode-size-cumulative=8000");

/** The least object takes 24 bytes. */
const limitBytes = 20;
const attempts = 5;
const chunk = 5000;
const chunks = 200;
/** Beyond 2^31, as nearly all of a run is. */
const startNs = 2 ** 34;

/** Bytes by which the heap grows for each event of an endless model: a million events after half a million to warm up. */
const growthOf = (kernel: Kernel): number => {
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

const bytesAnEvent = (what: string, create: () => Kernel): number => {
  const bytes = Math.min(...Array.from({ length: attempts }, () => growthOf(create())));
  console.log(`${what}: ${bytes.toFixed(2)} bytes an event`);
  return bytes;
};

/** So many events are pending at all times. */
const hold = (pending: number, each: (a: number, b: number) => void = () => {}) => (): Kernel => {
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
const shareOf = (flows: number, flowCap: number) => (): Kernel => {
  const kernel = createKernel();
  const share = createShare(kernel, { capacity: 59.6, agents: [{ name: "cpu", cap: 43.9 }, { name: "npu", cap: 56 }] });
  const next = kernel.register((a, b) => void share.start(a & 1, 2000 + 16 * ((kernel.processed * 7919) & 1023), flowCap, next, a, b));
  kernel.run(startNs);
  for (let flow = 0; flow < flows; flow++) share.start(flow & 1, 2000 + 16 * flow, flowCap, next, flow, 0);
  return kernel;
};

describe("an event", () => {
  it.each([3, 1000])("of the kernel makes no object, with %i others pending", (pending) => {
    expect(bytesAnEvent(`kernel, ${pending} pending`, hold(pending))).toBeLessThan(limitBytes);
  });

  it.each([["reach no limit", 4, 5], ["are held by limits", 4, Infinity]] as const)("of the share makes no object while its flows %s", (what, flows, flowCap) => {
    expect(bytesAnEvent(`share, flows ${what}`, shareOf(flows, flowCap))).toBeLessThan(limitBytes);
  });

  it("that did make an object would be seen", () => {
    const kept: Array<object> = [{}];
    const bytes = bytesAnEvent("kernel, an object of one field made by each event", hold(3, (a) => void (kept[0] = { a })));
    expect(bytes).toBeGreaterThan(limitBytes);
  });
});
