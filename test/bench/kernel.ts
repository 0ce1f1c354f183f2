/**
 * How fast the event kernel and the bandwidth share are, against others in one run: rivals take turns, so that a drifting
 * clock hits all alike, and every one must end at the same model time before any figure counts.
 *
 * HOLD model: a fixed number of events is pending, and each schedules its successor after an exponential delay of mean 1000 ns.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createKernel } from "../../sim/kernel/kernel.js";
import { createShare } from "../../sim/hardware/share.js";
import { BareHeap } from "./rivals/bare-heap.js";

const rounds = 7;
const rivalsFolder = fileURLToPath(new URL("../../../test/bench/rivals/", import.meta.url));

interface Timing {
  readonly seconds: number;
  /** The model time at the last event: equal for all who do the same work. */
  readonly clock: number;
}

interface Contestant {
  readonly name: string;
  readonly events: number;
  readonly run: (events: number) => Timing;
}

const delayCount = 65_536;
/** The delays that every rival makes for itself in the same way; the rivals' sources repeat these lines. */
const delaysNs: Float64Array = (() => {
  let state = 12_345;
  return Float64Array.from({ length: delayCount }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(-Math.log((state + 0.5) / 2 ** 32) * 1000 + 0.5);
  });
})();

const timed = (work: () => number): Timing => {
  const beginNs = process.hrtime.bigint();
  const clock = work();
  return { seconds: Number(process.hrtime.bigint() - beginNs) / 1e9, clock };
};

const holdOnKernel = (pending: number, events: number): Timing => {
  const kernel = createKernel();
  let drawn = 0;
  const hold = kernel.register((a, b) => {
    if (kernel.processed === events) kernel.stop();
    kernel.after(delaysNs[drawn++ % delayCount], hold, a, b);
  });
  for (let event = 0; event < pending; event++) kernel.after(delaysNs[drawn++ % delayCount], hold, event, 0);
  return timed(() => {
    kernel.run();
    return kernel.now;
  });
};

const holdOnBareHeap = (pending: number, events: number): Timing => {
  const heap = new BareHeap(pending);
  let drawn = 0;
  for (let event = 0; event < pending; event++) heap.push(delaysNs[drawn++ % delayCount], event);
  return timed(() => {
    for (let event = 0; event < events; event++) {
      heap.pop();
      heap.push(heap.topNs + delaysNs[drawn++ % delayCount], heap.topEvent);
    }
    return heap.topNs;
  });
};

/** Runs a rival that prints its seconds and its last clock. */
const rival = (command: string, args: ReadonlyArray<string>): Timing => {
  const [seconds, clock] = execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim().split(/\s+/).map(Number);
  return { seconds, clock };
};

/** The first of these commands that works, or null with a line to the reader. */
const present = (name: string, package_: string, attempts: ReadonlyArray<() => string>): string | null => {
  for (const attempt of attempts) {
    try {
      return attempt();
    } catch {
      // Not here, or not in working order: the next one may be.
    }
  }
  console.log(`${name} is absent (Debian: apt-get install ${package_}); going on without it`);
  return null;
};

const findSimPy = (): string | null =>
  present(
    "SimPy",
    "python3-simpy3",
    ["/usr/bin/python3", "python3"].map((python) => () => {
      execFileSync(python, ["-c", "import simpy"], { stdio: "ignore" });
      return python;
    }),
  );

const buildNs3 = (folder: string): string | null =>
  present("ns-3", "libns3-dev", [
    () => {
      const program = join(folder, "hold_ns3");
      execFileSync("g++", ["-O2", "-std=c++17", join(rivalsFolder, "hold_ns3.cc"), "-o", program, "-lns3-core"], { stdio: "ignore" });
      return program;
    },
  ]);

const median = (sorted: ReadonlyArray<number>): number => sorted[sorted.length >> 1];

