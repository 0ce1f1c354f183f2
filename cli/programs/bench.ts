/** How fast the engine is: decode the words, measure every configuration in turn, describe. */
import { E, RTE, TE, pipe, type Either } from "../../sim/base/fp.js";
import { describeError, type AppError } from "../../sim/base/errors.js";
import { argument, readWords } from "../args.js";
import type { Command, Words } from "../command.js";
import { gather, inFormat, type Answer, type Capabilities, type HostFacts, type Program } from "../program.js";
import { asTyped } from "./as-typed.js";
import { compare } from "./bench-rival.js";
import { rowsOf, type Row } from "./bench-rows.js";
import { configurationsOf, contradictions, fields, type BenchArgs, type Configuration } from "./bench-words.js";
import { describeRows } from "./describe-bench.js";
import { planAt, shapeFor } from "./engine-setting.js";

/** null: it was interrupted. */
type Measured = Either<AppError, ReadonlyArray<Row> | null>;

const measure = (where: string, { request }: Configuration, host: HostFacts): ((capabilities: Capabilities) => () => Promise<Measured>) => (capabilities) =>
  capabilities.interruptible((signal) => {
    const gauge = capabilities.gauge((request.prompts.length + request.generations.length) * request.repetitions, "repetitions");
    return pipe(
      capabilities.engine.bench(request, { onStep: ({ done }) => gauge.at(done), signal }),
      TE.bimap(asTyped(fields, where), (report) => (report === null ? null : rowsOf(report, request, { version: capabilities.version, cpu: host.cpu }))),
      (task) => async () => {
        const ended = await task();
        gauge.end();
        return ended;
      },
    );
  });

/** That one configuration cannot run is an answer about it and none about the others. */
const isGap = (error: AppError): boolean => error._tag === "DoesNotFit" || error._tag === "Unsupported";

const named = ({ request, threads }: Configuration): string => `${request.model}, ${threads} threads, ${request.memory === null ? "all in memory" : `${request.memory} bytes`}`;

const measureAll = (where: string, args: BenchArgs, configurations: ReadonlyArray<Configuration>, host: HostFacts): Program<Answer> => (capabilities) => async () => {
  const rows: Array<Row> = [];
  const gaps: Array<readonly [Configuration, AppError]> = [];
  let interrupted = false;
  for (const configuration of configurations) {
    const measured = await measure(where, configuration, host)(capabilities)();
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
  return E.right({ stdout: inFormat(args.format, { text: describeRows(rows), json: rows }), notes });
};

export const benchProgram = (command: Command) => (given: Words): Program<Answer> => {
  const where = `neuronlab ${command.name}`;
  const reading = readWords(command, fields, contradictions)(given);
  return pipe(
    gather({ args: RTE.fromEither(reading.args), plan: planAt(argument(reading, "plan"), false) }),
    RTE.chain(({ args, plan }) =>
      pipe(
        gather({ host: ((capabilities) => capabilities.host) as Program<HostFacts>, shape: shapeFor(args["shape-flash"], plan) }),
        RTE.chain(({ host, shape }) => {
          const configurations = configurationsOf(args, plan.request, shape, host.cores);
          return args.vs === null ? measureAll(where, args, configurations, host) : compare(where, args, configurations);
        }),
        RTE.map((answer): Answer => (args.format === "json" || plan.unmapped.length === 0 ? answer : { ...answer, notes: [...(answer.notes ?? []), "not mapped from the plan:", ...plan.unmapped.map((line) => `  ${line}`)] })),
      )),
  );
};
