/**
 * From a point to what its run needs: profiles, edited and decoded, and a request, with a plan where the point says something about plans. The
 * seed is left to whoever counts repetitions.
 */
import { E, pipe, type Either } from "../base/fp.js";
import { canonical } from "../base/canonical.js";
import { decode, type Codec } from "../base/decode.js";
import { together, unsupported, type AppError, type Mistake } from "../base/errors.js";
import { deviceCodec, type DeviceProfile } from "../domain/device.js";
import { modelCodec, type ModelSpec } from "../domain/model.js";
import type { Plan } from "../domain/plan.js";
import type { Fidelity, MemoryRequest, Phase, RunRequest } from "../domain/run.js";
import { systemCodec, type Mechanisms, type SystemSpec } from "../domain/system.js";
import { choiceOf, planAt } from "../planner/candidates.js";
import { defaultPlan } from "../planner/default-plan.js";
import { driverAt, type Choice } from "../planner/space.js";
import type { Axis } from "./axis.js";
import type { Coordinates } from "./constraint.js";
import { allAxes, type Declaration } from "./declaration.js";
import { edited, kindsAt, type Edit } from "./document.js";
import { PROFILES, decodeMemory, decodeOffload, decodePlanField, decodeRequestField, type PlanField, type Profile, type Target } from "./targets.js";
import type { Value } from "./values.js";

/** Documents as their files have them. */
export interface Shelf {
  readonly document: (profile: Profile, name: string) => unknown;
  /** What `base.plan` names. */
  readonly plan: Plan | null;
}

export interface Resolved { readonly device: DeviceProfile; readonly model: ModelSpec; readonly system: SystemSpec; readonly request: RunRequest }

/** The profiles that the points of a sweep name. */
export const namesOf = (declaration: Declaration, plan: Plan | null): Readonly<Record<Profile, ReadonlyArray<string>>> => {
  const named = (profile: Profile): ReadonlyArray<string> => {
    const axis = allAxes(declaration).find(({ over }) => over.some(({ target }) => target._tag === "Name" && target.profile === profile));
    return axis === undefined ? [plan?.[profile] ?? declaration.base[profile]] : axis.spread._tag === "Listed" ? axis.spread.values.map(String) : [];
  };
  return { device: named("device"), model: named("model"), system: named("system") };
};

const weak: ReadonlySet<string | null> = new Set(["calibrated", "estimated"]);

/** What is wrong with numbers that are to be moved: not there, or known too well to be moved without saying what is asked. */
export const doubtfulFacts = (declaration: Declaration, shelf: Shelf): ReadonlyArray<Mistake> => {
  const names = namesOf(declaration, shelf.plan);
  const told = allAxes(declaration).flatMap((axis) => axis.over.flatMap(({ word, target }) => (target._tag === "Fact" ? names[target.profile].flatMap((name) => doubtOf(axis, word, target, name, shelf)) : [])));
  return [...new Map(told.map((mistake) => [canonical(mistake), mistake])).values()];
};

const doubtOf = (axis: Axis, word: string, { profile, path }: Extract<Target, { readonly _tag: "Fact" }>, name: string, shelf: Shelf): ReadonlyArray<Mistake> => {
  const kinds = kindsAt(shelf.document(profile, name), path);
  if (E.isLeft(kinds)) return [{ path: `axes: ${word}`, message: `${name}: ${kinds.left}` }];
  const firm = kinds.right.filter((kind) => !weak.has(kind));
  const called = [...new Set(firm.map((kind) => kind ?? "no fact with a kind"))].join(" and ");
  return firm.length === 0 || axis.whatIf !== null ? [] : [{ path: `axes: ${word}`, message: `${name}: is ${called}, and only calibrated and estimated facts are varied without more ado; add whatIf with what is asked, such as "a phone with UFS 5"` }];
};

interface Draft {
  readonly names: Record<Profile, string>;
  readonly edits: Record<Profile, Array<Edit>>;
  readonly request: { memory: MemoryRequest | null; phase: Phase; prompt: number | null; tokens: number | null; batch: number; fidelity: Fidelity; seed: number | null };
  readonly mechanisms: Record<string, unknown>;
  readonly plan: Array<readonly [PlanField, number | string]>;
}