/** Times all in turn, `rounds` times after one round of warming up; prints millions a second and, in a race, the first over each. */
const contest = (title: string, unit: string, isRace: boolean, contestants: ReadonlyArray<Contestant>): void => {
  const rates = contestants.map((): Array<number> => []);
  for (let round = -1; round < rounds; round++) {
    contestants.forEach((contestant, index) => {
      const { seconds } = contestant.run(contestant.events);
      if (round >= 0) rates[index].push(contestant.events / seconds / 1e6);
    });
  }
  for (const rate of rates) rate.sort((x, y) => x - y);
  console.log(`\n${title}   (${unit}, median of ${rounds}, min–max${isRace ? "; last column: ours over theirs" : ""})`);
  contestants.forEach(({ name }, index) => {
    const rate = rates[index];
    const ratio = index === 0 || !isRace ? "" : `${(median(rates[0]) / median(rate)).toFixed(2)} x`;
    console.log(`  ${name.padEnd(34)}${median(rate).toFixed(2).padStart(8)}  ${`${rate[0].toFixed(2)}–${rate[rounds - 1].toFixed(2)}`.padStart(14)}  ${ratio.padStart(9)}`);
  });
};

const benchHold = (pending: number, python: string | null, ns3: string | null): void => {
  const events = 3_000_000;
  const onNs3 = (scheduler: string) => (count: number) => rival(ns3 ?? "", [String(pending), String(count), `ns3::${scheduler}`]);
  const contestants: ReadonlyArray<Contestant> = [
    { name: "neuronlab kernel", events, run: (count) => holdOnKernel(pending, count) },
    { name: "bare binary heap, typed arrays", events, run: (count) => holdOnBareHeap(pending, count) },
    ...(ns3 === null
      ? []
      : [
          { name: "ns-3, PriorityQueueScheduler", events, run: onNs3("PriorityQueueScheduler") },
          { name: "ns-3, MapScheduler (its default)", events, run: onNs3("MapScheduler") },
        ]),
    // SimPy is so much slower that it gets a tenth of the events.
    ...(python === null ? [] : [{ name: "SimPy, timeouts with callbacks", events: events / 10, run: (count: number) => rival(python, [join(rivalsFolder, "hold_simpy.py"), String(pending), String(count)]) }]),
  ];
  for (const { name, events: count, run } of contestants) {
    const expected = holdOnBareHeap(pending, count).clock;
    const { clock } = run(count);
    if (clock !== expected) throw new Error(`${name} ends at ${clock} ns; the bare heap at ${expected} ns`);
  }
  contest(`HOLD, ${pending.toLocaleString("en")} pending`, "million events/s", true, contestants);
};

/** So many flows at all times: whoever finishes starts the next. */
const shareLoop = (flows: number, capacity: number, flowCap: number) => (pairs: number): Timing => {
  const kernel = createKernel();
  const share = createShare(kernel, { capacity, agents: [{ name: "cpu", cap: capacity * 0.75 }, { name: "npu", cap: capacity * 0.95 }] });
  let finished = 0;
  const next = kernel.register((a, b) => {
    if (++finished <= pairs) share.start(a & 1, 2000 + 16 * ((finished * 7919) & 1023), flowCap, next, a, b);
  });
  for (let flow = 0; flow < flows; flow++) share.start(flow & 1, 2000 + 16 * flow, flowCap, next, flow, 0);
  return timed(() => {
    kernel.run();
    return share.bytesMoved(0) + share.bytesMoved(1);
  });
};

export const benchKernel = async (): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "neuronlab-bench-"));
  try {
    const python = findSimPy();
    const ns3 = buildNs3(folder);
    for (const pending of [1000, 100_000]) benchHold(pending, python, ns3);
  } finally {
    rmSync(folder, { recursive: true });
  }
  const events = 1_000_000;
  contest("bandwidth share", "million starts and finishes/s", false, [
    { name: "1 flow, unsaturated", events, run: shareLoop(1, 1000, 10) },
    { name: "4 flows, unsaturated", events, run: shareLoop(4, 1000, 10) },
    { name: "8 flows, unsaturated", events, run: shareLoop(8, 1000, 10) },
    { name: "12 flows, unsaturated", events, run: shareLoop(12, 1000, 10) },
    { name: "2 flows, saturated", events, run: shareLoop(2, 59.6, Infinity) },
    { name: "8 flows, saturated", events, run: shareLoop(8, 59.6, 20) },
    { name: "12 flows, saturated", events, run: shareLoop(12, 59.6, 20) },
  ]);
};
