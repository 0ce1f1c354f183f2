/** Profiles by name, decoded; a fault names the file and the path in it. */
import { E, RTE, TE, pipe } from "../../sim/base/fp.js";
import { decode, type Codec } from "../../sim/base/decode.js";
import { deviceCodec, type DeviceProfile } from "../../sim/domain/device.js";
import { modelCodec, type ModelSpec } from "../../sim/domain/model.js";
import { planCodec, type Plan } from "../../sim/domain/plan.js";
import { systemCodec, type SystemSpec } from "../../sim/domain/system.js";
import type { Program, ProfileKind } from "../program.js";

const load = <A>(kind: ProfileKind, codec: Codec<A>) => (name: string): Program<A> => (capabilities) =>
  pipe(
    capabilities.readProfile(kind, name),
    TE.chain(({ where, raw }) => TE.fromEither(decode(codec, where)(raw))),
  );

export const loadDevice: (name: string) => Program<DeviceProfile> = load("device", deviceCodec);
export const loadModel: (name: string) => Program<ModelSpec> = load("model", modelCodec);
export const loadSystem: (name: string) => Program<SystemSpec> = load("system", systemCodec);

export const loadPlan = (path: string): Program<Plan> => (capabilities) =>
  pipe(
    capabilities.readJson(path),
    TE.chain(({ where, raw }) => TE.fromEither(decode(planCodec, where)(raw))),
  );

export interface Names { readonly device: ReadonlyArray<string>; readonly model: ReadonlyArray<string>; readonly system: ReadonlyArray<string> }

const namesOf = (kind: ProfileKind): Program<ReadonlyArray<string>> => (capabilities) => capabilities.profileNames(kind);

export const knownNames: Program<Names> = pipe(
  RTE.Do,
  RTE.bind("device", () => namesOf("device")),
  RTE.bind("model", () => namesOf("model")),
  RTE.bind("system", () => namesOf("system")),
);

/** Every profile of the package, by name: what experiments choose from. */
export interface Profiles {
  readonly devices: ReadonlyMap<string, DeviceProfile>;
  readonly models: ReadonlyMap<string, ModelSpec>;
  readonly systems: ReadonlyMap<string, SystemSpec>;
}

const loadEach = <A>(names: ReadonlyArray<string>, one: (name: string) => Program<A>): Program<ReadonlyMap<string, A>> => (capabilities) => async () => {
  const all = new Map<string, A>();
  for (const name of names) {
    const loaded = await one(name)(capabilities)();
    if (E.isLeft(loaded)) return loaded;
    all.set(name, loaded.right);
  }
  return E.right(all);
};

export const loadProfiles: Program<Profiles> = pipe(
  knownNames,
  RTE.chain((names) =>
    pipe(
      RTE.Do,
      RTE.bind("devices", () => loadEach(names.device, loadDevice)),
      RTE.bind("models", () => loadEach(names.model, loadModel)),
      RTE.bind("systems", () => loadEach(names.system, loadSystem)),
    ),
  ),
);
