/** The profiles and the plan that a declaration names, as far as it can be read: where it is wrong elsewhere, unknown names are told beside that. */
import { PROFILES, type Profile } from "../../../sim/sweep/targets.js";

type Tree = Readonly<Record<string, unknown>>;
const isTree = (raw: unknown): raw is Tree => typeof raw === "object" && raw !== null && !Array.isArray(raw);
const listed = (raw: unknown): ReadonlyArray<unknown> => (Array.isArray(raw) ? (raw as ReadonlyArray<unknown>) : []);
const isName = (raw: unknown): raw is string => typeof raw === "string" && raw.trim() !== "";

/** Axes that stand alone, zipped, sampled or in a design. */
const axesIn = (raw: unknown): ReadonlyArray<Tree> => listed(raw).flatMap((one) => (isTree(one) ? [one, ...axesIn(one["zip"]), ...axesIn(one["axes"])] : []));

export interface Named { readonly profiles: ReadonlyArray<readonly [Profile, string]>; readonly plan: string | null }

/** Points of the engine name files and not profiles. */
export const namedIn = (raw: unknown): Named => {
  if (!isTree(raw) || raw["program"] === "engine") return { profiles: [], plan: null };
  const base = isTree(raw["base"]) ? raw["base"] : {};
  const profiles = PROFILES.flatMap((profile) => {
    const varied = axesIn(raw["axes"]).filter(({ over }) => over === profile || listed(over).includes(profile)).flatMap(({ values }) => listed(values));
    return [...new Set([base[profile], ...varied].filter(isName))].map((name) => [profile, name] as const);
  });
  return { profiles, plan: isName(base["plan"]) ? base["plan"] : null };
};
