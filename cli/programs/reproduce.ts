/**
 * The paper's figures and tables: run every case once, evaluate, describe, write. With --check nothing is written and
 * the stored points must be what comes out now, byte for byte.
 */
import { join, relative } from "node:path";
import { E, RTE, TE, pipe, type Either } from "../../sim/base/fp.js";
import { describeError, unknownName, type AppError, type Mistake } from "../../sim/base/errors.js";
import { canonical } from "../../sim/base/canonical.js";
import { nearest } from "../../sim/base/nearest.js";
import { showBytes } from "../../sim/base/units.js";
import type { SimulatedRun, RunRequest } from "../../sim/domain/run.js";
import { summariseErrors } from "../../sim/report/metrics.js";
import { showNumber, showShare, showSignedShare, table } from "../../sim/report/table.js";
import type { Case, ClaimResult, Experiment, Lab, Result, ResultPoint } from "../../experiments/experiment.js";
import { absent, decodeWords, optional, outputFolder, shared, switchedOn, words, workers } from "../args.js";
import type { Command, Words } from "../command.js";
import { inFormat, type Answer, type Capabilities, type OutputFile, type Outcome, type Program, type RunInputs } from "../program.js";
import { loadProfiles, type Profiles } from "./load.js";

/** The experiments and what is made of them, handed in so that tests bring their own. */
export interface Laboratory {
  readonly experiments: ReadonlyArray<Experiment>;
  readonly evaluate: (experiment: Experiment, lab: Lab) => Pick<Result, "points" | "curves" | "claims">;
  /** Paths relative to the results folder. */
  readonly report: (results: ReadonlyArray<Result>) => ReadonlyArray<OutputFile>;
}

const unknownIds = (all: ReadonlyArray<Experiment>, ids: ReadonlyArray<string>): ReadonlyArray<Mistake> => {
  const known = all.map((experiment) => experiment.id);
  return [...new Set(ids)].filter((id) => !known.includes(id)).map((id) => {
    const near = nearest(id, known);
    return { path: id, message: `unknown experiment;${near === null ? "" : ` did you mean ${near}?`} known: ${known.join(", ")}` };
  });
};

const chosenOf = (all: ReadonlyArray<Experiment>, ids: ReadonlyArray<string>): ReadonlyArray<Experiment> => (ids.length === 0 ? all : all.filter((experiment) => ids.includes(experiment.id)));

const among = <A>(what: string, name: string, known: ReadonlyMap<string, A>): Either<AppError, A> => {
  const found = known.get(name);
  return found === undefined ? E.left(unknownName(what, name, [...known.keys()], nearest(name, [...known.keys()]))) : E.right(found);
};

const inputsOf = (profiles: Profiles, request: RunRequest): Either<AppError, RunInputs> =>
  pipe(
    E.Do,
    E.bind("device", () => among("device", request.device, profiles.devices)),
    E.bind("model", () => among("model", request.model, profiles.models)),
    E.bind("system", () => among("system", request.system, profiles.systems)),
    E.map(({ device, model, system }) => ({ device, model, system, request })),
  );

/** "Cannot run" and "does not fit" are answers and leave a gap; anything else is a fault and stops the reproduction. */
const isAnswer = (error: AppError): boolean => error._tag === "DoesNotFit" || error._tag === "Unsupported";

/** One run of an experiment; without a record, why there is none. */
export interface Ran { readonly record: SimulatedRun | null; readonly reason: string | null }

const reasonOf = (error: AppError): string => (error._tag === "DoesNotFit" ? `does not fit: needs ${showBytes(error.needed)}, allowed ${showBytes(error.allowed)}` : describeError(error));

const ranOf = (outcome: Outcome): Either<AppError, Ran> => {
  if (E.isRight(outcome)) return E.right({ record: outcome.right, reason: null });
  return isAnswer(outcome.left) ? E.right({ record: null, reason: reasonOf(outcome.left) }) : E.left(outcome.left);
};

/** Each different request once; what came of it by case key. */
export const runCases = (cases: ReadonlyArray<Case>, profiles: Profiles, workerCount: number | null): Program<ReadonlyMap<string, Ran>> => (capabilities) => {
  const requests = new Map<string, RunRequest>();
  for (const { request } of cases) requests.set(canonical(request), request);
  const order = [...requests.keys()];
  return pipe(
    E.traverseArray((request: RunRequest) => inputsOf(profiles, request))([...requests.values()]),
    TE.fromEither,
    TE.chain((inputs) => capabilities.runMany(inputs, { workers: workerCount })),
    TE.chainEitherK(E.traverseArray(ranOf)),
    TE.map((ran) => {
      const byRequest = new Map(order.map((text, i) => [text, ran[i]] as const));
      return new Map(cases.map(({ key, request }) => [key, byRequest.get(canonical(request))!]));
    }),
  );
};

