/** Reports of llama-bench from a phone, beside what the simulator says of the same tests: read strictly, simulate each, describe. */
import { E, RTE, TE, pipe, type Either } from "../../../sim/base/fp.js";
import { badInput, describeError, type AppError, type Mistake } from "../../../sim/base/errors.js";
import type { Exact } from "../../../sim/base/decode.js";
import type { DeviceProfile } from "../../../sim/domain/device.js";
import type { ModelSpec } from "../../../sim/domain/model.js";
import type { MemoryRequest, RunRequest } from "../../../sim/domain/run.js";
import type { SystemSpec } from "../../../sim/domain/system.js";
import { summariseErrors, type ErrorSummary } from "../../../sim/report/metrics.js";
import { absent, argument, nameOrFile, optional, readWords, shared, size, words } from "../../args.js";
import type { Command, Words } from "../../command.js";
import { gather, gatherEach, inFormat, type Answer, type Program, type RunInputs } from "../../program.js";
import { testOf, type Row } from "../bench/rows.js";
import { markdown } from "../bench/describe.js";
import { PARAMETERS_NEAR, describeMatched, matchedOf, parametersOf, warningsOf } from "./matched.js";
import { buildOf, readReport, repeated } from "./report.js";
import { knownNames, loadDevice, loadModel, loadSystem, type Names } from "../load.js";

const fieldsWith = (names: Names) => ({
  ...shared,
  files: words("name reports that llama-bench -o json or -o jsonl wrote"),
  device: nameOrFile("device", names.device),
  model: nameOrFile("model", names.model),
  system: optional(nameOrFile("system", names.system), "llama.cpp"),
  memory: absent(size()),
});

type Args = Exact<ReturnType<typeof fieldsWith>>;

const DEFAULTS = { seed: 1 } as const;

interface Imported { readonly file: string; readonly row: Row }

const readFile = (file: string): Program<ReadonlyArray<Imported>> => (capabilities) =>
  pipe(
    capabilities.readBytes(file),
    TE.chainEitherK((bytes) => readReport(file, new TextDecoder().decode(bytes))),
    TE.chainEitherK((rows): Either<AppError, ReadonlyArray<Imported>> => {
      const twice = repeated(rows);
      return twice.length === 0 ? E.right(rows.map((row) => ({ file, row }))) : E.left(badInput(file, twice.map((test) => ({ path: test, message: "stands there more than once; leave one" }))));
    }),
  );

/** A report of another model would be compared with what it is not. */
const otherModels = (imported: ReadonlyArray<Imported>, model: ModelSpec): ReadonlyArray<Mistake> => {
  const own = parametersOf(model);
  const all = imported.filter(({ row }) => Math.abs(row.model_n_params / own - 1) > PARAMETERS_NEAR).map(({ file, row }) => `${file}: ${row.model_type} has ${(row.model_n_params / 1e9).toFixed(2)} billion parameters`);
  return [...new Set(all)].map((found) => ({ path: "--model", message: `${model.name} has ${(own / 1e9).toFixed(2)} billion parameters, and ${found}; name the model of the report` }));
};

const onCpu = (row: Row): boolean => row.backends.split(",").every((backend) => ["CPU", "BLAS"].includes(backend.trim())) || row.n_gpu_layers === 0;

/** Why a test cannot be simulated, or what to ask the simulator. */
const requestOf = (row: Row, args: Args, device: DeviceProfile, model: ModelSpec, system: SystemSpec): Either<string, RunRequest> => {
  const { n_prompt, n_gen } = row;
  const depth = Number(row.n_depth);
  if (!onCpu(row)) return E.left(`ran on ${row.backends}; ${system.name} is simulated on the CPU`);
  if (n_prompt > 0 && n_gen > 0) return E.left("is prompt and generation in one; the simulator does one at a time");
  if (n_prompt > 0 && depth > 0) return E.left(`begins behind ${depth} tokens; the simulator's prompts begin with none`);
  const memory: MemoryRequest = args.memory === null ? { _tag: "All" } : { _tag: "Bytes", bytes: args.memory };
  return E.right({
    device: device.name, model: model.name, system: system.name, memory, batch: 1, seed: args.seed ?? DEFAULTS.seed, fidelity: "cluster",
    ...(n_prompt > 0 ? { phase: "prefill", prompt: n_prompt, tokens: 1 } : { phase: "decode", prompt: Math.max(1, depth), tokens: n_gen }),
  });
};

/** The same number of threads as the report's run had. */
const withThreads = (system: SystemSpec, { file, row }: Imported): SystemSpec => ({ ...system, software: { ...system.software, threads: { value: row.n_threads, kind: "measured", source: file, note: "n_threads of the report" } } });

export interface ImportCell {
  readonly id: string;
  readonly test: string;
  /** Tokens a second. */
  readonly predicted: number | null;
  readonly measured: number;
  readonly deviation: number;
  readonly signedError: number | null;
  readonly role: "check";
  readonly threads: number;
  readonly backend: string;
  readonly build: string;
  readonly file: string;
  readonly weights: string;
  readonly reason: string | null;
}

