/**
 * The plans that a search chooses among: a grid of axes, each a decision with its possible values. A point is one index an
 * axis. Pure data: what a point means as a plan is candidates.ts', what it is worth is the simulator's.
 */
import type { CoreKind, DeviceProfile } from "../domain/device.js";
import type { ModelSpec } from "../domain/model.js";
import { GATE_READS, type GateReads, type Plan } from "../domain/plan.js";
import type { Mechanisms, SystemSpec } from "../domain/system.js";

/** Who submits reads, from which core, and how many big cores compute beside it: the two compete for the same few cores. */
export interface Driver { readonly submitters: Mechanisms["submitters"]; readonly ioCore: Plan["compute"]["ioCore"]; readonly big: number }
/** Where a reader has a core of its own, nobody else reads; where there is none, those who compute do. */
export const driverAt = (ioCore: Driver["ioCore"], big: number): Driver => ({ submitters: ioCore === "none" ? "compute-threads" : "io-thread", ioCore, big });
/** How a neuron lies on flash and in memory. */
export interface Layout { readonly loading: Mechanisms["loading"]; readonly scalesResident: Mechanisms["scalesResident"] }

/** Everything that is decided, by axis. */
export interface Choice {
  readonly layout: Layout;
  /** How gate rows that are missing are read, where the true gates decide. */
  readonly gates: GateReads;
  /** What the cold segment evicts. */
  readonly cache: Mechanisms["cache"];
  /** Share of the FFN cache given to the hot segment; where the true gates decide, as far as there are gate rows. */
  readonly hot: number;
  readonly attentionOn: Plan["compute"]["attentionOn"];
  /** Share of a layer's rows computed densely on the NPU at the batch size in question. */
  readonly npuShare: number;
  readonly driver: Driver;
  readonly mid: number;
  readonly little: number;
  readonly clusterNeurons: number;
  readonly depth: number;
  readonly overlap: Mechanisms["overlap"];
  readonly prefetchHot: Mechanisms["prefetchHot"];
  readonly lanes: number;
  readonly streamBlock: number;
  /** Share of the FFN cache that the budget allows which the plan takes: below 1 it leaves memory to others. */
  readonly keep: number;
}
export type Axis = keyof Choice;
export type Space = { readonly [A in Axis]: ReadonlyArray<Choice[A]> };
/** One index an axis. */
export type Point = { readonly [A in Axis]: number };

/** In the order in which a search looks at them: what moves most bytes first. */
export const AXES: ReadonlyArray<Axis> = ["layout", "gates", "cache", "hot", "npuShare", "attentionOn", "driver", "mid", "little", "clusterNeurons", "depth", "overlap", "prefetchHot", "lanes", "streamBlock", "keep"];
/** Axes whose values have an order, so that a search may begin coarse and halve its step. All others are looked at whole. */
export const ORDERED: ReadonlySet<Axis> = new Set<Axis>(["hot", "npuShare", "mid", "little", "clusterNeurons", "depth", "lanes", "streamBlock", "keep"]);

export const coresOf = (device: DeviceProfile, kind: CoreKind): number => device.cpu.clusters.filter((c) => c.kind === kind).reduce((sum, c) => sum + c.count.value, 0);

const upTo = (most: number): ReadonlyArray<number> => Array.from({ length: most + 1 }, (_, i) => i);
/** 0, 1/n, …, 1 without the errors of repeated addition. */
export const shares = (parts: number): ReadonlyArray<number> => upTo(parts).map((i) => i / parts);

const KINDS = ["big", "mid", "little"] as const satisfies ReadonlyArray<CoreKind>;

/** Every reader that the device has, with every number of big cores that it leaves; the reader on a big core takes one of them. */
const driversOf = (device: DeviceProfile): ReadonlyArray<Driver> =>
  [...KINDS.filter((kind) => coresOf(device, kind) > 0), "none" as const].flatMap((ioCore) =>
    upTo(coresOf(device, "big") - (ioCore === "big" ? 1 : 0)).map((big) => driverAt(ioCore, big)));

const CLUSTERS = [128, 256, 512, 1024, 2048, 4096, 8192];
const DEPTHS = [2, 4, 8, 16, 32, 64];