/** What experiments are evaluated in. */
export const labOf = (profiles: Profiles, ran: ReadonlyMap<string, Ran>): Lab => {
  const of = <A>(what: string, known: ReadonlyMap<string, A>) => (name: string): A => {
    const found = known.get(name);
    if (found === undefined) throw new Error(`an experiment asks for an unknown ${what}: ${name}`);
    return found;
  };
  const found = of("case", ran);
  return { run: (key) => found(key).record, reason: (key) => found(key).reason, device: of("device", profiles.devices), model: of("model", profiles.models) };
};

const errorText = (error: number | null): string => (error === null ? "-" : showShare(error));

const experimentsTable = (results: ReadonlyArray<Result>): string => {
  const row = (name: string, title: string, points: ReadonlyArray<ResultPoint>, claims: ReadonlyArray<ClaimResult>): ReadonlyArray<string> => {
    const errors = summariseErrors(points);
    return [name, title, `${errors.points - errors.gaps}${errors.gaps === 0 ? "" : ` + ${errors.gaps} missing`}`, errorText(errors.medianAbsError), errorText(errors.meanAbsError), errorText(errors.worstAbsError), claims.length === 0 ? "-" : `${claims.filter((claim) => claim.holds).length} of ${claims.length}`];
  };
  const all = results.flatMap((result) => result.points);
  const rows = results.map((result) => row(result.experiment.id, result.experiment.paper, result.points, result.claims));
  const role = (name: string): ReadonlyArray<ReadonlyArray<string>> => {
    const points = all.filter((point) => point.role === name);
    return points.length === 0 ? [] : [row(name, "points", points, [])];
  };
  return table(
    [{ title: "experiment" }, { title: "paper" }, { title: "points", align: "right" }, { title: "median error", align: "right" }, { title: "mean", align: "right" }, { title: "worst", align: "right" }, { title: "claims held", align: "right" }],
    [...rows, ...role("calibration"), ...role("check"), row("all", "", all, results.flatMap((result) => result.claims))],
  );
};

interface Placed { readonly experiment: string; readonly point: ResultPoint }

const worstTable = (placed: ReadonlyArray<Placed>): string => {
  const size = ({ point }: Placed): number => Math.abs(point.signedError ?? 0);
  const worst = placed.filter(({ point }) => point.signedError !== null).sort((a, b) => size(b) - size(a)).slice(0, 10);
  return table(
    [{ title: `worst ${worst.length}` }, { title: "series" }, { title: "x" }, { title: "reported", align: "right" }, { title: "simulated", align: "right" }, { title: "unit" }, { title: "error", align: "right" }, { title: "role" }],
    worst.map(({ experiment, point }) => [`${experiment}${point.panel === "" ? "" : ` ${point.panel}`}`, point.series, String(point.x), showNumber(point.reported), showNumber(point.simulated ?? NaN), point.unit, showSignedShare(point.signedError ?? NaN), point.role]),
  );
};

const describe = (results: ReadonlyArray<Result>): { readonly text: string; readonly json: { readonly points: unknown; readonly claims: unknown } } => {
  const placed = results.flatMap((result) => result.points.map((point) => ({ experiment: result.experiment.id, point })));
  const broken = results.flatMap((result) => result.claims.filter((claim) => !claim.holds).map((claim) => [result.experiment.id, claim.text, claim.found]));
  const missing = placed.filter(({ point }) => point.simulated === null);
  const text = [
    experimentsTable(results),
    ...(placed.some(({ point }) => point.signedError !== null) ? ["", worstTable(placed)] : []),
    ...(broken.length === 0 ? [] : ["", table([{ title: "claim of" }, { title: "that does not hold", wrap: 70 }, { title: "found", wrap: 40 }], broken)]),
    ...(missing.length === 0 ? [] : ["", table([{ title: "missing" }, { title: "why", wrap: 80 }], missing.map(({ experiment, point }) => [[experiment, point.panel, point.series, point.x].filter((part) => part !== "").join(" "), point.note]))]),
  ].join("\n");
  return {
    text,
    json: {
      points: placed.map(({ experiment, point }) => ({ experiment, ...point })),
      claims: results.flatMap((result) => result.claims.map((claim) => ({ experiment: result.experiment.id, ...claim }))),
    },
  };
};

/** The rows of a points file, whatever surrounds them. */
const rowsIn = (text: string): ReadonlyArray<Readonly<Record<string, unknown>>> => {
  try {
    const raw = JSON.parse(text) as unknown;
    const rows = Array.isArray(raw) ? raw : (raw as { readonly points?: unknown } | null)?.points;
    return Array.isArray(rows) ? (rows as ReadonlyArray<Readonly<Record<string, unknown>>>) : [];
  } catch {
    return [];
  }
};

