/** A cell as a run of the simulator: the same setting, and the recorded routing where there is one. */
import { E, pipe, type Either } from "../../../sim/base/fp.js";
import type { AppError } from "../../../sim/base/errors.js";
import type { DeviceProfile } from "../../../sim/domain/device.js";
import type { ModelSpec } from "../../../sim/domain/model.js";
import type { Mechanisms, SystemSpec } from "../../../sim/domain/system.js";
import type { RunRequest, SimulatedRun } from "../../../sim/domain/run.js";
import type { Replay } from "../../../sim/neurons/routing.js";
import { defaultPlan } from "../../../sim/planner/default-plan.js";
import { WARM_UP, type PhoneCell } from "./cells.js";

export interface Inputs { readonly device: DeviceProfile; readonly model: ModelSpec; readonly system: SystemSpec; readonly request: RunRequest; readonly replay?: Replay }

/** What the runs are predicted with: whole experts, and a mapped file. */
export interface PhoneSystems { readonly streaming: SystemSpec; readonly mapped: SystemSpec }

const MIB = 2 ** 20;

const asRun = ({ model, expertsUsed }: PhoneCell["setting"], models: ReadonlyMap<string, ModelSpec>): ModelSpec => {
  const found = models.get(model)!;
  return { ...found, experts: { ...found.experts, active: expertsUsed } };
};

export const inputsOf = (cell: PhoneCell, device: DeviceProfile, models: ReadonlyMap<string, ModelSpec>, systems: PhoneSystems, seed: number): Either<AppError, Inputs> => {
  const { setting, tokens, route } = cell;
  const model = asRun(setting, models);
  const system = setting.streams ? systems.streaming : systems.mapped;
  const count = tokens.tokens.length - WARM_UP;
  const request: RunRequest = { device: device.name, model: model.name, system: system.name, memory: { _tag: "OffloadFfn", share: 1 }, phase: "decode", prompt: Math.max(1, tokens.promptTokens) + WARM_UP, tokens: count, batch: 1, seed, fidelity: "cluster" };
  // Of a mapped file the system keeps what memory it has: what was available before, since nobody else wanted it.
  if (!setting.streams) return E.right({ device, model, system, request: { ...request, memory: { _tag: "Bytes", bytes: cell.state?.availableBefore ?? device.dram.usable.value } } });
  const mechanisms: Mechanisms = { ...system.mechanisms, overlap: setting.overlaps ? "cluster" : "none", cache: setting.cacheMib > 0 ? "expert-lru" : "none" };
  return pipe(
    defaultPlan(device, model, system, { ...request, mechanisms }),
    E.map((plan): Inputs => {
      const cold = setting.cacheMib * MIB;
      const memory = plan.memory + cold;
      return {
        device, model, system,
        request: { ...request, memory: { _tag: "Bytes", bytes: memory }, plan: { ...plan, memory, cache: { ...plan.cache, hot: 0, cold }, io: { ...plan.io, lanes: setting.lanes } } },
        ...(route === null ? {} : { replay: { routing: route.routing, skip: WARM_UP } }),
      };
    }),
  );
};

/** Of a token, in ms, MiB and shares; the same words for a recorded run and a simulated one. Null where nobody can say. */
export interface PhoneOutcome {
  readonly total: number;
  /** Serial: wall time blocked on reads. Overlapped: busy time of all lanes, added up. */
  readonly io: number;
  /** Wall time in which nothing is computed while a read is under way; of an overlapped run. */
  readonly stall: number | null;
  readonly management: number | null;
  /** What is left of the total. */
  readonly rest: number;
  /** Null where faults bring pages in and nobody counted them. */
  readonly readMib: number | null;
  readonly hitRate: number | null;
  /** The middle token, ms. */
  readonly median: number;
}

const meanOf = <A>(items: ReadonlyArray<A>, of: (item: A) => number): number => items.reduce((sum, item) => sum + of(item), 0) / Math.max(1, items.length);
export const medianOf = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length === 0 ? 0 : sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

/** Bytes that the experts in use of all layers take. */
export const demandMib = (model: ModelSpec, expertsUsed: number): number => ((model.stored?.layers.reduce((sum, layer) => sum + layer.expertBytes, 0) ?? 0) * expertsUsed) / MIB;

export const recordedOutcome = ({ setting, tokens }: PhoneCell, model: ModelSpec): PhoneOutcome => {
  const rows = tokens.tokens.slice(WARM_UP);
  const readMib = meanOf(rows, ({ readBytes }) => readBytes) / MIB;
  return {
    total: meanOf(rows, ({ wallMs }) => wallMs),
    io: meanOf(rows, ({ ioMs }) => ioMs),
    stall: setting.overlaps ? meanOf(rows, ({ stallMs }) => stallMs) : null,
    management: rows[0]!.managementMs === null ? null : meanOf(rows, ({ managementMs }) => managementMs ?? 0),
    rest: meanOf(rows, ({ computeMs }) => computeMs),
    readMib: setting.streams ? readMib : null,
    // The recorded rate counts from the prompt on; over the tokens here the bytes tell it.
    hitRate: setting.cacheMib > 0 ? Math.max(0, 1 - readMib / demandMib(model, setting.expertsUsed)) : null,
    median: medianOf(rows.map(({ wallMs }) => wallMs)),
  };
};

export const simulatedOutcome = ({ setting, tokens }: PhoneCell, run: SimulatedRun, system: SystemSpec): PhoneOutcome => {
  const count = run.inputs.tokens;
  const blocked = (run.exposedIoShare * run.wallNs) / count / 1e6;
  const lanes = (run.lanes.find(({ lane }) => lane === "reading lanes")?.busyNs ?? 0) / count / 1e6;
  const managed = setting.cacheMib > 0 && system.software.cacheUpkeep !== null ? run.bytesReadPerToken / system.software.cacheUpkeep.value / 1e6 : 0;
  const recordsIt = tokens.tokens[0]!.managementMs !== null;
  const total = run.msPerToken.mean;
  const io = setting.streams ? blocked : 0;
  return {
    total, io: setting.overlaps ? lanes : io,
    stall: setting.overlaps ? blocked : null,
    management: recordsIt ? managed : null,
    rest: total - io - (recordsIt ? managed : 0),
    readMib: run.bytesReadPerToken / MIB,
    hitRate: setting.cacheMib > 0 ? run.cacheHitRate : null,
    median: medianOf(run.tokens.map(({ latencyNs }) => latencyNs / 1e6)),
  };
};