/** Values were looked at when the declaration was read. */
const sure = <A>(read: Either<string, A>): A => (E.isRight(read) ? read.right : (undefined as A));

const move = (draft: Draft, target: Target, as: Axis["as"], value: Value): void => {
  switch (target._tag) {
    case "Name":
      draft.names[target.profile] = String(value);
      return;
    case "Memory":
      draft.request.memory = sure(decodeMemory(value));
      return;
    case "Offload":
      draft.request.memory = sure(decodeOffload(value));
      return;
    case "Request":
      Object.assign(draft.request, { [target.field]: sure(decodeRequestField(target.field, value)) });
      return;
    case "Mechanism":
      draft.mechanisms[target.name] = value;
      return;
    case "Plan":
      draft.plan.push([target.field, sure(decodePlanField(target.field, value))]);
      return;
    case "Fact":
      draft.edits[target.profile].push({ path: target.path, as, value });
      return;
    case "Engine":
      // Points of the engine have no profiles and no request.
  }
};

const draftOf = (declaration: Declaration, plan: Plan | null, at: Coordinates): Draft => {
  const { base } = declaration;
  const named = (profile: Profile): string => plan?.[profile] ?? base[profile];
  const draft: Draft = {
    names: { device: named("device"), model: named("model"), system: named("system") },
    edits: { device: [], model: [], system: [] },
    request: { memory: base.memory ?? base.offload, phase: base.phase, prompt: base.prompt, tokens: base.tokens, batch: base.batch, fidelity: base.fidelity, seed: null },
    mechanisms: { ...base.mechanisms },
    plan: [],
  };
  for (const axis of allAxes(declaration)) for (const { target } of axis.over) move(draft, target, axis.as, at[axis.name]!);
  return draft;
};

/** Plan fields that say how memory is divided: they need a cache that is divided so. */
const OF_MEMORY: ReadonlySet<PlanField> = new Set<PlanField>(["cluster.neurons", "pipeline.depth", "hotShare", "keep"]);

const choiceWith = (choice: Choice, fields: Draft["plan"]): Choice => {
  const of = (field: PlanField): number | string | undefined => fields.find(([name]) => name === field)?.[1];
  const either = <A>(field: PlanField, otherwise: A): A => (of(field) as A | undefined) ?? otherwise;
  const driver = driverAt(either("compute.ioCore", choice.driver.ioCore), either("compute.threads.big", choice.driver.big));
  return {
    ...choice,
    hot: either("hotShare", choice.hot), npuShare: either("npuShare", choice.npuShare), attentionOn: either("compute.attentionOn", choice.attentionOn),
    driver: of("compute.ioCore") === undefined ? { ...driver, submitters: choice.driver.submitters } : driver,
    mid: either("compute.threads.mid", choice.mid), little: either("compute.threads.little", choice.little),
    clusterNeurons: either("cluster.neurons", choice.clusterNeurons), depth: either("pipeline.depth", choice.depth),
    lanes: either("io.lanes", choice.lanes), streamBlock: either("io.streamBlock", choice.streamBlock), keep: either("keep", choice.keep),
  };
};

const SWEPT = "by a sweep";

/** The plan of a system without a segmented cache keeps its memory as it is. */
const besideMemory = (plan: Plan, fields: Draft["plan"], batch: number): Plan => {
  const choice = choiceWith(choiceOf(plan, batch), fields);
  const rows = fields.some(([name]) => name === "npuShare") ? (batch === 1 ? [{ batch: 1, share: choice.npuShare }] : [{ batch: 1, share: choice.npuShare }, { batch, share: choice.npuShare }]) : plan.compute.npuRows;
  return {
    ...plan, note: SWEPT,
    mechanisms: { ...plan.mechanisms, submitters: choice.driver.submitters },
    compute: { threads: { big: choice.driver.big, mid: choice.mid, little: choice.little }, ioCore: choice.driver.ioCore, attentionOn: choice.attentionOn, npuRows: rows },
    io: { ...plan.io, streamBlock: choice.streamBlock, lanes: choice.lanes },
  };
};

