/**
 * A system is a way of running a model: a composition of mechanisms and the constants of its software. One JSON per
 * system in systems/. Nothing else in the simulator knows a system's name: behaviour follows from these fields alone.
 */
import { exactly, nullable, oneOf, optional, text, type TypeOf } from "../base/decode.js";
import { counted, fact } from "./fact.js";

const UNITS = ["cpu", "npu", "gpu", "cpu+npu"] as const;

export const mechanismsCodec = exactly({
  /** Which FFN neurons are computed: all, those the predictor selects, or (gated: lossless) the gate of every neuron of the experts in use, and up and down where it fires. */
  computation: oneOf("dense", "predicted", "gated"),
  decodeOn: oneOf(...UNITS),
  prefillOn: oneOf("cpu", "npu", "gpu"),
  /**
   * How cold weights lie on flash and are read: one read per matrix row, one per gate-up-down bundle, gate first then up+down, or page faults on a mapped file.
   * Gated (the engine's granularities): two-phase by neuron, bundle by cluster, rows by matrix of an expert, expert by expert, stream by layer.
   */
  loading: oneOf("rows", "bundle", "two-phase", "mmap", "stream", "expert"),
  /**
   * What is kept of the FFN: the paper's segmented cache, one neuron-level LRU, the neurons of the last few tokens, a fixed choice of the hottest, the page cache, nothing.
   * Gated: also the further policies of sim/policies/eviction, for the cold segment. Dense, loaded expert by expert: one LRU of whole experts, counted in bytes, or none.
   */
  cache: oneOf("segmented", "neuron-lru", "expert-lru", "window", "static-hot", "page-cache", "none", "clock", "lfu", "s3-fifo", "sieve", "arc"),
  /** Which work may overlap a read. */
  overlap: oneOf("none", "matrix", "cluster"),
  /** Who submits reads in decode: one dedicated I/O thread, or every compute thread for itself. */
  submitters: oneOf("io-thread", "compute-threads"),
  /** Hot clusters that are not resident are read sequentially while attention runs. */
  prefetchHot: oneOf("off", "under-attention"),
  /** In prefill the next layer is read while this one computes. */
  prefillOverlap: oneOf("off", "next-layer"),
  /** FFN scales stay in DRAM so that gate is one 4 KiB page and up+down another. */
  scalesResident: oneOf("yes", "no"),
  /** Whether the system can run with weights on flash at all. */
  offload: oneOf("yes", "no"),
});
export type Mechanisms = TypeOf<typeof mechanismsCodec>;

/** Every weight of the experts in use counts, and each of them is read whole where it is not in memory. */
export const streamsExperts = ({ computation, loading }: Mechanisms): boolean => computation === "dense" && loading === "expert";

export const systemCodec = exactly({
  schema: oneOf("neuronlab/system@1"),
  name: text,
  title: text,
  source: text,
  note: optional(text, ""),
  mechanisms: mechanismsCodec,
  software: exactly({
    /** Share of the device's dense bandwidth that its decode kernels reach. */
    denseEfficiency: fact("ratio", 0.01, 1.2),
    /** Share of the device's sparse-kernel rate that its sparse kernels reach. */
    sparseEfficiency: fact("ratio", 0.01, 1.2),
    /** Share of the device's matrix-product rate in prefill. */
    gemmEfficiency: fact("ratio", 0.01, 1.5),
    /** Which NPU bandwidth its decode graphs get. */
    npuStream: oneOf("bulk", "matvec"),
    /** Share of the flash's sequential rate when it streams whole layers; above 1 where a run's reads lie better than those that the curve was measured with. */
    streamEfficiency: fact("ratio", 0.01, 1.5),
    /** Tokens per forward pass in prefill. */
    prefillChunk: counted(1, 65536),
    runtimeBytes: fact("bytes"),
    /** Loaded bytes that the CPU packs into the neuron cache per second, for systems that keep it compact; null where a read lands in its slot. */
    cacheUpkeep: nullable(fact("bandwidth", 0.01)),
    /** Gated: how fast the system gives a process memory that it uses for the first time, zeroed; slots of the neuron cache are such memory until each was filled once. Null where tokens do not pay for it: all of it is taken before the first (PowerInfer-2 says nothing of it; our engine does so). */
    memorySupply: optional(nullable(fact("bandwidth", 0.01)), null),
    /** Gated: processor time of one small read that compute threads make themselves, and of one that is handed to others (`handing`: of who hands it over; `command`: of the device for one read beside its bytes, more than its curve says), beside what a probed device timed of the read itself. Null where reads cost the reader nothing but waiting. */
    readCost: optional(nullable(exactly({ own: fact("time"), handed: fact("time"), handing: optional(nullable(fact("time")), null), command: optional(nullable(fact("time")), null) })), null),
    /** Of whole experts: from the router's word to the first byte, once a layer: readers that are woken, and a device that is. Null where nobody waits for it. */
    readStart: optional(nullable(fact("time")), null),
    /** Gated: what a layer takes beside its products (norms, rope, quantising of activations), what it takes more where several threads must find each other, a token beside its layers, and how long a thread that waits for others, and for no read, spins before it sleeps. */
    fixedCost: optional(nullable(exactly({ layer: fact("time"), meeting: optional(nullable(fact("time")), null), token: fact("time"), spin: optional(nullable(fact("time")), null) })), null),
    /** Compute threads by cluster kind when the plan does not say; null = the device's best set. */
    threads: nullable(counted(1, 64)),
  }),
});
export type SystemSpec = TypeOf<typeof systemCodec>;
