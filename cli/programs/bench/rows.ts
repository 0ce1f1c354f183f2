/** What was measured as rows with llama-bench's field names. Pure. */
import type { BenchReport, BenchRequest, BenchTestReport } from "../../../engine/index.js";

/** The fields of llama-bench that both programs have and comparisons need; a row has all others beside them. */
export interface Row {
  readonly build_commit: string;
  readonly backends: string;
  readonly model_filename: string;
  readonly model_type: string;
  readonly model_size: number;
  readonly model_n_params: number;
  readonly n_threads: number;
  readonly n_prompt: number;
  readonly n_gen: number;
  readonly avg_ns: number;
  readonly stddev_ns: number;
  readonly avg_ts: number;
  readonly stddev_ts: number;
  readonly samples_ns: ReadonlyArray<number>;
  readonly samples_ts: ReadonlyArray<number>;
  readonly [more: string]: unknown;
}

export const mean = (all: ReadonlyArray<number>): number => all.reduce((sum, one) => sum + one, 0) / all.length;

/** Of a sample, so with n - 1; 0 where there is only one. */
const deviation = (all: ReadonlyArray<number>): number => {
  const centre = mean(all);
  return all.length < 2 ? 0 : Math.sqrt(all.reduce((sum, one) => sum + (one - centre) ** 2, 0) / (all.length - 1));
};

export const median = (all: ReadonlyArray<number>): number => {
  const sorted = [...all].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
};

/** The fields that follow from the repetitions of so many tokens. */
export const statistics = (samples: ReadonlyArray<number>, tokens: number) => {
  const rates = samples.map((ns) => (1e9 * tokens) / ns);
  return { avg_ns: Math.round(mean(samples)), stddev_ns: Math.round(deviation(samples)), avg_ts: mean(rates), stddev_ts: deviation(rates), samples_ns: samples, samples_ts: rates };
};

export const testOf = ({ n_prompt, n_gen }: Pick<Row, "n_prompt" | "n_gen">): string => [...(n_prompt > 0 ? [`pp${n_prompt}`] : []), ...(n_gen > 0 ? [`tg${n_gen}`] : [])].join("+");

const billions = (parameters: number): string => (parameters >= 1e9 ? `${(parameters / 1e9).toFixed(2)}B` : `${(parameters / 1e6).toFixed(2)}M`);

/** Share of look-ups that found what they looked for; null where nothing was looked up. */
const hitShare = (looked: number, missed: number): number | null => (looked === 0 ? null : 1 - missed / looked);

/** Tokens that a pass of prefill takes together (model::BATCH). */
const BATCH = 512;

const beyond = (report: BenchReport, test: BenchTestReport, request: BenchRequest) => {
  const tokens = test.samples.length * (test.prompt + test.generation);
  const { spent } = test;
  return {
    program: "neuronlab",
    memory: report.memory ?? null,
    ffn: report.ffn,
    labels: report.labels,
    hit_rate: hitShare(spent.gateLookUps + spent.lookUps, spent.gateMisses + spent.misses),
    hit_rate_gate: hitShare(spent.gateLookUps, spent.gateMisses),
    hit_rate_up_down: hitShare(spent.lookUps, spent.misses),
    bytes_read_per_token: spent.diskBytes / tokens,
    ffn_ns_per_token: spent.ffnNs / tokens,
    load_ns: report.loadNs,
    reads: report.reads ?? null,
    memory_parts: { fixed: report.fixed, ffn: report.ffnBytes, hot: report.hot, cold: report.cold, phases: report.phases ?? null },
    peak_resident: report.peakResident ?? null,
    setting: { io: request.io, depth: request.depth, cluster: request.cluster, policy: request.policy, granularity: request.granularity, overlap: request.overlap, gates: request.gates, preload: request.preload, predictor: request.predictor, seed: request.seed },
  };
};

/** What of llama-bench's fields has one value only in this engine. */
const CONSTANT = {
  n_batch: BATCH, n_ubatch: BATCH, cpu_mask: "0x0", cpu_strict: false, poll: 0, type_k: "f16", type_v: "f16", n_gpu_layers: 0, n_cpu_moe: 0, split_mode: "none", main_gpu: 0, no_kv_offload: false,
  flash_attn: 0, devices: "none", tensor_split: "0.00", tensor_buft_overrides: "none", lazy_mode: "off", embeddings: false, no_op_offload: 0, no_host: false, fit_target: 0, fit_min_ctx: 0,
} as const;

export const rowsOf = (report: BenchReport, request: BenchRequest, machine: { readonly version: string; readonly cpu: string }): ReadonlyArray<Row> =>
  report.tests.map((test) => ({
    build_commit: `neuronlab ${machine.version}`,
    build_number: 0,
    cpu_info: machine.cpu,
    gpu_info: "",
    backends: report.kernels,
    model_filename: request.model,
    model_type: `${report.architecture} ${billions(report.parameters)} ${report.weights}`,
    model_size: report.weightBytes,
    model_n_params: report.parameters,
    n_threads: report.threads,
    ...CONSTANT,
    load_mode: report.ffn === "from flash" ? "flash" : "none",
    n_prompt: test.prompt,
    n_gen: test.generation,
    n_depth: 0,
    test_time: new Date(test.started).toISOString().replace(/\.\d+Z$/, "Z"),
    ...statistics(test.samples, test.prompt + test.generation),
    ...beyond(report, test, request),
  }));
