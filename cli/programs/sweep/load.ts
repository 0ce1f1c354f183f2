/** A declaration and all that it names: the file decoded, profiles and plan read, and every mistake in them told at once. */
import { E, RTE, TE, pipe } from "../../../sim/base/fp.js";
import { canonical } from "../../../sim/base/canonical.js";
import { decode } from "../../../sim/base/decode.js";
import { badInput, together, type Mistake } from "../../../sim/base/errors.js";
import type { Plan } from "../../../sim/domain/plan.js";
import { METRIC_NAMES, sweepCodec, type Declaration } from "../../../sim/sweep/declaration.js";
import { MOST_POINTS, countOf, pointsOf, type Points } from "../../../sim/sweep/points.js";
import { doubtfulFacts, wantedProfiles, type Shelf } from "../../../sim/sweep/resolve.js";
import { claimMistakes } from "../../../sim/sweep/stability/claims.js";
import { withoutDraw } from "../../../sim/sweep/stability/draw.js";
import type { Drawing } from "../../../sim/sweep/stability/laws.js";
import { gatherEach, tried, type Loaded, type Program } from "../../program.js";
import { loadPlan } from "../load.js";
import { pointMistakes } from "./engine/points.js";
import { namedIn } from "./named.js";
import { uncertainFacts } from "./uncertain.js";

export interface Declared {
  readonly file: string;
  readonly raw: unknown;
  readonly declaration: Declaration;
  readonly shelf: Shelf;
  readonly points: Points;
  /** Hash of what was declared. */
  readonly key: string;
}

/** Everything that a declaration names is looked at, although other things in it are wrong. */
const lookedUp = (raw: unknown): Program<unknown> => {
  const { profiles, plan } = namedIn(raw);
  const each = profiles.map(([profile, name]): Program<unknown> => (capabilities) => capabilities.readProfile(profile, name));
  return pipe([...each, ...(plan === null ? [] : [loadPlan(plan)])], gatherEach((one: Program<unknown>) => one));
};

const declarationOf = ({ where, raw }: Loaded): Program<Declaration> => {
  const read = decode(sweepCodec, where)(raw);
  return E.isRight(read) ? RTE.right(read.right) : pipe(tried(lookedUp(raw)), RTE.chain((found) => RTE.left(E.isLeft(found) ? together(read.left, found.left) : read.left)));
};

const planOf = (declaration: Declaration): Program<Plan | null> => (declaration.base.plan === null ? RTE.right(null) : loadPlan(declaration.base.plan));

const shelfOf = (declaration: Declaration, plan: Plan | null): Program<Shelf> =>
  pipe(
    declaration.engine === null ? wantedProfiles(declaration, plan) : [],
    gatherEach(([profile, name]): Program<readonly [string, unknown]> => (capabilities) => pipe(capabilities.readProfile(profile, name), TE.map(({ raw }) => [`${profile}/${name}`, raw] as const))),
    RTE.map((read) => {
      const documents = new Map(read);
      return { document: (profile, name) => documents.get(`${profile}/${name}`), plan };
    }),
  );

/** What a command line adds to a declaration: it is a declaration of its own then. */
const withDraws = (raw: unknown, draws: number | null): unknown => {
  if (draws === null || typeof raw !== "object" || raw === null || Array.isArray(raw)) return raw;
  const said = (raw as { readonly uncertain?: unknown }).uncertain;
  return { ...raw, uncertain: { ...(typeof said === "object" && said !== null ? said : {}), draws } };
};

/** The laws by which facts move are a part of what was declared: they are kept with it. */
const withFacts = (raw: unknown, drawing: Drawing | null): unknown => {
  if (drawing === null) return raw;
  const whole = raw as { readonly uncertain: object };
  return { ...whole, uncertain: { ...whole.uncertain, ...drawing } };
};

const wrongClaims = ({ claims, uncertain }: Declaration, { kept }: Points): ReadonlyArray<Mistake> => {
  const each = (uncertain?.draws ?? 0) + 1;
  const points = kept.filter((_, i) => i % each === 0).map(withoutDraw);
  return claims.flatMap(({ holds }, i) => claimMistakes(holds, points, METRIC_NAMES).map((message) => ({ path: `claims[${i}].holds`, message })));
};

/** What is said where a stopping rule begins with more repetitions than were asked for; null where it does not. */
export const raised = ({ raw, declaration: { repetitions, stop } }: Pick<Declared, "raw" | "declaration">): string | null => {
  const said = (raw as { readonly repetitions?: number }).repetitions ?? 1;
  return stop === null || said >= repetitions ? null : `each point begins with ${repetitions} runs and not with ${said}: a stopping rule needs an interval`;
};

/** `draws`: of the uncertain facts, in the place of what the file says; null leaves that as it is. */
export const loadDeclared = (file: string, draws: number | null = null): Program<Declared> => (capabilities) =>
  pipe(
    capabilities.readDeclaration(file),
    TE.map(({ where, raw }) => ({ where, raw: withDraws(raw, draws) })),
    TE.bindTo("read"),
    TE.bind("asked", ({ read }) => declarationOf(read)(capabilities)),
    TE.bind("shelf", ({ asked }) => pipe(planOf(asked), RTE.chain((plan) => shelfOf(asked, plan)))(capabilities)),
    TE.bind("shipped", ({ asked }) => (asked.engine === null ? TE.right([]) : capabilities.shippedModels)),
    TE.bind("drawing", ({ asked, shelf }) => uncertainFacts(asked, shelf, file)(capabilities)),
    TE.chainEitherK(({ read, asked, shelf, shipped, drawing }) => {
      const loaded = { raw: withFacts(read.raw, drawing) };
      const declaration: Declaration = asked.uncertain === null ? asked : { ...asked, uncertain: { ...asked.uncertain, ...drawing } };
      const count = countOf(declaration);
      const doubtful = declaration.engine === null ? doubtfulFacts(declaration, shelf) : [];
      if (count > MOST_POINTS) return E.left(badInput(file, [...doubtful, { path: "axes", message: `make ${count} points together; at most ${MOST_POINTS}` }]));
      const points = pointsOf(declaration);
      const mistakes = [...doubtful, ...(points.kept.length === 0 ? [{ path: "where", message: `rules out all of the ${points.ruledOut} points` }] : [
        ...(declaration.engine === null ? [] : pointMistakes(declaration, points.kept, shipped[0] ?? null)),
        ...wrongClaims(declaration, points),
      ])];
      if (mistakes.length > 0) return E.left(badInput(file, mistakes));
      return E.right({ file, raw: loaded.raw, declaration, shelf, points, key: capabilities.digest(canonical(loaded.raw)) });
    }),
  );
