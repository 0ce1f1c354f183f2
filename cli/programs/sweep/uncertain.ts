/** The facts that a sweep is uncertain of, written into its declaration, so that what is kept says by which laws they moved: intervals of the calibration that came along, and else a share. */
import { join } from "node:path";
import { E, TE, pipe } from "../../../sim/base/fp.js";
import { custom, exactly, decode, list, number, oneOf, parseJson, text, flag } from "../../../sim/base/decode.js";
import { badInput, type AppError } from "../../../sim/base/errors.js";
import type { Declaration } from "../../../sim/sweep/declaration.js";
import { wantedProfiles, type Shelf } from "../../../sim/sweep/resolve.js";
import { acceptedOf } from "../../../sim/sweep/stability/accepted.js";
import { doubtsOf, factsIn, type Doubt, type Drawing, type Named } from "../../../sim/sweep/stability/laws.js";
import { constants, type Constant } from "../../../experiments/calibration/constants.js";
import { expandPath } from "../../../experiments/calibration/profile-json.js";
import type { Capabilities } from "../../program.js";

const CALIBRATION = ["results", "paper", "calibration.json"] as const;
const FOLDERS = { device: "devices", model: "models", system: "systems" } as const;

const calibration = exactly({
  schema: oneOf("neuronlab/calibration@1"),
  constants: list(exactly({ id: text, value: number(0, 1e12), from: number(0, 1e12), to: number(0, 1e12), rise10: number(-1e12, 1e12), atLimit: flag, unit: custom("unit", E.right), what: text })),
});

interface Fitted { readonly id: string; readonly value: number; readonly from: number; readonly to: number }

const fits = (capabilities: Pick<Capabilities, "readStored" | "home">): TE.TaskEither<AppError, ReadonlyArray<Fitted>> => {
  const path = join(capabilities.home, ...CALIBRATION);
  return pipe(
    capabilities.readStored(path),
    TE.chainEitherK((stored): E.Either<AppError, ReadonlyArray<Fitted>> => (stored === null ? E.right([]) : pipe(
      parseJson(path, stored),
      // The points of the fit stand beside the constants, and are nothing to us.
      E.map((raw) => ({ schema: (raw as { readonly schema?: unknown }).schema, constants: (raw as { readonly constants?: unknown }).constants })),
      E.chain(decode(calibration, path)),
      E.map((read) => read.constants),
    ))),
  );
};

/** "cpu.clusters.1.sparseBandwidth" → "cpu.clusters[1].sparseBandwidth". */
const asInFile = (dotted: string): string => dotted.replaceAll(/\.(\d+)(?=\.|$)/g, "[$1]");

/** All that a constant moves in these profiles, by the interval of its fit; null where it moves nothing, or was not fitted. A profile of one's own has no part in a fit. */
const doubtOf = (constant: Constant, fitted: Fitted | undefined, profiles: ReadonlyArray<Named>): Doubt | null => {
  if (fitted === undefined) return null;
  const moves = profiles.flatMap(({ profile, name, document }) => {
    const facts = new Set(factsIn(document).map(({ path }) => path));
    const paths = [...new Set(constant.targets.filter(({ file }) => file === `${FOLDERS[profile]}/${name}`).flatMap(({ path }) => expandPath(document, path)).map(asInFile))].filter((path) => facts.has(path));
    return paths.length === 0 ? [] : [{ profile, name, paths }];
  });
  const factor = (value: number): number => Number((value / fitted.value).toPrecision(6));
  return moves.length === 0 ? null : { fact: constant.id, moves, law: "log-normal", low: factor(fitted.from), high: factor(fitted.to), from: "calibrated, 95 % interval of the fit" };
};

/** null where nothing is uncertain. What the declaration has already is taken as it is. */
export const uncertainFacts = (declaration: Declaration, shelf: Shelf, where: string) => (capabilities: Pick<Capabilities, "readStored" | "home">): TE.TaskEither<AppError, Drawing | null> => {
  const { uncertain, seed } = declaration;
  if (uncertain === null) return TE.right(null);
  const profiles = wantedProfiles(declaration, shelf.plan).map(([profile, name]): Named => ({ profile, name, document: shelf.document(profile, name) }));
  return pipe(
    uncertain.facts !== null ? TE.right(uncertain.facts) : pipe(
      fits(capabilities),
      TE.map((fitted) => doubtsOf(profiles, constants.flatMap((constant) => doubtOf(constant, fitted.find(({ id }) => id === constant.id), profiles) ?? []), uncertain.spread)),
    ),
    TE.chainEitherK((facts) => {
      const accepted = uncertain.accepted ?? acceptedOf(profiles, facts, uncertain.draws, seed);
      return accepted === null ? E.left(badInput(where, [{ path: "uncertain.spread", message: `is ${uncertain.spread}; hardly any draw by it is a profile without contradictions, take a smaller one` }])) : E.right({ facts, accepted });
    }),
  );
};
