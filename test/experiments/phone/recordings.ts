/**
 * Small recordings in the form of BigMoeOnEdge's, written here: every number is made up (rows that add up, and nothing else), so that the readers can be
 * tested without the recordings themselves, which lie outside this repository.
 */
import type { RecordedFile } from "../../../experiments/validate/phone/recorded.js";
import type { ModelSpec } from "../../../sim/domain/model.js";
import { storedLayersOf } from "../../../sim/domain/model.js";
import { modelNamed } from "../../arb/runs.js";

export const FIRST = "step,steps,wall_ms,io_ms,compute_ms,read_bytes,cache_hit_pct,stall_ms";
export const HEADED = `${FIRST},mgmt_ms,majflt,cpu_ms,dense_resident_frac,turn,majflt_mib,cache_budget_mib,rss_mib,rss_anon_mib,rss_file_mib,swap_mib,mem_available_mib,mem_free_mib,swap_free_mib`;

const ms = (value: number): string => value.toFixed(3);

export interface MadeUp { readonly tokens?: number; readonly io?: number; readonly compute?: number; readonly stall?: number; readonly management?: number; readonly bytes?: number; readonly faults?: number }

/** The last row is slower by a tenth, so that mean and middle differ. */
const rowsOf = ({ tokens = 40, io = 30, compute = 20, stall = 0, management = 0, bytes = 104857600, faults = 3 }: MadeUp, headed: boolean): { readonly rows: ReadonlyArray<string>; readonly seconds: number; readonly mib: number } => {
  const walls = Array.from({ length: tokens }, (_, i) => (stall > 0 ? compute + stall + management : compute + io) * (i === tokens - 1 ? 1.1 : 1));
  const rows = walls.map((wall, i) => {
    const rest = wall - (stall > 0 ? stall + management : io);
    const first = [i + 1, tokens, ms(wall), ms(io), ms(rest), bytes, stall > 0 ? "41.50" : "-1.00", ms(stall)];
    return [...first, ...(headed ? [ms(management), faults, "100.000", "-1.000", 0, "0.01", "2000.0", "3000.0", "2900.0", "100.0", "10.0", "3000.0", "300.0", "8000.0"] : [])].join();
  });
  return { rows, seconds: walls.reduce((sum, wall) => sum + Number(ms(wall)), 0) / tokens / 1e3, mib: (bytes * tokens) / 2 ** 20 };
};

const summary = (tokens: number, seconds: number, mib: number): string =>
  `# summary tokens=${tokens} s/tok=${seconds.toFixed(3)} tok/s=${(1 / seconds).toFixed(3)} read_MiB=${mib.toFixed(1)} io_s=1.00 compute_s/tok=0.020 io_s/tok=0.030 cache_hit_pct=-1.0 n_prompt=12 load_s=1.000 prefill_s=1.000 prefill_tps=12.00 stall_s/tok=0.000`;

/** Without header lines, as the first runs were recorded. */
export const bare = (path: string, made: MadeUp = {}): RecordedFile => {
  const { rows, seconds, mib } = rowsOf(made, false);
  return { path, text: `${[FIRST, ...rows, summary(rows.length, seconds, mib)].join("\n")}\n` };
};

export interface Set { readonly arch?: string; readonly layers?: number; readonly used?: number; readonly cacheMib?: number; readonly lanes?: number; readonly overlap?: 0 | 1 }

export const headed = (path: string, made: MadeUp = {}, { arch = "gpt-oss", layers = 36, used = 4, cacheMib = 1000, lanes = 4, overlap = 1 }: Set = {}): RecordedFile => {
  const { rows, seconds, mib } = rowsOf({ stall: 15, management: 5, ...made }, true);
  return {
    path,
    text: `${[
      "# bmoe_metrics v1", `# model=made-up.gguf arch=${arch} n_layer=${layers} n_expert=128 n_expert_used=${used} threads=4 n_ctx=2048`,
      `# moe_stream=1 cache_mb=${cacheMib} cache_auto=0 cache_ceil_mb=0 force_cache=0 io_threads=${lanes} o_direct=1 overlap=${overlap} prefetch=0 dense_weights=anon`,
      HEADED, ...rows, summary(rows.length, seconds, mib),
    ].join("\n")}\n`,
  };
};

export const state = (path: string, floorKb = 4_000_000): RecordedFile => ({
  path,
  text: `peak_rss_kb=6000000\nmem_avail_before_kb=6100000\nmem_avail_floor_kb=${floorKb}\nmem_avail_after_kb=6100000\nbatt_temp_before_dC=400\nbatt_temp_max_dC=410\nbatt_temp_after_dC=410\ncpu_temp_before_mC=47000\ncpu_temp_max_mC=63000\n`,
});

/** A routing over the layers of a model, with the residency of a cache that never forgets. */
export const routes = (path: string, arch: string, name: string, used: number, tokens: number, shape: (model: ModelSpec) => ModelSpec = (model) => model): RecordedFile => {
  const model = shape(modelNamed(name));
  const stored = storedLayersOf(model);
  const seen = stored.map(() => new Set<number>());
  const rows = Array.from({ length: tokens }, (_, token) =>
    stored.flatMap(({ expertBytes }, layer) => {
      const before = new Set(seen[layer]);
      return Array.from({ length: used }, (_s, slot) => {
        const expert = (token * (slot + 1) + layer + 40 * slot) % 128;
        seen[layer]!.add(expert);
        return `0,1,${7 + token},${layer},${slot},${expert},0.5,${before.has(expert) ? 1 : 0},${before.has(expert) ? 0 : expertBytes}`;
      });
    })).flat();
  return {
    path,
    text: `${[
      "# route_trace v1", `# model=made-up.gguf arch=${arch} n_layer=${model.layers} n_expert=128 n_expert_used=${used}`,
      ...stored.map(({ expertBytes, denseBytes }, layer) => `# layer=${layer} expert_bytes=${expertBytes} dense_bytes=${denseBytes}`),
      "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes", ...rows,
    ].join("\n")}\n`,
  };
};

/** The same file with one line changed. */
export const altered = (file: RecordedFile, line: number, change: (text: string) => string | null): RecordedFile => {
  const lines = file.text.split("\n");
  const changed = change(lines[line - 1]!);
  return { ...file, text: (changed === null ? lines.filter((_, i) => i !== line - 1) : lines.map((text, i) => (i === line - 1 ? changed : text))).join("\n") };
};
