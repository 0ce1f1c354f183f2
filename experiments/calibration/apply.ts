/** Puts values of the constants into raw profiles; every target keeps its ratio to the first. */
import { parseQuantity, type Dimension } from "../../sim/base/units.js";
import { E } from "../../sim/base/fp.js";
import type { Constant } from "./constants.js";
import { expandPath, valueAt, withValueAt } from "./profile-json.js";

/** Raw profile JSON by file ("devices/oneplus-12"). */
export type RawProfiles = ReadonlyMap<string, unknown>;

const DIMENSION: Readonly<Record<string, Dimension>> = { "GB/s": "bandwidth", "MB/s": "bandwidth", ns: "time", us: "time", "": "ratio", TOPS: "rate", GOPS: "rate", W: "power" };

/** A quantity as written in a profile, in the given unit. */
const read = (raw: unknown, unit: string): number => {
  const dimension = DIMENSION[unit]!;
  const parsed = parseQuantity(dimension, raw);
  const one = parseQuantity(dimension, unit === "" ? 1 : `1${unit}`);
  return E.isRight(parsed) && E.isRight(one) ? parsed.right / one.right : NaN;
};

/** Four significant digits: finer than any of these is known. */
const round = (value: number): number => Number(value.toPrecision(4));

const write = (value: number, unit: string): string | number => (unit === "" ? round(value) : `${round(value)}${unit}`);

/** The constant's value in the profiles as they stand. */
export const currentValue = (profiles: RawProfiles, constant: Constant): number => {
  const target = constant.targets[0]!;
  return read(valueAt(profiles.get(target.file), `${target.path}.value`), constant.unit);
};

/** Facts beside a constant's own that move with it say so in their notes, so that their arithmetic is not taken for today's. */
export const withFollowersNoted = (profiles: RawProfiles, constants: ReadonlyArray<Constant>): RawProfiles => {
  const changed = new Map(profiles);
  for (const constant of constants) {
    const mark = `moves with the constant ${constant.id} of \`neuronlab calibrate\``;
    for (const target of constant.targets) {
      if (!changed.has(target.file)) continue;
      for (const path of expandPath(changed.get(target.file), target.path)) {
        const fact = valueAt(changed.get(target.file), path) as { readonly note?: string; readonly kind: string } | undefined;
        if (fact === undefined || fact.kind === "calibrated" || (fact.note ?? "").includes(mark)) continue;
        changed.set(target.file, withValueAt(changed.get(target.file), `${path}.note`, fact.note === undefined ? mark : `${fact.note}; ${mark}`));
      }
    }
  }
  return changed;
};

export const applyConstants = (profiles: RawProfiles, constants: ReadonlyArray<Constant>, values: ArrayLike<number>): RawProfiles => {
  const changed = new Map(profiles);
  constants.forEach((constant, i) => {
    const ratio = values[i]! / currentValue(profiles, constant);
    if (ratio === 1) return;
    const done = new Set<string>();
    for (const target of constant.targets) {
      const root = changed.get(target.file);
      if (root === undefined) continue;
      for (const path of expandPath(root, target.path)) {
        const key = `${target.file}:${path}`;
        const fact = valueAt(profiles.get(target.file), path);
        if (done.has(key) || fact === undefined) continue;
        done.add(key);
        const unit = constant.unit;
        const before = read((fact as { value: unknown }).value, unit);
        changed.set(target.file, withValueAt(changed.get(target.file), `${path}.value`, write(before * ratio, unit)));
      }
    }
  });
  return changed;
};
