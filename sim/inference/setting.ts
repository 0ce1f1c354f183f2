/** What the closed form works on: a plan put to a device and a model, its threads together, and the times of its parts. */
import type { DeviceProfile } from "../domain/device.js";
import type { ModelSpec } from "../domain/model.js";
import type { Plan } from "../domain/plan.js";
import type { RunRequest } from "../domain/run.js";
import type { SystemSpec } from "../domain/system.js";
import { threadRatesOf } from "./decode.js";
import type { LayerRates } from "./layer-rates.js";
import type { LayerLaw } from "./sparse-draws.js";

export interface Setting {
  readonly device: DeviceProfile;
  readonly model: ModelSpec;
  readonly system: SystemSpec;
  readonly plan: Plan;
  readonly rates: LayerRates;
  readonly laws: ReadonlyArray<LayerLaw>;
  readonly request: RunRequest;
}

/** Time of one step by part, ns, each part on its own; and bytes. */
export interface Parts {
  readonly attention: number;
  readonly head: number;
  readonly predictor: number;
  readonly sparse: number;
  readonly cache: number;
  readonly denseFfn: number;
  readonly launches: number;
  readonly barriers: number;
  /** Random reads, sequential reads of what a step cannot do without, and reads ahead of need. */
  readonly reads: number;
  readonly stream: number;
  readonly prefetch: number;
  /** Time for which each layer's last clusters may run alone. */
  readonly alone: number;
  readonly dramCpuBytes: number;
  readonly dramNpuBytes: number;
  readonly dramGpuBytes: number;
  readonly flashBytes: number;
  readonly rows: number;
  /** The shortest time for the processors' work of the CPU, and of what goes before any FFN. */
  readonly cpuAtBest: number;
  readonly beforeAtBest: number;
}

/** The same setting with no unit faster than the DRAM that feeds it. */
export const fedByDram = (setting: Setting): Setting => {
  const most = setting.device.dram.sustained.value;
  const { rates } = setting;
  return { ...setting, rates: { ...rates, denseCpu: Math.min(most, rates.denseCpu), sparseCpu: Math.min(most, rates.sparseCpu), denseNpu: Math.min(most, rates.denseNpu), denseGpu: Math.min(most, rates.denseGpu) } };
};

/**
 * What the CPU's threads do together. Cores differ, and differently for dense and for sparse kernels: however the two are
 * dealt out, all cores busy for a time t get between `worst` and `best` times t of the work done, each kernel's work counted
 * in the time that all cores together need for it.
 */
export const threadSums = ({ device, system, plan, rates }: Setting) => {
  const [dense, sparse] = threadRatesOf(device, plan, rates, { dense: system.software.denseEfficiency.value, sparse: system.software.sparseEfficiency.value });
  const sum = (of: Float64Array): number => of.reduce((total, v) => total + v, 0) || 1;
  const denseAll = sum(dense);
  const sparseAll = sum(sparse);
  let best = 0;
  let worst = 0;
  for (let i = 0; i < dense.length; i++) {
    best += Math.max(dense[i] / denseAll, sparse[i] / sparseAll);
    worst += Math.min(dense[i] / denseAll, sparse[i] / sparseAll);
  }
  const most = Math.min(device.cpu.bandwidth.value, device.dram.sustained.value);
  return {
    denseAll, sparseAll, dense: Math.min(most, denseAll), sparse: Math.min(most, sparseAll), best: best || 1, worst: worst || 1,
    slowestDense: Math.min(most, ...dense), slowestSparse: Math.min(most, ...sparse),
    /** Threads as fast as the fastest that do as much together: an overhead on any of them holds back no more than one of these. */
    evenThreads: Math.max(1, sparseAll / Math.max(1e-9, ...sparse)),
  };
};
