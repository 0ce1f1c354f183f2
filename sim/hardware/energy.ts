/**
 * Joules by part: a processor's active power over its busy time, DRAM and flash by the byte, and the idle phone over the
 * whole. Busy cores that wait on memory draw their active power too: phone cores do not gate their clocks in so short a wait.
 */
import type { DeviceProfile } from "../domain/device.js";

export interface Activity {
  readonly wallNs: number;
  /** Busy time summed over the cores of each kind. */
  readonly bigNs: number;
  readonly midNs: number;
  readonly littleNs: number;
  readonly npuNs: number;
  readonly gpuNs: number;
  readonly dramBytes: number;
  readonly flashBytes: number;
}

export interface PartEnergy { readonly part: string; readonly joules: number }

export const energyOf = (device: DeviceProfile, activity: Activity): ReadonlyArray<PartEnergy> => {
  const core = (kind: "big" | "mid" | "little"): number => device.cpu.clusters.find((c) => c.kind === kind)?.activePower.value ?? 0;
  const seconds = (ns: number): number => ns * 1e-9;
  return [
    { part: "idle phone", joules: device.power.idle.value * seconds(activity.wallNs) },
    { part: "big cores", joules: core("big") * seconds(activity.bigNs) },
    { part: "mid cores", joules: core("mid") * seconds(activity.midNs) },
    { part: "little cores", joules: core("little") * seconds(activity.littleNs) },
    { part: "NPU", joules: (device.npu?.activePower.value ?? 0) * seconds(activity.npuNs) },
    { part: "GPU", joules: (device.gpu?.activePower.value ?? 0) * seconds(activity.gpuNs) },
    { part: "DRAM", joules: device.dram.energy.value * activity.dramBytes * 1e-9 },
    { part: "flash", joules: device.flash.energy.value * activity.flashBytes * 1e-9 },
  ];
};

export const totalJoules = (parts: ReadonlyArray<PartEnergy>): number => parts.reduce((sum, p) => sum + p.joules, 0);
