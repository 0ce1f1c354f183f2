/** A model that is made up: decode the words, take what a known model says, write, verify, describe. */
import { E, RTE, TE, pipe, type Either } from "../../../sim/base/fp.js";
import { badInput, describeError, type AppError } from "../../../sim/base/errors.js";
import type { ModelSpec } from "../../../sim/domain/model.js";
import type { SynthReport, SynthStep, VerifyReport, VerifyRequest } from "../../../engine/index.js";
import { argument, readWords } from "../../args.js";
import type { Command, Words } from "../../command.js";
import { gather, type Answer, type Capabilities, type Program } from "../../program.js";
import { asTyped } from "../as-typed.js";
import { loadModel } from "../load.js";
import { describeSynth, type Verified } from "./describe.js";
import { contradictions, DEFAULTS, fields, NOT_PLANTED, requestOf, type SynthArgs } from "./request.js";

/** What a specification gets wrong is not the file's fault. */
const ofFlags = (where: string) => (error: AppError): AppError => (error._tag === "BadInput" ? badInput(where, error.mistakes.map((mistake) => ({ ...mistake, path: mistake.path === "(whole)" ? "(flags)" : mistake.path }))) : error);

/** Shows steps in a gauge, in units of so many. */
const gauged = (capabilities: Capabilities, per: number, unit: string) => {
  let gauge: ReturnType<Capabilities["gauge"]> | null = null;
  return {
    onStep: ({ done, total }: SynthStep): void => {
      gauge ??= capabilities.gauge(Math.ceil(total / per), unit);
      gauge.at(Math.floor(done / per));
    },
    end: (): void => gauge?.end(),
  };
};

const whileGauged = <A>(gauge: { readonly end: () => void }, task: TE.TaskEither<AppError, A>): TE.TaskEither<AppError, A> => async () => {
  const ended = await task();
  gauge.end();
  return ended;
};

const write = (where: string, request: ReturnType<typeof requestOf>): Program<SynthReport | null> => (capabilities) =>
  capabilities.interruptible((signal) => {
    const gauge = gauged(capabilities, 1e6, "MB");
    return pipe(
      TE.fromEither(request),
      TE.chain((sound) => capabilities.engine.synth(sound, { onStep: gauge.onStep, signal })),
      TE.mapLeft((error) => asTyped(fields, where)(ofFlags(where)(error))),
      (task) => whileGauged(gauge, task),
    );
  });

const verify = (where: string, request: VerifyRequest): Program<VerifyReport | null> => (capabilities) =>
  capabilities.interruptible((signal) => {
    const gauge = gauged(capabilities, 1, "tokens");
    return whileGauged(gauge, pipe(capabilities.engine.verify(request, { onStep: gauge.onStep, signal }), TE.mapLeft(asTyped(fields, where))));
  });

const verifyRequest = (args: SynthArgs, model: string): VerifyRequest => ({ model, tokens: args["verify-tokens"], seed: args.seed ?? DEFAULTS.seed, threads: args.threads });

/** A file that was made stays, whatever becomes of its verification; only that the engine is at fault is an error still. */
const verifiedAfter = (where: string, args: SynthArgs, model: string): Program<Either<string, Verified>> =>
  args["verify-tokens"] === 0
    ? RTE.right(E.left("not verified: --verify-tokens 0"))
    : pipe(
        verify(where, verifyRequest(args, model)),
        RTE.map((report) => (report === null ? E.left("not verified: interrupted") : E.right(report))),
        RTE.orElse((error): Program<Either<string, Verified>> => (error._tag === "DoesNotFit" ? RTE.right(E.left(`not verified: ${describeError(error)}`)) : RTE.left(error))),
      );

const made = (where: string, args: SynthArgs, model: ModelSpec | null, out: string): Program<Answer> => {
  const request = requestOf(where, args, model, out);
  return pipe(
    write(where, request),
    RTE.chain((written): Program<Answer> => {
      if (written === null || E.isLeft(request)) return RTE.right({ stdout: "", notes: ["interrupted: nothing was written"] });
      const describe = describeSynth(args.format, { file: out, made: { written, request: request.right }, notPlanted: model === null ? [] : NOT_PLANTED });
      return pipe(verifiedAfter(where, args, out), RTE.map(describe));
    }),
  );
};

const checked = (where: string, args: SynthArgs, file: string): Program<Answer> =>
  pipe(
    verify(where, verifyRequest(args, file)),
    RTE.map((report): Answer => (report === null ? { stdout: "", notes: ["interrupted"] } : describeSynth(args.format, { file, made: null, notPlanted: [] })(E.right(report)))),
  );

export const synthProgram = (command: Command) => (given: Words): Program<Answer> => {
  const where = `neuronlab ${command.name}`;
  const reading = readWords(command, fields, contradictions)(given);
  const model = pipe(
    RTE.fromEither(argument(reading, "model")),
    RTE.chain((name): Program<ModelSpec | null> => (name === null ? RTE.right(null) : loadModel(name))),
  );
  return pipe(
    gather({ args: RTE.fromEither(reading.args), model }),
    RTE.chain(({ args, model: known }) => (args.check === null ? made(where, args, known, args.out ?? "") : checked(where, args, args.check))),
  );
};
