/**
 * The hot path makes no objects. Every allocation of some hundred events is listed, with its size, by V8's own profiler of the
 * heap, which samples each of them when it is told to expect one a byte.
 *
 * V8 puts a number above 2^31 or a fraction (a time, an event's id, a rate) into a box of 16 bytes where it hands one from
 * function to function without having compiled the two together. How often varies from run to run, with what was compiled when.
 * Boxes are not what this is about: nothing else is as small, so they are told from objects by their size. And V8 compiles nothing
 * here: it would allocate a box and an object beside it as one piece of memory. What is left is what the code asks for, the same in every run.
 */
import { Session } from "node:inspector";
import { setFlagsFromString } from "node:v8";
import { describe, expect, it } from "vitest";
import { createShare } from "../../sim/hardware/share.js";
import { createKernel, type Kernel } from "../../sim/kernel/kernel.js";

setFlagsFromString("--no-opt");

/** A number in its box: a word that says so, and the number. The least object takes 24 bytes. */
const boxBytes = 16;
/** Now and then a table grows, and the profiler itself makes some dozen objects. */
const limit = 0.2;
const events = 500;
const sliceNs = 1000;
/** Beyond 2^31, as nearly all of a run is. */
const startNs = 2 ** 34;

/** Runs an endless model for so many events or some more; how many they were. */
const runFor = (kernel: Kernel, least: number): number => {
  const before = kernel.processed;
  while (kernel.processed - before < least) kernel.run(kernel.now + sliceNs);
  return kernel.processed - before;
};

/** Sizes of all that is allocated on the heap meanwhile. */
const allocatedIn = (work: () => void): ReadonlyArray<number> => {
  const session = new Session();
  session.connect();
  // The two that are not in the types: V8 forgets what the collector took unless it is asked for.
  const options = { samplingInterval: 1, includeObjectsCollectedByMajorGC: true, includeObjectsCollectedByMinorGC: true };
  session.post("HeapProfiler.startSampling", options);
  work();
  const sizes: Array<number> = [];
  session.post("HeapProfiler.stopSampling", (error, result) => {
    if (error !== null) throw error;
    const { samples } = result.profile as unknown as { readonly samples: ReadonlyArray<{ readonly size: number }> };
    for (const { size } of samples) sizes.push(size);
  });
  session.disconnect();
  return sizes;
};

interface PerEvent {
  readonly objects: number;
  readonly boxes: number;
}

/** What an event of an endless model allocates. */
const perEvent = (what: string, kernel: Kernel): PerEvent => {
  runFor(kernel, events);
  let processed = 0;
  const sizes = allocatedIn(() => void (processed = runFor(kernel, events)));
  const objects = sizes.filter((size) => size > boxBytes).length / processed;
  const boxes = sizes.length / processed - objects;
  console.log(`${what}: ${objects.toFixed(3)} objects an event, and ${boxes.toFixed(1)} boxes of numbers where nothing is compiled`);
  return { objects, boxes };
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
    expect(perEvent(`kernel, ${pending} pending`, hold(pending)).objects).toBeLessThan(limit);
  });

  it.each([["reach no limit", 4, 5], ["are held by limits", 4, Infinity]] as const)("of the share makes no object while its flows %s", (what, flows, flowCap) => {
    expect(perEvent(`share, flows ${what}`, shareOf(flows, flowCap)).objects).toBeLessThan(limit);
  });

  it.each<[string, (a: number) => object]>([
    ["of one field", (a) => ({ a })],
    ["that is an empty list", () => []],
    ["that is a function", (a) => () => a],
  ])("that did make an object %s would be seen", (what, make) => {
    const kept: Array<object> = [{}];
    const seen = perEvent(`kernel, an object ${what} made by each event`, hold(3, (a) => void (kept[0] = make(a))));
    expect(seen.objects).toBeGreaterThan(1 - limit);
  });

  it("that did box a number would not be taken for one that makes an object", () => {
    const kept: Array<number | object> = [{}];
    const without = perEvent("kernel", hold(3));
    const seen = perEvent("kernel, a number boxed by each event", hold(3, (a) => void (kept[0] = a + 0.5)));
    expect(seen.boxes).toBeGreaterThan(without.boxes + 1 - limit);
    expect(seen.objects).toBeLessThan(limit);
  });
});
