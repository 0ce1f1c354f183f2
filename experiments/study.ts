/** What asks for searches: the profiles it may name, and the files that come of it. Whoever runs it brings the simulator. */
import type { Either } from "../sim/base/fp.js";
import type { AppError } from "../sim/base/errors.js";
import type { DeviceProfile } from "../sim/domain/device.js";
import type { ModelSpec } from "../sim/domain/model.js";
import type { SystemSpec } from "../sim/domain/system.js";
import type { Searching } from "../sim/planner/trials.js";
import type { Cell } from "../sim/planner/candidates.js";

export interface Shelf {
  readonly device: (name: string) => Either<AppError, DeviceProfile>;
  readonly model: (name: string) => Either<AppError, ModelSpec>;
  readonly system: (name: string) => Either<AppError, SystemSpec>;
}

export interface StudyFile { readonly path: string; readonly text: string }
export interface Studied { readonly files: ReadonlyArray<StudyFile>; readonly text: string; readonly json: unknown }

/** `log` is told what is being worked at, for people who wait. */
export type Study = (shelf: Shelf, log: (line: string) => void) => Searching<Either<AppError, Studied>>;

export const GIB = 2 ** 30;

/** Plans decode: a prompt of 64 tokens and 128 more, as the paper's decode workload begins. */
export const cellAt = (device: DeviceProfile, model: ModelSpec, system: SystemSpec, bytes: number): Cell => ({
  device, model, system,
  request: { device: device.name, model: model.name, system: system.name, memory: { _tag: "Bytes", bytes }, phase: "decode", prompt: 64, tokens: 128, batch: 1, seed: 1, fidelity: "cluster" },
});

/** Where a phone has no NPU, the system that uses none. */
export const systemFor = (device: DeviceProfile): string => (device.npu === null ? "powerinfer-2-cpu-only" : "powerinfer-2");
