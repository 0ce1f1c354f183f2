import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EventQueue } from "../../../sim/kernel/event-queue.js";
import { EventQueueSlow } from "../../../sim/kernel/event-queue-slow.js";
import { shortListRoom } from "../../../sim/kernel/short-list.js";

type Step =
  | { readonly _tag: "push"; readonly delayNs: number }
  | { readonly _tag: "take"; readonly withinNs: number }
  | { readonly _tag: "cancel"; readonly which: number }
  | { readonly _tag: "reschedule"; readonly which: number; readonly delayNs: number };

/** More events than the short list has room for. */
const crowd = shortListRoom + 1;

/** Delays of every size, and many of them equal: the wheel has seven levels, each with its own edges. */
const arbDelayNs = fc.oneof(
  fc.nat(3),
  fc.nat(300),
  fc.nat(70_000),
  fc.nat(2 ** 31 - 1),
  fc.constantFrom(255, 256, 257, 65_535, 65_536, 2 ** 24, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 40, 2 ** 48 - 1, 2 ** 48),
);
const arbStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ _tag: fc.constant("push" as const), delayNs: arbDelayNs }) },
  { weight: 4, arbitrary: fc.record({ _tag: fc.constant("take" as const), withinNs: fc.oneof(fc.constant(Infinity), arbDelayNs) }) },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constant("cancel" as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constant("reschedule" as const), which: fc.nat(), delayNs: arbDelayNs }) },
);

/** What a queue in which a crowd waits for the end of time says to a script, step by step, then what is left in it in order. */
const answers = (make: () => ScriptedQueue, script: ReadonlyArray<Step>, startNs: number, others: number): ReadonlyArray<unknown> => {
  const queue = make();
  for (let event = 0; event < others; event++) queue.push(2 ** 53 - 1, 0, event, 0);
  const ids: Array<number> = [];
  const said: Array<unknown> = [];
  let nowNs = startNs;
  const take = (untilNs: number): boolean => {
    const taken = queue.take(untilNs);
    said.push(taken);
    if (taken !== null) nowNs = taken[0];
    return taken !== null;
  };
  for (const step of script) {
    const id = "which" in step && ids.length > 0 ? ids[step.which % ids.length] : -1;
    if (step._tag === "push") ids.push(queue.push(nowNs + step.delayNs, ids.length % 7, ids.length, -0.5 * ids.length));
    else if (step._tag === "take") take(nowNs + step.withinNs);
    else if (step._tag === "cancel") said.push(queue.cancel(id));
    else said.push(queue.reschedule(id, nowNs + step.delayNs));
    said.push(queue.size(), queue.isPending(id));
  }
  while (take(Infinity));
  said.push(ids.map((id) => queue.isPending(id) || queue.cancel(id)));
  return said;
};

interface ScriptedQueue {
  readonly push: (atNs: number, handler: number, a: number, b: number) => number;
  readonly take: (untilNs: number) => readonly [number, number, number, number] | null;
  readonly cancel: (id: number) => boolean;
  readonly reschedule: (id: number, atNs: number) => boolean;
  readonly isPending: (id: number) => boolean;
  readonly size: () => number;
}

const fast = (): ScriptedQueue => {
  const queue = new EventQueue();
  return {
    push: (atNs, handler, a, b) => queue.push(atNs, handler, a, b),
    take: (untilNs) => {
      const slot = queue.takeFirst(untilNs);
      return slot < 0 ? null : [queue.atNsIn(slot), queue.handlerIn(slot), queue.aIn(slot), queue.bIn(slot)];
    },
    cancel: (id) => queue.cancel(id),
    reschedule: (id, atNs) => queue.reschedule(id, atNs),
    isPending: (id) => queue.isPending(id),
    size: () => queue.size,
  };
};

const slow = (): ScriptedQueue => {
  const queue = new EventQueueSlow();
  return {
    push: (atNs, handler, a, b) => queue.push(atNs, handler, a, b),
    take: (untilNs) => {
      const event = queue.takeFirst(untilNs);
      return event === null ? null : [event.atNs, event.handler, event.a, event.b];
    },
    cancel: (id) => queue.cancel(id),
    reschedule: (id, atNs) => queue.reschedule(id, atNs),
    isPending: (id) => queue.isPending(id),
    size: () => queue.size,
  };
};

