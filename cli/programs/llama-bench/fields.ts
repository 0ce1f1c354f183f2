/**
 * llama-bench's fields: names, kinds and order, as its own -o csv, json and sql print them. From release 0.5.0; older ones leave some out, and
 * say how the file is read in other words. Pure.
 */
export type Kind = "text" | "whole" | "real" | "switch";

export interface BenchField {
  readonly name: string;
  readonly kind: Kind;
  /** null: every release that has n_depth has it. Otherwise since when, as far as is known, and so it may be absent. */
  readonly since: string | null;
}

const field = (kind: Kind, since: string | null = null) => (name: string): BenchField => ({ name, kind, since });

const text = field("text");
const whole = field("whole");
const onOff = field("switch");

/** In the order of release 0.5.0, which this program writes too. */
export const FIELDS: ReadonlyArray<BenchField> = [
  text("build_commit"), whole("build_number"), text("cpu_info"), text("gpu_info"), text("backends"), text("model_filename"), text("model_type"), whole("model_size"), whole("model_n_params"), whole("n_batch"),
  whole("n_ubatch"), whole("n_threads"), text("cpu_mask"), onOff("cpu_strict"), whole("poll"), text("type_k"), text("type_v"), whole("n_gpu_layers"), field("whole", "the end of 2025")("n_cpu_moe"), text("split_mode"), whole("main_gpu"),
  onOff("no_kv_offload"), whole("flash_attn"), field("text", "the end of 2025")("devices"), text("tensor_split"), text("tensor_buft_overrides"), field("text", "2026, instead of use_mmap")("load_mode"), field("text", "release 0.5.0")("lazy_mode"), onOff("embeddings"),
  onOff("no_op_offload"), field("switch", "the end of 2025")("no_host"), field("whole", "2026")("fit_target"), field("whole", "2026")("fit_min_ctx"), whole("n_prompt"), whole("n_gen"), whole("n_depth"), text("test_time"),
  whole("avg_ns"), whole("stddev_ns"), field("real")("avg_ts"), field("real")("stddev_ts"),
];

/** Fields that release 0.5.0 does not have. */
export const OTHER_RELEASES: ReadonlyArray<BenchField> = [field("switch", "2023 to 2026")("use_mmap"), field("switch", "2026")("use_direct_io"), field("switch", "after release 0.5.0")("repack")];

/** Each repetition, in JSON alone. */
export const SAMPLES = ["samples_ns", "samples_ts"] as const;