/** The plan that a point asks for: the system's own or the given one, with the point's decisions in the place of its. */
const planned = (run: Resolved, fields: Draft["plan"], given: Plan | null): Either<AppError, Resolved> =>
  pipe(
    given === null ? defaultPlan(run.device, run.model, run.system, run.request) : E.right(given),
    E.chain((plan): Either<AppError, Plan> => {
      const system: SystemSpec = { ...run.system, mechanisms: plan.mechanisms };
      if (plan.mechanisms.cache === "segmented" && run.request.phase === "decode") return pipe(planAt({ ...run, system }, choiceWith(choiceOf(plan, run.request.batch), fields)), E.map((made) => ({ ...made, note: SWEPT })));
      const divided = fields.find(([name]) => OF_MEMORY.has(name));
      return divided === undefined ? E.right(besideMemory(plan, fields, run.request.batch)) : E.left(unsupported(`plan.${divided[0]}`, `divides a segmented cache in decode; this run has cache ${plan.mechanisms.cache} in ${run.request.phase}`));
    }),
    E.map((plan) => ({ ...run, request: { ...run.request, memory: { _tag: "Bytes", bytes: plan.memory }, plan } })),
  );

/** `resolved` is a function of the point alone; documents that points share are decoded once. */
export const resolver = (declaration: Declaration, shelf: Shelf) => {
  const decoded = new Map<string, Either<AppError, unknown>>();
  const profileOf = <A>(draft: Draft, profile: Profile, codec: Codec<A>): Either<AppError, A> => {
    const [name, edits] = [draft.names[profile], draft.edits[profile]];
    const key = canonical([profile, name, edits]);
    const before = decoded.get(key);
    if (before !== undefined) return before as Either<AppError, A>;
    const where = edits.length === 0 ? name : `${name} with ${edits.map(({ path, as, value }) => `${path} ${as === "factor" ? "×" : "="} ${value}`).join(", ")}`;
    const read = decode(codec, where)(edited(shelf.document(profile, name), edits));
    decoded.set(key, read);
    return read;
  };
  return (at: Coordinates): Either<AppError, Resolved> => {
    const draft = draftOf(declaration, shelf.plan, at);
    const [device, model, system] = [profileOf(draft, "device", deviceCodec), profileOf(draft, "model", modelCodec), profileOf(draft, "system", systemCodec)];
    if (E.isLeft(device) || E.isLeft(model) || E.isLeft(system)) return E.left([device, model, system].flatMap((one) => (E.isLeft(one) ? [one.left] : [])).reduce(together));
    const { request, mechanisms } = draft;
    const memory: MemoryRequest = request.memory ?? { _tag: "Bytes", bytes: shelf.plan?.memory ?? device.right.dram.usable.value };
    const run: Resolved = {
      device: device.right, model: model.right, system: system.right,
      request: {
        device: device.right.name, model: model.right.name, system: system.right.name, memory,
        phase: request.phase, prompt: request.prompt ?? (request.phase === "prefill" ? 512 : 64), tokens: request.tokens ?? (request.phase === "prefill" ? 1 : 128), batch: request.batch, fidelity: request.fidelity,
        seed: request.seed ?? 0,
        ...(Object.keys(mechanisms).length === 0 ? {} : { mechanisms: mechanisms as Partial<Mechanisms> }),
      },
    };
    const given = shelf.plan === null ? null : { ...shelf.plan, mechanisms: { ...shelf.plan.mechanisms, ...(mechanisms as Partial<Mechanisms>) } };
    if (draft.plan.length === 0) return E.right(given === null ? run : { ...run, request: { ...run.request, plan: given } });
    return planned(run, draft.plan, given);
  };
};

/** The same as documents: what was read, and what the point changes in it. */
export const writtenAt = (declaration: Declaration, shelf: Shelf) => (at: Coordinates): Readonly<Record<Profile, { readonly document: unknown; readonly edits: ReadonlyArray<Edit> }>> => {
  const { names, edits } = draftOf(declaration, shelf.plan, at);
  const of = (profile: Profile): { readonly document: unknown; readonly edits: ReadonlyArray<Edit> } => ({ document: shelf.document(profile, names[profile]), edits: edits[profile] });
  return { device: of("device"), model: of("model"), system: of("system") };
};

/** A sweep names profiles that must be there before anything runs. */
export const wantedProfiles = (declaration: Declaration, plan: Plan | null): ReadonlyArray<readonly [Profile, string]> => {
  const names = namesOf(declaration, plan);
  return PROFILES.flatMap((profile) => [...new Set(names[profile])].map((name) => [profile, name] as const));
};