describe("the event queue", () => {
  // With a crowd the wheel is at work; with none a script goes from the short list to the wheel and back.
  it.each([0, crowd])("answers every script of pushes, takes, cancels and reschedules as its slow twin does, %i others waiting", (others) => {
    fc.assert(
      fc.property(fc.array(arbStep, { maxLength: 120 }), fc.constantFrom(0, 250, 65_530, 2 ** 32 - 3, 2 ** 50 - 1), (script, startNs) => {
        expect(answers(fast, script, startNs, others)).toEqual(answers(slow, script, startNs, others));
      }),
      { seed: 20260601, numRuns: 1500 },
    );
  });

  it("keeps its order when a handful becomes too many for the short list, and again after it has run empty", () => {
    const queue = new EventQueue();
    for (const startNs of [0, 1000]) {
      const timesNs = Array.from({ length: shortListRoom + 4 }, (_, event) => startNs + 300 - 100 * (event % 3));
      const ids = timesNs.map((atNs, event) => queue.push(atNs, 0, event, 0));
      expect([queue.cancel(ids[0]), queue.reschedule(ids[1], startNs + 300)]).toEqual([true, true]);
      const expected = timesNs.map((atNs, event) => ({ atNs: event === 1 ? startNs + 300 : atNs, event, order: event === 1 ? Infinity : event })).slice(1);
      expected.sort((x, y) => x.atNs - y.atNs || x.order - y.order);
      expect(expected.map(() => queue.aIn(queue.takeFirst(Infinity)))).toEqual(expected.map(({ event }) => event));
      expect(queue.takeFirst(Infinity)).toBe(-1);
    }
  });

  it("answers a script of 3,000 steps, which makes it grow and recycle, as its slow twin does", () => {
    const script = fc.sample(fc.array(arbStep, { minLength: 3000, maxLength: 3000 }), { seed: 7, numRuns: 1 })[0];
    expect(answers(fast, script, 0, 0)).toEqual(answers(slow, script, 0, 0));
  });

  it("keeps 10,000 events of one time in the order in which they came, near or 2^52 ns away", () => {
    for (const atNs of [0, 255, 256, 2 ** 20 + 1, 2 ** 52]) {
      const queue = new EventQueue();
      for (let event = 0; event < 10_000; event++) queue.push(atNs, 0, event, 0);
      for (let event = 0; event < 10_000; event++) expect(queue.aIn(queue.takeFirst(Infinity))).toBe(event);
    }
  });

  it("takes nothing one tick before an event's time and takes it at its time", () => {
    for (const atNs of [1, 255, 256, 65_536, 2 ** 32, 2 ** 53 - 1]) {
      for (const others of [1, crowd]) {
        const queue = new EventQueue();
        queue.push(atNs, 0, 0, 0);
        for (let event = 1; event <= others; event++) queue.push(2 ** 53 - 1, 0, event, 0);
        expect(queue.takeFirst(atNs - 1)).toBe(-1);
        expect(queue.aIn(queue.takeFirst(atNs))).toBe(0);
      }
    }
  });

  it("is not moved by asking in vain: an earlier event can still be added", () => {
    for (const others of [0, crowd]) {
      const queue = new EventQueue();
      queue.push(70_000, 0, 2, 0);
      queue.push(70_300, 0, 3, 0);
      for (let event = 0; event < others; event++) queue.push(2 ** 53 - 1, 0, 4, 0);
      expect(queue.takeFirst(69_999)).toBe(-1);
      queue.push(300, 0, 1, 0);
      expect([1, 2, 3].map(() => queue.aIn(queue.takeFirst(Infinity)))).toEqual([1, 2, 3]);
    }
  });

  it("knows no id that it did not give: not -1, 0, a small number, NaN or a half", () => {
    const queue = new EventQueue();
    const id = queue.push(5, 0, 0, 0);
    for (const stranger of [-1, 0, 1, 63, NaN, Infinity, id + 0.5, id + 1, id + 2 ** 22]) expect(queue.cancel(stranger)).toBe(false);
    expect(queue.isPending(id)).toBe(true);
  });

  it("retires a slot that has used up its generations, so that an old id never means a new event", () => {
    const queue = new EventQueue();
    (queue as unknown as { readonly generation: Int32Array }).generation[0] = 2 ** 31 - 4;
    const last = queue.push(1, 0, 0, 0);
    expect(queue.cancel(last)).toBe(true);
    const next = queue.push(1, 0, 0, 0);
    expect(Number.isSafeInteger(last)).toBe(true);
    expect([last % 2 ** 22, next % 2 ** 22]).toEqual([0, 1]);
    expect([queue.isPending(last), queue.isPending(next)]).toEqual([false, true]);
  });
});
