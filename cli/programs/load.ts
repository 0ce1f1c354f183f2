/** Profiles by name, decoded; a fault names the file and the path in it, and faults of several files are told together. */
import { RTE, TE, pipe } from "../../sim/base/fp.js";
import { decode, type Codec } from "../../sim/base/decode.js";
import { deviceCodec, type DeviceProfile } from "../../sim/domain/device.js";
import { modelCodec, type ModelSpec } from "../../sim/domain/model.js";
import { planCodec, type Plan } from "../../sim/domain/plan.js";
import { systemCodec, type SystemSpec } from "../../sim/domain/system.js";
import { THIS_HOST, gather, gatherEach, type Program, type ProfileKind } from "../program.js";

const load = <A>(kind: ProfileKind, codec: Codec<A>) => (name: string): Program<A> => (capabilities) =>
  pipe(
    capabilities.readProfile(kind, name),
    TE.chain(({ where, raw }) => TE.fromEither(decode(codec, where)(raw))),
  );

export const loadDevice: (name: string) => Program<DeviceProfile> = load("device", deviceCodec);
export const loadModel: (name: string) => Program<ModelSpec> = load("model", modelCodec);
export const loadSystem: (name: string) => Program<SystemSpec> = load("system", systemCodec);

/** For a kind that is only known when the program runs. */
export const checkProfile = (kind: ProfileKind): ((name: string) => Program<unknown>) => ({ device: loadDevice, model: loadModel, system: loadSystem })[kind];

export const loadPlan = (path: string): Program<Plan> => (capabilities) =>
  pipe(
    capabilities.readJson(path),
    TE.chain(({ where, raw }) => TE.fromEither(decode(planCodec, where)(raw))),
  );

export interface Names { readonly device: ReadonlyArray<string>; readonly model: ReadonlyArray<string>; readonly system: ReadonlyArray<string> }

const namesOf = (kind: ProfileKind): Program<ReadonlyArray<string>> => (capabilities) => capabilities.profileNames(kind);

/** This machine may be named before it was probed: reading its profile says what to do. */
const devicesAndThis: Program<ReadonlyArray<string>> = pipe(namesOf("device"), RTE.map((names) => (names.includes(THIS_HOST) ? names : [...names, THIS_HOST])));

export const knownNames: Program<Names> = gather({ device: devicesAndThis, model: namesOf("model"), system: namesOf("system") });

/** Every profile of the package, by name: what experiments choose from. */
export interface Profiles {
  readonly devices: ReadonlyMap<string, DeviceProfile>;
  readonly models: ReadonlyMap<string, ModelSpec>;
  readonly systems: ReadonlyMap<string, SystemSpec>;
}

const loadEach = <A>(names: ReadonlyArray<string>, one: (name: string) => Program<A>): Program<ReadonlyMap<string, A>> =>
  pipe(
    names,
    gatherEach((name: string) => pipe(one(name), RTE.map((loaded) => [name, loaded] as const))),
    RTE.map((all) => new Map(all)),
  );

export const loadProfiles: Program<Profiles> = pipe(
  knownNames,
  // Experiments are about phones: a machine's own profile is no part of the package.
  RTE.chain((names) => gather({ devices: loadEach(names.device.filter((name) => name !== THIS_HOST), loadDevice), models: loadEach(names.model, loadModel), systems: loadEach(names.system, loadSystem) })),
);
