/**
 * The constants that no source gives, all of them: what `calibrate` may move, within which limits, and where each one
 * stands in the profiles. One set serves all figures; none belongs to a figure.
 */
export interface Target {
  /** Profile file without its ending: "devices/oneplus-12". */
  readonly file: string;
  /** Dotted path of the fact; `*` stands for every entry. */
  readonly path: string;
}

export interface Constant {
  readonly id: string;
  readonly what: string;
  /** Unit in which `low`, `high` and the fitted value are written; "" for a ratio. */
  readonly unit: string;
  readonly low: number;
  readonly high: number;
  /** The first target holds the constant; the others keep their ratio to it (a device's other cores, a shared constant on other devices). */
  readonly targets: ReadonlyArray<Target>;
}

const everywhere = (path: string, ...devices: ReadonlyArray<string>): ReadonlyArray<Target> => devices.map((d) => ({ file: `devices/${d}`, path }));
const PAPER = ["oneplus-12", "oneplus-ace-2"];
const PHONES = [...PAPER, "oneplus-13", "oneplus-15r", "galaxy-s24-ultra"];
const SPARSE_MODELS = ["bamboo-7b", "turbosparse-mixtral-47b", "qwen2-7b-sparse", "prosparse-llama-2-7b", "prosparse-llama-2-13b", "mistral-7b"];
const models = (path: string, names: ReadonlyArray<string>): ReadonlyArray<Target> => names.map((m) => ({ file: `models/${m}`, path }));

/** Points of the Ace 2's random grid that follow the OnePlus 12's shape; those after them are held at what UFS 3.1 can carry. */
const BELOW_THE_CAP: ReadonlyArray<Target> = Array.from({ length: 25 }, (_, i) => ({ file: "devices/oneplus-ace-2", path: `flash.random.${i}.rate` }));

export const constants: ReadonlyArray<Constant> = [
  { id: "sparse-core", what: "weights per second through the sparse cluster kernel on one mid core of the OnePlus 12", unit: "GB/s", low: 0.5, high: 12,
    targets: [{ file: "devices/oneplus-12", path: "cpu.clusters.1.sparseBandwidth" }, ...PHONES.flatMap((d) => everywhere("cpu.clusters.*.sparseBandwidth", d))] },
  { id: "second-phase", what: "second 4 KiB of a bundle relative to the first", unit: "", low: 0.05, high: 1.2, targets: everywhere("flash.secondPhaseRatio", ...PHONES) },
  { id: "npu-streamed", what: "NPU speed while weights stream in, relative to resident", unit: "", low: 0.2, high: 1, targets: everywhere("npu.streamedRatio", "oneplus-12", "oneplus-ace-2", "oneplus-13", "galaxy-s24-ultra") },
  { id: "fault-window", what: "CPU side of faulting one read-ahead window in", unit: "us", low: 5, high: 400, targets: everywhere("pageCache.faultCost", ...PHONES) },
  { id: "ported-sparse", what: "sparse kernels added to llama.cpp (LLM in a flash, PowerInfer) relative to PowerInfer-2's", unit: "", low: 0.1, high: 1.2,
    targets: [{ file: "systems/llm-in-a-flash", path: "software.sparseEfficiency" }, { file: "systems/powerinfer", path: "software.sparseEfficiency" }] },
  { id: "blocking-stream", what: "share of the sequential rate reached by engines that do not overlap layer reads", unit: "", low: 0.1, high: 1,
    targets: [{ file: "systems/qnn", path: "software.streamEfficiency" }, { file: "systems/llm-in-a-flash", path: "software.streamEfficiency" }] },
  { id: "active-13b", what: "share of ProSparse-Llama-2-13B's neurons that one token needs", unit: "", low: 0.03, high: 0.5, targets: models("activations.activeShare", ["prosparse-llama-2-13b"]) },
  { id: "active-qwen2", what: "share of sparse Qwen2-7B's neurons that one token needs", unit: "", low: 0.03, high: 0.5, targets: models("activations.activeShare", ["qwen2-7b-sparse"]) },
  { id: "active-mixtral", what: "share of the neurons of TurboSparse-Mixtral-47B's chosen experts that one token needs", unit: "", low: 0.05, high: 0.15, targets: models("activations.activeShare", ["turbosparse-mixtral-47b"]) },
  { id: "active-silu", what: "share of Mistral(SiLU)-7B's neurons that one token needs", unit: "", low: 0.03, high: 0.9, targets: models("activations.activeShare", ["mistral-7b"]) },
  { id: "token-variation", what: "spread of a token's activity (standard deviation of its logarithm)", unit: "", low: 0.01, high: 0.6, targets: models("activations.tokenVariation", [...SPARSE_MODELS, "llama-2-7b", "mixtral-8x7b", "qwen2-7b", "gemma-4-26b-a4b", "gpt-oss-120b"]) },
  { id: "ace2-npu", what: "integer rate of the OnePlus Ace 2's NPU over a prefill", unit: "TOPS", low: 1, high: 15, targets: everywhere("npu.prefillRate", "oneplus-ace-2") },
  { id: "ace2-random", what: "4 KiB random reads of the OnePlus Ace 2 over 128 MB, and with it its whole random grid", unit: "MB/s", low: 100, high: 1500,
    targets: [{ file: "devices/oneplus-ace-2", path: "flash.random.0.rate" }, ...BELOW_THE_CAP, { file: "devices/oneplus-ace-2", path: "cpu.clusters.*.flashRandom4k" }] },
  { id: "npu-power", what: "power of the OnePlus 12's NPU while it works, and with it of the other phones'", unit: "W", low: 0.2, high: 6, targets: everywhere("npu.activePower", "oneplus-12", "oneplus-ace-2", "oneplus-13", "galaxy-s24-ultra") },
];
