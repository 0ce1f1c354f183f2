import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createKernel } from "../../../sim/kernel/kernel.js";

/** A kernel with one handler that writes down when it was called and with what. */
const logging = () => {
  const kernel = createKernel();
  const log: Array<string> = [];
  const note = kernel.register((a, b) => void log.push(`${kernel.now}:${a},${b}`));
  return { kernel, log, note };
};

describe("the kernel", () => {
  it("runs events in order of time, and those of one time in the order in which they were scheduled", () => {
    const { kernel, log, note } = logging();
    kernel.schedule(20, note, 1, 0);
    kernel.schedule(10, note, 2, 0);
    kernel.schedule(20, note, 3, 0);
    kernel.after(10, note, 4, 0.5);
    kernel.run();
    expect(log).toEqual(["10:2,0", "10:4,0.5", "20:1,0", "20:3,0"]);
    expect(kernel.processed).toBe(4);
  });

  it("sends a delay of 0 through the queue, behind what is already due", () => {
    const { kernel, log, note } = logging();
    const first = kernel.register(() => {
      kernel.after(0, note, 2, 0);
      log.push("first");
    });
    kernel.schedule(5, first, 0, 0);
    kernel.schedule(5, note, 1, 0);
    kernel.run();
    expect(log).toEqual(["first", "5:1,0", "5:2,0"]);
  });

  it("puts a rescheduled event last among its new equals, even when its time stays the same", () => {
    const { kernel, log, note } = logging();
    const id = kernel.schedule(5, note, 1, 0);
    kernel.schedule(5, note, 2, 0);
    expect(kernel.reschedule(id, 5)).toBe(true);
    kernel.run();
    expect(log).toEqual(["5:2,0", "5:1,0"]);
  });

  it("leaves an id good after a reschedule and dead after its event, whoever has the slot now", () => {
    const { kernel, log, note } = logging();
    const old = kernel.schedule(5, note, 1, 0);
    kernel.reschedule(old, 7);
    expect(kernel.isPending(old)).toBe(true);
    kernel.run();
    const young = kernel.schedule(9, note, 2, 0);
    expect(young).not.toBe(old);
    expect([kernel.cancel(old), kernel.reschedule(old, 9), kernel.isPending(old)]).toEqual([false, false, false]);
    kernel.run();
    expect(log).toEqual(["7:1,0", "9:2,0"]);
  });

  it("knows an event as no longer pending while that event runs", () => {
    const kernel = createKernel();
    const seen: Array<boolean> = [];
    const handler = kernel.register(() => void seen.push(kernel.isPending(id), kernel.cancel(id)));
    const id = kernel.schedule(1, handler, 0, 0);
    kernel.run();
    expect(seen).toEqual([false, false]);
  });

  it("lets a handler cancel an event of the same time that has not run yet", () => {
    const { kernel, log, note } = logging();
    const canceller = kernel.register(() => void kernel.cancel(doomed));
    kernel.schedule(5, canceller, 0, 0);
    const doomed = kernel.schedule(5, note, 1, 0);
    kernel.run();
    expect(log).toEqual([]);
    expect(kernel.pending).toBe(0);
  });

  it("runs up to and including the given time, one tick before the next, and leaves the clock there", () => {
    const { kernel, log, note } = logging();
    kernel.schedule(10, note, 1, 0);
    kernel.schedule(11, note, 2, 0);
    kernel.run(9);
    expect([kernel.now, log.length]).toEqual([9, 0]);
    kernel.run(10);
    expect([kernel.now, log.length, kernel.pending]).toEqual([10, 1, 1]);
    kernel.run();
    expect([kernel.now, log.length]).toEqual([11, 2]);
  });

  it("stops after the event that says stop, and goes on from there", () => {
    const { kernel, log, note } = logging();
    const stopper = kernel.register(() => kernel.stop());
    kernel.schedule(5, stopper, 0, 0);
    kernel.schedule(5, note, 1, 0);
    kernel.run(100);
    expect([kernel.now, log]).toEqual([5, []]);
    kernel.run();
    expect(log).toEqual(["5:1,0"]);
  });

  it("refuses a time in the past, and any time that is not a whole number, naming it", () => {
    const { kernel, note } = logging();
    kernel.run(10);
    const id = kernel.schedule(20, note, 0, 0);
    expect(() => kernel.schedule(9, note, 0, 0)).toThrow(new Error("time is in the past: 9 ns; now 10 ns"));
    expect(() => kernel.reschedule(id, 9)).toThrow(new Error("time is in the past: 9 ns; now 10 ns"));
    expect(() => kernel.run(9)).toThrow(new Error("time is in the past: 9 ns; now 10 ns"));
    for (const atNs of [NaN, 10.5, Infinity, 2 ** 53]) {
      expect(() => kernel.schedule(atNs, note, 0, 0)).toThrow(new Error(`time must be a whole number of ns up to 2^53 - 1: ${atNs}`));
    }
    expect(kernel.pending).toBe(1);
  });

  it("refuses a delay that is negative, NaN or a fraction, naming it", () => {
    const { kernel, note } = logging();
    for (const delayNs of [-1, NaN, 0.5]) {
      expect(() => kernel.after(delayNs, note, 0, 0)).toThrow(new Error(`delay must be a whole number of ns from 0: ${delayNs}`));
    }
  });

  it("refuses a run inside a run, and can run again after a handler has thrown", () => {
    const { kernel, log, note } = logging();
    const nested = kernel.register(() => kernel.run());
    kernel.schedule(3, nested, 0, 0);
    expect(() => kernel.run()).toThrow(new Error("run called from inside a run: at 3 ns"));
    kernel.schedule(4, note, 1, 0);
    kernel.run();
    expect(log).toEqual(["4:1,0"]);
  });

  it("gives the same log for the same script, twice", () => {
    const play = (delays: ReadonlyArray<number>): string => {
      const { kernel, log, note } = logging();
      const fork = kernel.register((a, b) => {
        kernel.after(delays[a % delays.length], note, a, b);
        if (a < 50) kernel.after(delays[b % delays.length], fork, a + 1, b + 3);
      });
      delays.forEach((delayNs, index) => kernel.after(delayNs, fork, index, delayNs));
      kernel.run();
      return log.join("\n");
    };
    fc.assert(
      fc.property(fc.array(fc.nat(1000), { minLength: 1, maxLength: 20 }), (delays) => {
        expect(play(delays)).toBe(play(delays));
      }),
      { seed: 11, numRuns: 50 },
    );
  });
});
