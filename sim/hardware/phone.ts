/**
 * Assembles a phone for one run: the DRAM bus with its agents' caps, one recorder lane per core and part, and the rates of
 * the cores chosen by the plan. Every choice is visible here; a part knows nothing of the phone it is in.
 */
import type { DeviceProfile, CoreKind } from "../domain/device.js";
import type { Plan } from "../domain/plan.js";
import { ACTIVITIES } from "../domain/run.js";
import { createKernel, type Kernel } from "../kernel/kernel.js";
import { createRecorder, type Recorder } from "../kernel/recorder.js";
import { createShare, type Share } from "./share.js";

export const AGENT = { cpu: 0, npu: 1, gpu: 2, flash: 3 } as const;

/** Recorder counters. "asked" is counted when work starts, "moved" comes from the bus itself: they must agree. */
export const COUNTERS = ["dram cpu asked", "dram npu asked", "dram gpu asked", "dram cpu moved", "dram npu moved", "dram gpu moved", "flash bytes"] as const;
export const counter = (name: (typeof COUNTERS)[number]): number => COUNTERS.indexOf(name);

export interface Phone {
  readonly kernel: Kernel;
  readonly dram: Share;
  /** Of synchronous readers, bytes/ns together; null where the plan has none. */
  readonly reads: Share | null;
  readonly recorder: Recorder;
  /** Compute threads in order of preference (fastest first), as core kinds. */
  readonly threads: ReadonlyArray<CoreKind>;
  readonly lane: { readonly threads: ReadonlyArray<number>; readonly allThreads: number; readonly npu: number; readonly gpu: number; readonly flash: number; readonly flight: number; readonly anyTime: number; readonly readers: number };
}

/** Core kinds of the plan's compute threads, fastest first. */
export const threadKinds = (plan: Plan): ReadonlyArray<CoreKind> => (["big", "mid", "little"] as const).flatMap((kind) => Array.from({ length: plan.compute.threads[kind] }, () => kind));

const UNLIMITED = 1 << 20;

/** `readsTogether`: bytes/ns that the plan's lanes get together, where they read for themselves; null where they do not. */
export const assemblePhone = (device: DeviceProfile, plan: Plan, keepSpans: boolean, readsTogether: number | null = null): Phone => {
  const kernel = createKernel();
  const dram = createShare(kernel, {
    capacity: device.dram.sustained.value,
    agents: [
      { name: "cpu", cap: device.cpu.bandwidth.value },
      { name: "npu", cap: device.npu === null ? Infinity : Math.max(device.npu.bulkBandwidth.value, device.npu.matvecBandwidth.value) },
      { name: "gpu", cap: device.gpu === null ? Infinity : device.gpu.bandwidth.value },
      { name: "flash", cap: Infinity },
    ],
  });
  const threads = threadKinds(plan);
  const names: Array<{ name: string; capacity: number }> = [];
  const seen: Record<CoreKind, number> = { big: 0, mid: 0, little: 0 };
  for (const kind of threads) names.push({ name: `cpu ${kind} ${seen[kind]++}`, capacity: 1 });
  const first = names.length;
  names.push({ name: "cpu all threads", capacity: 1 }, { name: "npu", capacity: 1 }, { name: "gpu", capacity: 1 }, { name: "flash", capacity: 1 }, { name: "reads in flight", capacity: UNLIMITED }, { name: "launch and merge", capacity: UNLIMITED });
  if (readsTogether !== null) names.push({ name: "reading lanes", capacity: plan.io.lanes });
  return {
    kernel,
    dram,
    reads: readsTogether === null ? null : createShare(kernel, { capacity: readsTogether, agents: [{ name: "lanes", cap: Infinity }] }),
    threads,
    recorder: createRecorder({ lanes: names, whats: [...ACTIVITIES], counters: [...COUNTERS], keep: keepSpans }),
    lane: { threads: threads.map((_, i) => i), allThreads: first, npu: first + 1, gpu: first + 2, flash: first + 3, flight: first + 4, anyTime: first + 5, readers: first + 6 },
  };
};
