/**
 * Whether a plan given by hand can run: made for this device, model and system, within the phone's cores and memory, and
 * with room for all that the run must hold. A default plan is right by construction and is not asked.
 */
import { E, pipe, type Either } from "../base/fp.js";
import { badInput, unsupported, type AppError, type Mistake } from "../base/errors.js";
import { showBytes } from "../base/units.js";
import type { CoreKind, DeviceProfile } from "../domain/device.js";
import { sizesOf, type ModelSpec } from "../domain/model.js";
import { residentBytes, type Plan } from "../domain/plan.js";
import type { RunRequest } from "../domain/run.js";
import type { SystemSpec } from "../domain/system.js";
import { threadCount } from "../hardware/kernels.js";
import { strangeMechanisms, unitsMissing } from "./default-plan.js";
import { cachedNeuronBytes, fitMemory, type Fit } from "./fit.js";

/** Sizes in a file are whole bytes. */
const BYTE = 1;
const TOLERANCE = 1e-6;
/** A plan made for a few tokens less still runs. */
const KV_TOLERANCE = 0.05;
const KINDS = ["big", "mid", "little"] as const satisfies ReadonlyArray<CoreKind>;

const coresOf = (device: DeviceProfile, kind: CoreKind): number => device.cpu.clusters.filter((c) => c.kind === kind).reduce((sum, c) => sum + c.count.value, 0);

const mistake = (path: string, message: string): Mistake => ({ path: `plan.${path}`, message });

const strangeNames = (plan: Plan, request: RunRequest): ReadonlyArray<Mistake> =>
  [
    { path: "device", of: plan.device, run: `the run is on ${request.device}`, same: plan.device === request.device },
    { path: "model", of: plan.model, run: `the run is of ${request.model}`, same: plan.model === request.model },
    { path: "system", of: plan.system, run: `the run is with ${request.system}`, same: plan.system === request.system },
  ].filter((name) => !name.same).map((name) => mistake(name.path, `is for ${name.of}, ${name.run}`));

/** What of the run only compute threads can do; null where there is nothing. */
const cpuWork = (plan: Plan, request: RunRequest, offloaded: boolean): string | null => {
  const { mechanisms, compute } = plan;
  if (request.phase === "prefill") return mechanisms.prefillOn === "cpu" ? "prefill runs on the CPU" : null;
  if (mechanisms.decodeOn.startsWith("cpu")) return `decode runs on ${mechanisms.decodeOn}`;
  if (compute.attentionOn.startsWith("cpu")) return `attention runs on ${compute.attentionOn}`;
  if (mechanisms.computation === "predicted") return "the CPU computes the predicted neurons";
  return offloaded && mechanisms.submitters === "compute-threads" ? "compute threads submit the reads" : null;
};

const wrongCores = (device: DeviceProfile, plan: Plan, request: RunRequest, offloaded: boolean): ReadonlyArray<Mistake> => {
  const { threads, ioCore } = plan.compute;
  const work = cpuWork(plan, request, offloaded);
  const reads = plan.mechanisms.submitters === "io-thread" && offloaded;
  const has = (kind: CoreKind): string => `${device.title} has ${coresOf(device, kind)} ${kind} ${coresOf(device, kind) === 1 ? "core" : "cores"}`;
  return [
    ...KINDS.filter((kind) => threads[kind] > coresOf(device, kind)).map((kind) => mistake(`compute.threads.${kind}`, `is ${threads[kind]}, and ${has(kind)}`)),
    ...(threadCount(threads) === 0 && work !== null ? [mistake("compute.threads", `are all 0, and ${work}; give it at least one`)] : []),
    ...(ioCore !== "none" && coresOf(device, ioCore) === 0 ? [mistake("compute.ioCore", `is ${ioCore}, and ${has(ioCore)}; choose one of ${KINDS.filter((kind) => coresOf(device, kind) > 0).join(", ")}, none`)] : []),
    ...(ioCore !== "none" && reads && plan.mechanisms.computation !== "gated" && coresOf(device, ioCore) > 0 && threads[ioCore] + 1 > coresOf(device, ioCore)
      ? [mistake("compute.ioCore", `is ${ioCore}, and no such core is left beside ${threads[ioCore]} compute ${threads[ioCore] === 1 ? "thread" : "threads"}: ${has(ioCore)}; take one thread away, or read on another kind`)]
      : []),
  ];
};

const wrongRows = ({ compute: { npuRows } }: Plan): ReadonlyArray<Mistake> => [
  ...(npuRows[0]!.batch === 1 ? [] : [mistake("compute.npuRows[0].batch", `should be 1, got ${npuRows[0]!.batch}`)]),
  ...npuRows.flatMap((row, i) => (i === 0 || npuRows[i - 1]!.batch < row.batch ? [] : [mistake(`compute.npuRows[${i}].batch`, `should be above ${npuRows[i - 1]!.batch}, the one before it, got ${row.batch}`)])),
];

