/** Our bench and llama.cpp's in turn, each time in processes of their own; under a limit, both in a memory group of the system. */
import { E, pipe, TE, type Either, type TaskEither } from "../../../sim/base/fp.js";
import { unsupported, type AppError } from "../../../sim/base/errors.js";
import { inFormat, type Answer, type Capabilities, type FileFacts, type Program, type Rival } from "../../program.js";
import { DEFAULTS, type BenchArgs, type Configuration } from "../bench/words.js";
import { formatted } from "../llama-bench/formats.js";
import { cellsOf, type Cell, type Finished, type PageCache } from "./cell.js";
import { describeComparison, missing, toldOf } from "./describe.js";
import { reportFiles, type DrawComparison } from "./report.js";
import { finishCell, turnsIn, type Setting } from "./rounds.js";
import { fileOf, readCell, writeCell } from "./store.js";

/** A limit that only we keep would compare nothing. */
const limits = (configurations: ReadonlyArray<Configuration>, capabilities: Capabilities): TaskEither<AppError, void> =>
  configurations.every(({ request }) => request.memory === null)
    ? TE.right(undefined)
    : pipe(
        capabilities.memoryLimits,
        TE.chain((place) => (place.kind === "none" ? TE.left(unsupported("no memory limit can be set for llama.cpp here", `${place.reason}; leave out --memory, or run where memory control groups can be made`)) : TE.right(undefined))),
      );

/** Without a limit a process that starts cold is warm after its first reads; under one the two differ, and both are shown. */
const cachesFor = (asked: BenchArgs["page-cache"]) => (memory: number | null): ReadonlyArray<PageCache> =>
  asked === "both" || (asked === null && memory !== null) ? ["warm", "cold"] : [asked ?? "warm"];

/** Every cell in turn; with a folder, those that an earlier call finished are taken as they are, and each new one is kept at once. */
const finishAll = async (setting: Setting, cells: ReadonlyArray<Cell>): Promise<Either<AppError, { readonly all: ReadonlyArray<Finished>; readonly kept: number }>> => {
  const { args, capabilities } = setting;
  const gauge = capabilities.gauge(cells.reduce((sum, cell) => sum + turnsIn(setting, cell), 0), "turns");
  const all: Array<Finished> = [];
  let [done, planned, kept] = [0, 0, 0];
  try {
    for (const cell of cells) {
      const path = args.out === null ? null : fileOf(args.out, args.model, cell);
      const earlier = path === null || args.fresh ? E.right(null) : await readCell(setting, path, cell)();
      if (E.isLeft(earlier)) return earlier;
      const found = earlier.right === null ? await finishCell(setting, cell, () => gauge.at(++done)) : E.right(earlier.right);
      if (E.isLeft(found)) return found;
      if (earlier.right !== null) kept++;
      else if (path !== null) {
        const stored = await writeCell(setting, path, found.right)();
        if (E.isLeft(stored)) return stored;
      }
      // A side that could not run left turns out.
      planned += turnsIn(setting, cell);
      done = planned;
      gauge.at(done);
      all.push(found.right);
    }
    return E.right({ all, kept });
  } finally {
    gauge.end();
  }
};

/** The files of the folder, the picture among them. */
const files = (setting: Setting, all: ReadonlyArray<Finished>, draw: DrawComparison): TaskEither<AppError, ReadonlyArray<string>> => {
  const { args, capabilities, rival } = setting;
  if (args.out === null) return TE.right([]);
  const folder = args.out;
  return pipe(
    capabilities.diskFacts(args.model[0]!),
    TE.bindTo("disk"),
    TE.bind("limits", () => capabilities.memoryLimits),
    TE.map(({ disk, limits: place }) => reportFiles({ folder, told: toldOf(all, rival), all, machine: capabilities.machine, disk, limits: place, rival, version: capabilities.version, draw })),
    TE.chainFirst(capabilities.write),
    TE.map((written) => written.map(({ path }) => path)),
  );
};

const printed = (args: BenchArgs, all: ReadonlyArray<Finished>, rival: Rival): string => {
  const told = toldOf(all, rival);
  if (args.output !== null && args.output !== "md") return formatted(args.output, told.rows);
  return inFormat(args.format, { text: describeComparison(told, all), json: { ...told, rival: { version: rival.version, origin: rival.origin } } });
};

const answer = (where: string, setting: Setting, { all, kept }: { readonly all: ReadonlyArray<Finished>; readonly kept: number }, written: ReadonlyArray<string>): Either<AppError, Answer> => {
  const first = all.flatMap(({ gaps }) => gaps)[0];
  if (toldOf(all, setting.rival).ratios.length === 0 && first !== undefined) return E.left(unsupported(`${where}: no ratio could be measured`, `${first.who.program}: ${first.reason}`));
  return E.right({
    stdout: printed(setting.args, all, setting.rival),
    notes: [...missing(all), ...(kept === 0 ? [] : [`${kept} of ${all.length} cells are from an earlier call; --fresh measures them again`]), ...written.map((path) => `wrote ${path}`)],
  });
};

export const compare = (where: string, args: BenchArgs, configurations: ReadonlyArray<Configuration>, sizes: ReadonlyMap<string, FileFacts>, draw: DrawComparison): Program<Answer> => (capabilities) =>
  pipe(
    limits(configurations, capabilities),
    TE.chain(() => capabilities.rival(args["llama-bench"])),
    TE.chain((rival) => {
      const setting: Setting = { capabilities, args, rival, sizes, rounds: args.rounds ?? DEFAULTS.rounds };
      return pipe(
        () => finishAll(setting, cellsOf(configurations, cachesFor(args["page-cache"]))),
        TE.bindTo("finished"),
        TE.bind("written", ({ finished }) => files(setting, finished.all, draw)),
        TE.chainEitherK(({ finished, written }) => answer(where, setting, finished, written)),
      );
    }),
  );