/** What the engine of this repository can be told: threads that compute submit to the system's queue, or hand reads to others that the system places. */
const gatedSpaceOf = (device: DeviceProfile, model: ModelSpec, system: SystemSpec): Space => ({
  layout: (["two-phase", "bundle", "rows", "expert", "stream"] as const).map((loading) => ({ loading, scalesResident: "no" as const })),
  gates: GATE_READS,
  cache: [...new Set<Mechanisms["cache"]>([system.mechanisms.cache, "segmented", "sieve", "lfu", "static-hot"])],
  hot: shares(20),
  npuShare: [0],
  attentionOn: ["cpu"],
  driver: (["compute-threads", "io-thread"] as const).flatMap((submitters) => upTo(coresOf(device, "big")).map((big): Driver => ({ submitters, ioCore: "none", big }))),
  mid: upTo(coresOf(device, "mid")),
  little: upTo(coresOf(device, "little")),
  // The engine's clusters are whole numbers of 256 neurons.
  clusterNeurons: CLUSTERS.filter((n) => n >= 256 && (n <= model.ffn || n === 256)),
  depth: [1, ...DEPTHS],
  overlap: ["cluster", "matrix", "none"],
  prefetchHot: ["off"],
  lanes: [2, 4, 8, 16, 32, 64],
  streamBlock: [512 * 1024],
  keep: shares(20).slice(1),
});

/** The whole space of a device, a model and a system that runs neurons from a segmented cache. */
export const spaceOf = (device: DeviceProfile, model: ModelSpec, system: SystemSpec): Space => {
  if (system.mechanisms.computation === "gated") return gatedSpaceOf(device, model, system);
  const hybrid = system.mechanisms.decodeOn === "cpu+npu" && device.npu !== null;
  return {
    layout: (["yes", "no"] as const).flatMap((scalesResident) => (["two-phase", "bundle"] as const).map((loading) => ({ loading, scalesResident }))),
    gates: ["joined"],
    cache: [system.mechanisms.cache],
    hot: shares(20),
    npuShare: hybrid ? shares(20) : [0],
    attentionOn: hybrid ? ["cpu+npu", "npu", "cpu"] : ["cpu"],
    driver: driversOf(device),
    mid: upTo(coresOf(device, "mid")),
    little: upTo(coresOf(device, "little")),
    clusterNeurons: CLUSTERS.filter((n) => n <= model.ffn),
    depth: DEPTHS,
    overlap: ["cluster", "matrix", "none"],
    // With several experts nothing can be read ahead: the router speaks only after attention.
    prefetchHot: model.experts.count > 1 ? ["off"] : ["under-attention", "off"],
    lanes: [1, 2, 4],
    streamBlock: [128, 256, 512, 1024].map((kib) => kib * 1024),
    keep: shares(20).slice(1),
  };
};

/** Whether the device has the cores: an I/O thread needs one that does not compute, and somebody must compute. */
export const hasCores = (device: DeviceProfile, { driver, mid, little }: Pick<Choice, "driver" | "mid" | "little">): boolean => {
  const threads = { big: driver.big, mid, little };
  return driver.big + mid + little > 0 && KINDS.every((kind) => threads[kind] + (driver.ioCore === kind ? 1 : 0) <= coresOf(device, kind));
};

/** Points of the space that the device has the cores for. */
export const sizeOf = (device: DeviceProfile, space: Space): number => {
  const teams = space.driver.flatMap((driver) => space.mid.flatMap((mid) => space.little.filter((little) => hasCores(device, { driver, mid, little })))).length;
  return AXES.filter((axis) => axis !== "driver" && axis !== "mid" && axis !== "little").reduce((size, axis) => size * space[axis].length, teams);
};

export const choiceAt = (space: Space, point: Point): Choice =>
  Object.fromEntries(AXES.map((axis) => [axis, space[axis][point[axis]]])) as unknown as Choice;

/** The same point everywhere but on one axis. */
export const moved = (point: Point, axis: Axis, index: number): Point => ({ ...point, [axis]: index });

const distance = (a: unknown, b: unknown): number => {
  if (typeof a === "number" && typeof b === "number") return Math.abs(a - b);
  if (typeof a === "object" && a !== null && typeof b === "object" && b !== null)
    return Object.keys(a).reduce((sum, key) => sum + distance((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]), 0);
  return a === b ? 0 : 100;
};

/** The point nearest to a choice that need not lie on the grid, axis by axis. */
export const nearestPoint = (space: Space, choice: Choice): Point =>
  Object.fromEntries(AXES.map((axis) => {
    const values: ReadonlyArray<unknown> = space[axis];
    let best = 0;
    values.forEach((value, i) => {
      if (distance(value, choice[axis]) < distance(values[best], choice[axis])) best = i;
    });
    return [axis, best];
  })) as unknown as Point;

/** Every point, in a fixed order: for a sweep that leaves nothing out. */
export function* everyPoint(space: Space): Generator<Point> {
  const lengths = AXES.map((axis) => space[axis].length);
  const index = AXES.map(() => 0);
  for (;;) {
    yield Object.fromEntries(AXES.map((axis, i) => [axis, index[i]])) as unknown as Point;
    let i = AXES.length - 1;
    while (i >= 0 && ++index[i]! === lengths[i]) index[i--] = 0;
    if (i < 0) return;
  }
}
