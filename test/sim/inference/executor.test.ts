import { describe, expect, it } from "vitest";
import { E } from "../../../sim/base/fp.js";
import { ACTIVITIES } from "../../../sim/domain/run.js";
import { createShare } from "../../../sim/hardware/share.js";
import { ALL_THREADS, ANY_TIME, Executor, FLASH, HOLDS_LOCK, LENT, NPU, SPARSE } from "../../../sim/inference/executor.js";
import { criticalPath } from "../../../sim/kernel/critical-path.js";
import { createKernel, type Kernel } from "../../../sim/kernel/kernel.js";
import { createRecorder, noCause, type Recorder } from "../../../sim/kernel/recorder.js";

const WHAT = (name: (typeof ACTIVITIES)[number]): number => ACTIVITIES.indexOf(name);

/** A phone of two cores of 4 and 2 bytes/ns, an NPU, one flash, and a bus of 10 bytes/ns. */
const tinyPhone = (): { readonly kernel: Kernel; readonly recorder: Recorder; readonly executor: Executor; readonly moved: (agent: number) => number } => {
  const kernel = createKernel();
  const dram = createShare(kernel, { capacity: 10, agents: [{ name: "cpu", cap: 6 }, { name: "npu", cap: 8 }, { name: "gpu", cap: 5 }, { name: "flash", cap: Infinity }] });
  const names = ["core 0", "core 1", "all", "npu", "gpu", "flash", "flight", "any"];
  const recorder = createRecorder({ lanes: names.map((name, i) => ({ name, capacity: i < 6 ? 1 : 1000 })), whats: [...ACTIVITIES], counters: ["cpu", "npu", "gpu", "flash"], keep: true });
  const executor = new Executor({
    kernel, recorder, dram, reads: null,
    lanes: [[0, 1], [2], [3], [4], [5], [7], []],
    flightLane: 6,
    agents: [0, 0, 1, 2, 3, 0, 3],
    threadRates: [Float64Array.of(4, 2), Float64Array.of(4, 2)],
    dramCounters: [0, 0, 1, 2, 3, 0, 3],
  });
  return { kernel, recorder, executor, moved: (agent) => dram.bytesMoved(agent) };
};

/** Runs the graph and tells when it ended. */
const ending = (phone: ReturnType<typeof tinyPhone>): number => {
  let endNs = -1;
  phone.executor.launch(noCause, () => {
    endNs = phone.kernel.now;
  });
  phone.kernel.run();
  return endNs;
};

/** One tick before the time it has not ended; at the time it has. */
const expectEndsAt = (build: (executor: Executor) => void, atNs: number): void => {
  for (const untilNs of [atNs - 1, atNs]) {
    const phone = tinyPhone();
    build(phone.executor);
    let hasEnded = false;
    phone.executor.launch(noCause, () => {
      hasEnded = true;
    });
    phone.kernel.run(untilNs);
    expect(hasEnded, `at ${untilNs} ns`).toBe(untilNs === atNs);
  }
};

describe("a task", () => {
  it("of fixed length ends then, and not a tick before", () => expectEndsAt((e) => e.fixed(ANY_TIME, WHAT("launch"), 70.2, 0, 0), 71));
  it("that moves bytes takes bytes over its cap, after its own overhead", () => expectEndsAt((e) => e.flow(ALL_THREADS, WHAT("attention"), 500, 5, 33, 0), 133));
  it("is held to its agent's cap: 800 bytes on the NPU at 8 bytes/ns", () => expectEndsAt((e) => e.flow(NPU, WHAT("attention"), 800, 100, 0, 0), 100));
  it("without bytes still takes its overhead", () => expectEndsAt((e) => e.threadWork(WHAT("gate"), SPARSE, 0, 12, 0), 12));
  it("of a throttled phone takes longer in proportion", () =>
    expectEndsAt((e) => {
      e.throttle = 0.5;
      e.threadWork(WHAT("gate"), SPARSE, 400, 0, 0);
    }, 200));
});

