/** A folder of recordings: each file by its name and first words to its reader, and all mistakes of all files together. Nothing is passed over in silence. Pure. */
import { E, type Either } from "../../../sim/base/fp.js";
import { badInput, together, type AppError } from "../../../sim/base/errors.js";
import { readCurve } from "./read-curve.js";
import { readAbout, readLog, readState } from "./read-notes.js";
import { readRoutes } from "./read-routes.js";
import { readTokens } from "./read-tokens.js";
import { runOf, type CurveFile, type PhoneState, type RecordedFile, type Recordings, type RouteFile, type TokenFile } from "./recorded.js";

type Read =
  | { readonly kind: "tokens"; readonly of: TokenFile }
  | { readonly kind: "state"; readonly of: PhoneState }
  | { readonly kind: "routes"; readonly of: RouteFile }
  | { readonly kind: "curve"; readonly of: CurveFile }
  | { readonly kind: "nothing" };

/** Texts about the recordings, which hold none. */
const PROSE = /(?:^|\/)(?:LICENSE|README\.md)$/;

const as = <A>(kind: string) => (read: Either<AppError, A>): Either<AppError, Read> => (E.isLeft(read) ? read : E.right({ kind, of: read.right } as Read));

/** Rows by token lie in files of two names: CSVs, and the metrics of traced runs. */
const readFile = (file: RecordedFile): Either<AppError, Read> => {
  const { path, text } = file;
  if (PROSE.test(path)) return E.right({ kind: "nothing" });
  if (path.endsWith(".route.csv")) return as<RouteFile>("routes")(readRoutes(file));
  if (path.endsWith("-curve.csv")) return as<CurveFile>("curve")(readCurve(file));
  if (path.endsWith(".csv") || (path.endsWith(".metrics") && /^\uFEFF?(?:#|step,)/.test(text))) return as<TokenFile>("tokens")(readTokens(file));
  if (path.endsWith(".metrics")) return as<PhoneState>("state")(readState(file));
  if (path.endsWith(".log")) return as<PhoneState>("state")(readLog(file));
  if (path.endsWith(".state")) {
    const about = readAbout(file);
    return E.isLeft(about) ? about : E.right({ kind: "nothing" });
  }
  return E.left(badInput(path, [{ path: "(whole)", message: "is no recording of a kind that is known here: rows by token (.csv), .metrics, .log, .state, .route.csv, -curve.csv" }]));
};

export const readFolder = (where: string, files: ReadonlyArray<RecordedFile>): Either<AppError, Recordings> => {
  const read = files.map(readFile);
  const wrong = read.flatMap((one) => (E.isLeft(one) ? [one.left] : []));
  if (wrong.length > 0) return E.left(wrong.reduce(together));
  const all = read.flatMap((one) => (E.isRight(one) ? [one.right] : []));
  const tokens = all.flatMap((one) => (one.kind === "tokens" ? [one.of] : []));
  if (tokens.length === 0) return E.left(badInput(where, [{ path: "(whole)", message: "has no rows by token of any run (.csv, or .metrics of a traced run)" }]));
  const states = all.flatMap((one) => (one.kind === "state" ? [one.of] : []));
  // A log repeats what the .metrics beside it says.
  const differing = states.filter((state) => states.some((other) => runOf(other.path) === runOf(state.path) && other.path < state.path && other.leastAvailable !== state.leastAvailable));
  if (differing.length > 0) return E.left(badInput(where, differing.map(({ path }) => ({ path, message: "tells another mem_avail_floor_kb than the file of the same run beside it" }))));
  return E.right({ tokens, states, routes: all.flatMap((one) => (one.kind === "routes" ? [one.of] : [])), curves: all.flatMap((one) => (one.kind === "curve" ? [one.of] : [])) });
};