/** What differs between a stored points file and the one that comes out now; empty when they are the same bytes. */
export const differences = (path: string, stored: string | null, now: string): ReadonlyArray<string> => {
  if (stored === null) return [`${path}: not stored yet`];
  if (stored === now) return [];
  if (path.endsWith(".svg")) return [`${path}: another picture than the stored one`];
  const name = (row: Readonly<Record<string, unknown>>): string => [row.id, row.panel, row.series, row.x].filter((part) => part !== undefined && part !== "").join(" ");
  const byName = (text: string): ReadonlyMap<string, Readonly<Record<string, unknown>>> => new Map(rowsIn(text).map((row) => [name(row), row]));
  const before = byName(stored);
  const after = byName(now);
  const rows = [...new Set([...before.keys(), ...after.keys()])].flatMap((key) => {
    const was = before.get(key);
    const is = after.get(key);
    if (was === undefined) return [`${path}: ${key}: new`];
    if (is === undefined) return [`${path}: ${key}: gone`];
    return canonical(was) === canonical(is) ? [] : [`${path}: ${key}: stored ${String(was.simulated)}, now ${String(is.simulated)}`];
  });
  return rows.length > 0 ? rows : [`${path}: the same points, but not the same bytes`];
};

interface Places { readonly folder: string; readonly shown: string }

const placesOf = (out: string | null) => (capabilities: Capabilities): Places => {
  const folder = out ?? join(capabilities.home, "results", "paper");
  const shown = out ?? relative(process.cwd(), folder);
  return { folder, shown };
};

const checkStored = (files: ReadonlyArray<OutputFile>, places: Places): Program<ReadonlyArray<string>> => (capabilities) =>
  pipe(
    files.flatMap((file) => ("text" in file && /(^|\/)(points\.json|figure\.svg)$/.test(file.path) ? [file] : [])),
    TE.traverseSeqArray((file) =>
      pipe(
        capabilities.readStored(join(places.folder, file.path)),
        TE.map((stored) => differences(join(places.shown, file.path), stored, file.text)),
      ),
    ),
    TE.map((found) => found.flat()),
  );

const finish = (results: ReadonlyArray<Result>, files: ReadonlyArray<OutputFile>, args: { readonly out: string | null; readonly check: boolean; readonly format: "table" | "json" }): Program<Answer> => (capabilities) => {
  const places = placesOf(args.out)(capabilities);
  const says = describe(results);
  if (!args.check) {
    const placed = files.map((file) => ({ ...file, path: join(places.folder, file.path) }));
    return TE.right({ stdout: inFormat(args.format, says), files: placed, notes: [`wrote ${placed.length} files under ${places.shown}`] });
  }
  return pipe(
    checkStored(files, places)(capabilities),
    TE.map((differing): Answer => {
      const verdict = differing.length === 0 ? `the stored points under ${places.shown} are what comes out now` : [`${differing.length} ${differing.length === 1 ? "difference" : "differences"} from the stored points:`, ...differing.map((line) => `  ${line}`)].join("\n");
      return { stdout: inFormat(args.format, { text: `${says.text}\n\n${verdict}`, json: { ...says.json, check: { same: differing.length === 0, differing } } }), notes: args.format === "json" && differing.length > 0 ? [verdict] : [], exit: differing.length === 0 ? 0 : 70 };
    }),
  );
};

const fields = { ...shared, ids: optional(words("name a figure or table such as f10"), [] as ReadonlyArray<string>), out: absent(outputFolder), check: switchedOn, workers };

export const reproduceProgram = (laboratory: Laboratory) => (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    decodeWords(command, fields, ({ ids, seed, out }) => [
      ...unknownIds(laboratory.experiments, ids ?? []),
      ...(typeof seed === "number" && out === null ? [{ path: "--seed", message: "changes what is published; add --out DIR to write it elsewhere" }] : []),
    ])(given),
    RTE.fromEither,
    RTE.bindTo("args"),
    RTE.let("chosen", ({ args }) => chosenOf(laboratory.experiments, args.ids)),
    RTE.bind("profiles", () => loadProfiles),
    RTE.chain(({ args, chosen, profiles }): Program<Answer> => (capabilities) => {
      const began = capabilities.now();
      const seeded = args.seed;
      const cases = chosen.flatMap((experiment) => experiment.cases).map((one) => (seeded === null ? one : { key: one.key, request: { ...one.request, seed: seeded } }));
      return pipe(
        runCases(cases, profiles, args.workers)(capabilities),
        TE.chain((ran) => {
          const lab = labOf(profiles, ran);
          const results: ReadonlyArray<Result> = chosen.map((experiment) => ({ experiment, ...laboratory.evaluate(experiment, lab) }));
          const violated = [...ran].flatMap(([key, { record }]) => (record?.violations ?? []).map((violation) => `${key}: ${violation}`));
          return pipe(
            finish(results, laboratory.report(results), args)(capabilities),
            TE.map((answer): Answer => ({
              ...answer,
              ...(violated.length === 0 ? {} : { exit: 70 as const }),
              notes: [
                `${chosen.length} experiments, ${new Set(cases.map((one) => canonical(one.request))).size} runs in ${((capabilities.now() - began) / 1e3).toFixed(1)}s`,
                ...(answer.notes ?? []),
                ...violated.map((line) => `a run broke its own checks, a fault of ours: ${line}`),
              ],
            })),
          );
        }),
      );
    }),
  );