describe("servers", () => {
  it("take tasks in order of arrival, the fastest free one first", () => {
    const phone = tinyPhone();
    // 400 bytes: 100 ns on core 0, 200 ns on core 1; the third waits for core 0 and then takes another 100.
    for (let i = 0; i < 3; i++) phone.executor.threadWork(WHAT("gate"), SPARSE, 400, 0, 0);
    expect(ending(phone)).toBe(200);
    expect([...phone.recorder.laneBusyNs].slice(0, 2)).toEqual([200, 200]);
  });

  it("begin nothing while one of them holds the lock, and go on with what they had begun", () => {
    const phone = tinyPhone();
    const cache = WHAT("cache");
    // Core 0 holds the lock for 100 ns; core 1 would be free, and takes what waits when the lock is.
    phone.executor.held(HOLDS_LOCK, cache, 100, 0);
    phone.executor.held(HOLDS_LOCK, cache, 30, 0);
    phone.executor.threadWork(WHAT("gate"), SPARSE, 400, 0, 0);
    expect(ending(phone)).toBe(100 + 30 + 100);
    const other = tinyPhone();
    // 200 bytes take core 0 until 50; core 1 holds the lock until 100, and core 0 does not begin the next before.
    other.executor.threadWork(WHAT("gate"), SPARSE, 200, 0, 0);
    other.executor.held(HOLDS_LOCK, cache, 100, 0);
    other.executor.threadWork(WHAT("gate"), SPARSE, 200, 0, 0);
    expect(ending(other)).toBe(200);
    expect([...other.recorder.laneBusyNs].slice(0, 2)).toEqual([50, 200]);
  });

  it("that found nothing to do have to be woken, but for one that listens while there are reads", () => {
    const gates = (wakeNs: number, reads: boolean, spinNs = 0): readonly [endNs: number, recorder: Recorder, onPath: number] => {
      const phone = tinyPhone();
      const { executor } = phone;
      executor.sleeping(wakeNs, spinNs);
      const together = executor.flow(ALL_THREADS, WHAT("attention"), 50, 5, 0, 0);
      const first = executor.threadWork(WHAT("gate"), SPARSE, 400, 0, 0);
      executor.after(first, together);
      if (reads) executor.fixed(FLASH, WHAT("read gate"), 1000, 0, 0);
      for (let i = 0; i < 2; i++) executor.after(executor.threadWork(WHAT("up+down"), SPARSE, 40, 0, 0), first);
      let [endNs, lastSpan] = [-1, -1];
      executor.launch(noCause, (last) => ([endNs, lastSpan] = [phone.kernel.now, last]));
      phone.kernel.run();
      const path = criticalPath(phone.recorder, lastSpan, 0);
      if (E.isLeft(path)) throw new Error(path.left);
      return [endNs, phone.recorder, path.right.reduce((sum, piece) => sum + piece.endNs - piece.startNs, 0)];
    };
    // After 10 ns together and 100 of core 0, core 0 takes one of the two, 10 ns; core 1 sleeps and would come after 7 for 20 ns.
    expect(gates(0, false)[0]).toBe(10 + 100 + 20);
    expect(gates(7, false)[0]).toBe(10 + 100 + 7 + 20);
    // Waking takes longer than doing both.
    expect(gates(50, false)[0]).toBe(10 + 100 + 20);
    // It spins for 100 ns, and has still been asleep for 10 by then; for 101, and is there.
    expect(gates(7, false, 99)[0]).toBe(10 + 100 + 7 + 20);
    expect(gates(7, false, 101)[0]).toBe(10 + 100 + 20);
    expect([...gates(7, false, 101)[1].laneBusyNs].slice(0, 2)).toEqual([110, 20]);
    // Core 1 listens for the read, and is awake.
    const [, listening] = gates(50, true);
    expect([...listening.laneBusyNs].slice(0, 2)).toEqual([110, 20]);
    const [endNs, , onPath] = gates(7, false);
    expect(onPath).toBe(endNs);
  });

  describe("that share a lock and sleep", () => {
    const gate = (executor: Executor, bytes: number): number => executor.threadWork(WHAT("gate"), SPARSE, bytes, 0, 0);
    const lock = (executor: Executor, ns: number): number => executor.held(HOLDS_LOCK, WHAT("cache"), ns, 0);
    /** When it ended, and how long each core was at work. 40 bytes take core 0 10 ns and core 1 20. */
    const outcome = (wakeNs: number, build: (executor: Executor) => void, spinNs = 0): readonly [endNs: number, core0: number, core1: number] => {
      const phone = tinyPhone();
      phone.executor.sleeping(wakeNs, spinNs);
      build(phone.executor);
      const endNs = ending(phone);
      const [core0, core1] = phone.recorder.laneBusyNs;
      return [endNs, core0!, core1!];
    };
    /** After `first` these become ready, in this order: the edge that was added last comes first. */
    const following = (executor: Executor, first: number, next: ReadonlyArray<number>): void => [...next].reverse().forEach((task) => executor.after(task, first));
    /** 10 ns of all threads together, then 100 of core 0 alone, beside which core 1 has nothing to do. */
    const alone = (executor: Executor): number => {
      const long = gate(executor, 400);
      executor.after(long, executor.flow(ALL_THREADS, WHAT("attention"), 50, 5, 0, 0));
      return long;
    };

    it("all that waited go on when the lock is free", () => {
      expect(outcome(0, (e) => [lock(e, 100), gate(e, 40), gate(e, 40)])).toEqual([120, 110, 20]);
    });

    it("one that was woken waits for the lock too", () => {
      expect(outcome(7, (e) => following(e, alone(e), [lock(e, 50), gate(e, 40)]))).toEqual([170, 160, 0]);
    });

    it("one that was woken for nothing is there when there is something", () => {
      const [endNs, , core1] = outcome(50, (e) => {
        following(e, alone(e), [gate(e, 40), gate(e, 40)]);
        following(e, e.fixed(ANY_TIME, WHAT("launch"), 500, 0, 0), [gate(e, 400), gate(e, 400)]);
      });
      expect([endNs, core1]).toEqual([750, 200]);
    });

    it("all are awake after what they did together", () => {
      const [, , core1] = outcome(50, (e) => {
        const together = e.flow(ALL_THREADS, WHAT("attention"), 50, 5, 0, 0);
        e.after(together, gate(e, 400));
        following(e, together, [gate(e, 40), gate(e, 40)]);
      });
      expect(core1).toBe(20);
    });

    it("what all do together begins when those that sleep are awake", () => {
      const build = (e: Executor): void => e.after(e.flow(ALL_THREADS, WHAT("merge"), 50, 5, 0, 0), alone(e));
      expect(outcome(0, build)[0]).toBe(10 + 100 + 10);
      expect(outcome(50, build)[0]).toBe(10 + 100 + 50 + 10);
    });

    it("what all do together waits for one that is being woken too", () => {
      // Core 1 is woken at 110 and awake at 160; by then core 0 has done both.
      const build = (e: Executor): void => {
        const end = e.flow(ALL_THREADS, WHAT("merge"), 50, 5, 0, 0);
        const both = [gate(e, 40), gate(e, 40)];
        both.forEach((each) => e.after(end, each));
        following(e, alone(e), both);
      };
      expect(outcome(50, build)).toEqual([10 + 100 + 50 + 10, 120, 0]);
    });

    it("no one spins beside a read but who listens for it", () => {
      const build = (reads: boolean) => (e: Executor): void => {
        if (reads) e.fixed(FLASH, WHAT("read gate"), 300, 0, 0);
        const marker = e.fixed(ANY_TIME, WHAT("launch"), 100, 0, 0);
        e.after(marker, e.flow(ALL_THREADS, WHAT("attention"), 50, 5, 0, 0));
        following(e, marker, [gate(e, 40), gate(e, 40)]);
      };
      expect(outcome(50, build(false), 200).slice(1)).toEqual([10, 20]);
      // Both are free after 10: one listens, and makes both; the other would come at 110 + 50.
      expect(outcome(50, build(true), 200).slice(1)).toEqual([20, 0]);
    });

    it("one that listened spins from when there are no reads any more", () => {
      const build = (e: Executor): void => {
        e.fixed(FLASH, WHAT("read gate"), 100, 0, 0);
        following(e, gate(e, 600), [gate(e, 40), gate(e, 40)]);
      };
      // Core 1 listens until 100 and spins until 160 or 140; core 0 is done at 150.
      expect(outcome(50, build, 60)).toEqual([170, 160, 20]);
      expect(outcome(50, build, 40)).toEqual([170, 170, 0]);
    });

    it("one that listened sleeps when there are no reads any more", () => {
      const [endNs, , core1] = outcome(50, (e) => {
        e.fixed(FLASH, WHAT("read gate"), 100, 0, 0);
        following(e, gate(e, 4000), [gate(e, 40), gate(e, 40)]);
      });
      expect([endNs, core1]).toEqual([1020, 0]);
    });

    it("who ends a task takes what follows it awake, through markers without length too", () => {
      expect(outcome(50, (e) => {
        const marker = e.fixed(ANY_TIME, WHAT("merge"), 0, 0, 0);
        e.after(marker, gate(e, 400));
        e.after(lock(e, 10), marker);
      })).toEqual([110, 110, 0]);
    });
  });

  it("do not compute what others make on their cores: it takes them, and a read beside it is exposed", () => {
    const phone = tinyPhone();
    const { executor } = phone;
    executor.fixed(FLASH, WHAT("read gate"), 200, 200, 0);
    for (let i = 0; i < 2; i++) executor.held(LENT, WHAT("cache"), 100, 0);
    // 400 bytes take core 0 100 ns, once it is free.
    executor.threadWork(WHAT("gate"), SPARSE, 400, 0, 0);
    expect(ending(phone)).toBe(200);
    executor.exposure.settle();
    expect([executor.exposure.lentNs, executor.exposure.computingNs, executor.exposure.exposedReadNs]).toEqual([200, 100, 100]);
  });

  it("share the bus: 5 bytes/ns of one core group and 8 of the NPU make 10, not 13", () => {
    const phone = tinyPhone();
    phone.executor.flow(ALL_THREADS, WHAT("attention"), 500, 6, 0, 0);
    phone.executor.flow(NPU, WHAT("attention"), 500, 8, 0, 0);
    expect(ending(phone)).toBe(100);
    expect([phone.moved(0), phone.moved(1)]).toEqual([500, 500]);
    expect([phone.recorder.total("cpu"), phone.recorder.total("npu")]).toEqual([500, 500]);
  });
});

