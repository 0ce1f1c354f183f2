/** A declaration and all that it names: the file decoded, profiles and plan read, and every mistake in them told at once. */
import { E, RTE, TE, pipe } from "../../../sim/base/fp.js";
import { canonical } from "../../../sim/base/canonical.js";
import { decode } from "../../../sim/base/decode.js";
import { badInput } from "../../../sim/base/errors.js";
import type { Plan } from "../../../sim/domain/plan.js";
import { sweepCodec, type Declaration } from "../../../sim/sweep/declaration.js";
import { MOST_POINTS, countOf, pointsOf, type Points } from "../../../sim/sweep/points.js";
import { doubtfulFacts, wantedProfiles, type Shelf } from "../../../sim/sweep/resolve.js";
import { gatherEach, type Program } from "../../program.js";
import { loadPlan } from "../load.js";
import { pointMistakes } from "./engine/points.js";

export interface Declared {
  readonly file: string;
  readonly raw: unknown;
  readonly declaration: Declaration;
  readonly shelf: Shelf;
  readonly points: Points;
  /** Hash of what was declared. */
  readonly key: string;
}

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

export const loadDeclared = (file: string): Program<Declared> => (capabilities) =>
  pipe(
    capabilities.readDeclaration(file),
    TE.bindTo("loaded"),
    TE.bind("declaration", ({ loaded }) => TE.fromEither(decode(sweepCodec, loaded.where)(loaded.raw))),
    TE.bind("shelf", ({ declaration }) => pipe(planOf(declaration), RTE.chain((plan) => shelfOf(declaration, plan)))(capabilities)),
    TE.bind("shipped", ({ declaration }) => (declaration.engine === null ? TE.right([]) : capabilities.shippedModels)),
    TE.chainEitherK(({ loaded, declaration, shelf, shipped }) => {
      const count = countOf(declaration);
      const mistakes = [...(declaration.engine === null ? doubtfulFacts(declaration, shelf) : []), ...(count > MOST_POINTS ? [{ path: "axes", message: `make ${count} points together; at most ${MOST_POINTS}` }] : [])];
      if (mistakes.length > 0) return E.left(badInput(file, mistakes));
      const points = pointsOf(declaration);
      if (points.kept.length === 0) return E.left(badInput(file, [{ path: "where", message: `rules out all of the ${points.ruledOut} points` }]));
      const refused = declaration.engine === null ? [] : pointMistakes(declaration, points.kept, shipped[0] ?? null);
      if (refused.length > 0) return E.left(badInput(file, refused));
      return E.right({ file, raw: loaded.raw, declaration, shelf, points, key: capabilities.digest(canonical(loaded.raw)) });
    }),
  );
