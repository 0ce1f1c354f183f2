/** How fast the engine is: decode the words, measure every configuration in turn, describe. */
import { E, RTE, TE, pipe, type Either } from "../../../sim/base/fp.js";
import { describeError, type AppError } from "../../../sim/base/errors.js";
import { argument, readWords } from "../../args.js";
import type { Command, Words } from "../../command.js";
import { gather, gatherEach, inFormat, type Answer, type Capabilities, type FileFacts, type MachineFacts, type Program } from "../../program.js";
import { asTyped } from "../as-typed.js";
import { rowsOf, type Row } from "./rows.js";
import { asksShares, configurationsOf, contradictions, fields, sharedFile, type BenchArgs, type Configuration } from "./words.js";
import { describeRows } from "./describe.js";
import { planAt, shapeFor } from "../generate/engine-setting.js";
import { formatted } from "../llama-bench/formats.js";
import { withShippedModel } from "../models/shipped-model.js";
import { compare } from "../versus/compare.js";
import type { DrawComparison } from "../versus/report.js";

/** null: it was interrupted. */
type Measured = Either<AppError, ReadonlyArray<Row> | null>;

const measure = (where: string, { request }: Configuration, machine: MachineFacts): ((capabilities: Capabilities) => () => Promise<Measured>) => (capabilities) =>
  capabilities.interruptible((signal) => {
    const gauge = capabilities.gauge((request.prompts.length + request.generations.length) * request.repetitions, "repetitions");
    return pipe(
      capabilities.engine.bench(request, { onStep: ({ done }) => gauge.at(done), signal }),
      TE.bimap(asTyped(fields, where), (report) => (report === null ? null : rowsOf(report, request, { version: capabilities.version, cpu: machine.cpu }))),
      (task) => async () => {
        const ended = await task();
        gauge.end();
        return ended;
      },
    );
  });

/** That one configuration cannot run is an answer about it and none about the others. */
const isGap = (error: AppError): boolean => error._tag === "DoesNotFit" || error._tag === "Unsupported";

const isGiven = (arg: unknown): boolean => arg !== null && arg !== undefined;

const named = ({ request, threads }: Configuration): string => `${request.model}, ${threads} threads, ${request.memory === null ? "all in memory" : `${request.memory} bytes`}`;

const measureAll = (where: string, args: BenchArgs, configurations: ReadonlyArray<Configuration>, machine: MachineFacts): Program<Answer> => (capabilities) => async () => {
  const rows: Array<Row> = [];
  const gaps: Array<readonly [Configuration, AppError]> = [];
  let interrupted = false;
  for (const configuration of configurations) {
    const measured = await measure(where, configuration, machine)(capabilities)();
    if (E.isLeft(measured)) {
      if (!isGap(measured.left)) return measured;
      gaps.push([configuration, measured.left]);
    } else if (measured.right === null) {
      interrupted = true;
      break;
    } else rows.push(...measured.right);
  }
  const first = gaps[0];
  if (rows.length === 0 && first !== undefined) return E.left(first[1]);
  if (rows.length === 0) return E.right({ stdout: "", notes: ["interrupted"] });
  const notes = [...gaps.map(([configuration, error]) => `not measured: ${named(configuration)}: ${describeError(error)}`), ...(interrupted ? ["interrupted: the rest is not measured"] : [])];
  return E.right({ stdout: args.output === null || args.output === "md" ? inFormat(args.format, { text: describeRows(rows), json: rows }) : formatted(args.output, rows), notes });
};

/** Of the files that are compared, or that shares of memory are of; a file that is not there ends all before anything runs. */
const sizesOf = (args: BenchArgs): Program<ReadonlyMap<string, FileFacts>> => {
  const files = args.vs !== null ? [...args.model, ...(args["llama-model"] ?? []), ...(args.pair ?? []), ...(args.predictor ?? [])] : asksShares(args.memory) ? args.model.map((_, place) => sharedFile(args, place)) : [];
  return pipe(
    gatherEach<string, FileFacts>((file) => (capabilities) => capabilities.fileFacts(file))([...new Set(files)]),
    RTE.map((facts) => new Map([...new Set(files)].map((file, place) => [file, facts[place]!] as const))),
  );
};

const withUnmapped = (args: BenchArgs, unmapped: ReadonlyArray<string>) => (answer: Answer): Answer =>
  args.format === "json" || unmapped.length === 0 ? answer : { ...answer, notes: [...(answer.notes ?? []), "not mapped from the plan:", ...unmapped.map((line) => `  ${line}`)] };

export const benchProgram = (draw: DrawComparison) => (command: Command) => (given: Words): Program<Answer> => pipe(withShippedModel(given), RTE.chain(benchOf(draw, command)));

const benchOf = (draw: DrawComparison, command: Command) => (given: Words): Program<Answer> => {
  const where = `neuronlab ${command.name}`;
  const reading = readWords(command, fields, contradictions)(given);
  return pipe(
    gather({ args: RTE.fromEither(reading.args), plan: planAt(argument(reading, "plan"), isGiven(reading.sound.predictor)) }),
    RTE.chain(({ args, plan }) =>
      pipe(
        gather({ machine: RTE.asks(({ machine }: Capabilities) => machine) as Program<MachineFacts>, shape: shapeFor(args["shape-flash"], plan), sizes: sizesOf(args) }),
        RTE.chain(({ machine, shape, sizes }) => {
          const configurations = configurationsOf(args, plan.request, shape, machine.cores, sizes);
          return args.vs === null ? measureAll(where, args, configurations, machine) : compare(where, args, configurations, sizes, draw);
        }),
        RTE.map(withUnmapped(args, plan.unmapped)),
      )),
  );
};