describe("a read", () => {
  it("completes no sooner than its latency after it began, though the device is free before", () => {
    expectEndsAt((e) => e.fixed(FLASH, WHAT("read gate"), 10, 60, 0), 60);
    // Two reads of 10 ns: the second is served from 10 to 20 and is complete at 70.
    expectEndsAt((e) => {
      e.fixed(FLASH, WHAT("read gate"), 10, 60, 0);
      e.fixed(FLASH, WHAT("read gate"), 10, 60, 0);
    }, 70);
  });
  it("longer than its latency ends with its service", () => expectEndsAt((e) => e.fixed(FLASH, WHAT("read gate"), 90, 60, 0), 90));
  it("of a hot flash takes longer", () =>
    expectEndsAt((e) => {
      e.readSlowdown = 1.5;
      e.fixed(FLASH, WHAT("read gate"), 90, 60, 0);
    }, 135));
  it("counts as exposed just while nothing computes", () => {
    const phone = tinyPhone();
    phone.executor.fixed(FLASH, WHAT("read gate"), 90, 0, 0);
    phone.executor.threadWork(WHAT("gate"), SPARSE, 200, 0, 0);
    expect(ending(phone)).toBe(90);
    phone.executor.exposure.settle();
    expect([phone.executor.exposure.computingNs, phone.executor.exposure.exposedReadNs]).toEqual([50, 40]);
  });
});