const wrongSizes = (model: ModelSpec, plan: Plan, ffnAll: number, mostKept: number): ReadonlyArray<Mistake> => {
  const { cache, io, mechanisms } = plan;
  const mapped = mechanisms.cache === "page-cache";
  const most = mapped ? sizesOf(model).nonFfnBytes + ffnAll : Math.max(ffnAll, mostKept);
  return [
    ...(io.streamBlock < 4096 ? [mistake("io.streamBlock", `should be at least 4096B, one page of flash, got ${showBytes(io.streamBlock)}`)] : []),
    ...(cache.hot + cache.cold > most * (1 + TOLERANCE) ? [mistake("cache", `hot and cold are ${showBytes(cache.hot + cache.cold)} together, and ${mapped ? "the whole file takes" : "all FFN weights take"} only ${showBytes(most)}`)] : []),
  ];
};

const cannot = (device: DeviceProfile, model: ModelSpec, system: SystemSpec, request: RunRequest, plan: Plan): AppError | null => {
  const needs = (mechanisms: Plan["mechanisms"]): ReadonlyArray<string> => unitsMissing(device, system, mechanisms, request);
  const missing = new Set([...needs(plan.mechanisms), ...needs({ ...plan.mechanisms, decodeOn: plan.compute.attentionOn }), ...strangeMechanisms(plan.mechanisms, request)]);
  if (missing.size > 0) return unsupported(`${request.system} on ${request.device}`, [...missing].join("; "));
  if (plan.mechanisms.computation === "predicted" && model.predictorParameters === null)
    return unsupported(`${request.system} with ${request.model}`, `${model.title} has no predictors, so its neurons cannot be selected; use a dense system or a sparse model`);
  return null;
};

/** Memory as the plan has it; with everything resident on request, the phone's limit does not count, as in a default plan. */
const memoryFor = (device: DeviceProfile, request: RunRequest, plan: Plan): RunRequest["memory"] => {
  const usable = device.dram.usable.value;
  return request.memory._tag === "All" ? request.memory : { _tag: "Bytes", bytes: plan.memory > usable ? plan.memory : Math.min(plan.memory + BYTE, usable) };
};

const tooSmall = (plan: Plan, fit: Fit): AppError | null => {
  const mapped = plan.mechanisms.cache === "page-cache";
  const small = (["fixed", "predictors", "scales", "kv", "runtime"] as const)
    .map((part) => ({ part: `cache.${part}`, given: plan.cache[part], bytes: mapped && part === "fixed" ? 0 : fit[part], slack: part === "kv" ? KV_TOLERANCE : TOLERANCE }))
    .filter(({ given, bytes, slack }) => given + BYTE < bytes * (1 - slack));
  if (small.length === 0) return null;
  return {
    _tag: "DoesNotFit",
    needed: small.reduce((sum, part) => sum + part.bytes, 0),
    allowed: small.reduce((sum, part) => sum + part.given, 0),
    parts: small.map(({ part, bytes }) => ({ part, bytes })),
    hint: `too small in the plan: ${small.map(({ part, given, bytes }) => `${part} (${showBytes(given)}, needs ${showBytes(bytes)})`).join(", ")}; what they need, largest first:`,
  };
};

const tooMuch = (plan: Plan): AppError | null =>
  residentBytes(plan) <= plan.memory + BYTE
    ? null
    : { _tag: "DoesNotFit", needed: residentBytes(plan), allowed: plan.memory, parts: Object.entries(plan.cache).filter(([, bytes]) => bytes > 0).map(([part, bytes]) => ({ part: `cache.${part}`, bytes })), hint: "the plan's parts take more than its memory; largest first:" };

/**
 * The plan itself, or what is wrong with it: all mistakes of writing at once, then what the phone lacks, then what has no room. `mostKept`: bytes that all FFN
 * weights take in a cache where that can be more than in the file.
 */
export const checkPlan = (device: DeviceProfile, model: ModelSpec, system: SystemSpec, request: RunRequest, plan: Plan, mostKept = 0): Either<AppError, Plan> => {
  const ffnAll = cachedNeuronBytes(model, plan.mechanisms) * sizesOf(model).neurons;
  const offloaded = plan.cache.hot + plan.cache.cold < ffnAll * (1 - TOLERANCE);
  const mistakes = [...strangeNames(plan, request), ...wrongCores(device, plan, request, offloaded), ...wrongRows(plan), ...wrongSizes(model, plan, ffnAll, mostKept)];
  if (mistakes.length > 0) return E.left(badInput("plan", mistakes));
  const lacking = cannot(device, model, system, request, plan);
  if (lacking !== null) return E.left(lacking);
  return pipe(
    fitMemory(device, model, system, plan.mechanisms, { ...request, memory: memoryFor(device, request, plan) }),
    E.chain((fit): Either<AppError, Plan> => {
      const error = tooSmall(plan, fit) ?? tooMuch(plan);
      return error === null ? E.right(plan) : E.left(error);
    }),
  );
};
