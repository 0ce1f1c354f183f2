/** Reads the data folders for tests: every JSON file with its raw and its decoded value. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { decode, parseJson, type Codec } from "../../sim/base/decode.js";
import { describeError } from "../../sim/base/errors.js";
import { E, pipe } from "../../sim/base/fp.js";
import { deviceCodec, type DeviceProfile } from "../../sim/domain/device.js";
import { KINDS, type Kind } from "../../sim/domain/fact.js";
import { modelCodec, type ModelSpec } from "../../sim/domain/model.js";
import { systemCodec, type SystemSpec } from "../../sim/domain/system.js";

const ROOT = new URL("../../", import.meta.url);

export const readText = (path: string): string => readFileSync(fileURLToPath(new URL(path, ROOT)), "utf8");

export const filesIn = (folder: string): ReadonlyArray<string> =>
  readdirSync(fileURLToPath(new URL(folder, ROOT))).filter((file) => file.endsWith(".json")).sort();

export const rawOf = (path: string): unknown => JSON.parse(readText(path));

const load = <A>(codec: Codec<A>) => (path: string): A =>
  pipe(
    parseJson(path, readText(path)),
    E.flatMap(decode(codec, path)),
    E.getOrElse((error): A => {
      throw new Error(describeError(error));
    }),
  );

export const loadDevice: (path: string) => DeviceProfile = load(deviceCodec);
export const loadModel: (path: string) => ModelSpec = load(modelCodec);
export const loadSystem: (path: string) => SystemSpec = load(systemCodec);

/** A fact as the file spells it, with where it stands. */
export interface RawFact {
  readonly path: string;
  readonly value: unknown;
  readonly kind: Kind;
  readonly source: string;
  readonly note: string;
}

/** Every fact below a raw value, in the file's order. */
export const factsOf = (raw: unknown, path = ""): ReadonlyArray<RawFact> => {
  if (typeof raw !== "object" || raw === null) return [];
  const record = raw as Readonly<Record<string, unknown>>;
  if ("value" in record && "kind" in record && "source" in record)
    return [{ path, value: record["value"], kind: record["kind"] as Kind, source: String(record["source"]), note: typeof record["note"] === "string" ? record["note"] : "" }];
  return Object.entries(record).flatMap(([key, value]) => factsOf(value, path === "" ? key : Array.isArray(raw) ? `${path}[${key}]` : `${path}.${key}`));
};

/** Facts by kind. The coordinates of a flash table (its blocks, ranges and lanes) say where a number stands and are not counted. */
export const countByKind = (raw: unknown): Readonly<Record<Kind, number>> => {
  const counts = Object.fromEntries(KINDS.map((kind) => [kind, 0])) as Record<Kind, number>;
  for (const fact of factsOf(raw)) if (!/\]\.(block|range|lanes)$/.test(fact.path)) counts[fact.kind]++;
  return counts;
};
