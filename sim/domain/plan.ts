/**
 * Everything the scheduler decides. One schema, one decoder: the simulator and the engine read the same file, and what
 * the tuner writes the engine runs.
 */
import { exactly, list, nullable, number, oneOf, optional, text, custom, type TypeOf } from "../base/decode.js";
import { E } from "../base/fp.js";
import { parseQuantity } from "../base/units.js";
import type { ModelSpec } from "./model.js";
import { mechanismsCodec } from "./system.js";

/** A size with a unit; not a fact, because a plan is a decision and not a measurement. */
export const sizeCodec = custom("size", (raw) => {
  const parsed = parseQuantity("bytes", raw);
  return E.isRight(parsed) && parsed.right < 0 ? E.left(`must not be negative: ${String(raw)}`) : parsed;
});

/** From the fewest bytes to the fewest reads. */
export const GATE_READS = ["apart", "joined", "bundles"] as const;
export type GateReads = (typeof GATE_READS)[number];

/** What tells models of one name apart: sizes follow from it, and a plan is made of sizes. */
const modelShapeCodec = exactly({
  layers: number(1, 1000, true),
  hidden: number(32, 65536, true),
  /** Of an expert, or of the FFN where there is one. */
  neurons: number(32, 1 << 20, true),
  /** Of a layer; 1 in a dense model. */
  experts: number(1, 1024, true),
  /** Experts that a token uses. */
  used: number(1, 1024, true),
  vocabulary: number(2, 1 << 22, true),
});
export type ModelShape = TypeOf<typeof modelShapeCodec>;

export const modelShapeOf = ({ layers, hidden, ffn, experts, vocabulary }: ModelSpec): ModelShape => ({ layers, hidden, neurons: ffn, experts: experts.count, used: experts.active, vocabulary });

export const planCodec = exactly({
  schema: oneOf("neuronlab/plan@1"),
  note: optional(text, "-"),
  device: text,
  model: text,
  /** Of that model; null in plans from before it was written, which are held to the name alone. */
  shape: optional(nullable(modelShapeCodec), null),
  system: text,
  /** What the whole process may hold in DRAM. */
  memory: sizeCodec,
  mechanisms: mechanismsCodec,
  compute: exactly({
    threads: exactly({ big: number(0, 64, true), mid: number(0, 64, true), little: number(0, 64, true) }),
    /** The core kind that submits reads; "none" where compute threads read for themselves. */
    ioCore: oneOf("big", "mid", "little", "none"),
    /** Where attention and the other dense non-FFN work of decode runs. */
    attentionOn: oneOf("cpu", "npu", "gpu", "cpu+npu"),
    /** Share of a layer's rows, the hottest, computed densely on the NPU, by batch size: the entry of the largest batch not above the current one holds. */
    npuRows: list(exactly({ batch: number(1, 4096, true), share: number(0, 1) }), 1),
  }),
  /** Cold neurons of one cluster, the unit of CPU work and of I/O. */
  cluster: exactly({ neurons: number(1, 1 << 20, true) }),
  /** Segment sizes. `hot` holds the hottest neurons by cluster, `cold` single neurons by recency. */
  cache: exactly({ fixed: sizeCodec, predictors: sizeCodec, scales: sizeCodec, kv: sizeCodec, runtime: sizeCodec, hot: sizeCodec, cold: sizeCodec }),
  /** Clusters between their first and last stage at once, per layer. */
  pipeline: exactly({ depth: number(1, 4096, true) }),
  io: exactly({
    /** Block of sequential reads. */
    streamBlock: sizeCodec,
    /** Threads that read at once. */
    lanes: number(1, 64, true),
    /** Gated, by neuron: how gate rows that are not in memory are read. Each by itself; in runs, over the up and down that lie between; in runs of whole bundles, from which up and down of what fires are taken. */
    gates: optional(oneOf(...GATE_READS), "joined" as const),
  }),
});
export type Plan = TypeOf<typeof planCodec>;

/** Share of rows on the NPU at a batch size. */
export const npuShareAt = (plan: Plan, batch: number): number => {
  let share = plan.compute.npuRows[0]!.share;
  for (const entry of plan.compute.npuRows) if (entry.batch <= batch) share = entry.share;
  return share;
};

/** What the process holds, by part; the parts sum to what `memory` must cover. */
export const residentBytes = (plan: Plan): number => Object.values(plan.cache).reduce((sum, bytes) => sum + bytes, 0);

/** Whole bytes, rounded down: what fits in the plan's memory still does. */
const sizeText = (bytes: number): string => `${BigInt(Math.floor(bytes))}B`;

/** The plan as its file has it, for the decoder to read again. */
export const encodePlan = ({ schema, note, device, model, shape, ...plan }: Plan): unknown => ({
  schema,
  note,
  device,
  model,
  ...(shape === null ? {} : { shape }),
  ...plan,
  memory: sizeText(plan.memory),
  cache: Object.fromEntries(Object.entries(plan.cache).map(([part, bytes]) => [part, sizeText(bytes)])),
  io: { streamBlock: sizeText(plan.io.streamBlock), lanes: plan.io.lanes, ...(plan.io.gates === "joined" ? {} : { gates: plan.io.gates }) },
});