describe("a graph", () => {
  it("starts a task when the last of its predecessors ends, and names that one as the cause", () => {
    const phone = tinyPhone();
    const quick = phone.executor.fixed(ANY_TIME, WHAT("launch"), 30, 0, 0);
    const slow = phone.executor.fixed(FLASH, WHAT("stream"), 80, 0, 0);
    const last = phone.executor.flow(NPU, WHAT("dense FFN"), 160, 8, 0, 0);
    phone.executor.after(last, quick);
    phone.executor.after(last, slow);
    let lastSpan = -1;
    phone.executor.launch(noCause, (span) => {
      lastSpan = span;
    });
    phone.kernel.run();
    expect(phone.kernel.now).toBe(100);
    const path = criticalPath(phone.recorder, lastSpan, 0);
    expect(path).toMatchObject({ right: [{ what: WHAT("stream"), startNs: 0, endNs: 80 }, { what: WHAT("dense FFN"), startNs: 80, endNs: 100 }] });
  });

  it("names the server's last task as the cause of one that waited for the server", () => {
    const phone = tinyPhone();
    const first = phone.executor.flow(NPU, WHAT("attention"), 800, 8, 0, 0);
    phone.executor.flow(NPU, WHAT("dense FFN"), 800, 8, 0, 0);
    expect(first).toBe(0);
    expect(ending(phone)).toBe(200);
    const second = phone.recorder.spanCount - 1;
    expect(phone.recorder.causeAt(second)).toBe(second - 1);
  });

  it("may be empty, and ends at once with the cause it was given", () => {
    const phone = tinyPhone();
    let ended = -2;
    phone.executor.launch(noCause, (span) => {
      ended = span;
    });
    expect(ended).toBe(noCause);
  });

  it("grows beyond its first room without a difference", () => {
    const phone = tinyPhone();
    const end = phone.executor.fixed(ANY_TIME, WHAT("merge"), 1, 0, 0);
    for (let i = 0; i < 3000; i++) phone.executor.after(end, phone.executor.threadWork(WHAT("gate"), SPARSE, 60, 0, 0));
    // Six bytes/ns together on 180,000 bytes: the cores end within one task of each other.
    const endNs = ending(phone);
    expect(endNs).toBeGreaterThanOrEqual(30_000);
    expect(endNs).toBeLessThanOrEqual(30_000 + 30 + 1);
    expect(phone.executor.waiting).toBe(0);
  });
});