interface Loaded { readonly args: Args; readonly imported: ReadonlyArray<Imported>; readonly device: DeviceProfile; readonly model: ModelSpec; readonly system: SystemSpec; readonly known: ReadonlyArray<string> }

const cellOf = ({ file, row }: Imported, predicted: Either<string, number>): ImportCell => {
  const test = `${testOf(row)}${Number(row.n_depth) > 0 ? ` @ d${String(row.n_depth)}` : ""}`;
  return {
    id: `${file}: ${test}, ${row.n_threads} threads`, test, measured: row.avg_ts, deviation: row.stddev_ts, role: "check", threads: row.n_threads, backend: row.backends, build: buildOf(row), file, weights: row.model_type,
    ...(E.isRight(predicted) ? { predicted: predicted.right, signedError: predicted.right / row.avg_ts - 1, reason: null } : { predicted: null, signedError: null, reason: predicted.left }),
  };
};

const simulateAll = ({ args, imported, device, model, system }: Loaded): Program<ReadonlyArray<ImportCell>> => (capabilities) => {
  const requests = imported.map(({ row }) => requestOf(row, args, device, model, system));
  const inputs = requests.flatMap((request, place): ReadonlyArray<RunInputs> => (E.isRight(request) ? [{ device, model, system: withThreads(system, imported[place]!), request: request.right }] : []));
  return pipe(
    capabilities.runMany(inputs, { workers: null }),
    TE.map((outcomes) => {
      const left = [...outcomes];
      return imported.map((one, place) => {
        const request = requests[place]!;
        if (E.isLeft(request)) return cellOf(one, request);
        const outcome = left.shift()!;
        return cellOf(one, pipe(outcome, E.bimap((error) => describeError(error).split("\n")[0]!, (run) => run.tokensPerSec)));
      });
    }),
  );
};

const number = (value: number | null, digits = 2): string => (value === null ? "--" : value.toFixed(digits));
const signed = (error: number | null): string => (error === null ? "--" : `${error < 0 ? "-" : "+"}${(100 * Math.abs(error)).toFixed(1)}%`);

const describe = ({ args, imported, device, model, system, known }: Loaded) => (cells: ReadonlyArray<ImportCell>): Answer => {
  const summary: ErrorSummary = summariseErrors(cells);
  const left = { right: false } as const;
  const right = { right: true } as const;
  const table = markdown(
    [{ title: "report", ...left }, { title: "llama.cpp", ...left }, { title: "weights", ...left }, { title: "backend", ...left }, { title: "threads", ...right }, { title: "test", ...right }, { title: "measured t/s", ...right }, { title: "simulated t/s", ...right }, { title: "error", ...right }],
    cells.map((cell) => [cell.file, cell.build, cell.weights, cell.backend, String(cell.threads), cell.test, `${number(cell.measured)} ± ${number(cell.deviation)}`, number(cell.predicted), signed(cell.signedError)]),
  );
  const errors = summary.medianAbsError === null ? [] : ["", `error: (simulated - measured) / measured; median ${(100 * summary.medianAbsError).toFixed(1)}%, mean ${(100 * summary.meanAbsError!).toFixed(1)}%, worst ${(100 * summary.worstAbsError!).toFixed(1)}% of ${summary.points - summary.gaps}`];
  const matched = matchedOf(imported, model, device, known);
  const warnings = warningsOf(matched, model, device);
  const builds = [...new Set(cells.map(({ build }) => build))];
  return {
    stdout: inFormat(args.format, { text: [`measured by llama-bench, and simulated: ${model.title} on ${device.title} as ${system.title}`, ...describeMatched(matched, model, device), "", table, ...errors].join("\n"), json: { device: device.name, model: model.name, system: system.name, matched, warnings, cells, summary } }),
    notes: [
      ...warnings.map((warning) => `warning: ${warning}`),
      ...cells.flatMap(({ id, reason }) => (reason === null ? [] : [`not simulated: ${id}: ${reason}`])),
      ...(builds.length > 1 ? [`these reports are of ${builds.length} builds of llama.cpp: ${builds.join(", ")}`] : []),
    ],
  };
};

export const importProgram = (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    knownNames,
    RTE.chain((names) => {
      const reading = readWords(command, fieldsWith(names))(given);
      const loaded = <A>(kind: "device" | "model" | "system", load: (name: string) => Program<A>): Program<A> => pipe(RTE.fromEither(argument(reading, kind)), RTE.chain(load));
      return gather({
        args: RTE.fromEither(reading.args),
        imported: pipe(reading.sound.files ?? [], gatherEach(readFile), RTE.map((all) => all.flat())),
        device: loaded("device", loadDevice),
        model: loaded("model", loadModel),
        system: loaded("system", loadSystem),
        known: RTE.right(names.model),
      });
    }),
    RTE.chainEitherK((loaded): Either<AppError, Loaded> => {
      const wrong = otherModels(loaded.imported, loaded.model);
      return wrong.length === 0 ? E.right(loaded) : E.left(badInput(`neuronlab ${command.name}`, wrong));
    }),
    RTE.chain((loaded) => pipe(simulateAll(loaded), RTE.map(describe(loaded)))),
  );
